package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// served is a command that goes on, such as serve, as a person would run it.
type served struct {
	t      *testing.T
	lines  chan string // of standard output
	stderr *lockedBuilder
	stop   func() int // ends it, and returns its exit code
}

type lockedBuilder struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedBuilder) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuilder) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func startServe(t *testing.T, arguments ...string) *served {
	t.Helper()
	return startCommand(t, append([]string{"serve"}, arguments...)...)
}

func startCommand(t *testing.T, arguments ...string) *served {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	out, write := io.Pipe()
	s := &served{t: t, lines: make(chan string, 100), stderr: &lockedBuilder{}}
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, arguments, strings.NewReader(""), write, s.stderr)
		_ = write.Close()
	}()
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			s.lines <- lines.Text()
		}
		close(s.lines)
	}()
	s.stop = sync.OnceValue(func() int {
		cancel()
		for range s.lines {
		}
		return <-code
	})
	t.Cleanup(func() { s.stop() })
	return s
}

// find waits for a line of output that matches, and returns its first group.
func (s *served) find(pattern string) string {
	s.t.Helper()
	wanted := regexp.MustCompile(pattern)
	timeout := time.After(20 * time.Second)
	for {
		select {
		case line, ok := <-s.lines:
			if !ok {
				s.t.Fatalf("it ended before it printed %q:\n%s", pattern, s.stderr)
			}
			if m := wanted.FindStringSubmatch(line); m != nil {
				return m[len(m)-1]
			}
		case <-timeout:
			s.t.Fatalf("it did not print %q:\n%s", pattern, s.stderr)
		}
	}
}

// freePorts is a configuration on ports that are free. Without TLS, because
// clients in Go want to trust a certificate.
const freePorts = `
[[service]]
name = "smtp"
tls = "off"
listen = "127.0.0.1:0"
[[service]]
name = "www"
listen = "127.0.0.1:0"
`

func writeConfig(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "overstay.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func healthy(t *testing.T, address string) {
	t.Helper()
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get("http://" + address + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("healthz says %s", answer.Status)
	}
}

func TestServeSaysWhereEverythingIs(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	s := startServe(t, "--state", state, "--config", writeConfig(t, freePorts))
	smtp := s.find(`^smtp +(127\.0\.0\.1:\d+)`)
	www := s.find(`^www +(127\.0\.0\.1:\d+)`)
	log := s.find(`^log +(.*)`)
	list := s.find(`^list +(\S+)`)
	password := s.find(`password is in (.*)`)
	for _, file := range []string{log, list, password} {
		if _, err := os.Stat(file); err != nil {
			t.Error(err)
		}
	}
	if info, err := os.Stat(password); err == nil && info.Mode().Perm() != 0o600 {
		t.Errorf("the password file has mode %v", info.Mode())
	}
	healthy(t, www)
	c, err := net.Dial("tcp", smtp)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if greeting, err := bufio.NewReader(c).ReadString('\n'); err != nil || !strings.HasPrefix(greeting, "220 ") {
		t.Fatalf("smtp greets with %q, %v", greeting, err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if code := s.stop(); code != exitDone {
		t.Errorf("exit code %d:\n%s", code, s.stderr)
	}
}

// failsWith runs serve where it cannot run, and wants to be told why and what
// to do.
func failsWith(t *testing.T, want []string, arguments ...string) {
	t.Helper()
	code, _, stderr := session(t.Context(), append([]string{"serve"}, arguments...)...)
	if code != exitFailed {
		t.Errorf("exit code %d, want %d", code, exitFailed)
	}
	for _, w := range want {
		if !strings.Contains(stderr, w) {
			t.Errorf("standard error lacks %q:\n%s", w, stderr)
		}
	}
}

func TestServeOnAPortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	config := writeConfig(t, fmt.Sprintf("[[service]]\nname = \"www\"\nlisten = %q\n", l.Addr()))
	failsWith(t, []string{`service "www"`, l.Addr().String(), "set another port"}, "--state", t.TempDir(), "--config", config)
}

func TestServeTwiceInOneFolder(t *testing.T) {
	state, config := t.TempDir(), writeConfig(t, freePorts)
	first := startServe(t, "--state", state, "--config", config)
	www := first.find(`^www +(\S+)`)
	failsWith(t, []string{"connections.log", "Another overstay serve uses this folder"}, "--state", state, "--config", config)
	healthy(t, www)
}

func TestServeInAFolderThatIsAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	failsWith(t, []string{"state folder", file, "another folder with --state"}, "--state", filepath.Join(file, "state"), "--config", writeConfig(t, freePorts))
}

func TestServeWithADamagedList(t *testing.T) {
	state := t.TempDir()
	if err := os.WriteFile(filepath.Join(state, "bans.db"), []byte(strings.Repeat("no database at all ", 300)), 0o600); err != nil {
		t.Fatal(err)
	}
	failsWith(t, []string{"bans.db", "damaged", "move the file"}, "--state", state, "--config", writeConfig(t, freePorts))
}

func TestServeWithABadUserFile(t *testing.T) {
	state := t.TempDir()
	if err := os.WriteFile(filepath.Join(state, "users"), []byte("anna:plain text\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	failsWith(t, []string{"mail.users", "users:1"}, "--state", state, "--config", writeConfig(t, freePorts))
}

// TestServeOnAFullDisk goes on serving when log and list cannot be written, and
// writes what the log lacks once there is room again. (What happens when the
// log's queue is full too, is package connlog's to test.)
func TestServeOnAFullDisk(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root, for a small file system of its own")
	}
	state := t.TempDir()
	if err := syscall.Mount("tmpfs", state, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("no file system can be mounted here: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(state, syscall.MNT_DETACH) })
	s := startServe(t, "--state", state, "--config", writeConfig(t, freePorts))
	www := s.find(`^www +(\S+)`)
	healthy(t, www)

	filler := filepath.Join(state, "filler")
	if err := os.WriteFile(filler, make([]byte, 1<<20), 0o600); err == nil {
		t.Fatal("the disk is not full")
	}
	for range 40 {
		healthy(t, www)
	}
	code, _, stderr := session(t.Context(), "ban", "203.0.113.9", "--state", state)
	if code != exitFailed || !strings.Contains(stderr, "disk is full") {
		t.Errorf("ban on a full disk: exit code %d:\n%s", code, stderr)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	healthy(t, www)
	opened := 0
	for deadline := time.Now().Add(20 * time.Second); opened < 42; time.Sleep(10 * time.Millisecond) {
		text, err := os.ReadFile(filepath.Join(state, "connections.log"))
		if err != nil {
			t.Fatal(err)
		}
		if opened = strings.Count(string(text), `"event":"open"`); time.Now().After(deadline) {
			t.Fatalf("the log has %d of 42 connections", opened)
		}
	}
	if code, _, stderr := session(t.Context(), "ban", "203.0.113.9", "--state", state); code != exitDone {
		t.Errorf("ban with room again: exit code %d:\n%s", code, stderr)
	}
}
