package server

import (
	"testing"
	"testing/synctest"
	"time"

	"overstay/connlog"
)

// What is parked stays in an empty pool as long as anything else, and goes as
// soon as the pool is crowded.
func TestParked(t *testing.T) {
	s := testService(6)
	s.Limits = Limits{Idle: time.Hour, Stage: -1, Unproven: -1}
	simulate(t, s, Options{}, func(t *testing.T, r *running, p *pipes) {
		visit := func(words ...string) *client {
			c := newPipeClient(p.dial("192.0.2.1"))
			c.expect(t, "hi")
			for _, w := range words {
				if got := c.say(w); got != "ok" {
					t.Fatalf("%s: %q", w, got)
				}
			}
			return c
		}
		closes := func() int { synctest.Wait(); return len(r.log.of(connlog.Close)) }

		parked := visit("login", "park")
		waiting := visit("login") // It is idle as well, but in the middle of something.
		time.Sleep(10 * time.Minute)
		if n := closes(); n != 0 {
			t.Fatalf("%d closed in a pool that is not crowded", n)
		}
		third := visit()
		time.Sleep(foldEvery)
		if n := closes(); n != 1 || r.log.of(connlog.Close)[0].Conn != 1 {
			t.Fatalf("%d closed, and not only the one that was parked", n)
		}
		_ = parked.Close()

		// In a crowded pool: a second, unless there is something else to do.
		late := visit("park")
		start := time.Now()
		if got := held(late); got > parkedTime {
			t.Errorf("parked for %v", got)
		}
		crowd := visit()
		for range 4 {
			time.Sleep(parkedTime / 2)
			if got := third.say("park"); got != "ok" {
				t.Fatalf("after %v: %q", time.Since(start), got)
			}
		}
		_ = third.say("login")
		time.Sleep(time.Minute)
		if n := closes(); n != 2 {
			t.Errorf("%d closed", n)
		}
		for _, c := range []*client{late, waiting, third, crowd} {
			_ = c.Close() // The server's end is what counts.
		}
	})
}
