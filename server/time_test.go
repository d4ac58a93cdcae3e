package server

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"overstay/connlog"
)

// pipes is a listener without a network, for tests in simulated time.
type pipes struct {
	in     chan net.Conn
	fail   chan error
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes {
	return &pipes{in: make(chan net.Conn), fail: make(chan error, 100), closed: make(chan struct{})}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case err := <-p.fail:
		return nil, err
	default:
	}
	select {
	case c := <-p.in:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

// pipeConn is one end of a pipe with an address.
type pipeConn struct {
	net.Conn
	peer netip.AddrPort
}

func (c pipeConn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.peer) }

// dial returns the client's end of a new connection.
func (p *pipes) dial(from string) net.Conn {
	server, client := net.Pipe()
	p.in <- pipeConn{server, netip.AddrPortFrom(netip.MustParseAddr(from), 1234)}
	return client
}

// simulate runs a test in simulated time against one service.
func simulate(t *testing.T, s Service, o Options, test func(t *testing.T, r *running, p *pipes)) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipes()
		s.Listener = p
		o.Services = []Service{s}
		r := run(t, o)
		test(t, r, p)
		r.cancel()
		<-r.done
		checkLog(t, r.log.events)
	})
}

// held reads all that comes until the server hangs up, and returns how long
// that took.
func held(c net.Conn) time.Duration {
	start := time.Now()
	_, _ = io.Copy(io.Discard, c) // However it ends.
	return time.Since(start)
}

// drip writes s a byte at a time until the server has hung up.
func drip(c net.Conn, s string, every time.Duration) {
	for i := 0; ; i++ {
		if _, err := c.Write([]byte{s[i%len(s)]}); err != nil {
			return
		}
		time.Sleep(every)
	}
}

func TestLimits(t *testing.T) {
	limits := Limits{Unproven: 60 * time.Second, Idle: 20 * time.Second, Stage: 30 * time.Second}
	off := Limits{Unproven: -1, Idle: -1, Stage: -1}
	for name, c := range map[string]struct {
		limits Limits
		send   func(net.Conn)
		want   time.Duration
	}{
		"silent":                {limits, func(net.Conn) {}, 20 * time.Second},
		"a byte now and then":   {limits, func(c net.Conn) { drip(c, "x", 7*time.Second) }, 30 * time.Second},
		"a line now and then":   {limits, func(c net.Conn) { drip(c, "\n", 7*time.Second) }, 60 * time.Second},
		"proven, then silent":   {limits, func(c net.Conn) { _, _ = c.Write([]byte("login\n")) }, 20 * time.Second},
		"proven, then dripping": {limits, func(c net.Conn) { _, _ = c.Write([]byte("login\n")); drip(c, "x", 19*time.Second) }, 30 * time.Second},
		"only its life limited": {Limits{Unproven: time.Hour, Idle: -1, Stage: -1}, func(net.Conn) {}, time.Hour},
		"defaults":              {Limits{}, func(net.Conn) {}, 5 * time.Minute},
		"no limits":             {off, func(c net.Conn) { time.Sleep(24 * time.Hour); _ = c.Close() }, 24 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			s := testService(1)
			s.Limits = c.limits
			simulate(t, s, Options{}, func(t *testing.T, r *running, p *pipes) {
				conn := p.dial("192.0.2.1")
				var sender sync.WaitGroup
				sender.Go(func() { c.send(conn) })
				if got := held(conn); got != c.want {
					t.Errorf("held %v, want %v", got, c.want)
				}
				_ = conn.Close()
				sender.Wait()
				synctest.Wait()
				e := r.log.of(connlog.Close)[0]
				if want := c.limits != off; (e.End == connlog.EndTimeout) != want {
					t.Errorf("end %q", e.End)
				}
			})
		})
	}
}

// While the client waits for us, its limits rest.
func TestLimitsRestWhileTheServerWorks(t *testing.T) {
	s := testService(1)
	s.Limits = Limits{Unproven: 10 * time.Second, Idle: 10 * time.Second, Stage: 10 * time.Second}
	proto := &lines{}
	s.Protocol = proto
	simulate(t, s, Options{}, func(t *testing.T, r *running, p *pipes) {
		proto.release = make(chan struct{}) // It must belong to the bubble.
		c := newPipeClient(p.dial("192.0.2.1"))
		c.expect(t, "hi")
		if got := c.say("login"); got != "ok" {
			t.Fatal(got)
		}
		_, _ = c.Write([]byte("work\n"))
		time.Sleep(time.Hour)
		close(proto.release)
		c.expect(t, "ok")
		_ = c.Close()
		synctest.Wait()
		e := r.log.of(connlog.Close)[0]
		if e.End != connlog.EndClient || e.Stages[connlog.StageDeliver] != time.Hour {
			t.Errorf("close line: %+v", e)
		}
	})
}

