package server

import (
	"io"
	"testing"
	"time"

	"overstay/connlog"
)

// Those who are unproven and slow, but not idle: who takes an answer a piece a
// second, and who sends a message. They may, until threads are short.
func TestSlowButBusy(t *testing.T) {
	const threads = 10
	take := func(c *client) error {
		_, err := io.ReadFull(c, make([]byte, 1<<10))
		return err
	}
	send := func(bytes int) func(*client) error {
		return func(c *client) error {
			_, err := c.Write(make([]byte, bytes))
			return err
		}
	}
	limits := Limits{Stage: 20 * time.Minute}
	never := limits
	never.StressFrom = -1
	for name, c := range map[string]struct {
		limits Limits
		words  []string
		step   func(*client) error
		others int           // proven, who hold threads
		from   time.Duration // since when
		want   time.Duration // an hour is for ever
	}{
		"takes, empty":                {limits, []string{"file"}, take, 0, 0, time.Hour},
		"takes, not full enough":      {limits, []string{"file"}, take, 7, 0, time.Hour},
		"takes, full":                 {limits, []string{"file"}, take, 9, 0, 5 * time.Minute},
		"takes, stressed":             {limits, []string{"file"}, take, 8, 0, 5 * time.Minute},
		"takes, full later":           {limits, []string{"file"}, take, 9, 10 * time.Minute, 10 * time.Minute},
		"takes, full, never stressed": {never, []string{"file"}, take, 9, 0, time.Hour},
		"takes, full, proven":         {limits, []string{"login", "file"}, take, 9, 0, time.Hour},
		"sends, empty":                {limits, []string{"take"}, send(minDataRate + 100), 0, 0, 20 * time.Minute},
		"sends too little":            {limits, []string{"take"}, send(minDataRate / 2), 0, 0, 5 * time.Minute},
		"sends, full":                 {limits, []string{"take"}, send(1 << 20), 9, 0, 5 * time.Minute},
		"sends, full later":           {limits, []string{"take"}, send(minDataRate + 100), 9, 10 * time.Minute, 10 * time.Minute},
		"sends, full, never stressed": {never, []string{"take"}, send(minDataRate + 100), 9, 0, 20 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			s := testService(threads)
			s.Limits = c.limits
			simulate(t, s, Options{}, func(t *testing.T, r *running, p *pipes) {
				start := time.Now()
				slow := p.enter(t, "192.0.2.1", c.words[:len(c.words)-1]...)
				if _, err := io.WriteString(slow, c.words[len(c.words)-1]+"\n"); err != nil {
					t.Fatal(err)
				}
				var others []*client
				for time.Since(start) < time.Hour {
					if len(others) < c.others && time.Since(start) >= c.from {
						for range c.others {
							others = append(others, p.enter(t, "192.0.2.2", "login"))
						}
					}
					if c.step(slow) != nil {
						break
					}
					for _, o := range others {
						if got := o.say("hello"); got != "ok" {
							t.Fatalf("another is told %q", got)
						}
					}
					time.Sleep(time.Second)
				}
				if got := time.Since(start); got < c.want || got > c.want+2*time.Second {
					t.Errorf("held for %v, want %v", got, c.want)
				}
				for _, o := range append(others, slow) {
					_ = o.Close() // Whoever is left.
				}
			})
		})
	}
}

// In a stressed pool, making no room is the silence of who takes an answer.
func TestNoRoomUnderStress(t *testing.T) {
	for others, want := range map[int]time.Duration{0: 30 * time.Second, 9: 10 * time.Second} {
		s := testService(10)
		s.Limits = Limits{Idle: 100 * time.Second}
		simulate(t, s, Options{}, func(t *testing.T, r *running, p *pipes) {
			var all []*client
			for range others {
				all = append(all, p.enter(t, "192.0.2.2", "login"))
			}
			_ = p.dial("192.0.2.1") // It does not take the greeting.
			time.Sleep(time.Minute)
			for _, e := range r.log.of(connlog.Close) {
				if e.Held != want {
					t.Errorf("beside %d others held for %v, want %v", others, e.Held, want)
				}
			}
			if n := len(r.log.of(connlog.Close)); n != 1 {
				t.Errorf("beside %d others %d close lines", others, n)
			}
			for _, c := range all {
				_ = c.Close()
			}
		})
	}
}
