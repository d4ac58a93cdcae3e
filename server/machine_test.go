package server

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
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
	t       *testing.T
	service Service
	config  *tls.Config // of clients; nil: no TLS
	proxied bool        // all come by way of a proxy, 127.0.0.9
	threads int
	limit   int // of unproven sessions of one source
	open    []*machineClient
	banned  map[string]bool
	arrived int // connections that the server is to have counted
	n       int // those admitted
}

type machineClient struct {
	*client
	tcp    *net.TCPConn
	from   string
	proven bool
	silent bool // it does no handshake
}

const machineProxy = "127.0.0.9"

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
	case m.banned[from] && m.config != nil:
		return "error: EOF"
	case m.banned[from]:
		return "no: banned"
	case unproven >= m.limit && 2*len(m.open) >= m.threads:
		return "no: sessions"
	case len(m.open) >= m.threads:
		return "no: busy"
	}
	return "hi"
}

// connect returns a connection from a source, or from its proxy, and what is
// to be said on it before anything else.
func (m *machine) connect(t *rapid.T, from string) (*net.TCPConn, []byte) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	if m.proxied {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(machineProxy)}
	}
	raw, err := d.Dial("tcp", m.r.Addr("test").String())
	if err != nil {
		t.Fatal(err)
	}
	m.arrived++
	_ = raw.SetDeadline(time.Now().Add(10 * time.Second)) // It is open.
	if !m.proxied {
		return raw.(*net.TCPConn), nil
	}
	version := rapid.SampledFrom([]byte{1, 2}).Draw(t, "version")
	return raw.(*net.TCPConn), header(m.t, version, from+":1234", 0)
}

func (m *machine) dial(t *rapid.T) {
	from := rapid.SampledFrom(machineSources).Draw(t, "from")
	want := m.expectation(from)
	raw, header := m.connect(t, from)
	if cut := rapid.IntRange(0, len(header)).Draw(t, "cut"); cut > 0 {
		_, _ = raw.Write(header[:cut]) // It is open.
		header = header[cut:]
	}
	if len(header) > 0 {
		_, _ = raw.Write(header) // Likewise.
	}
	c := &machineClient{client: newPipeClient(raw), tcp: raw, from: from}
	if m.config != nil {
		c.client = secure(raw, m.config)
	}
	if got := c.line(); got != want && (want != "error: EOF" || !strings.HasPrefix(got, "error: ")) {
		t.Fatalf("%s was told %q, want %q", from, got, want)
	}
	if want != "hi" {
		_ = raw.Close()
		return
	}
	m.n++
	m.open = append(m.open, c)
}

// stall connects and says nothing where a handshake is due.
func (m *machine) stall(t *rapid.T) {
	from := rapid.SampledFrom(machineSources).Draw(t, "from")
	if m.config == nil || m.expectation(from) != "hi" {
		t.Skip("there is nothing to wait for")
	}
	raw, header := m.connect(t, from)
	_, _ = raw.Write(header) // It is open.
	m.n++
	m.open = append(m.open, &machineClient{client: newPipeClient(raw), tcp: raw, from: from, silent: true})
	m.settle(t)
}

// botch connects as a proxy that does not say for whom, and hangs up.
func (m *machine) botch(t *rapid.T) {
	if !m.proxied {
		t.Skip("there is no proxy")
	}
	if len(m.open) < m.threads {
		m.n++
	}
	raw, header := m.connect(t, machineSources[0])
	_, _ = raw.Write(header[:rapid.IntRange(0, len(header)-1).Draw(t, "cut")]) // It is open.
	_ = raw.Close()
	m.settle(t)
}

// configure gives the pool another size and its sources another limit.
func (m *machine) configure(t *rapid.T) {
	m.threads = rapid.IntRange(1, 6).Draw(t, "threads")
	m.limit = rapid.IntRange(1, 4).Draw(t, "limit")
	m.service.Threads, m.service.UnprovenPerSource = m.threads, m.limit
	if restart, err := m.r.Configure([]Service{m.service}); err != nil || len(restart) > 0 {
		t.Fatalf("%q, %v", restart, err)
	}
}

