package pop3

import (
	"encoding/base64"
	"errors"
	"net"
	"strings"
	"testing"

	"overstay/connlog"
	"overstay/server"
	"overstay/server/mailstore"
)

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func TestLogins(t *testing.T) {
	s := start(t, Options{}, server.Service{})
	for i, c := range []struct {
		name string
		do   func(*talk)
		ok   bool
	}{
		{"USER", func(c *talk) { c.login("anna") }, true},
		{"USER with the domain", func(c *talk) { c.login("Anna@EXAMPLE.org") }, true},
		{"another domain", func(c *talk) { c.say("USER anna@example.net", "+OK"); c.say("PASS secret", "-ERR [AUTH] ") }, false},
		{"spaces in the password", func(c *talk) { c.say("USER anna", "+OK"); c.say("PASS two words", "+OK") }, true},
		{"a space too much", func(c *talk) { c.say("USER anna", "+OK"); c.say("PASS  secret", "-ERR [AUTH] ") }, false},
		{"PLAIN", func(c *talk) { c.say("AUTH PLAIN "+b64("\x00anna\x00secret"), "+OK") }, true},
		{"PLAIN in two steps", func(c *talk) { c.say("auth plain", "+ \r\n"); c.say(b64("anna\x00anna\x00secret"), "+OK") }, true},
		{"PLAIN as somebody else", func(c *talk) { c.say("AUTH PLAIN "+b64("ben\x00anna\x00secret"), "-ERR") }, false},
		{"PLAIN with nothing", func(c *talk) { c.say("AUTH PLAIN =", "-ERR Malformed") }, false},
		{"PLAIN without a name", func(c *talk) { c.say("AUTH PLAIN "+b64("\x00\x00secret"), "-ERR Malformed") }, false},
		{"PLAIN not base64", func(c *talk) { c.say("AUTH PLAIN ***", "-ERR Malformed") }, false},
		{"cancelled", func(c *talk) { c.say("AUTH PLAIN", "+ "); c.say("*", "-ERR Cancelled"); c.say("CAPA", "+OK"); c.rest() }, false},
		{"wrong password", func(c *talk) { c.say("USER ben", "+OK"); c.say("PASS wrong", "-ERR [AUTH] ") }, false},
		{"unknown user", func(c *talk) { c.say("USER carl", "+OK"); c.say("PASS secret", "-ERR [AUTH] ") }, false},
		{"a password needs a new USER", func(c *talk) {
			c.say("USER anna", "+OK")
			c.say("PASS wrong", "-ERR [AUTH] ")
			c.say("PASS secret", "-ERR USER first")
		}, false},
		{"another mechanism", func(c *talk) { c.say("AUTH CRAM-MD5", "-ERR") }, false},
		{"APOP", func(c *talk) { c.say("APOP anna c4c9334bac560ecc979e58001b3e22fb", "-ERR") }, false},
	} {
		conn := s.dial(t, "127.0.0.1")
		if got := conn.expect("+OK"); strings.ContainsAny(got, "<>") {
			t.Errorf("the greeting %q offers APOP", got)
		}
		c.do(conn)
		conn.say("QUIT", "+OK")
		e := s.log.closed(t, i+1)
		if e.Proven != c.ok {
			t.Errorf("%s: close line %+v", c.name, e)
		}
		if c.ok && e.Stages[connlog.StageLogin] <= 0 {
			t.Errorf("%s: no time in the login stage", c.name)
		}
	}
	var users []string
	for _, e := range s.log.fails(connlog.FailLogin) {
		users = append(users, e.User)
	}
	if got := strings.Join(users, " "); got != "anna@example.net anna ben carl anna" {
		t.Errorf("failed logins: %s", got)
	}
	if got := s.dial(t, "127.0.0.1"); got.expect("+OK") == "" || got.all("AUTH") != "PLAIN\r\n" {
		t.Error("AUTH alone")
	}
}

