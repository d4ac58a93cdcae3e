package smtp

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	gosmtp "github.com/emersion/go-smtp"

	"overstay/connlog"
	"overstay/server"
)

func TestRelay(t *testing.T) {
	n := newNext(t, nil)
	s := front(t, Relay{Address: n.addr}, Options{})
	c := s.greeted(t)
	c.say("MAIL FROM:<a@example.com> SIZE=20 BODY=8BITMIME", "250 ")
	c.say(`RCPT TO:<"x> y"@example.net>`, "250 ")
	c.say("RCPT TO:<z@EXAMPLE.NET>", "250 ")
	c.say("RCPT TO:<z@EXAMPLE.NET>", "250 ")
	c.say("RCPT TO:<z@example.com>", "550 5.7.1 ")
	c.say("DATA", "354 ")
	c.say("Subject: x\r\n\r\n..a\r\n...\r\n.", "250 ")
	c.say("QUIT", "221 ")
	lines, mails, conns := n.seen()
	want := []string{"", "EHLO mx.example.org", "MAIL FROM:<a@example.com> SIZE=20 BODY=8BITMIME",
		`RCPT TO:<"x> y"@example.net>`, "RCPT TO:<z@EXAMPLE.NET>", "DATA", "."}
	if !slices.Equal(lines, want) || conns != 1 {
		t.Errorf("%d connections, said: %q", conns, lines)
	}
	if len(mails) != 1 || !strings.HasPrefix(mails[0], "Received: from x ([127.0.0.1])\r\n\tby mx.example.org with ESMTP id 1;\r\n\t") ||
		!strings.HasSuffix(mails[0], "\r\nSubject: x\r\n\r\n..a\r\n...\r\n.\r\n") {
		t.Errorf("taken: %q", mails)
	}
	e := s.log.closed(t, 1)
	if e.Stages[connlog.StageUpstream] <= 0 || !e.Proven || e.Fails != 1 {
		t.Errorf("close line %+v", e)
	}
}

// A message of several recipients, here and there, is taken by both or by none
// of them, as far as that can be.
func TestHereAndThere(t *testing.T) {
	for _, c := range []struct {
		script map[string]string
		store  *fakeStore
		want   string
		stored int
	}{
		{nil, &fakeStore{}, "250 ", 1},
		{map[string]string{".": "550 5.7.1 Spam"}, &fakeStore{}, "550 5.7.1 Spam", 0},
		{map[string]string{".": ""}, &fakeStore{}, "451 4.4.1 ", 0},
		{nil, &fakeStore{write: errors.New("disk on fire")}, "451 4.3.0 ", 0},
		{nil, &fakeStore{commit: errors.New("disk on fire")}, "451 4.3.0 ", 1},
	} {
		n := newNext(t, c.script)
		s := front(t, Relay{Address: n.addr}, Options{Store: c.store})
		conn := s.greeted(t)
		conn.say("MAIL FROM:<a@example.com>", "250 ")
		conn.say("RCPT TO:<anna@example.org>", "250 ")
		conn.say("RCPT TO:<x@example.net>", "250 ")
		conn.say("DATA", "354 ")
		conn.say("x\r\n.", c.want)
		if got := c.store.committed(); got != c.stored {
			t.Errorf("%v, %+v: %d messages", c.script, c.store, got)
		}
		if _, mails, _ := n.seen(); c.store.write != nil && len(mails) != 0 {
			t.Error("passed on, though it could not be stored")
		}
	}
}

func TestRelayForUsers(t *testing.T) {
	n := newNext(t, nil)
	s := front(t, Relay{Address: n.addr, ForUsers: true}, Options{})
	c := s.greeted(t)
	c.say("MAIL FROM:<a@example.com>", "250 ")
	c.say("RCPT TO:<x@elsewhere.example>", "550 5.7.1 ")
	c.say("RSET", "250 ")
	c.say("AUTH PLAIN "+b64("\x00anna\x00secret"), "235 ")
	c.say("MAIL FROM:<a@example.com>", "250 ")
	c.say("RCPT TO:<x@elsewhere.example>", "250 ")
	for _, to := range []string{"<x@else where.example>", "<x@else<where>", "<x@a@b(c)>", "<x@a;b>", "<x@ä.example>", `<"ä"@example.com>`, `<"` + strings.Repeat("x", 400) + `"@example.com>`} {
		c.send("RCPT TO:" + to + "\r\n")
		if got := c.reply(); !strings.HasPrefix(got, "553 5.1.3 ") && !strings.HasPrefix(got, "50") {
			t.Errorf("%s: %q", to, got)
		}
	}
	c.say("DATA", "354 ")
	c.say("x\r\n.", "250 ")
	if _, mails, _ := n.seen(); len(mails) != 1 || !strings.Contains(mails[0], " with ESMTPA id ") {
		t.Errorf("taken: %q", mails)
	}
	// What was not there is not there for the next one.
	c.say("MAIL FROM:<a@b@c(d>", "250 ")
	c.say("RCPT TO:<x@elsewhere.example>", "553 5.1.3 ")
}

