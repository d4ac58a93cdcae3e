package proxy

import (
	"crypto/tls"
	"path/filepath"
	"testing"
	"time"

	"overstay/connlog"
	"overstay/server"
	"overstay/server/certs"
)

// mailbox is an IMAP server behind the proxy that wants STARTTLS.
func mailbox(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if _, err := certs.SelfSigned(cert, key, []string{"localhost"}, time.Now()); err != nil {
		t.Fatal(err)
	}
	pair, err := certs.Open(cert, key, nil)
	if err != nil {
		t.Fatal(err)
	}
	config := pair.Config()
	return upstream(t, func(c *talk) {
		script(`
			S: * OK hello
			C: a STARTTLS
			S: a OK`)(c)
		secret := newTalk(t, tls.Server(c, config))
		if err := secret.Conn.(*tls.Conn).Handshake(); err != nil {
			return
		}
		if _, err := secret.in.Peek(1); err != nil {
			return // It says nothing.
		}
		script(office)(secret)
		secret.rest()
	})
}

// office is what somebody does whose mail program waits for mail.
const office = `
	C: b LOGIN anna secret
	S: b OK
	C: c SELECT INBOX
	S: c OK
	C: d IDLE
	S: + idling`

// starttls makes the handshake through the proxy.
func (c *talk) starttls(version uint16) *talk {
	c.t.Helper()
	c.play(`
		S: * OK hello
		C: a STARTTLS
		S: a OK`)
	secret := tls.Client(c, &tls.Config{InsecureSkipVerify: true, MaxVersion: version})
	if err := secret.Handshake(); err != nil {
		c.t.Fatal(err)
	}
	return newTalk(c.t, secret)
}

// A whole office behind one address that waits for its mail is proven, though
// nobody can read what it said and though that was little. Whoever makes the
// handshake and nothing else is not.
func TestOfficeIsProven(t *testing.T) {
	const people = 20
	for name, version := range map[string]uint16{"TLS 1.3": tls.VersionTLS13, "TLS 1.2": tls.VersionTLS12} {
		t.Run(name, func(t *testing.T) {
			s := start(t, Options{Upstream: mailbox(t), Speaks: IMAP}, server.Service{Threads: 2 * people})
			for range people {
				s.dial(t, "127.0.0.2").starttls(version).play(office)
				s.dial(t, "127.0.0.3").starttls(version)
			}
			s.log.wait(t, connlog.Proven, people)
			s.stop()
			for _, e := range s.log.of(connlog.Close) {
				if worker := e.ClientIP.String() == "127.0.0.2"; e.Proven != worker {
					t.Errorf("close line: %+v", e)
				}
			}
		})
	}
}

// A download that nobody can read is one question and a long answer.
func TestDownloadIsProven(t *testing.T) {
	back := upstream(t, func(c *talk) {
		c.hear("get")
		_, _ = c.Write(make([]byte, 40<<10)) // The client's loss.
		c.rest()
	})
	s := start(t, Options{Upstream: back}, server.Service{})
	s.dial(t, "127.0.0.1").send("get")
	if p := s.log.wait(t, connlog.Proven, 1); p.By != connlog.ByTransfer {
		t.Errorf("proven line: %+v", p)
	}
}

// What is said to be no proof is none.
func TestProofNever(t *testing.T) {
	var text string
	for range 100 {
		text += "C: 1234567890\nS: 1234567890\n"
	}
	if n, _ := watched(TCP, proof{turns: -1, bytes: -1}, text); n.proofs() != 0 {
		t.Errorf("%q", n)
	}
	for _, enough := range []proof{{turns: 100}, {bytes: 1200}} {
		if n, _ := watched(TCP, enough, text); n.proofs() != 1 {
			t.Errorf("%+v: %q", enough, n)
		}
	}
}
