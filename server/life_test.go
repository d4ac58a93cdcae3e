package server

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"overstay/connlog"
)

func TestListensOnAllOrNone(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	a, b := testService(1), testService(1)
	b.Name, b.Listen = "second", taken.Addr().String()
	s, err := New(Options{Services: []Service{a, b}})
	if err != nil {
		t.Fatal(err)
	}
	err = s.Listen()
	var failed *ListenError
	if !errors.As(err, &failed) || failed.Service != "second" || failed.Addr != b.Listen || failed.Err == nil {
		t.Fatalf("error: %v", err)
	}
	if s.Addr("test") != nil {
		t.Error("the first service listens")
	}
	_ = taken.Close()
	if err := s.Listen(); err != nil {
		t.Errorf("a second attempt: %v", err)
	}
	if err := s.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if err := s.Serve(context.Background()); !errors.Is(err, ErrClosed) {
		t.Errorf("Serve after Shutdown: %v", err)
	}
}

func TestShutdownLetsSessionsEnd(t *testing.T) {
	s := testService(4)
	p := &lines{release: make(chan struct{})}
	s.Protocol = p
	r := run(t, Options{Services: []Service{s}})
	c := r.dial(t, "127.0.0.1")
	c.expect(t, "hi")
	if _, err := c.Write([]byte("work\n")); err != nil {
		t.Fatal(err)
	}
	addr := r.Addr("test").String()
	ended := make(chan error, 1)
	go func() { ended <- r.Shutdown(context.Background()) }()
	eventually(t, "the port to close", func() bool {
		extra, err := net.Dial("tcp", addr)
		if err == nil {
			_ = extra.Close()
		}
		return err != nil
	})
	select {
	case err := <-ended:
		t.Fatalf("Shutdown did not wait: %v", err)
	default:
	}
	close(p.release)
	c.expect(t, "ok") // What was begun is finished.
	c.say("quit")
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := <-r.served; err != nil {
		t.Errorf("Serve: %v", err)
	}
	checkLog(t, r.log.events)
}

func TestShutdownCutsWhoDoesNotEnd(t *testing.T) {
	r := run(t, Options{Services: []Service{testService(4)}})
	c := r.dial(t, "127.0.0.1")
	c.expect(t, "hi")
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := r.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Shutdown: %v", err)
	}
	closes := r.log.of(connlog.Close)
	if len(closes) != 1 || closes[0].End != connlog.EndShutdown {
		t.Errorf("close lines: %+v", closes)
	}
	if !r.Status().Stopping || r.busy() != 0 {
		t.Errorf("status: %+v", r.Status())
	}
	checkLog(t, r.log.events)
}

// brokenProtocol ends by itself.
type brokenProtocol struct{ lines }

var errBroken = errors.New("broken")

func (*brokenProtocol) Serve(net.Listener) error { return errBroken }

func TestServeEndsWithItsProtocol(t *testing.T) {
	s := testService(1)
	s.Protocol = &brokenProtocol{}
	r := run(t, Options{Services: []Service{s}})
	if err := <-r.served; !errors.Is(err, errBroken) {
		t.Errorf("Serve: %v", err)
	}
	if stop := r.log.of(connlog.Stop); len(stop) != 1 || stop[0].Reason != "error" {
		t.Errorf("stop lines: %+v", stop)
	}
}

// deaf is a protocol that takes no connection.
type deaf struct {
	lines
	stop chan struct{}
}

func (d *deaf) Serve(net.Listener) error { <-d.stop; return nil }

func (d *deaf) Shutdown(context.Context) error { close(d.stop); return nil }

// What was admitted and never taken is not forgotten.
func TestShutdownEmptiesTheDoor(t *testing.T) {
	s := testService(4)
	s.Protocol = &deaf{stop: make(chan struct{})}
	r := run(t, Options{Services: []Service{s}})
	c := r.dial(t, "127.0.0.1")
	eventually(t, "admission", func() bool { return r.busy() == 1 })
	if err := r.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if got := c.line(); !strings.HasPrefix(got, "error: ") {
		t.Errorf("got %q", got)
	}
	checkLog(t, r.log.events)
}

// What a protocol waits for on behalf of a client ends with the connection.
func TestContextOfAConnection(t *testing.T) {
	for _, asked := range []string{"before", "after"} {
		r := run(t, Options{Services: []Service{testService(4)}})
		r.dial(t, "127.0.0.5").expect(t, "hi")
		c := r.pools[0].collect(nil)[0]
		if asked == "before" && c.Context().Err() != nil {
			t.Error("it has ended before the connection")
		}
		r.banned.set("127.0.0.5", true)
		r.Recheck()
		if c.Context().Err() == nil {
			t.Errorf("asked for %s the end: it goes on", asked)
		}
	}
}
