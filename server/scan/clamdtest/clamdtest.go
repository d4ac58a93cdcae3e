// Package clamdtest gives tests a clamd: the real one where it is installed,
// and one that does as it is told.
//
// The real one, [Start], runs with a configuration, a socket and a database of
// its own. The database has the signatures of EICAR's test file ([EICAR]), alone
// and within a text, and one of our own ([Marker]).
//
// The other one, [Fake], listens in the test's own process, takes what
// INSTREAM sends, and answers what a function says: late, in pieces, garbage,
// or not at all.
package clamdtest

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// Marker is a text that the real clamd finds wherever it stands in a file.
const Marker = "overstay test virus byte"

// EICAR returns the test file that every scanner knows. It is put together
// here, so that no scanner finds it in this source.
func EICAR() string {
	return `X5O!P%@AP[4\PZX54(P^)7CC)7}$` + "EICAR-" + "STANDARD-ANTIVIRUS-" + "TEST-FILE!$H+H*"
}

// Daemon is a real clamd.
type Daemon struct {
	// Address is where it listens, as scan.Options wants it.
	Address string

	dir     string
	path    string
	command *exec.Cmd
	output  bytes.Buffer
}

// Start runs a real clamd until the end of the test. It skips the test where
// there is none.
func Start(t testing.TB) *Daemon {
	t.Helper()
	path, err := exec.LookPath("clamd")
	if err != nil {
		t.Skip("clamd is not installed (Debian: clamav-daemon)")
	}
	dir := socketDir(t)
	d := &Daemon{dir: dir, path: path, Address: "unix:" + filepath.Join(dir, "clamd.sock")}
	hash := md5.Sum([]byte(EICAR()))
	files := map[string]string{
		"db/test.hdb": hex.EncodeToString(hash[:]) + ":68:Eicar-Test-Signature\n",
		"db/test.ndb": "Overstay-Test:0:*:" + hex.EncodeToString([]byte(Marker)) + "\n" +
			"Eicar-Test-Signature:0:*:" + hex.EncodeToString([]byte(EICAR())) + "\n",
		"clamd.conf": fmt.Sprintf("LocalSocket %[1]s/clamd.sock\nDatabaseDirectory %[1]s/db\nTemporaryDirectory %[1]s/tmp\n"+
			"Foreground yes\nStreamMaxLength 1M\nScanMail yes\nMaxThreads 10\n", dir),
	}
	for _, sub := range []string{"db", "tmp"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	d.Run(t)
	t.Cleanup(d.Kill)
	return d
}

// Run starts it, again after a Kill, and waits until it answers.
func (d *Daemon) Run(t testing.TB) {
	t.Helper()
	d.output.Reset()
	d.command = exec.Command(d.path, "--config-file", filepath.Join(d.dir, "clamd.conf"))
	d.command.Stdout, d.command.Stderr = &d.output, &d.output
	if err := d.command.Start(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if d.ping() == nil {
			return
		}
		if time.Now().After(end) {
			d.Kill()
			t.Fatalf("clamd does not answer: %s", d.output.String())
		}
	}
}

// Kill ends it at once, whatever it does.
func (d *Daemon) Kill() {
	if d.command == nil {
		return
	}
	_ = d.command.Process.Kill() // It may have ended.
	_ = d.command.Wait()         // Killed is what it should be.
	d.command = nil
}

func (d *Daemon) ping() error {
	c, err := net.Dial("unix", filepath.Join(d.dir, "clamd.sock"))
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	if err := c.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	if _, err := io.WriteString(c, "zPING\x00"); err != nil {
		return err
	}
	answer := make([]byte, 5)
	if _, err := io.ReadFull(c, answer); err != nil {
		return err
	}
	if string(answer) != "PONG\x00" {
		return errors.New("not a pong")
	}
	return nil
}

// socketDir returns a folder whose name is short enough for a socket.
func socketDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "clamd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
