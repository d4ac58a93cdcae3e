package server

import (
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestAcceptBacksOff(t *testing.T) {
	s := testService(20)
	simulate(t, s, Options{}, func(t *testing.T, r *running, p *pipes) {
		pass := func() { _ = p.dial("192.0.2.9").Close() } // Past the Accept that waits.
		pass()
		synctest.Wait() // Or the errors are there before the next Accept is.
		for range 12 {
			p.fail <- &net.OpError{Op: "accept", Err: syscall.EMFILE}
		}
		pass()
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
		pass()
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
		s := testService(20)
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
