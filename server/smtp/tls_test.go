package smtp

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	netsmtp "net/smtp"
	"strings"
	"testing"
	"time"

	"overstay/connlog"
	"overstay/server"
)

// certificate returns the settings of a server, and of a client that believes
// it to be localhost.
func certificate(t testing.TB) (serverSide, clientSide *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}},
		&tls.Config{RootCAs: roots, ServerName: "localhost"}
}

// startTLS does the client's side of it.
func (c *talk) startTLS(config *tls.Config) *talk {
	c.t.Helper()
	c.say("STARTTLS", "220 ")
	under := tls.Client(c.Conn, config)
	if err := under.Handshake(); err != nil {
		c.t.Fatal(err)
	}
	return &talk{under, c.t, bufio.NewReader(under)}
}

func TestSTARTTLS(t *testing.T) {
	serverSide, clientSide := certificate(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, Options{TLS: serverSide}, server.Service{Listener: far{l}})
	c := s.dial(t, "127.0.0.1")
	c.expect("220")
	if got := c.say("EHLO x", "250-"); !strings.Contains(got, "250-STARTTLS\r\n") || strings.Contains(got, "AUTH") || strings.Contains(got, "CHUNKING") {
		t.Errorf("offers %q", got)
	}
	c.say("AUTH PLAIN "+b64("\x00anna\x00secret"), "538 5.7.11 ")
	c.say("MAIL FROM:<forgotten@example.net>", "250 ")
	c.say("RCPT TO:<anna@example.org>", "250 ")
	c.say("STARTTLS now", "501 ")

	c = c.startTLS(clientSide)
	c.say("MAIL FROM:<a@example.net>", "502 ") // All that was said is forgotten, EHLO too.
	if got := c.say("EHLO y", "250-"); strings.Contains(got, "STARTTLS") || !strings.Contains(got, "AUTH PLAIN LOGIN") {
		t.Errorf("offers %q under TLS", got)
	}
	c.say("STARTTLS", "503 ")
	c.say("DATA", "502 ")
	c.say("AUTH PLAIN "+b64("\x00anna\x00secret"), "235 ")
	c.say("MAIL FROM:<a@example.net>", "250 ")
	c.say("RCPT TO:<ben@example.org>", "250 ")
	c.say("DATA", "354 ")
	c.say("hello\r\n.", "250 ")
	c.say("QUIT", "221 ")
	if n, err := c.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("not a clean end of TLS: %v", err)
	}
	got := s.messages(t, "ben")
	if len(got) != 1 || !strings.Contains(got[0], "from y ([IPv6:2001:db8::5])\n\t(TLS 1.3, TLS_") || !strings.Contains(got[0], " with ESMTPSA id ") {
		t.Errorf("ben has %q", got)
	}
	e := s.log.closed(t, 1)
	if !e.Proven || e.Fails != 4 || e.Stages[connlog.StageTLS] <= 0 || e.Stages[connlog.StageLogin] <= 0 || e.End != connlog.EndServer {
		t.Errorf("close line %+v", e)
	}
	if n := len(s.log.of(connlog.Open)); n != 1 {
		t.Errorf("%d connections", n)
	}
	if n := len(s.messages(t, "anna")); n != 0 {
		t.Error("a forgotten message arrived")
	}
}

// A login before STARTTLS does not count after it.
func TestSTARTTLSForgetsTheLogin(t *testing.T) {
	serverSide, clientSide := certificate(t)
	s := start(t, Options{TLS: serverSide, RequireAuth: true}, server.Service{})
	c := s.dial(t, "127.0.0.1")
	c.expect("220")
	c.say("EHLO x", "250-")
	c.say("MAIL FROM:<a@example.net>", "530 5.7.0 ")
	c.say("AUTH PLAIN "+b64("\x00anna\x00secret"), "235 ")
	c.say("MAIL FROM:<a@example.net>", "250 ")
	c = c.startTLS(clientSide)
	c.say("EHLO x", "250-")
	c.say("MAIL FROM:<a@example.net>", "530 5.7.0 ")
	c.say("AUTH PLAIN "+b64("\x00anna\x00secret"), "235 ")
	c.say("MAIL FROM:<a@example.net>", "250 ")
}

// What somebody else has put behind STARTTLS is not taken for the client's
// words (RFC 3207, 4.2 and 6).
func TestNothingFollowsSTARTTLS(t *testing.T) {
	serverSide, _ := certificate(t)
	s := start(t, Options{TLS: serverSide}, server.Service{})
	for i, injected := range []string{"STARTTLS\r\nRSET\r\n", "STARTTLS\r\n\r\n", "STARTTLS\r\nx"} {
		c := s.dial(t, "127.0.0.1")
		c.expect("220")
		c.send("EHLO x\r\n" + injected)
		c.expect("250-")
		c.expect("503 ")
		if got := c.reply(); !strings.Contains(got, "error: ") {
			t.Errorf("%q: it goes on: %q", injected, got)
		}
		if e := s.log.closed(t, i+1); e.Fails != 1 {
			t.Errorf("%q: close line %+v", injected, e)
		}
	}
}

