package server

import (
	"bytes"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"overstay/connlog"
)

// behindProxy is the test service whose proxies are on 127.0.0.0/24 and ::1,
// and in simulated time on 192.0.2.0/24.
func behindProxy(threads int) Service {
	s := testService(threads)
	for _, p := range []string{"127.0.0.0/24", "::ffff:192.0.2.0/120", "::1/128"} {
		s.ProxyFrom = append(s.ProxyFrom, netip.MustParsePrefix(p))
	}
	return s
}

// forward connects by way of a proxy that sends header.
func (r *running) forward(t testing.TB, proxy string, header []byte) *client {
	t.Helper()
	c := r.dial(t, proxy)
	if _, err := c.Write(header); err != nil {
		t.Fatal(err)
	}
	return c
}

// The client that the proxy tells of is the one who is admitted, counted,
// banned and written down.
func TestClientsOfAProxy(t *testing.T) {
	for _, listen := range []string{"127.0.0.1:0", "[::1]:0"} {
		proxy := strings.TrimSuffix(strings.Trim(strings.TrimSuffix(listen, ":0"), "[]"), ":0")
		s := behindProxy(20)
		s.Listen, s.SessionsPerSource = listen, 1
		r := run(t, Options{Services: []Service{s}})
		r.banned.set(proxy, true) // That is not who comes.
		r.banned.set("198.51.100.7", true)
		for _, c := range []struct{ client, want string }{
			{"203.0.113.9:5001", "hi"},
			{"203.0.113.9:5002", "no: sessions"},
			{"203.0.113.10:5003", "hi"},
			{"198.51.100.7:5004", "no: banned"},
			{"[2001:db8::1]:5005", "hi"},
			{"[2001:db8::2]:5006", "no: sessions"}, // The same /64.
		} {
			for version := byte(1); version <= 2; version++ {
				conn := r.forward(t, proxy, header(t, version, c.client, 0))
				if got := conn.line(); got != c.want {
					t.Errorf("%s by version %d: %q, want %q", c.client, version, got, c.want)
				}
				if c.want != "hi" {
					continue
				}
				open := r.log.of(connlog.Open)
				e := open[len(open)-1]
				if got := netip.AddrPortFrom(e.ClientIP, e.ClientPort); got != netip.MustParseAddrPort(c.client) {
					t.Errorf("open line of %v", got)
				}
				if version == 1 {
					conn.say("quit") // Its thread is free when that is answered.
				}
			}
		}
		before := r.busy()
		r.banned.set("203.0.113.10", true)
		if n := r.Recheck(); n != 1 || r.busy() != before-1 {
			t.Errorf("a ban ended %d sessions", n)
		}
	}
}

// What comes in one segment with the header belongs to the protocol, also when
// that begins with a handshake or is turned away.
func TestBytesBehindTheHeader(t *testing.T) {
	h := header(t, 2, "203.0.113.9:80", 0)
	r := run(t, Options{Services: []Service{behindProxy(1)}})
	c := r.forward(t, "127.0.0.1", append(h, "login\n"...))
	c.expect(t, "hi")
	c.expect(t, "ok")

	s := behindProxy(1)
	s.Protocol = &lines{clientFirst: true}
	r = run(t, Options{Services: []Service{s}})
	r.forward(t, "127.0.0.1", h).expect(t, "hi")
	r.forward(t, "127.0.0.1", append(h, "hello?"...)).expect(t, "no: busy")

	s = behindProxy(1)
	server, config := testTLS(t)
	s.TLS = server
	r = run(t, Options{Services: []Service{s}})
	for _, want := range []string{"hi", "no: busy"} {
		secure(&joining{Conn: r.dial(t, "127.0.0.1"), writes: 2, held: h}, config).expect(t, want)
	}
}

// Only who is trusted is listened to.
func TestHeaderFromAStranger(t *testing.T) {
	r := run(t, Options{Services: []Service{behindProxy(4)}})
	c := r.dial(t, "127.0.9.9")
	c.expect(t, "hi")
	if got := c.say("PROXY TCP4 203.0.113.9 192.0.2.25 51234 login\r"); got != "ok" {
		t.Errorf("got %q", got)
	}
	if e := r.log.of(connlog.Open)[0]; e.ClientIP != netip.MustParseAddr("127.0.9.9") {
		t.Errorf("open line: %+v", e)
	}
}

