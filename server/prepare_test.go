package server

import (
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"overstay/connlog"
)

const greetDelay = 3 * time.Second

func TestGreetDelay(t *testing.T) {
	s := testService(10)
	s.GreetDelay = greetDelay
	simulate(t, s, Options{}, func(t *testing.T, r *running, p *pipes) {
		start := time.Now()
		c := newPipeClient(p.dial("192.0.2.1"))
		c.expect(t, "hi")
		if got := time.Since(start); got != greetDelay {
			t.Errorf("greeted after %v", got)
		}
		slow := newPipeClient(p.dial("192.0.2.1"))
		time.Sleep(greetDelay + 5*time.Second) // It may take as long for our words as any other.
		slow.expect(t, "hi")
		_ = slow.Close()
		time.Sleep(time.Minute) // Our own deadline has no effect any more.
		if got := c.say("quit"); got != "error: EOF" {
			t.Errorf("at the end: %q", got)
		}
		synctest.Wait()
		e := r.log.of(connlog.Close)[1]
		if e.Stages[connlog.StageGreeting] != 2*greetDelay+65*time.Second || e.Fails != 0 || e.End != connlog.EndServer {
			t.Errorf("close line: %+v", e)
		}
		_ = c.Close()
	})
}

// Who talks early has failed at a command, is greeted no earlier, and is
// understood nevertheless.
func TestEarlyTalker(t *testing.T) {
	s := testService(10)
	s.GreetDelay = greetDelay
	simulate(t, s, Options{}, func(t *testing.T, r *running, p *pipes) {
		start := time.Now()
		c := newPipeClient(p.dial("192.0.2.1"))
		go func() { _, _ = io.WriteString(c, "login\nfail\nqu") }()
		c.expect(t, "hi")
		if got := time.Since(start); got != greetDelay {
			t.Errorf("greeted after %v", got)
		}
		c.expect(t, "ok")
		c.expect(t, "ok")
		_ = c.say("it")
		synctest.Wait()
		e := r.log.of(connlog.Close)[0]
		if !e.Proven || e.Fails != 2 || e.BytesIn != int64(len("login\nfail\nquit\n")) {
			t.Errorf("close line: %+v", e)
		}
		if f := r.log.of(connlog.Fail)[0]; f.What != connlog.FailCommand {
			t.Errorf("fail line: %+v", f)
		}
		_ = c.Close()
	})
}

// More than is kept of what came early is not lost either.
func TestEarlyTalkerWithMuchToSay(t *testing.T) {
	s := testService(10)
	s.GreetDelay = 50 * time.Millisecond
	r := run(t, Options{Services: []Service{s}})
	c := r.dial(t, "127.0.0.1")
	const n = 3 * maxEarlyBytes
	for range n {
		if _, err := io.WriteString(c, "fail\n"); err != nil {
			t.Fatal(err)
		}
	}
	c.expect(t, "hi")
	for range n {
		c.expect(t, "ok")
	}
	c.say("quit")
	eventually(t, "the close line", func() bool { return len(r.log.of(connlog.Close)) == 1 })
	if e := r.log.of(connlog.Close)[0]; e.Fails != n+1 || e.BytesIn != 5*n+5 {
		t.Errorf("close line: %+v", e)
	}
}

func TestGoneBeforeTheGreeting(t *testing.T) {
	s := testService(10)
	s.GreetDelay = time.Hour
	r := run(t, Options{Services: []Service{s}})
	_ = r.dial(t, "127.0.0.1").Close()
	eventually(t, "the close line", func() bool { return len(r.log.of(connlog.Close)) == 1 })
	if e := r.log.of(connlog.Close)[0]; e.End != connlog.EndClient || e.Fails != 0 {
		t.Errorf("close line: %+v", e)
	}
}

// A limit of the service that is shorter than the delay holds.
func TestLimitsDuringTheDelay(t *testing.T) {
	s := testService(10)
	s.GreetDelay, s.Limits.Idle = time.Minute, 10*time.Second
	simulate(t, s, Options{}, func(t *testing.T, r *running, p *pipes) {
		c := p.dial("192.0.2.1")
		if got := held(c); got != 10*time.Second {
			t.Errorf("held for %v", got)
		}
		_ = c.Close()
		synctest.Wait()
		if e := r.log.of(connlog.Close)[0]; e.End != connlog.EndTimeout {
			t.Errorf("close line: %+v", e)
		}
	})
}

// Where the client is the first to speak, there is nothing to wait for.
func TestNoDelayWhereTheClientSpeaksFirst(t *testing.T) {
	s := testService(10)
	s.GreetDelay, s.Protocol = time.Hour, &lines{clientFirst: true}
	simulate(t, s, Options{}, func(t *testing.T, r *running, p *pipes) {
		start := time.Now()
		c := newPipeClient(p.dial("192.0.2.1"))
		c.expect(t, "hi")
		if time.Since(start) != 0 {
			t.Errorf("it took %v", time.Since(start))
		}
		_ = c.Close()
	})
}

// Under TLS the delay begins after the handshake, which is no early talk,
// while a word in the same segment as its last message is.
func TestGreetDelayUnderTLS(t *testing.T) {
	s, config := tlsService(t, 10)
	s.GreetDelay = greetDelay
	s.TLS.SessionTicketsDisabled = true // A pipe has no room for them.
	for _, early := range []bool{false, true} {
		simulate(t, s, Options{}, func(t *testing.T, r *running, p *pipes) {
			start := time.Now()
			raw := p.dial("192.0.2.1")
			if early {
				raw = &joining{Conn: raw}
			}
			c := secure(raw, config)
			if early {
				if _, err := io.WriteString(c, "login\n"); err != nil {
					t.Fatal(err)
				}
			}
			c.expect(t, "hi")
			if got := time.Since(start); got != greetDelay {
				t.Errorf("greeted after %v", got)
			}
			if early {
				c.expect(t, "ok")
			}
			_ = c.Close()
			synctest.Wait()
			e := r.log.of(connlog.Close)[0]
			if early && e.Fails != 1 || !early && e.Fails != 0 {
				t.Errorf("early %v: %d failures", early, e.Fails)
			}
			if e.Proven != early || e.Stages[connlog.StageGreeting] < greetDelay {
				t.Errorf("close line: %+v", e)
			}
		})
	}
}

// joining holds the last message of a handshake back until more follows, so
// that both go out in one write.
type joining struct {
	net.Conn
	writes int
	held   []byte
}

func (j *joining) Write(b []byte) (int, error) {
	j.writes++
	if j.writes == 2 {
		j.held = append(j.held, b...)
		return len(b), nil
	}
	_, err := j.Conn.Write(append(j.held, b...))
	j.held = nil
	return len(b), err
}
