package detector

import (
	"slices"
	"time"
)

// Nets returns the n nets that hold the most threads, by load1, then by the
// connections open now, then by address. Like Ranking it changes nothing. The
// figures that are kept for sources only are 0.
func (d *Detector) Nets(n int) []Rank {
	if n <= 0 {
		return nil
	}
	clock := d.nets.clock
	clock.reach(d.asOf())
	byKey := make(map[uint64]*Rank)
	var ranks []*Rank
	for _, p := range d.pools.all {
		for key, of := range p.nets {
			r := byKey[key]
			if r == nil {
				r = &Rank{Source: d.nets.target(key).prefix()}
				byKey[key] = r
				ranks = append(ranks, r)
			}
			r.addNet(of, p, &clock)
		}
	}
	slices.SortFunc(ranks, func(a, b *Rank) int {
		switch {
		case a.Load1 > b.Load1:
			return -1
		case a.Load1 < b.Load1:
			return 1
		}
		if c := b.Conns - a.Conns; c != 0 {
			return c
		}
		return a.Source.Compare(b.Source)
	})
	out := make([]Rank, 0, min(n, len(ranks)))
	for _, r := range ranks[:cap(out)] {
		out = append(out, *r)
	}
	return out
}

// addNet adds what a net holds in one pool.
func (r *Rank) addNet(n *net, p *pool, k *clock) {
	pool := *p
	pool.advance(k.at)
	sums := n.sums
	sums.run(k, pool.toll, int(n.open))
	all, unproven := sums.all.load(n.open, k), sums.unproven.load(n.unproven, k)
	r.Members += int(n.members)
	r.Conns += int(n.open)
	r.Unproven += int(n.unproven)
	r.Load1 += all.m1
	r.Load5 += all.m5
	r.Load15 += all.m15
	r.UnprovenLoad1 += unproven.m1
	r.Share = max(r.Share, p.share(int(n.open)))
	r.Fails += sums.fails / k.e.m1
	r.ThreadSeconds += n.threadSeconds(k.at)
	r.Blame += sums.blame
	r.Blame1 += sums.blame1 / k.e.m1
	for h := n.first; h != nil; h = h.nextMember {
		r.Oldest = max(r.Oldest, time.Duration(k.at-h.oldest())*time.Microsecond)
	}
}