// A client that takes nothing cannot hold a thread with a write.
func TestLimitOfWrites(t *testing.T) {
	s := testService(1)
	s.Limits = Limits{Write: 7 * time.Second}
	simulate(t, s, Options{}, func(t *testing.T, r *running, p *pipes) {
		c := p.dial("192.0.2.1") // The greeting is not read, and a pipe has no buffer.
		time.Sleep(8 * time.Second)
		synctest.Wait()
		if e := r.log.of(connlog.Close); len(e) != 1 || e[0].Held != 7*time.Second || e[0].End != connlog.EndTimeout {
			t.Errorf("close lines: %+v", e)
		}
		_ = c.Close()
	})
}

// What the protocol asks for counts where it is earlier, also for a read that
// waits already, and an interruption of its own is no timeout.
func TestDeadlinesOfTheProtocol(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := testService(1)
		p := newPipes()
		s.Listener = p
		r, err := New(Options{Services: []Service{s}})
		if err != nil {
			t.Fatal(err)
		}
		svc := r.services[0]
		ours, theirs := net.Pipe()
		svc.pool.take(connlog.AddressLevel.Source(netip.MustParseAddr("192.0.2.1")), sourceLimits{})
		r.handlers.Add(1)
		c := newConn(ours, svc, netip.MustParseAddrPort("192.0.2.1:1"), netip.MustParsePrefix("192.0.2.1/32"), time.Now())
		read := func() time.Duration {
			start := time.Now()
			if _, err := c.Read(make([]byte, 1)); !isTimeout(err) {
				t.Errorf("read: %v", err)
			}
			return time.Since(start)
		}
		_ = c.SetDeadline(time.Now().Add(time.Second))
		if got := read(); got != time.Second || c.cause != connlog.EndTimeout {
			t.Errorf("read for %v, cause %q", got, c.cause)
		}
		_ = c.SetReadDeadline(time.Now().Add(time.Hour))
		c.cause = ""
		go func() {
			time.Sleep(2 * time.Second)
			_ = c.SetReadDeadline(time.Unix(1, 0))
		}()
		if got := read(); got != 2*time.Second || c.cause != "" {
			t.Errorf("interrupted after %v, cause %q", got, c.cause)
		}
		_ = c.SetReadDeadline(time.Time{})
		if got := read(); got != 5*time.Minute-3*time.Second {
			t.Errorf("without a deadline of the protocol: %v", got)
		}
		_, _ = c.Close(), theirs.Close()
	})
}

func newPipeClient(c net.Conn) *client {
	return &client{c, bufio.NewReader(c)}
}

func TestAcceptBacksOff(t *testing.T) {
	s := testService(1)
	simulate(t, s, Options{}, func(t *testing.T, r *running, p *pipes) {
		p.dial("192.0.2.9").Close() // Past the first Accept.
		for range 12 {
			p.fail <- &net.OpError{Op: "accept", Err: syscall.EMFILE}
		}
		p.dial("192.0.2.9").Close()
		start := time.Now()
		c := newPipeClient(p.dial("192.0.2.1"))
		c.expect(t, "hi")
		// 5 ms doubled until it is a second: 5+10+...+640, then 1 s each.
		want := 1275*time.Millisecond + 4*time.Second
		if got := time.Since(start); got != want {
			t.Errorf("accepted again after %v, want %v", got, want)
		}
		// The next error begins from the shortest pause.
		p.fail <- syscall.ENFILE
		p.fail <- syscall.ECONNABORTED // No pause at all.
		_ = c.Close()
		synctest.Wait()
		p.dial("192.0.2.9").Close()
		start = time.Now()
		c = newPipeClient(p.dial("192.0.2.1"))
		c.expect(t, "hi")
		if got := time.Since(start); got != minPause {
			t.Errorf("accepted again after %v, want %v", got, minPause)
		}
		_ = c.Close()
	})
}