// lmtp is a real LMTP server: the library's.
type lmtp struct {
	mu    sync.Mutex
	mails map[string]string
}

func (l *lmtp) NewSession(*gosmtp.Conn) (gosmtp.Session, error) { return &lmtpSession{lmtp: l}, nil }

type lmtpSession struct {
	*lmtp
	to []string
}

func (s *lmtpSession) Reset()                                 { s.to = nil }
func (s *lmtpSession) Logout() error                          { return nil }
func (s *lmtpSession) Mail(string, *gosmtp.MailOptions) error { return nil }
func (s *lmtpSession) Rcpt(to string, _ *gosmtp.RcptOptions) error {
	s.to = append(s.to, to)
	return nil
}
func (s *lmtpSession) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, to := range s.to {
		if strings.HasPrefix(to, "full") {
			return &gosmtp.SMTPError{Code: 452, EnhancedCode: gosmtp.EnhancedCode{4, 2, 2}, Message: "Full"}
		}
		s.mails[to] = string(text)
	}
	return err
}

func TestLMTP(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lmtp")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	taken := &lmtp{mails: map[string]string{}}
	real := gosmtp.NewServer(taken)
	real.LMTP, real.Domain = true, "next"
	var running sync.WaitGroup
	running.Go(func() { _ = real.Serve(l) })
	defer func() { _ = real.Close(); running.Wait() }()

	s := front(t, Relay{Address: "unix:" + path, LMTP: true}, Options{})
	c := s.greeted(t)
	c.say("MAIL FROM:<a@example.com>", "250 ")
	c.say("RCPT TO:<x@example.net>", "250 ")
	c.say("RCPT TO:<anna@example.org>", "250 ")
	c.say("RCPT TO:<y@example.net>", "452 4.5.3 ") // One answer there, one here.
	c.say("DATA", "354 ")
	c.say("x\r\n.", "250 ")
	c.say("MAIL FROM:<a@example.com>", "250 ")
	c.say("RCPT TO:<full@example.net>", "250 ")
	c.say("DATA", "354 ")
	c.say("x\r\n.", "452 4.2.2 ")
	taken.mu.Lock()
	defer taken.mu.Unlock()
	if len(taken.mails) != 1 || !strings.HasSuffix(taken.mails["x@example.net"], "\r\nx\r\n") || len(s.messages(t, "anna")) != 1 {
		t.Errorf("taken: %q", taken.mails)
	}
}

// Another of our own servers as the upstream, with and without TLS.
func TestRelayToOurselves(t *testing.T) {
	serverSide, clientSide := certificate(t)
	clientSide.ServerName = ""
	for name, c := range map[string]struct {
		offers *tls.Config
		mode   RelayTLS
		trust  *tls.Config
		want   string // empty: it does not work
	}{
		"opportunistic":         {serverSide, TLSOpportunistic, nil, "(TLS 1.3, "},
		"not offered":           {nil, TLSOpportunistic, nil, " with ESMTP id "},
		"required":              {serverSide, TLSRequired, clientSide, "(TLS 1.3, "},
		"required, not offered": {nil, TLSRequired, clientSide, ""},
		"required, not trusted": {serverSide, TLSRequired, nil, ""},
		"off":                   {serverSide, TLSOff, nil, " with ESMTP id "},
		"does not work":         {&tls.Config{}, TLSOpportunistic, nil, " with ESMTP id "},
	} {
		t.Run(name, func(t *testing.T) {
			back := start(t, Options{TLS: c.offers, Domains: []string{"example.net"}}, server.Service{})
			s := front(t, Relay{Address: back.Addr("smtp").String(), TLS: c.mode, TLSConfig: c.trust}, Options{})
			conn := s.greeted(t)
			conn.say("MAIL FROM:<a@example.com>", "250 ")
			conn.say("RCPT TO:<nobody@example.net>", map[bool]string{true: "550 5.1.1 ", false: "451 4.4.1 "}[c.want != ""])
			if c.want == "" {
				return
			}
			conn.say("RCPT TO:<ben@example.net>", "250 ")
			conn.say("DATA", "354 ")
			body := strings.Repeat("..x\r\n0123456789\r\n", 5_000)
			conn.send(body)
			conn.say(".", "250 ")
			got := back.messages(t, "ben")
			if len(got) != 1 || !strings.Contains(got[0], c.want) || strings.Count(got[0], "Received: ") != 2 ||
				!strings.HasSuffix(got[0], strings.Repeat(".x\n0123456789\n", 5_000)) {
				t.Errorf("ben has %d messages: %.300q", len(got), got)
			}
		})
	}
}

