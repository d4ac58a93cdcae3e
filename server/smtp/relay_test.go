package smtp

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gosmtp "github.com/emersion/go-smtp"

	"overstay/connlog"
	"overstay/server"
)

// next is a scripted upstream. It greets and says yes to everything, but for
// what the script has: what is answered to a line that begins with a key. An
// empty answer hangs up, "wait" says nothing more, "hang" answers the line with
// what would be right and hangs up then. The key "" is the greeting, "." the
// end of a message.
type next struct {
	addr   string
	script map[string]string

	mu     sync.Mutex
	lines  []string // all that was said to it
	conns  int
	mails  []string // messages it has taken
	closed chan struct{}
}

func newNext(t testing.TB, script map[string]string) *next {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &next{addr: l.Addr().String(), script: script, closed: make(chan struct{})}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			n.mu.Lock()
			n.conns++
			n.mu.Unlock()
			running.Go(func() {
				defer func() { _ = c.Close() }()
				_ = c.SetDeadline(time.Now().Add(20 * time.Second)) // It is open.
				n.serve(c)
			})
		}
	})
	t.Cleanup(func() { _ = l.Close(); close(n.closed); running.Wait() })
	return n
}

// set changes the script.
func (n *next) set(script map[string]string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.script = script
}

func (n *next) seen() (lines, mails []string, conns int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.lines), slices.Clone(n.mails), n.conns
}

// say answers a line, and tells whether it goes on.
func (n *next) say(c net.Conn, line, usual string) bool {
	n.mu.Lock()
	n.lines = append(n.lines, line)
	answer := usual
	for key, a := range n.script {
		if key == line || key != "" && key != "." && strings.HasPrefix(line, key) {
			answer = a
		}
	}
	n.mu.Unlock()
	switch answer {
	case "":
		return false
	case "wait":
		<-n.closed
		return false
	case "hang":
		_, _ = io.WriteString(c, usual+"\r\n")
		return false
	}
	_, err := io.WriteString(c, answer+"\r\n")
	return err == nil
}

func (n *next) serve(c net.Conn) {
	if !n.say(c, "", "220 next ESMTP") {
		return
	}
	in := bufio.NewReader(c)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSuffix(line, "\r\n")
		usual := "250 2.0.0 ok"
		switch verb, _, _ := strings.Cut(line, " "); verb {
		case "EHLO":
			usual = "250-next\r\n250-8BITMIME\r\n250 SIZE 1000000"
		case "DATA":
			if !n.say(c, line, "354 go") {
				return
			}
			if n.saysNo("DATA") {
				continue
			}
			var mail strings.Builder
			for !strings.HasSuffix("\r\n"+mail.String(), "\r\n.\r\n") {
				line, err := in.ReadString('\n')
				if err != nil {
					return
				}
				mail.WriteString(line)
			}
			if !n.say(c, ".", "250 2.0.0 taken") {
				return
			}
			if !n.saysNo(".") {
				n.mu.Lock()
				n.mails = append(n.mails, mail.String())
				n.mu.Unlock()
			}
			continue
		case "QUIT":
			return
		}
		if !n.say(c, line, usual) {
			return
		}
	}
}

func (n *next) saysNo(key string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.script[key] != ""
}

// front starts a server that relays example.net to the upstream.
func front(t testing.TB, r Relay, o Options) *site {
	t.Helper()
	if r.Timeout == 0 {
		r.Timeout = 300 * time.Millisecond
	}
	if r.AnswerTimeout == 0 {
		r.AnswerTimeout = 300 * time.Millisecond
	}
	r.Domains = []string{"Example.net"}
	o.Relay = &r
	return start(t, o, server.Service{})
}

// greeted is a conversation after EHLO.
func (s *site) greeted(t testing.TB) *talk {
	t.Helper()
	c := s.dial(t, "127.0.0.1")
	c.expect("220")
	c.say("EHLO x", "250-")
	return c
}

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