// Our own limits are not the client's failure.
func TestLoginsThatCannotBeChecked(t *testing.T) {
	for _, err := range []error{mailstore.ErrBusy, errors.New("disk on fire")} {
		s := start(t, Options{Users: people{err: err}}, server.Service{})
		c := s.dial(t, "127.0.0.1")
		c.expect("+OK")
		c.say("USER anna", "+OK")
		if got := c.say("PASS secret", "-ERR [SYS/TEMP] "); strings.Contains(got, "fire") {
			t.Errorf("the client is told %q", got)
		}
		if f := s.log.of(connlog.Fail); len(f) != 0 {
			t.Errorf("fail lines: %+v", f)
		}
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

func startFar(t *testing.T, o Options) *site {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return start(t, o, server.Service{Listener: far{l}})
}

func TestNoPasswordsInTheClear(t *testing.T) {
	config, roots := withTLS(t)
	for _, allow := range []bool{false, true} {
		s := startFar(t, Options{AllowPlainAuth: allow, TLS: config})
		c := s.dial(t, "127.0.0.1")
		c.expect("+OK")
		capa := c.all("CAPA")
		if strings.Contains(capa, "USER") != allow || strings.Contains(capa, "SASL") != allow || !strings.Contains(capa, "STLS\r\n") {
			t.Errorf("allowed %v: %q", allow, capa)
		}
		if got := c.all("AUTH"); (got != "") != allow {
			t.Errorf("AUTH: %q", got)
		}
		if allow {
			c.login("anna")
			continue
		}
		c.say("USER anna", "-ERR Not without encryption")
		c.say("PASS secret", "-ERR USER first")
		c.say("AUTH PLAIN", "-ERR Not without encryption")
		c.say("AUTH PLAIN "+b64("\x00anna\x00secret"), "-ERR Not without encryption")
		c.say("STLS", "+OK")
		c.encrypt(roots)
		if capa := c.all("CAPA"); !strings.Contains(capa, "USER\r\n") || strings.Contains(capa, "STLS") {
			t.Errorf("under TLS: %q", capa)
		}
		c.login("anna")
		c.say("QUIT", "+OK")
		if e := s.log.closed(t, 1); !e.Proven || e.Stages[connlog.StageTLS] <= 0 {
			t.Errorf("close line %+v", e)
		}
	}
}

func TestImplicitTLS(t *testing.T) {
	config, roots := withTLS(t)
	s := start(t, Options{TLS: config}, server.Service{TLS: config})
	s.deliver(t, "anna", "Subject: x\n\nhello\n")
	c := s.dial(t, "127.0.0.1")
	c.encrypt(roots)
	c.expect("+OK")
	if capa := c.all("CAPA"); strings.Contains(capa, "STLS") {
		t.Errorf("TLS within TLS: %q", capa)
	}
	c.say("STLS", "-ERR")
	c.login("anna")
	if got := c.all("RETR 1"); got != "Subject: x\r\n\r\nhello\r\n" {
		t.Errorf("%q", got)
	}
	c.say("QUIT", "+OK")
}

// What somebody on the way puts behind STLS must not count as encrypted.
func TestInjectionBehindSTLS(t *testing.T) {
	config, roots := withTLS(t)
	s := start(t, Options{TLS: config}, server.Service{})
	for _, more := range []string{"CAPA\r\n", "USER ", "\r\n", "\x16"} {
		c := s.dial(t, "127.0.0.1")
		c.expect("+OK")
		c.send("STLS\r\n" + more)
		c.expect("-ERR Nothing may follow")
	}
	if n := len(s.log.fails(connlog.FailCommand)); n != 4 {
		t.Errorf("%d failures", n)
	}
	// What was said in the clear before is forgotten.
	c := s.dial(t, "127.0.0.1")
	c.expect("+OK")
	c.say("USER anna", "+OK")
	c.say("STLS", "+OK")
	c.encrypt(roots)
	c.say("PASS secret", "-ERR USER first")
	c.say("STLS", "-ERR")
	c.login("anna")
	c.say("STLS", "-ERR")
}

func TestHandshakeThatFails(t *testing.T) {
	config, _ := withTLS(t)
	s := start(t, Options{TLS: config}, server.Service{})
	c := s.dial(t, "127.0.0.1")
	c.expect("+OK")
	c.say("STLS", "+OK")
	c.send("USER anna\r\nPASS secret\r\n")
	if e := s.log.closed(t, 1); e.Proven || e.Fails != 1 || e.Stages[connlog.StageTLS] <= 0 {
		t.Errorf("close line %+v", e)
	}
	if n := len(s.log.fails(connlog.FailTLS)); n != 1 {
		t.Errorf("%d failed handshakes", n)
	}
	without := start(t, Options{}, server.Service{})
	c = without.dial(t, "127.0.0.1")
	c.expect("+OK")
	if capa := c.all("CAPA"); strings.Contains(capa, "STLS") {
		t.Errorf("no certificate, and yet %q", capa)
	}
	c.say("STLS", "-ERR")
}

// Logins that are put off cost the client its connection, and once it does not
// stop although its own source is what is too many, also its name.
func TestLoginsPutOff(t *testing.T) {
	for err, fails := range map[error]int{mailstore.ErrBusy: 0, mailstore.ErrCrowd: 2} {
		s := start(t, Options{Users: people{err: err}, MaxErrors: maxPutOff + 2}, server.Service{})
		c := s.dial(t, "127.0.0.1")
		c.expect("+OK")
		for range maxPutOff + 2 {
			c.say("AUTH PLAIN "+b64("\x00anna\x00secret"), "-ERR [SYS/TEMP] Too many logins")
		}
		if e := s.log.closed(t, 1); e.Fails != fails {
			t.Errorf("%v: close line %+v", err, e)
		}
		if f := s.log.fails(connlog.FailLogin); len(f) != fails || fails > 0 && f[0].User != "anna" {
			t.Errorf("%v: %+v", err, f)
		}
	}
}
