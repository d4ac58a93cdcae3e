package server

import (
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"overstay/connlog"
)

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
		"proven, then dripping": {limits, func(c net.Conn) { _, _ = c.Write([]byte("login\n")); drip(c, "x", 19*time.Second) }, 20 * time.Second},
		"only its life limited": {Limits{Unproven: time.Hour, Idle: -1, Stage: -1}, func(net.Conn) {}, time.Hour},
		"defaults":              {Limits{}, func(net.Conn) {}, 5 * time.Minute},
		"no limits":             {off, func(c net.Conn) { time.Sleep(24 * time.Hour); _ = c.Close() }, 24 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			s := testService(10) // Far from full.
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
		s := testService(10)
		p := newPipes()
		s.Listener = p
		r, err := New(Options{Services: []Service{s}})
		if err != nil {
			t.Fatal(err)
		}
		svc := r.services[0]
		ours, theirs := net.Pipe()
		from := originOf(netip.MustParseAddr("192.0.2.1"))
		svc.pool.take(from, sourceLimits{})
		r.handlers.Add(1)
		c := newConn(ours, svc, netip.MustParseAddrPort("192.0.2.1:1"), from, time.Now())
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

		// A timeout leaves a moment for the last words, and no more.
		_ = c.SetWriteDeadline(time.Time{})
		start := time.Now()
		if _, err := c.Write([]byte("bye")); !isTimeout(err) || time.Since(start) != lastWords {
			t.Errorf("last words: %v after %v", err, time.Since(start))
		}

		// Limits rest while the server works, also for a read that waits, and
		// begin anew when it is the client's turn.
		c.Enter(connlog.StageDeliver)
		go func() {
			time.Sleep(time.Hour)
			c.Proven(connlog.ByLogin, "")
			c.Enter(connlog.StageIdle)
		}()
		if got := read(); got != time.Hour+5*time.Minute {
			t.Errorf("with an hour of work: %v", got)
		}
		_, _ = c.Close(), theirs.Close()
	})
}
