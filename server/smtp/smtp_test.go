package smtp

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	netsmtp "net/smtp"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/crypto/bcrypt"

	"overstay/connlog"
	"overstay/server"
	"overstay/server/mailstore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recorder is a log that keeps everything.
type recorder struct {
	mu     sync.Mutex
	events []connlog.Event
}

func (r *recorder) Write(e *connlog.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, *e)
}

func (r *recorder) of(kind connlog.Kind) []connlog.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(r.events), func(e connlog.Event) bool { return e.Kind != kind })
}

// closed waits for the nth close line.
func (r *recorder) closed(t testing.TB, n int) connlog.Event {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if lines := r.of(connlog.Close); len(lines) >= n {
			return lines[n-1]
		}
	}
	t.Fatal("no close line")
	return connlog.Event{}
}

// banned is a list of one address.
type banned netip.Addr

func (b banned) Blocked(a netip.Addr, _ string) bool { return a == netip.Addr(b) }

// site is a server with SMTP under test.
type site struct {
	*server.Server
	log   *recorder
	mail  *mailstore.Store
	proto *Protocol
}

// start serves mail for anna and ben at example.org, password "secret".
func start(t testing.TB, o Options, svc server.Service) *site {
	t.Helper()
	dir := t.TempDir()
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	people := filepath.Join(dir, "users")
	if err := os.WriteFile(people, fmt.Appendf(nil, "anna:%s\nben:%s\n", hash, hash), 0o600); err != nil {
		t.Fatal(err)
	}
	if o.Users == nil {
		if o.Users, err = mailstore.OpenUsers(people, mailstore.UsersOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	s := &site{log: &recorder{}, mail: mailstore.NewStore(filepath.Join(dir, "mail"))}
	if o.Store == nil {
		o.Store = Maildirs{s.mail}
	}
	o.Hostname, o.Domains = "mx.example.org", []string{"Example.org"}
	if s.proto, err = New(o); err != nil {
		t.Fatal(err)
	}
	svc.Name, svc.Protocol = "smtp", s.proto
	if svc.Listener == nil {
		svc.Listen = "127.0.0.1:0"
	}
	if svc.UnprovenPerSource == 0 {
		svc.UnprovenPerSource = -1
	}
	s.Server, err = server.New(server.Options{
		Services: []server.Service{svc}, Log: s.log, Grace: time.Millisecond,
		Banned: banned(netip.MustParseAddr("127.0.0.66")),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := s.Serve(ctx); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
		checkLog(t, s.log.events)
	})
	return s
}

// checkLog fails unless each open has one close.
func checkLog(t testing.TB, events []connlog.Event) {
	open := map[uint64]bool{}
	for _, e := range events {
		switch e.Kind {
		case connlog.Open:
			open[e.Conn] = true
		case connlog.Close:
			if !open[e.Conn] {
				t.Errorf("connection %d closed without being open", e.Conn)
			}
			delete(open, e.Conn)
		}
	}
	if len(open) != 0 {
		t.Errorf("not closed: %v", open)
	}
}

// talk is a conversation by hand.
type talk struct {
	net.Conn
	t  testing.TB
	in *bufio.Reader
}

func (s *site) dial(t testing.TB, from string) *talk {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.Dial("tcp", s.Addr("smtp").String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return &talk{c, t, bufio.NewReader(c)}
}

// reply reads one reply and returns all of its lines.
func (c *talk) reply() string {
	var all strings.Builder
	for {
		line, err := c.in.ReadString('\n')
		if err != nil {
			return all.String() + "error: " + err.Error()
		}
		all.WriteString(line)
		if len(line) < 4 || line[3] != '-' {
			return all.String()
		}
	}
}

func (c *talk) send(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		c.t.Fatal(err)
	}
}

// say sends a command and fails unless the reply begins with want.
func (c *talk) say(command, want string) string {
	c.t.Helper()
	c.send(command + "\r\n")
	return c.expect(want)
}

func (c *talk) expect(want string) string {
	c.t.Helper()
	got := c.reply()
	if !strings.HasPrefix(got, want) {
		c.t.Fatalf("got %q, want %q", got, want)
	}
	return got
}

// messages returns what a user got.
func (s *site) messages(t testing.TB, user string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(s.mail.Path(user), "new", "*"))
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(text))
	}
	return texts
}