// Our own server as a front with a login at the upstream.
func TestRelayLogsIn(t *testing.T) {
	back := start(t, Options{Domains: []string{"example.net"}, RequireAuth: true}, server.Service{})
	for password, want := range map[string]string{"secret": "250 ", "wrong": "451 4.4.1 "} {
		s := front(t, Relay{Address: back.Addr("smtp").String(), User: "anna", Password: password}, Options{})
		c := s.greeted(t)
		c.say("MAIL FROM:<a@example.com>", "250 ")
		c.say("RCPT TO:<ben@example.net>", want)
	}
	clear := &upstream{relay: &Relay{User: "anna"}}
	if err := clear.login(&dialogue{conn: farConn{}}, "tcp"); !errors.Is(err, errNotSecure) {
		t.Error(err)
	}
}

func TestRelayTLSNames(t *testing.T) {
	for name, want := range map[string]RelayTLS{"off": TLSOff, "opportunistic": TLSOpportunistic, "required": TLSRequired} {
		got := RelayTLS(9)
		if err := got.UnmarshalText([]byte(name)); err != nil || got != want {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	var r RelayTLS
	if err := r.UnmarshalText([]byte("yes")); !errors.Is(err, ErrOptions) {
		t.Error(err)
	}
}

func FuzzMailbox(f *testing.F) {
	for _, s := range []string{"a@b", `a"b@c`, "a b@c", "@", "a@", "a@[::1]", "..@x", "a> SIZE=1@b", "a@b>c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, a string) {
		path, ok := mailbox(a)
		if !ok {
			return
		}
		quoted, rest := false, path
		if strings.HasPrefix(path, `"`) {
			i := 1
			for ; i < len(path) && path[i] != '"'; i++ {
				if path[i] == '\\' {
					i++
				}
			}
			quoted, rest = true, path[min(i+1, len(path)):]
		}
		if strings.ContainsAny(rest, "<> \t\r\n\"") || strings.ContainsFunc(path, func(r rune) bool { return r < ' ' || r > '~' }) || quoted && !strings.HasPrefix(rest, "@") {
			t.Errorf("%q becomes %q", a, path)
		}
	})
}

// A session that is banned while the next server thinks ends at once.
func TestBanWhileTheNextServerThinks(t *testing.T) {
	for _, where := range []string{"RCPT", "."} {
		n := newNext(t, map[string]string{where: "wait"})
		s := front(t, Relay{Address: n.addr}, Options{})
		c := s.dial(t, "127.0.0.5")
		c.expect("220")
		c.say("EHLO x", "250-")
		c.send("MAIL FROM:<a@example.org>\r\nRCPT TO:<x@example.net>\r\nDATA\r\n")
		if where == "." {
			c.expect("250 ")
			c.expect("250 ")
			c.expect("354 ")
			c.send("hello\r\n.\r\n")
		}
		waitFor(t, "it is asked", func() bool {
			lines, _, _ := n.seen()
			return len(lines) > 0 && strings.HasPrefix(lines[len(lines)-1], where)
		})
		s.ban("127.0.0.5")
		waitFor(t, "the session has ended", func() bool {
			s.proto.mu.Lock()
			defer s.proto.mu.Unlock()
			return len(s.proto.links) == 0
		})
	}
}
