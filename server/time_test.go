package server

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
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

func newPipeClient(c net.Conn) *client {
	return &client{c, bufio.NewReader(c)}
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
