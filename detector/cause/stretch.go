package cause

import (
	"cmp"
	"net/netip"
	"slices"
	"time"
)

// Stretch is a time in which a pool turned clients away.
type Stretch struct {
	Pool    string    `json:"pool"`
	From    time.Time `json:"from"` // of the first busy refusal
	To      time.Time `json:"to"`   // of the last one
	Refused uint64    `json:"refused"`

	// In our time, which does not go back; first is 0 if somebody else made it.
	first, last int64
	// A range that was asked for is taken as it is, else there is a margin.
	exact bool
}

// Suspect is a source that a policy decided about: an address, a /64, or a
// net. All addresses in it are suspected.
type Suspect struct {
	Source netip.Prefix
	Policy string
	At     time.Time // of the decision
	// Until is when its ban would end; zero if none would begin.
	Until time.Time
	// Services that the ban would be for; nil: all.
	Services []string
}

// suspicion is a suspect in our time.
type suspicion struct {
	Suspect
	from, until int64
}

// maxSuspects is the number of decisions that are remembered.
const maxSuspects = 1 << 14

// Suspect notes a decision of a detector on the same log, right after the line
// by which it was made was observed.
func (r *Recorder) Suspect(s Suspect) {
	if !s.Source.IsValid() {
		return
	}
	if len(r.suspects) == maxSuspects {
		r.suspects = slices.Delete(r.suspects, 0, maxSuspects/4)
		r.dropped += maxSuspects / 4
	}
	n := suspicion{Suspect: s, from: r.clock.internal(s.At)}
	n.until = n.from
	if s.Until.After(s.At) {
		n.until = n.from + s.Until.Sub(s.At).Microseconds()
	}
	r.suspects = append(r.suspects, n)
}

// Pools are the names of the pools, in the order in which the log told of
// them.
func (r *Recorder) Pools() []string {
	names := make([]string, len(r.pools.all))
	for i, p := range r.pools.all {
		names[i] = p.name
	}
	return names
}

// Stretches are the runs of busy refusals, each of one pool and without a
// pause of more than a minute, in the order in which they began. Those that
// are forgotten are not among them.
func (r *Recorder) Stretches() []Stretch {
	var all []Stretch
	for _, p := range r.pools.all {
		for _, s := range p.stretches {
			if s.to > p.forgotten {
				all = append(all, r.told(p, s, false))
			}
		}
	}
	slices.SortStableFunc(all, func(a, b Stretch) int { return cmp.Compare(a.first, b.first) })
	return all
}

// Last is the stretch that went on longest, of all pools: that of now, if
// clients are turned away now. It is false if none ever was.
func (r *Recorder) Last() (Stretch, bool) {
	all := r.Stretches()
	if len(all) == 0 {
		return Stretch{}, false
	}
	return slices.MaxFunc(all, func(a, b Stretch) int {
		return cmp.Or(cmp.Compare(a.last, b.last), cmp.Compare(a.Refused, b.Refused))
	}), true
}

// Whole is any range of time as a stretch of a pool; a zero time is no bound.
// It is false if the log has no such pool or nothing of that time.
func (r *Recorder) Whole(pool string, from, to time.Time) (Stretch, bool) {
	p := r.pools.byName[pool]
	first, last, ok := r.clock.span(from, to)
	if p == nil || !ok {
		return Stretch{}, false
	}
	s := stretch{from: first, to: last}
	for n := p.row.first; n < p.row.next; n++ {
		if a := p.row.at(n); a.refused && a.at >= first && a.at <= last {
			s.refused += uint64(a.count)
		}
	}
	return r.told(p, s, true), true
}

func (r *Recorder) told(p *pool, s stretch, exact bool) Stretch {
	return Stretch{Pool: p.name, From: r.clock.logTime(s.from, false), To: r.clock.logTime(s.to, true), Refused: s.refused,
		first: s.from, last: s.to, exact: exact}
}

// ours returns the time of a stretch in our time.
func (r *Recorder) ours(s Stretch) (first, last int64, ok bool) {
	if s.first != 0 || s.last != 0 {
		return s.first, s.last, true
	}
	return r.clock.span(s.From, s.To)
}
