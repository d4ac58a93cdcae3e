package traffic

import (
	"sync"
	"time"
)

// tally counts what the clients of one group do. Its methods may be called at
// the same time.
type tally struct {
	begin   time.Time // of the run
	seconds int       // length of the run, rounded up

	mu         sync.Mutex
	report     GroupReport
	held       int
	unfinished int
	latency    histogram
}

func newTally(g *Group, begin time.Time, seconds int) *tally {
	return &tally{
		begin: begin, seconds: seconds,
		report: GroupReport{Name: g.Name, Kind: g.Kind, Attacker: g.Attacker},
	}
}

// secondLocked returns the second that it is now. All that happens while the
// run is being wound up counts to its last second.
func (t *tally) secondLocked() *Second {
	now := min(int(time.Since(t.begin)/time.Second), t.seconds-1)
	for len(t.report.Seconds) <= now {
		t.report.Seconds = append(t.report.Seconds, Second{Held: t.held})
	}
	return &t.report.Seconds[now]
}

func (t *tally) began() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.secondLocked().Attempts++
	t.unfinished++
}

func (t *tally) ended(o Outcome, took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.secondLocked().Outcomes[o]++
	t.unfinished--
	if o == Done {
		t.latency.add(took)
	}
}

// hold changes the number of connections that are held.
func (t *tally) hold(by int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.held += by
	t.secondLocked().Held = t.held
}

// second returns what happened within the i-th second.
func (t *tally) second(i int) Second {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.secondLocked() // so that a second in which nothing happened is there
	if i >= len(t.report.Seconds) {
		return Second{}
	}
	return t.report.Seconds[i]
}

// finish returns the report, once all clients are gone.
func (t *tally) finish() GroupReport {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.secondLocked()
	r := t.report
	r.Unfinished = t.unfinished
	r.P50, r.P99, r.Max = t.latency.quantile(0.5), t.latency.quantile(0.99), t.latency.max
	return r
}
