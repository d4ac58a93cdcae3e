package server

import (
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"overstay/connlog"
)

// enter connects and says some words, all of which are answered with ok.
func (p *pipes) enter(t *testing.T, from string, words ...string) *client {
	t.Helper()
	c := newPipeClient(p.dial(from))
	c.expect(t, "hi")
	for _, w := range words {
		if got := c.say(w); got != "ok" {
			t.Fatalf("%s: %q", w, got)
		}
	}
	return c
}

func TestPatience(t *testing.T) {
	const idle = 100 * time.Second
	for _, c := range []struct {
		limits        Limits
		busy, threads int
		want          time.Duration
	}{
		{Limits{Idle: idle}, 80, 100, idle},
		{Limits{Idle: idle}, 90, 100, 55 * time.Second},
		{Limits{Idle: idle}, 100, 100, 10 * time.Second},
		{Limits{Idle: idle}, 120, 100, 10 * time.Second}, // Threads were taken away.
		{Limits{Idle: idle}, 1, 1, 10 * time.Second},
		{Limits{Idle: idle, StressFrom: 0.5, StressedIdle: 20 * time.Second}, 75, 100, 60 * time.Second},
		{Limits{Idle: idle, StressFrom: 1}, 99, 100, idle},
		{Limits{Idle: idle, StressFrom: 3}, 50, 100, idle},
		{Limits{Idle: idle, StressFrom: -1}, 100, 100, idle},
		{Limits{Idle: idle, StressedIdle: -1}, 100, 100, idle},
		{Limits{Idle: idle, StressedIdle: time.Hour}, 100, 100, idle}, // It never grows.
		{Limits{Idle: -1}, 100, 100, 0},
		{Limits{Idle: -1, StressedIdle: time.Minute}, 80, 100, 0},
		{Limits{Idle: -1, StressedIdle: time.Minute}, 81, 100, time.Minute},
	} {
		l := c.limits.withDefaults()
		if got := l.patience(c.busy, c.threads).Round(time.Millisecond); got != c.want {
			t.Errorf("%+v with %d of %d: %v, want %v", c.limits, c.busy, c.threads, got, c.want)
		}
	}
}

// What waits already is hurried as the pool fills up, the less the fuller it
// is, and left in peace again when it empties. Who is proven is let be.
func TestPatienceUnderStress(t *testing.T) {
	s := testService(10)
	s.Limits = Limits{Idle: 100 * time.Second, StressedIdle: 10 * time.Second, ProvenIdle: time.Hour, Unproven: -1}
	simulate(t, s, Options{}, func(t *testing.T, r *running, p *pipes) {
		busy := func(want int) {
			t.Helper()
			synctest.Wait()
			if got := r.busy(); got != want {
				t.Fatalf("%d threads held, want %d", got, want)
			}
		}
		var proven []*client
		for range 8 {
			proven = append(proven, p.enter(t, "192.0.2.1", "login"))
		}
		early := p.enter(t, "192.0.2.3", "idle")
		time.Sleep(20*time.Second + 500*time.Millisecond) // Not at a tick of the server.
		late := p.enter(t, "192.0.2.4", "idle")           // The last thread: 10 s are enough for anybody.
		time.Sleep(foldEvery)
		busy(9)                      // The early one was gone at the next look,
		time.Sleep(52 * time.Second) // and the late one has the 55 s of a pool with a free thread.
		busy(9)
		_ = proven[0].Close()
		time.Sleep(5 * time.Second) // More than 55 s, but the pool is not stressed any more.
		busy(8)
		time.Sleep(43 * time.Second)
		busy(7)
		for _, c := range append(proven, early, late) {
			_ = c.Close() // Whoever is left.
		}
		synctest.Wait()
		for _, e := range r.log.of(connlog.Close) {
			if (e.End == connlog.EndTimeout) == e.Proven {
				t.Errorf("close line: %+v", e)
			}
		}
	})
}

// The server can lose patience long before the pool is crowded, and it finds
// it again.
func TestPatienceOfAnEmptyPool(t *testing.T) {
	for _, leave := range []bool{false, true} {
		s := testService(10)
		s.Limits = Limits{Idle: 100 * time.Second, StressedIdle: 10 * time.Second, StressFrom: 0.1, Unproven: -1}
		simulate(t, s, Options{}, func(t *testing.T, r *running, p *pipes) {
			time.Sleep(foldEvery / 2) // Not at a tick of the server.
			c := p.enter(t, "192.0.2.1", "idle")
			time.Sleep(20 * time.Second)
			var proven []*client
			for range 3 {
				proven = append(proven, p.enter(t, "192.0.2.2", "login"))
			}
			time.Sleep(20 * time.Second)
			want := 30 * time.Second // 70 s with a third of the way to a full pool.
			if leave {
				want = 60 * time.Second
				for _, o := range proven {
					_ = o.Close() // It says nothing more.
				}
			}
			if got := held(c); got != want {
				t.Errorf("all others leave %v: held for another %v, want %v", leave, got, want)
			}
			for _, o := range append(proven, c) {
				_ = o.Close() // Whoever is left.
			}
		})
	}
}

