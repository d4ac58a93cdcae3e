package server

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"overstay/connlog"
)

// machine drives a server with random clients and knows what it must do.
type machine struct {
	r       *running
	threads int
	limit   int // of unproven sessions of one source
	open    []*machineClient
	banned  map[string]bool
	n       int // connections admitted
}

type machineClient struct {
	*client
	from   string
	proven bool
}

var machineSources = []string{"127.0.0.1", "127.0.0.2", "127.0.0.3"}

// expectation says what a new connection from a source must be told.
func (m *machine) expectation(from string) string {
	unproven := 0
	for _, c := range m.open {
		if c.from == from && !c.proven {
			unproven++
		}
	}
	switch {
	case m.banned[from]:
		return "no: banned"
	case unproven >= m.limit && 2*len(m.open) >= m.threads:
		return "no: sessions"
	case len(m.open) >= m.threads:
		return "no: busy"
	}
	return "hi"
}

func (m *machine) dial(t *rapid.T) {
	from := rapid.SampledFrom(machineSources).Draw(t, "from")
	want := m.expectation(from)
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	raw, err := d.Dial("tcp", m.r.Addr("test").String())
	if err != nil {
		t.Fatal(err)
	}
	_ = raw.SetDeadline(time.Now().Add(10 * time.Second)) // It is open.
	c := &machineClient{client: newPipeClient(raw), from: from}
	if got := c.line(); got != want {
		t.Fatalf("%s was told %q, want %q", from, got, want)
	}
	if want != "hi" {
		_ = c.Close()
		return
	}
	m.n++
	m.open = append(m.open, c)
}

// pick returns one of the open connections.
func (m *machine) pick(t *rapid.T) *machineClient {
	if len(m.open) == 0 {
		t.Skip("none is open")
	}
	return rapid.SampledFrom(m.open).Draw(t, "client")
}

// gone takes away the connections that match, and closes our ends.
func (m *machine) gone(match func(*machineClient) bool) {
	m.open = slices.DeleteFunc(m.open, func(c *machineClient) bool {
		if !match(c) {
			return false
		}
		_ = c.Close() // The server has seen to it.
		return true
	})
}

func (m *machine) actions() map[string]func(*rapid.T) {
	leave := func(how func(*machineClient)) func(*rapid.T) {
		return func(t *rapid.T) {
			c := m.pick(t)
			how(c)
			m.open = slices.DeleteFunc(m.open, func(o *machineClient) bool { return o == c })
			m.settle(t)
			_ = c.Close()
		}
	}
	say := func(line string) func(*rapid.T) {
		return func(t *rapid.T) {
			c := m.pick(t)
			if got := c.say(line); got != "ok" {
				t.Fatalf("%s: %q", line, got)
			}
			c.proven = c.proven || line == "login"
		}
	}
	return map[string]func(*rapid.T){
		"dial": m.dial, "dial again": m.dial, "dial once more": m.dial,
		"login": say("login"), "fail": say("fail"), "stall": func(t *rapid.T) { _, _ = m.pick(t).Write(nil) },
		"quit":       leave(func(c *machineClient) { c.say("quit") }),
		"close":      leave(func(c *machineClient) { _ = c.Close() }),
		"half-close": leave(func(c *machineClient) { _ = c.Conn.(*net.TCPConn).CloseWrite() }),
		"reset": leave(func(c *machineClient) {
			_ = c.Conn.(*net.TCPConn).SetLinger(0)
			_ = c.Close()
		}),
		"ban": func(t *rapid.T) {
			from := rapid.SampledFrom(machineSources).Draw(t, "from")
			m.banned[from] = true
			m.r.banned.set(from, true)
			m.r.Recheck()
			m.gone(func(c *machineClient) bool { return c.from == from })
			if got := m.r.busy(); got != len(m.open) { // At once, not in the end.
				t.Fatalf("%d threads held after a ban, want %d", got, len(m.open))
			}
		},
		"lift": func(t *rapid.T) {
			from := rapid.SampledFrom(machineSources).Draw(t, "from")
			m.banned[from] = false
			m.r.banned.set(from, false)
		},
		"": func(t *rapid.T) { m.settle(t) },
	}
}

// settle waits until the server has as many threads held as we have clients.
func (m *machine) settle(t *rapid.T) {
	unproven := 0
	for _, c := range m.open {
		if !c.proven {
			unproven++
		}
	}
	var st ServiceStatus
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Microsecond) {
		st = m.r.Status().Services[0]
		if st.Busy == len(m.open) && st.Unproven == unproven {
			return
		}
	}
	t.Fatalf("%d clients, %d of them unproven, but %+v", len(m.open), unproven, st)
}

// Whatever clients do in whatever order: admission decides as it must, no
// thread is lost, and the log's opens and closes match one to one.
func TestThreadsAreNeverLeaked(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := &machine{
			banned:  map[string]bool{},
			threads: rapid.IntRange(1, 6).Draw(rt, "threads"),
			limit:   rapid.IntRange(1, 4).Draw(rt, "limit"),
		}
		s := testService(m.threads)
		s.UnprovenPerSource = m.limit
		m.r = run(t, Options{Services: []Service{s}})
		defer func() { _ = m.r.Shutdown(t.Context()) }()
		rt.Repeat(m.actions())
		m.gone(func(*machineClient) bool { return true })
		m.settle(rt)

		svc := m.r.services[0]
		if n := len(svc.pool.sources) + len(svc.pool.open); n != 0 {
			rt.Fatalf("the pool still knows %d sources or connections", n)
		}
		if n := len(m.r.log.of(connlog.Open)); n != m.n {
			rt.Fatalf("%d open lines for %d connections", n, m.n)
		}
		checkLog(rt, m.r.log.events)
	})
}

// The same from many goroutines at once, where the order is anybody's guess,
// for the race detector.
func TestManyAtOnce(t *testing.T) {
	rounds := 60
	if testing.Short() {
		rounds = 10
	}
	s := testService(8)
	s.UnprovenPerSource = 4
	r := run(t, Options{Services: []Service{s}})
	done := make(chan struct{})
	for i := range 8 {
		go func() {
			defer func() { done <- struct{}{} }()
			from := fmt.Sprintf("127.0.0.%d", 1+i%4)
			for range rounds {
				d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
				c, err := d.Dial("tcp", r.Addr("test").String())
				if err != nil {
					continue // Banned and reset.
				}
				cl := newClient(t, c)
				if cl.line() == "hi" {
					cl.say("login")
					cl.say("fail")
				}
				_ = c.Close()
			}
		}()
	}
	for i := 0; i < 8; {
		select {
		case <-done:
			i++
		default:
			r.banned.set("127.0.0.1", i%2 == 0)
			r.Recheck()
			r.Status()
		}
	}
	eventually(t, "all threads to be free", func() bool { return r.busy() == 0 })
	checkLog(t, r.log.events)
	for _, e := range r.log.of(connlog.Close) {
		if strings.Contains(string(e.End), "error") {
			t.Errorf("close line: %+v", e)
		}
	}
}
