package smtp

import (
	"encoding/base64"
	"net"
	netsmtp "net/smtp"
	"slices"
	"strings"
	"testing"

	"overstay/connlog"
	"overstay/server"
	"overstay/server/mailstore"
)

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func TestLogin(t *testing.T) {
	s := start(t, Options{}, server.Service{})
	addr := s.Addr("smtp").String()
	for i, c := range []struct {
		name string
		do   func(*talk)
		ok   bool
	}{
		{"PLAIN", func(c *talk) { c.say("AUTH PLAIN "+b64("\x00anna\x00secret"), "235 ") }, true},
		{"PLAIN as oneself", func(c *talk) { c.say("AUTH PLAIN "+b64("anna\x00anna\x00secret"), "235 ") }, true},
		{"PLAIN as somebody else", func(c *talk) { c.say("AUTH PLAIN "+b64("ben\x00anna\x00secret"), "535 5.7.8 ") }, false},
		{"PLAIN in two steps", func(c *talk) { c.say("AUTH PLAIN", "334 "); c.say(b64("\x00anna@Example.org\x00secret"), "235 ") }, true},
		{"LOGIN", func(c *talk) {
			c.say("AUTH LOGIN", "334 "+b64("Username:"))
			c.say(b64("anna"), "334 "+b64("Password:"))
			c.say(b64("secret"), "235 ")
		}, true},
		{"LOGIN with its name", func(c *talk) { c.say("AUTH LOGIN "+b64("anna"), "334 "+b64("Password:")); c.say(b64("secret"), "235 ") }, true},
		{"wrong password", func(c *talk) { c.say("AUTH PLAIN "+b64("\x00anna\x00wrong"), "535 5.7.8 ") }, false},
		{"unknown user", func(c *talk) { c.say("AUTH PLAIN "+b64("\x00carl\x00secret"), "535 5.7.8 ") }, false},
		{"malformed", func(c *talk) { c.say("AUTH PLAIN "+b64("anna"), "501 ") }, false},
		{"not base64", func(c *talk) { c.say("AUTH PLAIN ***", "454 ") }, false},
		{"cancelled", func(c *talk) { c.say("AUTH LOGIN", "334 "); c.say("*", "501 ") }, false},
		{"another mechanism", func(c *talk) { c.say("AUTH CRAM-MD5", "504 ") }, false},
	} {
		conn := s.dial(t, "127.0.0.1")
		conn.expect("220")
		conn.say("EHLO x", "250-")
		c.do(conn)
		conn.say("QUIT", "221 ")
		e := s.log.closed(t, i+1)
		if e.Proven != c.ok {
			t.Errorf("%s: close line %+v", c.name, e)
		}
		if c.ok && e.Stages[connlog.StageLogin] <= 0 {
			t.Errorf("%s: no time in the login stage", c.name)
		}
	}
	logins := slices.DeleteFunc(s.log.of(connlog.Fail), func(e connlog.Event) bool { return e.What != connlog.FailLogin })
	if len(logins) != 2 || logins[0].User != "anna" || logins[1].User != "carl" {
		t.Errorf("failed logins: %+v", logins)
	}
	auth := netsmtp.PlainAuth("", "anna", "secret", "127.0.0.1")
	if err := netsmtp.SendMail(addr, auth, "anna@example.org", []string{"ben@example.org"}, []byte("hi\r\n")); err != nil {
		t.Error(err)
	}
	if got := s.messages(t, "ben"); len(got) != 1 || !strings.Contains(got[0], "with ESMTPA id") {
		t.Errorf("ben has %q", got)
	}
	if err := netsmtp.SendMail(addr, auth, "anna@example.org", []string{"x@example.net"}, []byte("hi\r\n")); err == nil {
		t.Error("a message was relayed")
	}
}

// far makes connections seem to come from elsewhere.
type far struct{ net.Listener }

type farConn struct{ *net.TCPConn }

func (farConn) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.ParseIP("2001:db8::5"), Port: 99} }

func (f far) Accept() (net.Conn, error) {
	c, err := f.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return farConn{c.(*net.TCPConn)}, nil
}

func TestNoPasswordsInTheClear(t *testing.T) {
	for _, allow := range []bool{false, true} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s := start(t, Options{AllowPlainAuth: allow}, server.Service{Listener: far{l}})
		c := s.dial(t, "127.0.0.1")
		c.expect("220")
		if got := c.say("EHLO x(y", "250-"); strings.Contains(got, "AUTH") != allow {
			t.Errorf("allowed %v: %q", allow, got)
		}
		want := "538 5.7.11 "
		if allow {
			want = "235 "
		}
		c.say("AUTH PLAIN "+b64("\x00anna\x00secret"), want)
		c.say("MAIL FROM:<a@example.net>", "250 ")
		c.say("RCPT TO:<anna@example.org>", "250 ")
		c.say("DATA", "354 ")
		c.say("x\r\n.", "250 ")
		if got := s.messages(t, "anna")[0]; !strings.Contains(got, "from x?y ([IPv6:2001:db8::5])") {
			t.Errorf("head: %q", got)
		}
	}
}

func TestLoginsBusy(t *testing.T) {
	s := start(t, Options{Users: fakeUsers{err: mailstore.ErrBusy}}, server.Service{})
	c := s.dial(t, "127.0.0.1")
	c.expect("220")
	c.say("EHLO x", "250-")
	c.say("AUTH PLAIN "+b64("\x00anna\x00secret"), "454 4.7.0 ")
	if f := s.log.of(connlog.Fail); len(f) != 0 {
		t.Errorf("our own limit counts as the client's failure: %+v", f)
	}
}

// Logins that are put off cost the client its connection, and once it does not
// stop although its own source is what is too many, also its name.
func TestLoginsPutOff(t *testing.T) {
	for err, fails := range map[error]int{mailstore.ErrBusy: 0, mailstore.ErrCrowd: 2} {
		s := start(t, Options{Users: fakeUsers{err: err}, MaxErrors: maxPutOff + 2}, server.Service{})
		c := s.dial(t, "127.0.0.1")
		c.expect("220")
		c.say("EHLO x", "250-")
		for range maxPutOff + 2 {
			c.say("AUTH PLAIN "+b64("\x00anna\x00secret"), "454 4.7.0 ")
		}
		c.expect("421 4.7.0 ")
		f := s.log.of(connlog.Fail)
		if len(f) != fails || fails > 0 && (f[0].What != connlog.FailLogin || f[0].User != "anna") {
			t.Errorf("%v: %+v", err, f)
		}
	}
}
