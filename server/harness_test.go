package server

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"overstay/connlog"
)

// recorder is a Log that keeps everything.
type recorder struct {
	mu     sync.Mutex
	events []connlog.Event
}

func (r *recorder) Write(e *connlog.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := *e
	c.Time = time.Now()
	c.Services = slices.Clone(e.Services)
	r.events = append(r.events, c)
}

// of returns the events of a kind.
func (r *recorder) of(kind connlog.Kind) []connlog.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []connlog.Event
	for _, e := range r.events {
		if e.Kind == kind {
			found = append(found, e)
		}
	}
	return found
}

// blocklist is a Banned that tests change.
type blocklist struct {
	mu    sync.Mutex
	addrs map[netip.Addr]bool
	calls int
	hook  func(call int) // before each answer
}

func (b *blocklist) Blocked(a netip.Addr, _ string) bool {
	b.mu.Lock()
	b.calls++
	hook, call := b.hook, b.calls
	b.mu.Unlock()
	if hook != nil {
		hook(call)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.addrs[a]
}

func (b *blocklist) set(a string, banned bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.addrs == nil {
		b.addrs = make(map[netip.Addr]bool)
	}
	b.addrs[netip.MustParseAddr(a)] = banned
}

// lines is a protocol for tests: it greets with "hi" and then answers each
// line with "ok". A line is one of login, fail, work, park, quit, or names
// the stage that comes next: "in data". After take it takes in what comes, and
// after file it writes, both until the end.
type lines struct {
	clientFirst bool
	silent      bool // refuse without a word
	sessions    sync.WaitGroup
	release     chan struct{} // "work" waits for it
}

func (p *lines) SpeaksFirst() bool { return !p.clientFirst }

func (p *lines) Refusal(r connlog.Reason) []byte {
	if p.silent {
		return nil
	}
	return []byte("no: " + string(r) + "\n")
}

func (p *lines) Serve(l net.Listener) error {
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		p.sessions.Go(func() { p.session(c) })
	}
}

func (p *lines) session(client net.Conn) {
	defer func() { _ = client.Close() }()
	c, ok := Admitted(client)
	if !ok {
		return
	}
	if _, err := io.WriteString(client, "hi\n"); err != nil {
		return
	}
	for in := bufio.NewScanner(client); in.Scan(); {
		c.Enter(connlog.StageCommand)
		switch in.Text() {
		case "login":
			c.Proven(connlog.ByLogin, "anna")
		case "fail":
			c.Fail(connlog.FailCommand, "anna")
		case "work":
			c.Enter(connlog.StageDeliver)
			<-p.release
		case "take":
			c.Enter(connlog.StageData)
			_, _ = io.Copy(io.Discard, client) // However it ends.
			return
		case "file":
			c.Enter(connlog.StageDeliver)
			for b := make([]byte, 1<<10); ; {
				if _, err := client.Write(b); err != nil {
					return
				}
			}
		case "quit":
			return
		}
		if in.Text() == "park" {
			c.Park()
		} else {
			c.Enter(stageNamed(in.Text()))
		}
		if _, err := io.WriteString(client, "ok\n"); err != nil {
			return
		}
	}
}

// stageNamed returns the stage that a line names, and idle for all others.
func stageNamed(line string) connlog.Stage {
	for stage := range connlog.Stage(connlog.NumStages) {
		if "in "+stage.String() == line {
			return stage
		}
	}
	return connlog.StageIdle
}

func (p *lines) Shutdown(ctx context.Context) error {
	ended := make(chan struct{})
	go func() {
		p.sessions.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// running is a server under test.
type running struct {
	*Server
	log    *recorder
	banned *blocklist
	served chan error
	cancel context.CancelFunc
}

// run serves the services until the test ends.
func run(t testing.TB, o Options) *running {
	t.Helper()
	r := &running{log: &recorder{}, banned: &blocklist{}, served: make(chan error, 1)}
	if b, ok := o.Banned.(*blocklist); ok {
		r.banned = b
	}
	o.Log, o.Banned = r.log, r.banned
	if o.Grace == 0 {
		o.Grace = -1
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	r.Server = s
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	go func() { r.served <- s.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-s.done
	})
	return r
}

// testService returns a service of the test protocol on a free port.
func testService(threads int) Service {
	return Service{
		Name: "test", Listen: "127.0.0.1:0", Threads: threads,
		UnprovenPerSource: -1, Protocol: &lines{},
	}
}

// client is one connection to a server under test.
type client struct {
	net.Conn
	in *bufio.Reader
}

// dial connects from the given address of this host.
func (r *running) dial(t testing.TB, from string) *client {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 5 * time.Second}
	c, err := d.Dial("tcp", r.Addr("test").String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return newClient(t, c)
}

func newClient(t testing.TB, c net.Conn) *client {
	t.Helper()
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return &client{c, bufio.NewReader(c)}
}

// line reads one line, or returns the error in place of it.
func (c *client) line() string {
	s, err := c.in.ReadString('\n')
	if err != nil {
		return "error: " + err.Error()
	}
	return strings.TrimSpace(s)
}

// say writes a line and returns the answer.
func (c *client) say(s string) string {
	if _, err := io.WriteString(c, s+"\n"); err != nil {
		return "error: " + err.Error()
	}
	return c.line()
}

// expect fails unless the next line is s.
func (c *client) expect(t testing.TB, s string) {
	t.Helper()
	if got := c.line(); got != s {
		t.Fatalf("got %q, want %q", got, s)
	}
}

// eventually polls until ok, for at most ten seconds.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if ok() {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}

func (r *running) busy() int { return r.Status().Services[0].Busy }

// checkLog fails unless each open has exactly one close, nothing else comes
// outside of the two, and the threads held add up.
func checkLog(t interface{ Errorf(string, ...any) }, events []connlog.Event) {
	open := make(map[uint64]connlog.Event)
	seen := make(map[uint64]bool)
	for _, e := range events {
		o, isOpen := open[e.Conn]
		switch e.Kind {
		case connlog.Open:
			if seen[e.Conn] {
				t.Errorf("connection %d opened twice", e.Conn)
			}
			seen[e.Conn] = true
			open[e.Conn] = e
			if len(open) > e.Threads {
				t.Errorf("%d threads held of %d", len(open), e.Threads)
			}
		case connlog.Proven, connlog.Fail:
			if !isOpen {
				t.Errorf("%v of connection %d outside of its life", e.Kind, e.Conn)
			}
		case connlog.Close:
			if !isOpen {
				t.Errorf("connection %d closed without being open", e.Conn)
			}
			if o.ClientIP != e.ClientIP || o.Service != e.Service {
				t.Errorf("open %v and close %v differ", o, e)
			}
			if err := checkStages(e); err != nil {
				t.Errorf("%v", err)
			}
			delete(open, e.Conn)
		}
	}
	for id := range open {
		t.Errorf("connection %d was never closed", id)
	}
}

func checkStages(e connlog.Event) error {
	var sum time.Duration
	for _, d := range e.Stages {
		sum += d
	}
	if diff := (e.Held - sum).Abs(); diff > time.Microsecond {
		return fmt.Errorf("connection %d: held %v, but its stages sum to %v", e.Conn, e.Held, sum)
	}
	return nil
}