// A server whose accept loop pauses can still be stopped at once.
func TestShutdownDuringBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipes()
		for range 100 {
			p.fail <- syscall.EMFILE
		}
		s := testService(1)
		s.Listener = p
		r := run(t, Options{Services: []Service{s}})
		time.Sleep(10 * time.Second)
		start := time.Now()
		if err := r.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if got := time.Since(start); got > maxPause {
			t.Errorf("stopped after %v", got)
		}
	})
}

func TestBeat(t *testing.T) {
	s := testService(3)
	simulate(t, s, Options{}, func(t *testing.T, r *running, p *pipes) {
		c := newPipeClient(p.dial("192.0.2.1"))
		c.expect(t, "hi")
		r.banned.set("192.0.2.2", true)
		refused := newPipeClient(p.dial("192.0.2.2"))
		refused.expect(t, "no: banned")
		_ = refused.Close()
		time.Sleep(21 * time.Second)
		beats := r.log.of(connlog.Beat)
		if len(beats) != 4 {
			t.Fatalf("%d beats in 21 s", len(beats))
		}
		got := beats[3].Services[0]
		if want := (connlog.Service{Service: "test", Threads: 3, Busy: 1, Refused: 1}); got != want {
			t.Errorf("beat: %+v, want %+v", got, want)
		}
		_ = c.Close()
	})
}

// A flood of refusals is folded in the log, in time, and to the last one.
func TestFloodInTheLog(t *testing.T) {
	s := testService(1)
	s.Protocol = &lines{silent: true}
	simulate(t, s, Options{}, func(t *testing.T, r *running, p *pipes) {
		r.banned.set("192.0.2.1", true)
		begin := time.Now()
		for range 950 {
			_ = p.dial("192.0.2.1").Close()
			time.Sleep(10 * time.Millisecond)
		}
		synctest.Wait()
		_ = r.Shutdown(t.Context())
		var sum uint64
		refused := r.log.of(connlog.Refuse)
		for i, e := range refused {
			sum += max(1, e.Count)
			if i >= foldAfter && e.Time.Sub(refused[i-1].Time) > time.Second+time.Millisecond {
				t.Errorf("line %d came late: %v after the one before", i, e.Time.Sub(refused[i-1].Time))
			}
		}
		if sum != 950 {
			t.Errorf("the log counts %d refusals of 950", sum)
		}
		if n := len(refused); n > foldAfter+12 {
			t.Errorf("%d lines in %v", n, time.Since(begin))
		}
	})
}

// Refused clients that do not take their answer hold a bounded number of
// refusers, each for a second; who comes past that is hung up on.
func TestRefusersAreBounded(t *testing.T) {
	s := testService(1)
	simulate(t, s, Options{Refusers: 3}, func(t *testing.T, r *running, p *pipes) {
		r.banned.set("192.0.2.1", true)
		start := time.Now()
		for range 3 {
			c := p.dial("192.0.2.1")
			defer func() { _ = c.Close() }()
		}
		extra := p.dial("192.0.2.1")
		if _, err := extra.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("read: %v", err)
		}
		if time.Since(start) != 0 {
			t.Error("it was kept waiting")
		}
		if n := len(r.refusals.slots); n != 3 {
			t.Errorf("%d refusers at work", n)
		}
		time.Sleep(refusalTime)
		synctest.Wait()
		if n := len(r.refusals.slots); n != 0 {
			t.Errorf("%d refusers still at work", n)
		}
		c := newPipeClient(p.dial("192.0.2.1"))
		c.expect(t, "no: banned")
		_ = c.Close()
	})
}

// Where the client speaks first, the refusal waits for it.
func TestRefusalAfterTheQuestion(t *testing.T) {
	s := testService(1)
	s.Protocol = &lines{clientFirst: true}
	simulate(t, s, Options{}, func(t *testing.T, r *running, p *pipes) {
		r.banned.set("192.0.2.1", true)
		silent := p.dial("192.0.2.1")
		if got := held(silent); got != refusalTime {
			t.Errorf("the silent one was held for %v", got)
		}
		c := newPipeClient(p.dial("192.0.2.1"))
		if got := c.say("hello?"); got != "no: banned" {
			t.Errorf("got %q", got)
		}
		_, _ = silent.Close(), c.Close()
	})
}