func TestReceivesMail(t *testing.T) {
	s := start(t, Options{}, server.Service{})
	msg := "Subject: hi\r\n\r\nHello\r\n.dot\r\nbare\rreturn\r\n"
	err := netsmtp.SendMail(s.Addr("smtp").String(), nil, "carl@example.net",
		[]string{"anna@example.org", "BEN@EXAMPLE.ORG", "anna@example.org"}, []byte(msg))
	if err != nil {
		t.Fatal(err)
	}
	for _, user := range []string{"anna", "ben"} {
		got := s.messages(t, user)
		if len(got) != 1 {
			t.Fatalf("%s has %d messages", user, len(got))
		}
		head, body, _ := strings.Cut(got[0], "Subject")
		if !strings.HasPrefix(head, "Return-Path: <carl@example.net>\nReceived: from localhost ([127.0.0.1])\n\tby mx.example.org with ESMTP id 1;\n\t") {
			t.Errorf("head %q", head)
		}
		if body != ": hi\n\nHello\n.dot\nbare\rreturn\n" {
			t.Errorf("body %q", body)
		}
	}
	e := s.log.closed(t, 1)
	if !e.Proven || e.End != connlog.EndServer || e.Fails != 0 {
		t.Errorf("close line: %+v", e)
	}
	for _, stage := range []connlog.Stage{connlog.StageGreeting, connlog.StageCommand, connlog.StageData, connlog.StageDeliver, connlog.StageIdle} {
		if e.Stages[stage] <= 0 {
			t.Errorf("no time in stage %d: %v", stage, e.Stages)
		}
	}
	if p := s.log.of(connlog.Proven); len(p) != 1 || p[0].By != connlog.ByMessage {
		t.Errorf("proven lines: %+v", p)
	}
}

func TestOffersExtensions(t *testing.T) {
	s := start(t, Options{MaxMessageBytes: 1000}, server.Service{})
	c := s.dial(t, "127.0.0.1")
	c.expect("220 mx.example.org ")
	got := c.say("EHLO client", "250-")
	for _, want := range []string{"SIZE 1000", "8BITMIME", "PIPELINING", "ENHANCEDSTATUSCODES", "AUTH PLAIN LOGIN"} {
		if !strings.Contains(got, want+"\r\n") {
			t.Errorf("%q is missing in %q", want, got)
		}
	}
}

func TestPipelining(t *testing.T) {
	s := start(t, Options{}, server.Service{})
	c := s.dial(t, "127.0.0.1")
	c.expect("220")
	c.send("EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<anna@example.org>\r\nDATA\r\n")
	for _, want := range []string{"250-", "250 ", "250 ", "354 "} {
		c.expect(want)
	}
	c.send("hello\r\n.\r\nQUIT\r\n")
	c.expect("250 ")
	c.expect("221 ")
	if n := len(s.messages(t, "anna")); n != 1 {
		t.Errorf("%d messages", n)
	}
}

func TestRefusesRecipients(t *testing.T) {
	s := start(t, Options{MaxRecipients: 2}, server.Service{})
	c := s.dial(t, "127.0.0.1")
	c.expect("220")
	c.say("EHLO x", "250-")
	c.say("MAIL FROM:<a@example.net>", "250 ")
	c.say("RCPT TO:<nobody@example.org>", "550 5.1.1 ")
	c.say("RCPT TO:<anna@example.net>", "550 5.7.1 ")
	c.say("RCPT TO:<../anna@example.org>", "550 5.1.1 ")
	c.say(`RCPT TO:<"../../x"@example.org>`, "550 5.1.1 ")
	c.say("DATA", "502 ") // No recipient was taken.
	c.say("RCPT TO:<anna@example.org>", "250 ")
	c.say("RCPT TO:<ben@example.org>", "250 ")
	c.say("RCPT TO:<anna@example.org>", "452 4.5.3 ")
	c.say("QUIT", "221 ")
	fails := s.log.of(connlog.Fail)
	if len(fails) != 5 || fails[0].What != connlog.FailRecipient || fails[0].User != "nobody@example.org" ||
		fails[4].What != connlog.FailCommand {
		t.Errorf("fail lines: %+v", fails)
	}
	if got := s.log.closed(t, 1); got.Proven || got.Fails != 5 {
		t.Errorf("close line: %+v", got)
	}
}

