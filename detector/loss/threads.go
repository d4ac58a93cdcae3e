package loss

import (
	"math"
	"time"
)

// Threads is the least number of threads with which, under the change, no more
// than the part target of the arrivals is refused. Where a replay with more
// threads may refuse one arrival more, because somebody else got in, the number
// is one of those at which the target begins to be met.
func (s *System) Threads(c Change, target float64, seed uint64) int {
	return newPlayer(s).threadsFor(c, target, seed, 1)
}

// threadsFor finds that number, the sooner the nearer it is to near. It looks in
// steps that double until it is between two numbers, and then where the refusals
// of these say that it should be: each look is a replay.
func (p *player) threadsFor(c Change, target float64, seed uint64, near int) int {
	c.Threads = max(near, 1)
	b := between{step: max(near/64, 1)}
	for !b.narrow(c.Threads, p.over(c, target, seed)) {
		c.Threads = b.next()
	}
	return b.high
}

// over is by how much more is refused than may be; enough threads have none of
// it. Where it is far too much, it is told only that.
func (p *player) over(c Change, target float64, seed uint64) float64 {
	target = min(max(target, 0), 1)
	limit := uint64(target * float64(p.s.offered))
	out := p.play(c, seed, 2*limit+16)
	return float64(out.Refused) - target*float64(out.Served+out.Refused)
}

// between are two numbers of threads, of which low is too few and high enough;
// 0 if none is known.
type between struct {
	low, high   int
	below, over float64 // by how much each misses the target: over 0, and not over 0
	step        int
	halve       bool // the last look took away less than half
}

// narrow takes in what a look at n threads saw, and says whether high is found.
func (b *between) narrow(n int, over float64) bool {
	width := b.high - b.low
	if over > 0 {
		b.low, b.below = n, over
	} else {
		b.high, b.over = n, over
	}
	b.halve = b.high-b.low > width/2
	return b.high > 0 && b.high-b.low == 1
}

// next is where to look next: some way behind where the refusals of the two say
// that the target lies, as seen from the nearer one. So that one is mostly left
// behind by the other.
func (b *between) next() int {
	width := b.high - b.low
	switch {
	case b.high == 0:
		b.step *= 2
		return b.low + b.step/2
	case b.low == 0:
		b.step *= 2
		return max(b.high-b.step/2, 1)
	case b.halve:
		return b.low + width/2
	}
	part, behind := b.below/(b.below-b.over), 1./16
	if part > 0.5 {
		behind = -behind
	}
	return min(max(b.low+int(math.Round((part+behind)*float64(width))), b.low+1), b.high-1)
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
	p.work, p.held = &w, make([]uint32, 1)
	c.Threads = Unlimited
	n := Need{Peak: p.play(c, seed, unbounded).Peak}
	near := p.exceeded(target)
	p.work, p.held = nil, nil
	if w.clients > 0 && p.s.rateFrom < p.s.rateUntil {
		n.Lambda = float64(w.clients) / time.Duration(p.s.rateUntil-p.s.rateFrom).Seconds()
		n.W = w.seconds / float64(w.clients)
		n.Erlang, _ = ErlangThreads(n.Lambda*n.W, target)
	}
	first := int64(p.threadsFor(c, target, seed, near))
	n.Threads = Spread{Min: first, Median: first, Max: first}
	return n
}

// count notes how many threads are held with a client who just came.
func (p *player) count() {
	for len(p.held) <= p.busy {
		p.held = append(p.held, 0)
	}
	p.held[p.busy]++
}

// exceeded is the number of threads that no more than the part target of the
// clients exceeded, in a replay with enough of them. With so many, hardly more
// are refused.
func (p *player) exceeded(target float64) int {
	var beyond float64
	for n := len(p.held) - 1; n > 0; n-- {
		if beyond += float64(p.held[n]); beyond > target*float64(p.now.Served) {
			return n
		}
	}
	return 1
}