// The upstream's answer is the client's, unless it is about us.
func TestUpstreamRefuses(t *testing.T) {
	const large = "552 5.3.4 Too large"
	for name, c := range map[string]struct {
		script           map[string]string
		rcpt, data, done string // what the client is told at each step
		fails            int
	}{
		"greeting":     {map[string]string{"": "554 5.7.1 Go away"}, "451 4.4.1 ", "", "", 0},
		"busy":         {map[string]string{"": "421 4.3.2 Too busy"}, "451 4.4.1 ", "", "", 0},
		"hello":        {map[string]string{"EHLO": "550 no"}, "451 4.4.1 ", "", "", 0},
		"old":          {map[string]string{"EHLO": "500 what"}, "250 ", "354 ", "250 ", 0},
		"sender":       {map[string]string{"MAIL": "550 5.7.1 Not from you"}, "550 5.7.1 Not from you\r\n", "", "", 1},
		"sender later": {map[string]string{"MAIL": "450 4.7.1 Greylisted"}, "450 4.7.1 Greylisted\r\n", "", "", 0},
		"login first":  {map[string]string{"MAIL": "530 5.7.0 Authentication required"}, "451 4.4.1 ", "", "", 0},
		"recipient":    {map[string]string{"RCPT": "550-5.1.1 No\r\n550 such user"}, "550 5.1.1 No such user\r\n", "", "", 1},
		"later":        {map[string]string{"RCPT": "450 Later"}, "450 4.0.0 Later\r\n", "", "", 0},
		"forwards":     {map[string]string{"RCPT": "251 will do"}, "250 ", "354 ", "250 ", 0},
		"syntax":       {map[string]string{"RCPT": "501 5.5.2 What"}, "451 4.4.1 ", "", "", 0},
		"421":          {map[string]string{"RCPT": "421 4.3.2 Bye"}, "451 4.4.1 ", "", "", 0},
		"data":         {map[string]string{"DATA": "554 5.5.1 No"}, "250 ", "354 ", "554 5.5.1 No\r\n", 0},
		"message":      {map[string]string{".": large}, "250 ", "354 ", large + "\r\n", 0},
		"full":         {map[string]string{".": "452 4.2.2 Full"}, "250 ", "354 ", "452 4.2.2 Full\r\n", 0},
		"gone":         {map[string]string{".": "421 4.3.2 Bye"}, "250 ", "354 ", "451 4.4.1 ", 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := front(t, Relay{Address: newNext(t, c.script).addr}, Options{})
			conn := s.greeted(t)
			conn.say("MAIL FROM:<a@example.com>", "250 ")
			conn.say("RCPT TO:<x@example.net>", c.rcpt)
			if c.data == "" {
				conn.say("DATA", "502 ")
			} else {
				conn.say("DATA", c.data)
				conn.say("x\r\n.", c.done)
			}
			conn.say("NOOP", "250 ")
			conn.say("QUIT", "221 ")
			e := s.log.closed(t, 1)
			if c.data == "" {
				c.fails++ // DATA without a recipient.
			}
			if e.Fails != c.fails || e.Proven != (c.done == "250 ") {
				t.Errorf("close line %+v", e)
			}
		})
	}
}

// Whatever becomes of the upstream, at whatever step: the client is told to
// come back, unless the upstream has taken the message.
func TestUpstreamFails(t *testing.T) {
	for _, how := range []string{"", "wait", "hang", "not an answer", "250-x\r\n999 y", strings.Repeat("x", 10_000),
		strings.Repeat("250-x\r\n", 1000), "100 x", "2500 x"} {
		for _, step := range []string{"", "EHLO", "MAIL", "RCPT", "DATA", "."} {
			t.Run(fmt.Sprintf("%.10q at %q", how, step), func(t *testing.T) {
				t.Parallel()
				n := newNext(t, map[string]string{step: how})
				s := front(t, Relay{Address: n.addr}, Options{})
				c := s.greeted(t)
				c.say("MAIL FROM:<a@example.com>", "250 ")
				c.send("RCPT TO:<x@example.net>\r\n")
				got := c.reply()
				if strings.HasPrefix(got, "250 ") {
					c.say("DATA", "354 ")
					c.send("x\r\n.\r\n")
					got = c.reply()
				} else {
					c.say("RCPT TO:<y@example.net>", "451 4.4.1 ") // It is not waited for again.
				}
				want := "451 4.4.1 "
				if how == "hang" && step == "." {
					want = "250 " // It hung up when it had said yes.
				}
				if !strings.HasPrefix(got, want) {
					t.Errorf("got %q, want %q", got, want)
				}
				c.say("NOOP", "250 ")
				if e := s.log.of(connlog.Fail); len(e) != 0 {
					t.Errorf("the client has failed: %+v", e)
				}
			})
		}
	}
	t.Run("down", func(t *testing.T) {
		s := front(t, Relay{Address: "127.0.0.1:1"}, Options{})
		c := s.greeted(t)
		c.say("MAIL FROM:<a@example.com>", "250 ")
		c.say("RCPT TO:<x@example.net>", "451 4.4.1 ")
	})
}

