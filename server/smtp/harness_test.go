package smtp

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

// banned is a list of addresses.
type banned struct {
	mu   sync.Mutex
	list []string
}

func (b *banned) Blocked(a netip.Addr, _ string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Contains(b.list, a.String())
}

// ban ends the sessions of an address.
func (s *site) ban(a string) {
	s.bans.mu.Lock()
	s.bans.list = append(s.bans.list, a)
	s.bans.mu.Unlock()
	s.Recheck()
}

// site is a server with SMTP under test.
type site struct {
	*server.Server
	log   *recorder
	bans  *banned
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
	s := &site{log: &recorder{}, bans: &banned{list: []string{"127.0.0.66"}}, mail: mailstore.NewStore(filepath.Join(dir, "mail"))}
	if o.Store == nil {
		o.Store = Maildirs{s.mail}
	}
	o.Hostname = "mx.example.org"
	if len(o.Domains) == 0 {
		o.Domains = []string{"Example.org"}
	}
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
		Banned: s.bans,
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
