package loss

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// Spread of a number over n seeds. The truth is as one more draw, so it lies
// between Min and Max in (n-1)/(n+1) of the cases: two of three with five
// seeds, nine of ten with twenty. The median of an even number of values is the
// lower one of the two in the middle.
type Spread struct {
	Min    int64 `json:"min"`
	Median int64 `json:"median"`
	Max    int64 `json:"max"`
}

func spreadOf(values []int64) Spread {
	if len(values) == 0 {
		return Spread{}
	}
	v := slices.Sorted(slices.Values(values))
	return Spread{Min: v[0], Median: v[(len(v)-1)/2], Max: v[len(v)-1]}
}

// Clear says whether all of s is more than all of o.
func (s Spread) Clear(o Spread) bool { return s.Min > o.Max }

// Averted is what a change does: the refusals, of sources that are not
// suspects, that happen without it and not with it. It may be negative.
type Averted struct {
	Change  Change `json:"-"`
	Left    Spread `json:"left"` // refusals that still happen
	Averted Spread `json:"averted"`
	// Guessed is the most clients for whom there was no holding time to draw
	// from; see Options.Unknown. If they are many, the rest is a guess too.
	Guessed uint64 `json:"guessed"`
}

func others(outs []Outcome) []int64 {
	v := make([]int64, len(outs))
	for k := range outs {
		v[k] = int64(outs[k].Others)
	}
	return v
}

// averted compares two rows of outcomes, seed by seed.
func averted(c Change, without, with []Outcome) Averted {
	less := make([]int64, len(with))
	var guessed uint64
	for k := range with {
		guessed = max(guessed, with[k].Guessed)
		less[k] = int64(without[k].Others) - int64(with[k].Others)
	}
	return Averted{Change: c, Left: spreadOf(others(with)), Averted: spreadOf(less), Guessed: guessed}
}

// each does the jobs on as many processors as there are and waits for all, which
// is soon once it is over.
// Every job writes to a place of its own, so their order is of no matter.
func (s *System) each(over func() bool, jobs []func(*player)) {
	var next atomic.Int64
	var wait sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(jobs)) {
		wait.Go(func() {
			p := newPlayer(s)
			p.idle = over
			for {
				n := int(next.Add(1)) - 1
				if n >= len(jobs) {
					return
				}
				jobs[n](p)
			}
		})
	}
	wait.Wait()
}
