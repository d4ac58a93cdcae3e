package loss

import "time"

// Threads is the least number of threads with which, under the change, no more
// than the part target of the arrivals is refused. It is found by bisection;
// where a replay with more threads may refuse one arrival more, because
// somebody else got in, the number is one of those at which the target begins
// to be met.
func (s *System) Threads(c Change, target float64, seed uint64) int {
	return newPlayer(s).threadsFor(c, target, seed, 0)
}

// threadsFor does the search. It is quicker from a number that is near.
func (p *player) threadsFor(c Change, target float64, seed uint64, near int) int {
	if near == 0 && p.s.scanners != nil && c.Waiting == AsRecorded {
		quick := c
		quick.Waiting = unmoved
		near = p.threadsFor(quick, target, seed, 0)
	}
	low, high := 0, max(near, 1) // low is not enough, or no number
	for step := 1; !p.enough(c, target, seed, high); step *= 2 {
		low, high = high, high+step
	}
	for step := 1; low == 0 && high > 1; step *= 2 {
		if n := max(high-step, 1); p.enough(c, target, seed, n) {
			high = n
		} else {
			low = n
		}
	}
	for high-low > 1 {
		mid := low + (high-low)/2
		if p.enough(c, target, seed, mid) {
			high = mid
		} else {
			low = mid
		}
	}
	return high
}

// enough says whether that many threads meet the target.
func (p *player) enough(c Change, target float64, seed uint64, threads int) bool {
	c.Threads = threads
	// A replay that refuses more than this does not.
	limit := uint64(min(max(target, 0), 1) * float64(p.s.offered))
	out := p.play(c, seed, limit)
	return out.Refused <= limit && out.meets(target)
}

// meets says whether no more than a part of the arrivals was refused.
func (o *Outcome) meets(target float64) bool {
	return float64(o.Refused) <= target*float64(o.Served+o.Refused)
}

// Need is how many threads a pool needs, and why.
type Need struct {
	Threads Spread `json:"threads"` // by replay
	// Erlang is what Erlang's formula B says for clients that come at random
	// at the same rate: fewer, if they come in crowds. It is 0 for no load.
	Erlang int     `json:"erlang"`
	Lambda float64 `json:"lambda"`    // clients per second, retries not counted
	W      float64 `json:"w_seconds"` // seconds that a client holds its thread, on the average
	Peak   int     `json:"peak"`      // threads with which nobody is refused
}

// need finds what does not hang on the draw, and the threads for one seed.
func (p *player) need(c Change, target float64, seed uint64) Need {
	var w work
	p.work = &w
	c.Threads = Unlimited
	n := Need{Peak: p.play(c, seed, unbounded).Peak}
	p.work = nil
	if w.clients > 0 && p.s.rateFrom < p.s.rateUntil {
		n.Lambda = float64(w.clients) / time.Duration(p.s.rateUntil-p.s.rateFrom).Seconds()
		n.W = w.seconds / float64(w.clients)
		n.Erlang, _ = ErlangThreads(n.Lambda*n.W, target)
	}
	near := min(n.Erlang, n.Peak)
	if p.s.scanners != nil {
		near = 0
	}
	first := int64(p.threadsFor(c, target, seed, near))
	n.Threads = Spread{Min: first, Median: first, Max: first}
	return n
}