func TestMessageTooLarge(t *testing.T) {
	s := start(t, Options{MaxMessageBytes: 100}, server.Service{})
	c := s.dial(t, "127.0.0.1")
	c.expect("220")
	c.say("EHLO x", "250-")
	c.say("MAIL FROM:<> SIZE=101", "552 5.3.4 ")
	c.say("MAIL FROM:<>", "250 ")
	c.say("RCPT TO:<anna@example.org>", "250 ")
	c.say("DATA", "354 ")
	c.send(strings.Repeat(strings.Repeat("x", 70)+"\r\n", 50))
	c.say(".", "552 5.3.4 ")
	c.say("NOOP", "250 ") // The conversation goes on.
	if n := len(s.messages(t, "anna")); n != 0 {
		t.Errorf("%d messages", n)
	}
}

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

func TestTooManyErrors(t *testing.T) {
	s := start(t, Options{MaxErrors: 5}, server.Service{})
	c := s.dial(t, "127.0.0.1")
	c.expect("220")
	for range 5 {
		c.say("MAIL FROM:<>", "502 ") // Not before EHLO. The library counts these not at all.
	}
	c.expect("421 4.7.0 ")
	if got := c.reply(); !strings.Contains(got, "error: ") {
		t.Errorf("it goes on: %q", got)
	}
	if e := s.log.closed(t, 1); e.Fails != 5 || e.End != connlog.EndServer {
		t.Errorf("close line: %+v", e)
	}
}

func TestBadCommandsFail(t *testing.T) {
	s := start(t, Options{}, server.Service{})
	c := s.dial(t, "127.0.0.1")
	c.expect("220")
	c.say("EHLO x", "250-")
	c.say("GET / HTTP/1.1", "501 ")
	c.say("\x16\x03\x01", "501 ")
	c.say("RCPT TO:<anna@example.org>", "502 ")
	c.say("DATA now", "501 ")
	c.say("QUIT", "221 ")
	e := s.log.closed(t, 1)
	if fails := s.log.of(connlog.Fail); e.Fails != 4 || len(fails) != 4 || fails[0].What != connlog.FailCommand {
		t.Errorf("close line %+v, fail lines %+v", e, fails)
	}
}

func TestLineTooLong(t *testing.T) {
	s := start(t, Options{}, server.Service{})
	c := s.dial(t, "127.0.0.1")
	c.expect("220")
	c.send(strings.Repeat("x", 100_000))
	if got := c.reply(); !strings.HasPrefix(got, "500 ") && !strings.Contains(got, "reset") {
		t.Errorf("got %q", got)
	}
	s.log.closed(t, 1)
	for length, want := range map[int]string{maxLineBytes - 10: "250 ", maxLineBytes + 10: "554 5.6.0 "} {
		c := s.dial(t, "127.0.0.1")
		c.expect("220")
		c.say("EHLO x", "250-")
		c.say("MAIL FROM:<>", "250 ")
		c.say("RCPT TO:<anna@example.org>", "250 ")
		c.say("DATA", "354 ")
		c.say(strings.Repeat("x", length)+"\r\n.", want)
	}
	if n := len(s.messages(t, "anna")); n != 1 {
		t.Errorf("%d messages", n)
	}
}

func TestWordsOfRefusals(t *testing.T) {
	s := start(t, Options{}, server.Service{Threads: 2, SessionsPerSource: 1})
	a := s.dial(t, "127.0.0.1")
	a.expect("220")
	if got := s.dial(t, "127.0.0.1").reply(); got != "421 4.7.0 Too many sessions from your address\r\n" {
		t.Errorf("sessions: %q", got)
	}
	s.dial(t, "127.0.0.2").expect("220")
	if got := s.dial(t, "127.0.0.3").reply(); got != "421 4.3.2 Too busy, please try later\r\n" {
		t.Errorf("busy: %q", got)
	}
	if got := s.dial(t, "127.0.0.66").reply(); got != "554 5.7.1 Your address is banned\r\n" {
		t.Errorf("banned: %q", got)
	}
	// A real client understands it.
	if _, err := netsmtp.Dial(s.Addr("smtp").String()); err == nil || !strings.Contains(err.Error(), "Too many sessions") {
		t.Errorf("net/smtp: %v", err)
	}
}

