package proxy

import (
	"crypto/tls"
	"io"
	"path/filepath"
	"testing"
	"time"

	"overstay/connlog"
	"overstay/server"
	"overstay/server/certs"
)

// Where TLS ends here, what passes can be read, and both ends' endings pass.
func TestUnderTLS(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if _, err := certs.SelfSigned(cert, key, []string{"localhost"}, time.Now()); err != nil {
		t.Fatal(err)
	}
	pair, err := certs.Open(cert, key, nil)
	if err != nil {
		t.Fatal(err)
	}
	text := `
		S: * OK hello
		C: a LOGIN anna secret
		S: a OK
		C: b LOGOUT
		S: * BYE
		S: b OK`
	back := upstream(t, func(c *talk) {
		script(text)(c)
		c.send("heard: " + c.rest())
	})
	s := start(t, Options{Upstream: back, Speaks: IMAP, ProxyHeader: 0}, server.Service{TLS: pair.Config()})
	conn, err := tls.Dial("tcp", s.Addr("front").String(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	c := newTalk(t, conn)
	c.play(text)
	c.send("the end")
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(c.in); string(got) != "heard: the end" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	e := s.log.wait(t, connlog.Close, 1)
	// That the client had said all is a word inside of TLS.
	if !e.Proven || e.End != connlog.EndClient && e.End != connlog.EndServer || e.Stages[connlog.StageTLS] <= 0 {
		t.Errorf("close line: %+v", e)
	}
	if p := s.log.of(connlog.Proven)[0]; p.User != "anna" {
		t.Errorf("proven line: %+v", p)
	}
}