// An upstream that loses patience before it has the message is asked again.
func TestUpstreamIsAskedAgain(t *testing.T) {
	n := newNext(t, map[string]string{"RCPT": "hang"})
	s := front(t, Relay{Address: n.addr}, Options{})
	c := s.greeted(t)
	c.say("MAIL FROM:<a@example.com>", "250 ")
	c.say("RCPT TO:<x@example.net>", "250 ")
	n.set(nil)
	c.say("DATA", "354 ")
	c.say("x\r\n.", "250 ")
	if _, mails, conns := n.seen(); len(mails) != 1 || conns != 2 {
		t.Errorf("%d messages over %d connections", len(mails), conns)
	}
	n.set(map[string]string{"RCPT": "hang"})
	c.say("MAIL FROM:<a@example.com>", "250 ")
	c.say("RCPT TO:<x@example.net>", "250 ")
	n.set(map[string]string{"RCPT": "550 5.1.1 Not any more"})
	c.say("DATA", "354 ")
	c.say("x\r\n.", "451 4.4.1 ") // It was told that x is taken.
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
			s := front(t, Relay{Address: back.Addr("smtp").String(), TLS: c.mode, TLSConfig: c.trust, Timeout: 5 * time.Second, AnswerTimeout: 10 * time.Second}, Options{})
			conn := s.greeted(t)
			conn.say("MAIL FROM:<a@example.com>", "250 ")
			conn.say("RCPT TO:<nobody@example.net>", map[bool]string{true: "550 5.1.1 ", false: "451 4.4.1 "}[c.want != ""])
			if c.want == "" {
				return
			}
			conn.say("RCPT TO:<ben@example.net>", "250 ")
			conn.say("DATA", "354 ")
			body := strings.Repeat("..x\r\n0123456789\r\n", 20_000)
			conn.send(body)
			conn.say(".", "250 ")
			got := back.messages(t, "ben")
			if len(got) != 1 || !strings.Contains(got[0], c.want) || strings.Count(got[0], "Received: ") != 2 ||
				!strings.HasSuffix(got[0], strings.Repeat(".x\n0123456789\n", 20_000)) {
				t.Errorf("ben has %d messages: %.300q", len(got), got)
			}
		})
	}
}

// Our own server as a front with a login at the upstream.
func TestRelayLogsIn(t *testing.T) {
	back := start(t, Options{Domains: []string{"example.net"}, RequireAuth: true}, server.Service{})
	for password, want := range map[string]string{"secret": "250 ", "wrong": "451 4.4.1 "} {
		s := front(t, Relay{Address: back.Addr("smtp").String(), User: "anna", Password: password, Timeout: 5 * time.Second}, Options{})
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

func FuzzUpstreamReply(f *testing.F) {
	for _, s := range []string{"250 ok\r\n", "250-x\r\n250 y\r\n", "250\r\n", "550 5.1.1 no\r\n", "5", "25a x\r\n", "250_x\r\n", "550 5.1.\r\n", "550 4.1.1 \x00\xff\r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		ours, theirs := net.Pipe()
		defer func() { _ = ours.Close() }()
		go func() {
			_, _ = theirs.Write(raw) // As much as is wanted.
			_ = theirs.Close()
		}()
		d := newDialogue(t.Context(), ours, &Relay{Timeout: time.Second})
		defer d.close()
		code, lines, err := d.read(time.Second)
		if err != nil {
			return
		}
		if code < 200 || code > 599 || len(lines) == 0 || len(lines) > maxUpstreamLines {
			t.Fatalf("%d %q", code, lines)
		}
		r := (&refusal{code: code, text: strings.Join(lines, " ")}).reply()
		if r.Code != code || len(r.Message) > maxUpstreamText || strings.ContainsFunc(r.Message, func(c rune) bool { return c < ' ' || c > '~' }) {
			t.Errorf("%+v", r)
		}
	})
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