func TestOwnWords(t *testing.T) {
	users, store := fakeUsers{}, &fakeStore{}
	p, err := New(Options{Users: users, Store: store, BanSilently: true,
		Words: map[connlog.Reason]string{connlog.RefuseBusy: "421 4.3.2 Come back later"}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.cancel()
	if got := string(p.Refusal(connlog.RefuseBusy)); got != "421 4.3.2 Come back later\r\n" {
		t.Errorf("busy: %q", got)
	}
	if got := p.Refusal(connlog.RefuseBanned); got != nil {
		t.Errorf("banned: %q", got)
	}
	for _, words := range []string{"", "no", "421 two\r\nlines"} {
		_, err := New(Options{Users: users, Store: store, Words: map[connlog.Reason]string{connlog.RefuseBusy: words}})
		if !errors.Is(err, ErrOptions) {
			t.Errorf("%q: %v", words, err)
		}
	}
	if _, err := New(Options{}); !errors.Is(err, ErrOptions) {
		t.Error(err)
	}
}

type fakeUsers struct{ err error }

func (fakeUsers) Exists(name string) bool { return name == "anna" }

func (f fakeUsers) Authenticate(context.Context, string, string) (string, error) {
	return "anna", f.err
}

// fakeStore fails where it is told to.
type fakeStore struct {
	begin, write, commit error

	mu      sync.Mutex
	commits int
}

func (f *fakeStore) Begin([]string) (Delivery, error) {
	if f.begin != nil {
		return nil, f.begin
	}
	return &fakeDelivery{store: f}, nil
}

type fakeDelivery struct {
	bytes.Buffer
	store *fakeStore
}

func (d *fakeDelivery) Write(b []byte) (int, error) {
	if d.store.write != nil {
		return 0, d.store.write
	}
	return d.Buffer.Write(b)
}

func (d *fakeDelivery) Commit() error {
	d.store.mu.Lock()
	defer d.store.mu.Unlock()
	d.store.commits++
	return d.store.commit
}

func (d *fakeDelivery) Abort() {}

func (f *fakeStore) committed() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.commits
}

// A message that cannot be stored is not accepted: the client keeps it.
func TestStoreFailures(t *testing.T) {
	other := errors.New("disk on fire")
	for name, c := range map[string]struct {
		store *fakeStore
		want  string
	}{
		"full at begin":  {&fakeStore{begin: mailstore.ErrFull}, "452 4.3.1 "},
		"full at write":  {&fakeStore{write: mailstore.ErrFull}, "452 4.3.1 "},
		"full at commit": {&fakeStore{commit: mailstore.ErrFull}, "452 4.3.1 "},
		"other begin":    {&fakeStore{begin: other}, "451 4.3.0 "},
		"other write":    {&fakeStore{write: other}, "451 4.3.0 "},
		"other commit":   {&fakeStore{commit: other}, "451 4.3.0 "},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, Options{Store: c.store}, server.Service{})
			for _, how := range []string{"DATA", "BDAT"} {
				conn := s.dial(t, "127.0.0.1")
				conn.expect("220")
				conn.say("EHLO x", "250-")
				conn.say("MAIL FROM:<>", "250 ")
				conn.say("RCPT TO:<anna@example.org>", "250 ")
				text := strings.Repeat("x\r\n", 20_000)
				if how == "DATA" {
					conn.say("DATA", "354 ")
					conn.send(text)
					got := conn.say(".", c.want)
					if strings.Contains(got, "fire") {
						t.Errorf("the client is told %q", got)
					}
				} else {
					conn.send(fmt.Sprintf("BDAT %d LAST\r\n%s", len(text), text))
					conn.expect(c.want)
				}
				conn.say("NOOP", "250 ")
			}
			if p := s.log.of(connlog.Proven); len(p) != 0 {
				t.Errorf("proven lines: %+v", p)
			}
		})
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

// A connection that breaks within a message leaves no message, whatever the
// library thinks of it.
func TestTruncatedMessages(t *testing.T) {
	for _, text := range []string{
		"DATA\r\nSubject: x\r\n\r\nhal", "DATA\r\nx\r\n.", "DATA\r\nx\n.\n", "DATA\r\nx\r\n.\n",
		"BDAT 100 LAST\r\nhalf", "BDAT 4\r\nhalf", "BDAT 4\r\nhalfBDAT 4 LAST\r\nha", "BDAT 4 LAST\r\n",
	} {
		store := &fakeStore{}
		s := start(t, Options{Store: store}, server.Service{})
		c := s.dial(t, "127.0.0.1")
		c.expect("220")
		c.say("EHLO x", "250-")
		c.say("MAIL FROM:<>", "250 ")
		c.say("RCPT TO:<anna@example.org>", "250 ")
		c.send(text)
		if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, c) // Until it hangs up.
		if e := s.log.closed(t, 1); e.Proven || e.End != connlog.EndClient {
			t.Errorf("%q: close line %+v", text, e)
		}
		if n := store.committed(); n != 0 {
			t.Errorf("%q: a message was stored", text)
		}
	}
}

