package proxy

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"overstay/connlog"
	"overstay/server"
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

// wait polls until there are n lines of a kind, and returns the nth.
func (r *recorder) wait(t testing.TB, kind connlog.Kind, n int) connlog.Event {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if lines := r.of(kind); len(lines) >= n {
			return lines[n-1]
		}
	}
	t.Fatalf("not %d lines of kind %d", n, kind)
	return connlog.Event{}
}

// bans is a list that can change.
type bans struct {
	mu   sync.Mutex
	addr netip.Addr
}

func (b *bans) Blocked(a netip.Addr, _ string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return a == b.addr
}

func (b *bans) set(addr string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.addr = netip.MustParseAddr(addr)
}

// site is a server with a proxy under test.
type site struct {
	*server.Server
	log  *recorder
	bans *bans
	stop func() // and wait
}

func start(t testing.TB, o Options, svc server.Service) *site {
	t.Helper()
	s := &site{log: &recorder{}, bans: &bans{}}
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	svc.Name, svc.Listen, svc.Protocol = "front", "127.0.0.1:0", p
	if svc.UnprovenPerSource == 0 {
		svc.UnprovenPerSource = -1
	}
	s.Server, err = server.New(server.Options{
		Services: []server.Service{svc}, Log: s.log, Banned: s.bans, Grace: 50 * time.Millisecond,
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
	s.stop = sync.OnceFunc(func() {
		cancel()
		<-ended
		if opens, closes := len(s.log.of(connlog.Open)), len(s.log.of(connlog.Close)); opens != closes {
			t.Errorf("%d open lines, %d close lines", opens, closes)
		}
	})
	t.Cleanup(s.stop)
	return s
}

// dial connects from a loopback address.
func (s *site) dial(t testing.TB, from string) *talk {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.Dial("tcp", s.Addr("front").String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return newTalk(t, c)
}

// talk is a conversation by hand.
type talk struct {
	net.Conn
	t  testing.TB
	in *bufio.Reader
}

func newTalk(t testing.TB, c net.Conn) *talk {
	t.Helper()
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return &talk{c, t, bufio.NewReader(c)}
}

func (c *talk) Read(b []byte) (int, error) { return c.in.Read(b) }

func (c *talk) CloseWrite() error {
	return c.Conn.(interface{ CloseWrite() error }).CloseWrite()
}

func (c *talk) send(s string) {
	if _, err := io.WriteString(c.Conn, s); err != nil {
		c.t.Errorf("send %.40q: %v", s, err)
	}
}

// hear reads what is expected, and fails the test otherwise.
func (c *talk) hear(want string) {
	c.t.Helper()
	got := make([]byte, len(want))
	n, err := io.ReadFull(c.in, got)
	if string(got) != want {
		c.t.Fatalf("heard %q (%v), want %q", got[:n], err, want)
	}
}

// rest reads to the end.
func (c *talk) rest() string {
	b, _ := io.ReadAll(c.in) // A reset ends it as well.
	return string(b)
}

// upstream serves each connection with a function, and returns its address.
func upstream(t testing.TB, serve func(*talk)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer func() { _ = c.Close() }()
				serve(newTalk(t, c))
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		running.Wait()
	})
	return l.Addr().String()
}

// script plays the upstream's part of a conversation: lines that begin with
// "C:" are what it must hear, those with "S:" what it says.
func script(text string) func(*talk) {
	return func(c *talk) {
		for line := range strings.Lines(text) {
			line = strings.TrimSpace(line)
			if said, ok := strings.CutPrefix(line, "S:"); ok {
				c.send(strings.TrimSpace(said) + "\r\n")
			} else if heard, ok := strings.CutPrefix(line, "C:"); ok {
				heard = strings.TrimSpace(heard)
				if got, _ := c.in.ReadString('\n'); got != heard+"\r\n" {
					c.t.Errorf("the upstream heard %q, want %q", got, heard)
					return
				}
			}
		}
	}
}

// play plays the client's part of the same.
func (c *talk) play(text string) {
	c.t.Helper()
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if said, ok := strings.CutPrefix(line, "C:"); ok {
			c.send(strings.TrimSpace(said) + "\r\n")
		} else if heard, ok := strings.CutPrefix(line, "S:"); ok {
			c.hear(strings.TrimSpace(heard) + "\r\n")
		}
	}
}
