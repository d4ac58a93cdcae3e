package certs

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func selfSigned(t *testing.T, dir string, now time.Time) (certFile, keyFile string, made bool) {
	t.Helper()
	certFile, keyFile = filepath.Join(dir, "server.pem"), filepath.Join(dir, "server.key")
	made, err := SelfSigned(certFile, keyFile, []string{"mail.example", "127.0.0.1", "::1"}, now)
	if err != nil {
		t.Fatal(err)
	}
	return certFile, keyFile, made
}

func TestSelfSignedIsMadeOnceAndRenewed(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	certFile, keyFile, made := selfSigned(t, dir, now)
	if !made {
		t.Fatal("nothing was made")
	}
	for _, path := range []string{certFile, keyFile} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	if _, _, made := selfSigned(t, dir, now.Add(300*24*time.Hour)); made {
		t.Error("a good one was replaced")
	}
	if _, _, made := selfSigned(t, dir, now.Add(336*24*time.Hour)); !made {
		t.Error("one that ends within a month was kept")
	}
	if made, err := SelfSigned(certFile, keyFile, []string{"mail.example", "new.example"}, now); err != nil || !made {
		t.Errorf("one without the new name was kept: %v", err)
	}
	if err := os.WriteFile(keyFile, []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, made := selfSigned(t, dir, now); !made {
		t.Error("a damaged one was kept")
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 2 {
		t.Errorf("left in the folder: %v, %v", left, err)
	}
}

// A client that trusts the certificate is let in, by name and by address, and
// one that speaks TLS 1.1 is not.
func TestConfigServesClients(t *testing.T) {
	certFile, keyFile, _ := selfSigned(t, t.TempDir(), time.Now())
	pair, err := Open(certFile, keyFile, nil)
	if err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(certFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	for _, name := range []string{"mail.example", "127.0.0.1", "::1"} {
		if err := handshake(t, pair, &tls.Config{RootCAs: roots, ServerName: name}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := handshake(t, pair, &tls.Config{RootCAs: roots, ServerName: "other.example"}); err == nil {
		t.Error("the certificate is good for every name")
	}
	if err := handshake(t, pair, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11}); err == nil {
		t.Error("TLS 1.1 is spoken")
	}
}

// handshake returns the client's error.
func handshake(t *testing.T, pair *Pair, client *tls.Config) error {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", pair.Config())
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if c, err := l.Accept(); err == nil {
			_ = c.(*tls.Conn).Handshake() // The client says how it went.
			_ = c.Close()
		}
	}()
	c, err := tls.Dial("tcp", l.Addr().String(), client)
	if err == nil {
		_ = c.Close()
	}
	<-done
	_ = l.Close()
	return err
}

func TestChangedFilesAreReadAgain(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile, _ := selfSigned(t, dir, time.Now())
	synctest.Test(t, func(t *testing.T) {
		var said bytes.Buffer
		pair, err := Open(certFile, keyFile, slog.New(slog.NewTextHandler(&said, nil)))
		if err != nil {
			t.Fatal(err)
		}
		first := serial(t, pair)

		// Half of a new pair is no pair; the old one goes on.
		other := t.TempDir()
		newCert, newKey, _ := selfSigned(t, other, time.Now())
		if err := os.Rename(newCert, certFile); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			time.Sleep(lookEvery)
			if serial(t, pair) != first {
				t.Fatal("a certificate without its key is used")
			}
		}
		if n := strings.Count(said.String(), "not used"); n != 1 {
			t.Errorf("said %d times:\n%s", n, said.String())
		}
		if err := os.Rename(newKey, keyFile); err != nil {
			t.Fatal(err)
		}
		if serial(t, pair) != first {
			t.Error("the files are looked at more than once a second")
		}
		time.Sleep(lookEvery)
		if serial(t, pair) == first {
			t.Error("the new pair is not used")
		}
		if err := os.Remove(certFile); err != nil {
			t.Fatal(err)
		}
		time.Sleep(lookEvery)
		if serial(t, pair) == first {
			t.Error("the pair before the last is back")
		}
	})
}

func serial(t *testing.T, p *Pair) string {
	t.Helper()
	c, err := p.get(nil)
	if err != nil {
		t.Fatal(err)
	}
	return c.Leaf.SerialNumber.String()
}

func TestOpenSaysWhichFile(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile, _ := selfSigned(t, dir, time.Now())
	if _, err := Open(certFile, filepath.Join(dir, "none.key"), nil); err == nil || !strings.Contains(err.Error(), "none.key") {
		t.Errorf("missing key: %v", err)
	}
	if err := os.WriteFile(keyFile, []byte("-----BEGIN NOTHING-----\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(certFile, keyFile, nil); err == nil || !strings.Contains(err.Error(), "server.key") {
		t.Errorf("damaged key: %v", err)
	}
}