// A proxy that is set up wrong shows in the log, and once a second in the
// diagnostics; one that only looks whether we are there does not complain.
func TestProxyWithoutAHeader(t *testing.T) {
	var told bytes.Buffer
	s := behindProxy(4)
	simulate(t, s, Options{Logger: slog.New(slog.NewTextHandler(&told, nil))}, func(t *testing.T, r *running, p *pipes) {
		for _, c := range []struct {
			say   string
			hang  bool
			held  time.Duration // by us, of it nothing on a thread
			end   connlog.End
			fails int
		}{
			{"EHLO client.example.org\r\n", false, 0, connlog.EndServer, 1},
			{"PROXY NONSENSE\r\n", false, 0, connlog.EndServer, 1},
			{"", true, 0, connlog.EndClient, 0},
			{"PROXY TCP4", true, 0, connlog.EndServer, 1},
			{"", false, introductionTime, connlog.EndTimeout, 1},
			{"PROXY TCP4", false, introductionTime, connlog.EndTimeout, 1},
		} {
			before := len(r.log.of(connlog.Close))
			conn := p.dial("192.0.2.7")
			if c.say != "" {
				_, _ = io.WriteString(conn, c.say) // It may be cut in the middle.
			}
			if c.hang {
				_ = conn.Close()
			}
			if got := held(conn); got != c.held {
				t.Errorf("%q: held for %v", c.say, got)
			}
			_ = conn.Close()
			synctest.Wait()
			closes := r.log.of(connlog.Close)
			if len(closes) != before+1 {
				t.Fatalf("%q: %d close lines", c.say, len(closes)-before)
			}
			e := closes[before]
			if e.End != c.end || e.Fails != c.fails || e.Held != 0 || e.ClientIP != netip.MustParseAddr("192.0.2.7") {
				t.Errorf("%q: close line %+v", c.say, e)
			}
		}
		if got := r.busy(); got != 0 {
			t.Errorf("%d threads held", got)
		}
	})
	// Three at first, of which one is told, and then one each three seconds.
	if n := strings.Count(told.String(), "level=WARN"); n != 3 || !strings.Contains(told.String(), "untold=2") {
		t.Errorf("told:\n%s", told.String())
	}
}

// A dripping header does not stretch the time for it.
func TestSlowHeader(t *testing.T) {
	simulate(t, behindProxy(4), Options{}, func(t *testing.T, r *running, p *pipes) {
		conn := p.dial("192.0.2.7")
		var sender sync.WaitGroup
		sender.Go(func() { drip(conn, "PROXY TCP4 203.0.113.9 192.0.2.25 51234 25\r\n", 100*time.Millisecond) })
		if got := held(conn); got != introductionTime {
			t.Errorf("held for %v", got)
		}
		_ = conn.Close()
		sender.Wait()
	})
}

// The accept loop waits for no header, and no thread does. Too many silent
// peers are turned away, without harm to who speaks.
func TestSilentProxies(t *testing.T) {
	simulate(t, behindProxy(2), Options{}, func(t *testing.T, r *running, p *pipes) {
		start := time.Now()
		var silent []net.Conn
		for range minIntroductions {
			silent = append(silent, p.dial("192.0.2.7"))
		}
		synctest.Wait()
		if r.busy() != 0 {
			t.Errorf("%d threads held", r.busy())
		}
		extra := p.dial("192.0.2.8")
		if got := held(extra); got != 0 {
			t.Errorf("one too many was held for %v", got)
		}
		stranger := newPipeClient(p.dial("198.51.100.1"))
		stranger.expect(t, "hi")
		if time.Since(start) != 0 {
			t.Errorf("it took %v", time.Since(start))
		}
		if e := r.log.of(connlog.Refuse); len(e) != 1 || e[0].Reason != connlog.RefuseBusy || e[0].ClientIP.String() != "192.0.2.8" {
			t.Errorf("refuse lines: %+v", e)
		}
		_ = silent[0].Close()
		synctest.Wait()
		late := newPipeClient(p.dial("192.0.2.8"))
		if _, err := late.Write(header(t, 2, "203.0.113.9:80", 0)); err != nil {
			t.Fatal(err)
		}
		late.expect(t, "hi")
		for _, c := range append(silent, extra, late.Conn, stranger.Conn) {
			_ = c.Close() // Done with.
		}
		time.Sleep(introductionTime)
	})
}

// The end of the server does not wait for headers.
func TestShutdownDuringIntroduction(t *testing.T) {
	simulate(t, behindProxy(2), Options{}, func(t *testing.T, r *running, p *pipes) {
		c := p.dial("192.0.2.7")
		synctest.Wait()
		if n := r.services[0].introducing.Load(); n != 1 {
			t.Errorf("%d are waited for", n)
		}
		start := time.Now()
		if err := r.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if got := time.Since(start); got != 0 {
			t.Errorf("it took %v", got)
		}
		if got := held(c); got != 0 {
			t.Errorf("held for another %v", got)
		}
		_ = c.Close()
		if n := len(r.log.of(connlog.Open)); n != 0 {
			t.Errorf("%d open lines", n)
		}
	})
}

// Headers leave no memory behind, whatever their length.
func TestMemoryOfHeaders(t *testing.T) {
	r := run(t, Options{Services: []Service{behindProxy(200)}})
	h := header(t, 2, "203.0.113.9:80", 4000)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range 200 {
		r.forward(t, "127.0.0.1", h).expect(t, "hi")
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	// A client of the test has 4 KB of its own, a session of its protocol
	// another 4, and both their goroutines.
	each := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / 200
	t.Logf("%d bytes for each connection", each)
	if each > 10<<10 {
		t.Error("a header has left something behind")
	}
}

// The time that the proxy has for its header is not the client's, who may be
// silent for longer where nothing limits that.
func TestTimeOfTheHeaderIsOver(t *testing.T) {
	s := behindProxy(4)
	s.Limits = Limits{Unproven: -1, Idle: -1, Stage: -1}
	simulate(t, s, Options{}, func(t *testing.T, r *running, p *pipes) {
		conn := p.dial("192.0.2.7")
		if _, err := conn.Write(header(t, 1, "203.0.113.9:80", 0)); err != nil {
			t.Fatal(err)
		}
		c := newPipeClient(conn)
		c.expect(t, "hi")
		time.Sleep(time.Hour)
		if got := c.say("login"); got != "ok" {
			t.Errorf("got %q", got)
		}
		_ = c.Close()
	})
}