// A client that is proven may wait in IDLE for its half hour, though no step
// may take more than ten minutes.
func TestProvenClientsMayIdle(t *testing.T) {
	s := testService(10)
	s.Limits = Limits{ProvenIdle: 30 * time.Minute}
	simulate(t, s, Options{}, func(t *testing.T, r *running, p *pipes) {
		idle, busy := p.enter(t, "192.0.2.1", "login"), p.enter(t, "192.0.2.2", "login", "in command")
		if got := held(busy); got != 10*time.Minute {
			t.Errorf("a step lasted %v", got)
		}
		if got := held(idle); got != 20*time.Minute {
			t.Errorf("the idle one was held for another %v", got)
		}
		_, _ = idle.Close(), busy.Close()
	})
}

func TestLimitOfTheWholeSession(t *testing.T) {
	s := testService(10)
	s.Limits = Limits{Session: time.Hour}
	simulate(t, s, Options{}, func(t *testing.T, r *running, p *pipes) {
		c := p.enter(t, "192.0.2.1", "login")
		for range 59 {
			time.Sleep(time.Minute)
			if got := c.say("idle"); got != "ok" {
				t.Fatal(got)
			}
		}
		if got := held(c); got != time.Minute {
			t.Errorf("held for another %v", got)
		}
		_ = c.Close()

		// Nor does it help to take the answers a byte at a time.
		c = p.enter(t, "192.0.2.1", "login")
		start := time.Now()
		for b := make([]byte, 1); ; time.Sleep(5 * time.Second) {
			if _, err := c.Write([]byte("idle\n")); err != nil {
				break
			}
			for range len("ok\n") {
				if _, err := c.Read(b); err != nil {
					break
				}
				time.Sleep(9 * time.Second)
			}
		}
		if got := time.Since(start); got < time.Hour || got > time.Hour+40*time.Second {
			t.Errorf("the slow taker was held for %v", got)
		}
		synctest.Wait()
		for _, e := range r.log.of(connlog.Close) {
			if e.End != connlog.EndTimeout || e.Held > time.Hour+lastWords {
				t.Errorf("close line: %+v", e)
			}
		}
		_ = c.Close()
	})
}

// The visits of a stage count together.
func TestTotalOfAStage(t *testing.T) {
	simulate(t, testService(10), Options{}, func(t *testing.T, r *running, p *pipes) {
		c := p.enter(t, "192.0.2.1", "login") // Proven, and in the stage idle.
		start := time.Now()
		for range 6 { // Two minutes of other stages do not count.
			for _, stage := range []string{"in login", "in data"} {
				if got := c.say(stage); got != "ok" {
					t.Fatalf("after %v: %q", time.Since(start), got)
				}
				time.Sleep(19 * time.Second)
			}
		}
		if got := c.say("in login"); got != "ok" {
			t.Fatal(got)
		}
		if got := held(c); got != 6*time.Second {
			t.Errorf("the last of two minutes of login took %v", got)
		}
		_ = c.Close()
	})
}

// What takes us too long ends the session, but not before the client has its
// answer, for which it has a second.
func TestTotalOfOurStages(t *testing.T) {
	for _, takes := range []bool{true, false} {
		t.Run(fmt.Sprintf("takes the answer %v", takes), func(t *testing.T) {
			s := testService(10)
			s.Limits.Total[connlog.StageDeliver] = time.Minute
			proto := &lines{}
			s.Protocol = proto
			simulate(t, s, Options{}, func(t *testing.T, r *running, p *pipes) {
				proto.release = make(chan struct{}) // It must belong to the bubble.
				c := p.enter(t, "192.0.2.1", "login")
				if _, err := io.WriteString(c, "work\n"); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Hour)
				close(proto.release)
				want := time.Hour + lastWords
				if takes {
					want = time.Hour
					c.expect(t, "ok")
				} else {
					time.Sleep(time.Minute)
				}
				_ = held(c)
				synctest.Wait()
				e := r.log.of(connlog.Close)[0]
				if e.End != connlog.EndTimeout || e.Held != want {
					t.Errorf("close line: %+v", e)
				}
				_ = c.Close()
			})
		})
	}
}
