package imap

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2/imapclient"
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

// site is a server with IMAP under test.
type site struct {
	*server.Server
	log   *recorder
	mail  *mailstore.Store
	proto *Protocol
	stop  func()
}

// start serves the mail of anna and ben, password "secret".
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
	if o.Store == nil {
		o.Store = mailstore.NewStore(filepath.Join(dir, "mail"))
	}
	o.Domains = []string{"Example.org"}
	s := &site{log: &recorder{}, mail: o.Store}
	if s.proto, err = New(o); err != nil {
		t.Fatal(err)
	}
	svc.Name, svc.Protocol = "imap", s.proto
	if svc.Listener == nil {
		svc.Listen = "127.0.0.1:0"
	}
	if svc.UnprovenPerSource == 0 {
		svc.UnprovenPerSource = -1
	}
	s.Server, err = server.New(server.Options{
		Services: []server.Service{svc}, Log: s.log, Grace: 10 * time.Second,
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
	s.stop = func() { // May be called again.
		cancel()
		<-ended
	}
	t.Cleanup(func() {
		s.stop()
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
				t.Errorf("conn %d closed without being open", e.Conn)
			}
			delete(open, e.Conn)
		}
	}
	if len(open) > 0 {
		t.Errorf("not closed: %v", open)
	}
}

// deliver puts a message into a user's inbox.
func deliver(t testing.TB, s *mailstore.Store, user, text string) {
	t.Helper()
	d, err := s.Begin([]string{user})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(d, text); err != nil {
		t.Fatal(err)
	}
	if err := d.Commit(); err != nil {
		t.Fatal(err)
	}
}

// talk is a conversation line by line.
type talk struct {
	net.Conn
	t  testing.TB
	in *bufio.Reader
}

func newTalk(t testing.TB, c net.Conn) *talk {
	t.Helper()
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return &talk{Conn: c, t: t, in: bufio.NewReader(c)}
}

// dial connects from an address, and reads the greeting.
func (s *site) dial(t testing.TB, from string) *talk {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.Dial("tcp", s.Addr("imap").String())
	if err != nil {
		t.Fatal(err)
	}
	return newTalk(t, c)
}

// login connects as a user.
func (s *site) login(t testing.TB, user string) *talk {
	t.Helper()
	c := s.dial(t, "127.0.0.1")
	c.expect("* OK")
	c.say("a LOGIN "+user+" secret", "a OK")
	return c
}

// send sends raw text.
func (c *talk) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c.Conn, text); err != nil {
		c.t.Fatal(err)
	}
}

// line reads one line.
func (c *talk) line() string {
	c.t.Helper()
	line, err := c.in.ReadString('\n')
	if err != nil {
		c.t.Fatalf("%q, %v", line, err)
	}
	return line
}

// expect reads lines up to one that begins with the prefix, and returns them.
func (c *talk) expect(prefix string) string {
	c.t.Helper()
	var all strings.Builder
	tag, _, _ := strings.Cut(prefix, " ")
	for {
		line := c.line()
		all.WriteString(line)
		if strings.HasPrefix(line, prefix) {
			return all.String()
		}
		if tag != "*" && strings.HasPrefix(line, tag+" ") {
			c.t.Fatalf("%q, want %q", all.String(), prefix)
		}
	}
}

// say sends a line, and waits for the answer.
func (c *talk) say(line, prefix string) string {
	c.t.Helper()
	c.send(line + "\r\n")
	return c.expect(prefix)
}

// end reads to the end.
func (c *talk) end() string {
	c.t.Helper()
	rest, _ := io.ReadAll(c.in) // A reset ends it as well.
	return string(rest)
}

// client connects with the library's client.
func (s *site) client(t testing.TB, user string, o *imapclient.Options) *imapclient.Client {
	t.Helper()
	c, err := imapclient.DialInsecure(s.Addr("imap").String(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.Login(user, "secret").Wait(); err != nil {
		t.Fatal(err)
	}
	return c
}