func TestHandshakeFails(t *testing.T) {
	serverSide, _ := certificate(t)
	s := start(t, Options{TLS: serverSide}, server.Service{})
	c := s.dial(t, "127.0.0.1")
	c.expect("220")
	c.say("STARTTLS", "220 ")
	c.send("EHLO x\r\nMAIL FROM:<>\r\n")
	_, _ = io.Copy(io.Discard, c) // An alert, until it hangs up.
	e := s.log.closed(t, 1)
	if e.Fails != 1 || e.Stages[connlog.StageTLS] <= 0 || e.Proven {
		t.Errorf("close line %+v", e)
	}
	if f := s.log.of(connlog.Fail); len(f) != 1 || f[0].What != connlog.FailTLS {
		t.Errorf("fail lines %+v", f)
	}
	if busy := s.Status().Services[0].Busy; busy != 0 {
		t.Errorf("%d threads held", busy)
	}
}

func TestSTARTTLSNotOffered(t *testing.T) {
	s := start(t, Options{}, server.Service{})
	c := s.dial(t, "127.0.0.1")
	c.expect("220")
	if got := c.say("EHLO x", "250-"); strings.Contains(got, "STARTTLS") || strings.Contains(got, "CHUNKING") {
		t.Errorf("offers %q", got)
	}
	c.say("STARTTLS", "502 ")
	c.say("NOOP", "250 ")
}

func TestSTARTTLSWithARealClient(t *testing.T) {
	serverSide, clientSide := certificate(t)
	s := start(t, Options{TLS: serverSide}, server.Service{})
	c, err := netsmtp.Dial(s.Addr("smtp").String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if err := c.StartTLS(clientSide); err != nil {
		t.Fatal(err)
	}
	if err := c.Auth(netsmtp.PlainAuth("", "anna", "secret", "127.0.0.1")); err != nil {
		t.Fatal(err)
	}
	if err := c.Mail("a@example.net"); err != nil {
		t.Fatal(err)
	}
	if err := c.Rcpt("ben@example.org"); err != nil {
		t.Fatal(err)
	}
	w, err := c.Data()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, strings.Repeat("0123456789\r\n", 100_000)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got := s.messages(t, "ben"); len(got) != 1 || !strings.HasSuffix(got[0], "0123456789\n") || len(got[0]) < 1_100_000 {
		t.Errorf("ben has %d messages", len(got))
	}
}

// Whoever waits for a command under TLS is told that the server stops, and
// whoever is between the two worlds is not forgotten.
func TestShutdownUnderTLS(t *testing.T) {
	serverSide, clientSide := certificate(t)
	s := start(t, Options{TLS: serverSide}, server.Service{})
	c := s.dial(t, "127.0.0.1")
	c.expect("220")
	c = c.startTLS(clientSide)
	c.say("NOOP", "250 ")
	half := s.dial(t, "127.0.0.1")
	half.expect("220")
	half.say("STARTTLS", "220 ")
	ended := make(chan error, 1)
	go func() { ended <- s.Shutdown(context.Background()) }()
	c.expect("421 4.3.2 ")
	_ = half.Close() // Or the handshake would be waited for.
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TLS from the first byte: the server has done the handshake.
func TestImplicitTLS(t *testing.T) {
	serverSide, clientSide := certificate(t)
	s := start(t, Options{TLS: serverSide}, server.Service{TLS: serverSide})
	raw := s.dial(t, "127.0.0.1")
	under := tls.Client(raw.Conn, clientSide)
	c := &talk{under, t, bufio.NewReader(under)}
	c.expect("220")
	if got := c.say("EHLO x", "250-"); strings.Contains(got, "STARTTLS") || !strings.Contains(got, "AUTH PLAIN") {
		t.Errorf("offers %q", got)
	}
	c.say("STARTTLS", "503 ")
	c.mailTo("anna@example.org")
	c.say("x\r\n.", "250 ")
	c.say("QUIT", "221 ")
	if got := s.messages(t, "anna"); len(got) != 1 || !strings.Contains(got[0], " with ESMTPS id ") {
		t.Errorf("anna has %q", got)
	}
	if e := s.log.closed(t, 1); e.Stages[connlog.StageTLS] <= 0 || !e.Proven {
		t.Errorf("close line %+v", e)
	}
}