func TestChunks(t *testing.T) {
	s := start(t, Options{}, server.Service{})
	c := s.dial(t, "127.0.0.1")
	c.expect("220")
	c.say("EHLO x", "250-")
	c.say("MAIL FROM:<>", "250 ")
	c.say("RCPT TO:<anna@example.org>", "250 ")
	c.send("BDAT 6\r\nhello\r")
	c.expect("250 ")
	c.send("BDAT 8 LAST\r\n\nworld\r\n")
	c.expect("250 ")
	c.say("QUIT", "221 ")
	if got := s.messages(t, "anna"); len(got) != 1 || !strings.HasSuffix(got[0], "\nhello\nworld\n") {
		t.Errorf("anna has %q", got)
	}
}

// What hides behind a line end that is none stays part of the message.
func TestSmuggling(t *testing.T) {
	for _, end := range []string{"\n.\n", "\r\n.\n", "\n.\r\n", "\r.\r", "\r\n.\r"} {
		s := start(t, Options{}, server.Service{})
		c := s.dial(t, "127.0.0.1")
		c.expect("220")
		c.say("EHLO x", "250-")
		c.say("MAIL FROM:<>", "250 ")
		c.say("RCPT TO:<anna@example.org>", "250 ")
		c.say("DATA", "354 ")
		c.send("one" + end + "MAIL FROM:<evil@example.net>\r\nRCPT TO:<ben@example.org>\r\nDATA\r\ntwo\r\n.\r\n")
		c.expect("250 ")
		c.say("QUIT", "221 ")
		if a, b := len(s.messages(t, "anna")), len(s.messages(t, "ben")); a != 1 || b != 0 {
			t.Errorf("%q: anna has %d messages, ben %d", end, a, b)
		}
	}
}

// Limits of the server end a session that the library would keep.
func TestSlowSender(t *testing.T) {
	s := start(t, Options{}, server.Service{Limits: server.Limits{Unproven: 300 * time.Millisecond}})
	c := s.dial(t, "127.0.0.1")
	c.expect("220")
	stop := make(chan struct{})
	var sender sync.WaitGroup
	sender.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
				_, _ = c.Write([]byte("N")) // Until it is cut.
			}
		}
	})
	e := s.log.closed(t, 1)
	close(stop)
	sender.Wait()
	if e.End != connlog.EndTimeout || e.Held < 300*time.Millisecond {
		t.Errorf("close line: %+v", e)
	}
}

func TestShutdownSaysGoodbye(t *testing.T) {
	s := start(t, Options{}, server.Service{})
	waiting := s.dial(t, "127.0.0.1")
	waiting.expect("220")
	sending := s.dial(t, "127.0.0.1")
	sending.expect("220")
	sending.say("EHLO x", "250-")
	sending.say("MAIL FROM:<>", "250 ")
	sending.say("RCPT TO:<anna@example.org>", "250 ")
	sending.say("DATA", "354 ")
	ended := make(chan error, 1)
	go func() { ended <- s.Shutdown(context.Background()) }()
	waiting.expect("421 4.3.2 ")
	sending.send("hello\r\n.\r\n")
	sending.expect("250 ") // What was begun is finished.
	sending.expect("421 4.3.2 ")
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if e := s.log.closed(t, 1); e.End != connlog.EndShutdown {
		t.Errorf("close line: %+v", e)
	}
	if n := len(s.messages(t, "anna")); n != 1 {
		t.Errorf("%d messages", n)
	}
}

type panicStore struct{}

func (panicStore) Begin([]string) (Delivery, error) { panic("a bug") }

func TestPanicGivesTheThreadBack(t *testing.T) {
	s := start(t, Options{Store: panicStore{}}, server.Service{})
	c := s.dial(t, "127.0.0.1")
	c.expect("220")
	c.say("EHLO x", "250-")
	c.say("MAIL FROM:<>", "250 ")
	c.say("RCPT TO:<anna@example.org>", "250 ")
	c.say("DATA", "354 ")
	c.expect("421 ")
	s.log.closed(t, 1)
	if busy := s.Status().Services[0].Busy; busy != 0 {
		t.Errorf("%d threads held", busy)
	}
	s.dial(t, "127.0.0.1").expect("220")
}