// pick returns one of the open connections that match.
func (m *machine) pick(t *rapid.T, match func(*machineClient) bool) *machineClient {
	var some []*machineClient
	for _, c := range m.open {
		if match(c) {
			some = append(some, c)
		}
	}
	if len(some) == 0 {
		t.Skip("none is open")
	}
	return rapid.SampledFrom(some).Draw(t, "client")
}

func anybody(*machineClient) bool   { return true }
func talking(c *machineClient) bool { return !c.silent }

// gone takes away the connections that match, and closes our ends.
func (m *machine) gone(match func(*machineClient) bool) {
	m.open = slices.DeleteFunc(m.open, func(c *machineClient) bool {
		if !match(c) {
			return false
		}
		_ = c.tcp.Close() // The server has seen to it.
		return true
	})
}

func (m *machine) actions() map[string]func(*rapid.T) {
	leave := func(who func(*machineClient) bool, how func(*machineClient)) func(*rapid.T) {
		return func(t *rapid.T) {
			c := m.pick(t, who)
			how(c)
			m.open = slices.DeleteFunc(m.open, func(o *machineClient) bool { return o == c })
			m.settle(t)
			_ = c.tcp.Close()
		}
	}
	say := func(line string) func(*rapid.T) {
		return func(t *rapid.T) {
			c := m.pick(t, talking)
			if got := c.say(line); got != "ok" {
				t.Fatalf("%s: %q", line, got)
			}
			c.proven = c.proven || line == "login"
		}
	}
	return map[string]func(*rapid.T){
		"dial": m.dial, "dial again": m.dial, "dial once more": m.dial,
		"stall": m.stall, "botch": m.botch, "configure": m.configure,
		"login": say("login"), "fail": say("fail"),
		"quit":       leave(talking, func(c *machineClient) { c.say("quit") }),
		"close":      leave(anybody, func(c *machineClient) { _ = c.tcp.Close() }),
		"half-close": leave(anybody, func(c *machineClient) { _ = c.tcp.CloseWrite() }),
		"goodbye":    leave(talking, func(c *machineClient) { _ = c.Close() }),
		"reset": leave(anybody, func(c *machineClient) {
			_ = c.tcp.SetLinger(0)
			_ = c.tcp.Close()
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

// settle waits until the server has seen everybody who came, and has as many
// threads held as we have clients.
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
		counted := int(st.Accepted + st.Refused.Busy + st.Refused.Sessions + st.Refused.Banned)
		if st.Busy == len(m.open) && st.Unproven == unproven && counted == m.arrived {
			return
		}
	}
	t.Fatalf("%d clients, %d of them unproven, but %+v", len(m.open), unproven, st)
}

// Whatever clients do in whatever order: admission decides as it must, no
// thread is lost, and the log's opens and closes match one to one.
func TestThreadsAreNeverLeaked(t *testing.T) {
	server, client := testTLS(t)
	rapid.Check(t, func(rt *rapid.T) {
		m := &machine{
			t:       t,
			banned:  map[string]bool{},
			threads: rapid.IntRange(1, 6).Draw(rt, "threads"),
			limit:   rapid.IntRange(1, 4).Draw(rt, "limit"),
		}
		m.service = testService(m.threads)
		m.service.UnprovenPerSource = m.limit
		if rapid.Bool().Draw(rt, "tls") {
			m.service.TLS, m.config = server, client
		}
		if m.proxied = rapid.Bool().Draw(rt, "proxied"); m.proxied {
			m.service.ProxyFrom = []netip.Prefix{netip.MustParsePrefix(machineProxy + "/32")}
		}
		if rapid.Bool().Draw(rt, "delayed") {
			m.service.GreetDelay = time.Millisecond
		}
		m.r = run(t, Options{Services: []Service{m.service}})
		defer func() { _ = m.r.Shutdown(t.Context()) }()
		rt.Repeat(m.actions())
		m.gone(func(*machineClient) bool { return true })
		m.settle(rt)
		if err := m.r.Shutdown(t.Context()); err != nil { // Nothing is written from here on.
			rt.Fatal(err)
		}

		svc := m.r.services[0]
		if n := len(svc.pool.sources) + len(svc.pool.nets) + len(svc.pool.open) + len(m.r.lobby.inside); n != 0 {
			rt.Fatalf("the pool still knows %d sources, nets or connections", n)
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
