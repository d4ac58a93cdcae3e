package detector

import (
	"net/netip"
	"slices"
	"time"
)

// Rank is the place of a source, or of a net, among those that hold threads,
// over all pools.
type Rank struct {
	Source        netip.Prefix
	Members       int // of a net, the sources that hold threads now, in each pool
	Conns         int // threads it holds now
	Unproven      int // of these, with unproven connections
	Load1         float64
	Load5         float64
	Load15        float64
	UnprovenLoad1 float64
	Oldest        time.Duration // age of its oldest open connection
	Share         float64       // of the pool it holds the largest part of
	Refused       float64       // per minute
	Fails         float64       // per minute
	ThreadSeconds float64
	Blame         float64 // busy refusals it caused
	Blame1        float64 // the same, per minute
}

// standing is a source as it stands at the time of a ranking.
type standing struct {
	key   key
	load1 float64
	s     *source
}

// Ranking returns the n sources that hold the most threads: by load1, then by
// the connections open now, then by address. It looks and changes nothing, so
// it can be asked for at any time without a trace in later decisions.
func (d *Detector) Ranking(n int) []Rank {
	if n <= 0 {
		return nil
	}
	all := d.standings()
	if len(d.pools.all) > 1 {
		all = sumByAddress(all)
	}
	all = heaviest(all, n)
	ranks := make([]Rank, 0, len(all))
	for _, st := range all {
		ranks = append(ranks, d.rank(st))
	}
	return ranks
}

// asOf is the time a report is about.
func (d *Detector) asOf() int64 { return max(d.now, d.advanced) }

// standings lists every source with its load1 at this moment.
func (d *Detector) standings() []standing {
	now := d.asOf()
	all := make([]standing, 0, d.table.index.n)
	for s := range d.table.index.all { // in any order: that of the ranks is total
		all = append(all, standing{key: s.key, load1: s.load1At(now), s: s})
	}
	return all
}

// load1At is load1 as it will be at now if nothing happens.
func (s *source) load1At(now int64) float64 {
	return s.all.m1At(s.conns(), now-s.at)
}

// sumByAddress adds up what one address holds in several pools; the sum
// stands under its first one.
func sumByAddress(all []standing) []standing {
	slices.SortFunc(all, func(a, b standing) int { return a.key.compare(b.key) })
	out := all[:0]
	for _, st := range all {
		if n := len(out); n > 0 && out[n-1].key.addr == st.key.addr {
			out[n-1].load1 += st.load1
			continue
		}
		out = append(out, st)
	}
	return out
}

// heaviest returns the first n of the order, in order. Of the many that are
// left of a long day, only those that can be among them are sorted.
func heaviest(all []standing, n int) []standing {
	byLoad := func(a, b standing) int {
		switch {
		case a.load1 > b.load1:
			return -1
		case a.load1 < b.load1:
			return 1
		}
		if c := b.s.conns() - a.s.conns(); c != 0 {
			return c
		}
		return a.key.compare(b.key)
	}
	n = min(n, len(all))
	best := make([]standing, 0, 2*n)
	var bar *standing // the last that is in so far; nil: everything is
	for _, st := range all {
		if bar != nil && byLoad(st, *bar) > 0 {
			continue
		}
		if best = append(best, st); len(best) == 2*n {
			slices.SortFunc(best, byLoad)
			best = best[:n]
			bar = &best[n-1]
		}
	}
	slices.SortFunc(best, byLoad)
	return best[:n]
}

func (s *source) conns() int {
	if s.hold == nil {
		return 0
	}
	return s.hold.open
}

// rank adds up what the address holds in all pools.
func (d *Detector) rank(st standing) Rank {
	now := d.asOf()
	r := Rank{Source: d.source(st.key)}
	for _, p := range d.pools.all {
		s := d.table.peek(key{addr: st.key.addr, pool: p.id})
		if s == nil {
			continue
		}
		c := s.copyAt(now, p)
		v := view{now: now, s: &c, p: p, d: d}
		r.Conns += v.open()
		r.Unproven += v.unproven()
		r.Load1 += c.all.m1
		r.Load5 += c.all.m5
		r.Load15 += c.all.m15
		r.UnprovenLoad1 += c.unproven.m1
		r.Oldest = max(r.Oldest, time.Duration(v.oldest()*float64(time.Second)))
		r.Share = max(r.Share, p.share(v.open()))
		r.Refused += float64(c.rates.refused)
		r.Fails += float64(c.rates.fails)
		r.ThreadSeconds += c.all.seconds
		r.Blame += c.blame
		r.Blame1 += float64(c.blame1)
	}
	return r
}

// copyAt is the source as it will be at now if nothing happens. Neither it nor
// its pool is changed.
func (s *source) copyAt(now int64, p *pool) source {
	c, pc := *s, *p
	if s.hold != nil {
		h := *s.hold
		c.hold = &h
	}
	pc.advance(now)
	c.advance(now, &pc)
	return c
}

// Pools returns what is known of each pool, in the order the log named them.
func (d *Detector) Pools() []PoolState {
	now := d.asOf()
	var out []PoolState
	for _, p := range d.pools.all {
		c := *p
		c.advance(now)
		out = append(out, PoolState{
			Name: c.name, Threads: c.threads, Busy: c.busy(),
			Unproven: c.unproven, Sources: c.sources,
			Load1: c.load.m1, Load5: c.load.m5, Load15: c.load.m15,
			Refused: c.refused, Refusals: c.refusals, Unblamed: c.unblamed, At: d.logTime(now),
		})
	}
	return out
}
