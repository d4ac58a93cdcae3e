package proxy

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"overstay/connlog"
	"overstay/server"
)

// Conversations in the clear, and what the log says of them.
func TestConversations(t *testing.T) {
	for name, c := range map[string]struct {
		speaks, text string
		by           connlog.By
		user         string
		fails        []connlog.What
	}{
		"smtp login": {SMTP, `
			S: 220 mx
			C: EHLO x
			S: 250-mx
			S: 250 AUTH PLAIN
			C: AUTH PLAIN AGFubmEAc2VjcmV0
			S: 235 fine
			C: QUIT
			S: 221 bye`, connlog.ByLogin, "anna", nil},
		"smtp message": {SMTP, `
			S: 220 mx
			C: HELO x
			S: 250 mx
			C: MAIL FROM:<a@example.org>
			S: 250 fine
			C: RCPT TO:<none@example.org>
			S: 550 who?
			C: RCPT TO:<b@example.org>
			S: 250 fine
			C: DATA
			S: 354 go on
			C: Subject: x
			C:
			C: ..
			C: 235 AUTH
			C: .
			S: 250 taken
			C: QUIT
			S: 221 bye`, connlog.ByMessage, "", []connlog.What{connlog.FailRecipient}},
		"smtp bad login": {SMTP, `
			S: 220 mx
			C: AUTH LOGIN
			S: 334 VXNlcm5hbWU6
			C: YW5uYQ==
			S: 334 UGFzc3dvcmQ6
			C: c2VjcmV0
			S: 535 no
			C: XYZ
			S: 502 what?
			C: QUIT
			S: 221 bye`, "", "anna", []connlog.What{connlog.FailLogin, connlog.FailCommand}},
		"pop3": {POP3, `
			S: +OK hello
			C: CAPA
			S: +OK
			S: +OK USER
			S: .
			C: USER anna
			S: +OK
			C: PASS wrong
			S: -ERR no
			C: USER anna
			S: +OK
			C: PASS secret
			S: +OK
			C: QUIT
			S: +OK bye`, connlog.ByLogin, "anna", []connlog.What{connlog.FailLogin}},
		"imap": {IMAP, `
			S: * OK hello
			C: a CAPABILITY
			S: * CAPABILITY IMAP4rev1
			S: a OK
			C: a LOGIN anna wrong
			S: a NO
			C: b LOGIN "anna" {6}
			S: + go on
			C: secret
			S: b OK
			C: c LOGOUT
			S: * BYE
			S: c OK`, connlog.ByLogin, "anna", []connlog.What{connlog.FailLogin}},
		"imap authenticate": {IMAP, `
			S: * OK hello
			C: a AUTHENTICATE PLAIN
			S: +
			C: AGFubmEAc2VjcmV0
			S: a OK
			C: b IDLE
			S: + idling
			S: * 1 EXISTS
			C: DONE
			S: b OK`, connlog.ByLogin, "anna", nil},
		"http": {HTTP, `
			C: GET /none HTTP/1.1
			C: Host: x
			C:
			S: HTTP/1.1 404 Not Found
			S: Content-Length: 2
			S:
			S:
			C: GET / HTTP/1.1
			C: Host: x
			C:
			S: HTTP/1.1 200 OK
			S: Transfer-Encoding: chunked
			S:
			S: 2
			S: hi
			S: 0
			S:`, connlog.ByRequest, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, Options{Upstream: upstream(t, script(c.text)), Speaks: c.speaks}, server.Service{})
			talk := s.dial(t, "127.0.0.1")
			talk.play(c.text)
			if rest := talk.rest(); rest != "" {
				t.Errorf("then %q", rest)
			}
			_ = talk.Close()
			e := s.log.wait(t, connlog.Close, 1)
			if e.Proven != (c.by != "") || e.Fails != len(c.fails) || e.End != connlog.EndClient {
				t.Errorf("close line: %+v", e)
			}
			if c.by != "" {
				if p := s.log.of(connlog.Proven)[0]; p.By != c.by || p.User != c.user {
					t.Errorf("proven line: %+v", p)
				}
			}
			for i, f := range s.log.of(connlog.Fail) {
				if f.What != c.fails[i] || f.What == connlog.FailLogin && f.User != "anna" {
					t.Errorf("fail line: %+v", f)
				}
			}
			if e.Stages[connlog.StageUpstream] <= 0 {
				t.Errorf("stages: %v", e.Stages)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	for speaks, want := range map[string][3]string{
		SMTP: {"421 4.3.2 Full\r\n", "421 4.7.0 Too many sessions from your address\r\n", "554 5.7.1 Your address is banned\r\n"},
		POP3: {"-ERR [SYS/TEMP] Full\r\n", "-ERR [IN-USE] Too many sessions from your address\r\n", "-ERR [SYS/PERM] Your address is banned\r\n"},
		IMAP: {"* BYE [UNAVAILABLE] Full\r\n", "* BYE [LIMIT] Too many sessions from your address\r\n", "* BYE [NOPERM] Your address is banned\r\n"},
		HTTP: {"HTTP/1.1 503 ", "HTTP/1.1 429 ", "HTTP/1.1 403 "},
		TCP:  {"", "", ""},
	} {
		p, err := New(Options{Upstream: "127.0.0.1:1", Speaks: speaks, Words: server.Words{Busy: "Full"}})
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range []connlog.Reason{connlog.RefuseBusy, connlog.RefuseSessions, connlog.RefuseBanned} {
			if got := string(p.Refusal(r)); !strings.HasPrefix(got, want[i]) || want[i] == "" && got != "" {
				t.Errorf("%s, %s: %q", speaks, r, got)
			}
		}
		if first := speaks != HTTP && speaks != TCP; p.SpeaksFirst() != first {
			t.Errorf("%s speaks first: %v", speaks, p.SpeaksFirst())
		}
		silent := Options{Upstream: "unix:/run/x", Speaks: speaks, Words: server.Words{BanSilently: true}}
		if p, err = New(silent); err != nil || p.Refusal(connlog.RefuseBanned) != nil {
			t.Errorf("%s: not silent, %v", speaks, err)
		}
	}
	for _, o := range []Options{
		{}, {Upstream: "host"}, {Upstream: "unix:"}, {Upstream: "h:1", Speaks: "ftp"}, {Upstream: "h:1", ProxyHeader: 3},
		{Upstream: "h:1", Words: server.Words{Busy: "a\r\n220 b"}},
	} {
		if _, err := New(o); !errors.Is(err, ErrOptions) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// An upstream that is not there is the protocol's own temporary failure.
func TestUpstreamDown(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close() // Nobody listens there now.
	for speaks, want := range map[string]string{
		SMTP: "421 4.3.0 ", POP3: "-ERR [SYS/TEMP] ", IMAP: "* BYE [UNAVAILABLE] ", HTTP: "HTTP/1.1 502 ", TCP: "",
	} {
		s := start(t, Options{Upstream: l.Addr().String(), Speaks: speaks}, server.Service{})
		c := s.dial(t, "127.0.0.1")
		if speaks == HTTP {
			c.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n" + strings.Repeat("x", 1_000_000))
		}
		if got, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(got), want) || want == "" && len(got) > 0 {
			t.Errorf("%s: %q, %v", speaks, got, err)
		}
		_ = c.Close()
		if e := s.log.wait(t, connlog.Close, 1); e.End != connlog.EndError || e.Proven {
			t.Errorf("%s: close line %+v", speaks, e)
		}
	}
}

// What cannot be read is proven by the answers that the client gets: so many,
// or so long.
func TestTransfer(t *testing.T) {
	echo := upstream(t, func(c *talk) { _, _ = io.Copy(c.Conn, c) })
	for name, o := range map[string]Options{"bytes": {ProveTurns: -1, ProveBytes: 1000}, "turns": {ProveTurns: 2, ProveBytes: -1}} {
		o.Upstream = echo
		s := start(t, o, server.Service{})
		c := s.dial(t, "127.0.0.1")
		half := strings.Repeat("x", 500)
		c.send(half)
		c.hear(half)
		if n := len(s.log.of(connlog.Proven)); n != 0 {
			t.Errorf("%s: proven by half of it", name)
		}
		c.send(half)
		c.hear(half)
		if p := s.log.wait(t, connlog.Proven, 1); p.By != connlog.ByTransfer {
			t.Errorf("%s: proven line %+v", name, p)
		}
	}
	// What nobody has asked for is no proof.
	big := upstream(t, func(c *talk) { c.send(strings.Repeat("x", 100_000)) })
	s := start(t, Options{Upstream: big}, server.Service{})
	c := s.dial(t, "127.0.0.1")
	if n := len(c.rest()); n != 100_000 {
		t.Errorf("%d bytes", n)
	}
	_ = c.Close()
	if e := s.log.wait(t, connlog.Close, 1); e.Proven {
		t.Errorf("close line: %+v", e)
	}
}

// After STARTTLS nothing can be read, and nothing of it is.
func TestAfterSTARTTLS(t *testing.T) {
	text := `
		S: 220 mx
		C: STARTTLS
		S: 220 go
		C: AUTH PLAIN AGFubmEAc2VjcmV0
		S: 235 fine`
	s := start(t, Options{Upstream: upstream(t, script(text)), Speaks: SMTP}, server.Service{})
	c := s.dial(t, "127.0.0.1")
	c.play(text)
	c.rest()
	_ = c.Close()
	if e := s.log.wait(t, connlog.Close, 1); e.Proven || e.Fails != 0 {
		t.Errorf("close line: %+v", e)
	}
}

// A slow upstream is given up after its time, in words.
func TestSlowUpstream(t *testing.T) {
	slow := upstream(t, func(c *talk) { c.rest() })
	for speaks, want := range map[string]string{SMTP: "421 4.3.0 ", HTTP: "HTTP/1.1 504 "} {
		s := start(t, Options{Upstream: slow, Speaks: speaks, ReplyTimeout: 50 * time.Millisecond}, server.Service{})
		c := s.dial(t, "127.0.0.1")
		if speaks == HTTP {
			c.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		}
		if got := c.rest(); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q", speaks, got)
		}
		_ = c.Close()
		if e := s.log.wait(t, connlog.Close, 1); e.End != connlog.EndError || e.Stages[connlog.StageUpstream] < 50*time.Millisecond {
			t.Errorf("%s: close line %+v", speaks, e)
		}
	}
}
