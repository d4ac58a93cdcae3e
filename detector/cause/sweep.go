package cause

import (
	"cmp"
	"slices"
	"time"
)

// sweep goes through the scene as it was: it finds who held the threads when
// others were refused, and what the log does not tell of the pool.
func (c *scene) sweep(all []*group) {
	of := make([][]*group, len(c.sources))
	for _, g := range all {
		for _, m := range g.members {
			of[m] = append(of[m], g)
		}
	}
	var ends holders
	var toll float64 // what each thread was charged so far
	var lacking []int
	var peak, full, told int
	held := 0
	own := make([]account, len(c.sources)) // of those that are suspects
	charge := func(source uint32, threads int) {
		held += threads
		if len(of[source]) > 0 {
			own[source].charge(threads, toll)
		}
		for _, g := range of[source] {
			g.charge(threads, toll)
		}
	}
	for i := range c.arrivals {
		a := &c.arrivals[i]
		for len(ends) > 0 && ends[0].end <= a.At {
			charge(ends.pop().source, -1)
		}
		for _, g := range of[a.Source] {
			g.last = a.At
		}
		if !a.Refused {
			charge(a.Source, 1)
			ends.push(holder{end: a.At + a.Hold, source: a.Source})
			peak = max(peak, held)
			continue
		}
		full = max(full, held)
		busy := int(c.busy[i])
		told = max(told, busy)
		if a.At < 0 {
			continue
		}
		if busy > 0 {
			lacking = append(lacking, busy-held)
		}
		if len(of[a.Source]) == 0 {
			toll += float64(max(a.Count, 1)) / float64(max(busy, held, 1))
		}
	}
	for len(ends) > 0 {
		charge(ends.pop().source, -1)
	}
	for _, g := range all {
		c.blame(g, own)
	}
	c.settle(peak, full, told, lacking)
}

// account is what somebody holds, and was charged of the refusals.
type account struct {
	held    int
	paid    float64 // what a thread had been charged when that last changed
	charged float64
}

// charge puts threads in, or takes some out, when a thread has been charged
// so much.
func (a *account) charge(threads int, toll float64) {
	a.charged += float64(a.held) * (toll - a.paid)
	a.held, a.paid = a.held+threads, toll
}

// loudest is the part of a net's blame that one address must have to be named.
const loudest = 0.9

// blame tells of a suspect what it was charged, and who of a net it was.
func (c *scene) blame(g *group, own []account) {
	g.Blame = g.charged
	if len(g.members) < 2 {
		return
	}
	most := slices.MaxFunc(g.members, func(x, y uint32) int { return cmp.Compare(own[x].charged, own[y].charged) })
	if blame := own[most].charged; blame > 0 && blame >= loudest*g.Blame {
		g.Loudest, g.LoudestBlame = c.sources[most].prefix(), blame
	}
}

// settle finds the size of the pool, if the log does not tell it, and the
// threads that were held by connections it does not tell of.
func (c *scene) settle(peak, full, told int, lacking []int) {
	if c.threads <= 0 {
		for _, n := range []int{told, full, peak, 1} {
			if c.threads = n; n > 0 {
				break
			}
		}
		c.note("The log does not tell the size of the pool; it is taken to have %d threads.", c.threads)
	}
	if len(lacking) > 0 {
		// The one in the middle: a line more or less at the same moment is of no
		// matter.
		slices.Sort(lacking)
		c.unseen = min(max(lacking[len(lacking)/2], 0), c.threads)
	}
	if c.unseen > 0 {
		c.note("%d threads were held by connections that the log does not tell of.", c.unseen)
	}
}

// holder is a thread that is held.
type holder struct {
	end    time.Duration
	source uint32
}

// holders is a binary heap, the earliest end on top. That of the standard
// library allocates for each.
type holders []holder

func (h *holders) push(x holder) {
	s := append(*h, x)
	i := len(s) - 1
	for i > 0 && s[(i-1)/2].end > x.end {
		s[i] = s[(i-1)/2]
		i = (i - 1) / 2
	}
	s[i] = x
	*h = s
}

// pop takes the earliest. There must be one.
func (h *holders) pop() holder {
	s := *h
	first, x := s[0], s[len(s)-1]
	s = s[:len(s)-1]
	i := 0
	for 2*i+1 < len(s) {
		down := 2*i + 1
		if down+1 < len(s) && s[down+1].end < s[down].end {
			down++
		}
		if x.end <= s[down].end {
			break
		}
		s[i] = s[down]
		i = down
	}
	if len(s) > 0 {
		s[i] = x
	}
	*h = s
	return first
}
