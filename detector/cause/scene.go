package cause

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"overstay/detector/loss"
)

// scene is what happened at a pool in a stretch, as package loss wants it.
type scene struct {
	pool        *pool
	lead        int64 // where the replay begins
	begin, end  int64 // what is counted
	first, last int64 // of it, the stretch without its margins
	now         int64 // just after the end of the log: what is open then was not closed by it

	arrivals []loss.Arrival
	busy     []uint32          // by arrival, of refusals: what the log said was busy
	numbers  map[source]uint32 // of the sources
	services map[string]uint16 // numbers of them
	sources  []source          // by number
	arrived  uint64
	open     int // connections that had not ended
	threads  int
	unseen   int // threads held by connections that the log does not tell of
	notes    []string
}

// scene cuts a stretch out of what is known.
func (r *Recorder) scene(s Stretch) (*scene, error) {
	p := r.pools.byName[s.Pool]
	if p == nil {
		return nil, fmt.Errorf("%w: %q", ErrPool, s.Pool)
	}
	first, last, ok := r.ours(s)
	if !ok || last <= p.forgotten {
		return nil, ErrForgotten
	}
	c := &scene{pool: p, begin: first, end: last, first: first, last: last, now: r.clock.now + 1, numbers: make(map[source]uint32), services: r.pools.numbers}
	if !s.exact {
		c.begin, c.end = first-margin, min(last+margin, r.clock.now)
	}
	c.lead = c.begin - r.leadIn
	c.clip(first, last, s.exact)
	c.gather(min(r.maxArrivals, loss.MaxArrivals/4))
	return c, nil
}

// clip keeps a scene within what is known, and within one size of the pool.
func (c *scene) clip(first, last int64, exact bool) {
	size := c.pool.sizeAt(last)
	if next := c.pool.resized(last); !exact && next <= c.end {
		c.end = next - 1
	}
	c.threads = size.threads
	if size.at <= first {
		c.lead = max(c.lead, size.at)
	} else if len(c.pool.sizes) > 1 && size.at > c.pool.sizes[0].at {
		c.note("The pool got another size meanwhile; it is taken to have had %d threads throughout.", size.threads)
	}
	if c.pool.forgotten > first {
		c.note("The beginning is forgotten: more arrivals came than are kept.")
	}
	if c.pool.drops > 0 {
		c.lead = max(c.lead, c.pool.forgotten+1)
	}
	c.begin = max(c.begin, c.lead)
}

func (c *scene) note(format string, args ...any) {
	c.notes = append(c.notes, fmt.Sprintf(format, args...))
}

// since turns our time into that of the recording.
func (c *scene) since(t int64) time.Duration {
	return time.Duration(min(max(t-c.begin, -maxMicros), maxMicros)) * time.Microsecond
}

const maxMicros = math.MaxInt64 / 1000 / 4

// gather takes the arrivals of the scene, in order of time. Nearly all lines
// are in that order; those of connections that were carried over are not.
func (c *scene) gather(most int) {
	var late []loss.Arrival
	var lateBusy []uint32
	add := func(a *arrival) {
		if a.at > c.end || a.refused && a.at < c.lead || !a.refused && a.at < c.lead && a.end(c.now) <= c.lead {
			return
		}
		x, busy := c.arrival(a)
		if n := len(c.arrivals); n > 0 && x.At < c.arrivals[n-1].At {
			late, lateBusy = append(late, x), append(lateBusy, busy)
			return
		}
		c.arrivals, c.busy = append(c.arrivals, x), append(c.busy, busy)
	}
	for i := range c.pool.kept {
		add(&c.pool.kept[i].arrival)
	}
	for n := c.pool.row.first; n < c.pool.row.next; n++ {
		add(c.pool.row.at(n))
	}
	c.merge(late, lateBusy)
	c.bound(most)
	from, until := max(c.since(c.first), 0), c.since(c.last)
	for i := range c.arrivals {
		if a := &c.arrivals[i]; a.At >= from && a.At <= until {
			c.arrived += uint64(max(a.Count, 1))
		}
	}
}

func (c *scene) arrival(a *arrival) (loss.Arrival, uint32) {
	x := loss.Arrival{At: c.since(a.at), Source: c.number(a.source), Service: a.service}
	if a.refused {
		x.Refused, x.Count = true, a.count
		return x, uint32(min(a.hold, math.MaxUint32))
	}
	if a.hold == stillOpen {
		c.open++
	}
	x.Hold = time.Duration(min(a.end(c.now)-a.at, maxMicros)) * time.Microsecond
	x.Before, x.Wait, x.Scan = duration(a.before), duration(a.wait), duration(a.scan)
	return x, 0
}

func (c *scene) number(s source) uint32 {
	n, ok := c.numbers[s]
	if !ok {
		n = uint32(len(c.sources))
		c.numbers[s] = n
		c.sources = append(c.sources, s)
	}
	return n
}

// merge puts in the arrivals that were out of order.
func (c *scene) merge(late []loss.Arrival, busy []uint32) {
	if len(late) == 0 {
		return
	}
	type both struct {
		a    loss.Arrival
		busy uint32
	}
	rest := make([]both, len(late))
	for i := range late {
		rest[i] = both{late[i], busy[i]}
	}
	slices.SortStableFunc(rest, func(x, y both) int { return cmp.Compare(x.a.At, y.a.At) })
	i, k := len(c.arrivals)-1, len(rest)-1
	c.arrivals = append(c.arrivals, late...)
	c.busy = append(c.busy, busy...)
	for j := len(c.arrivals) - 1; k >= 0; j-- {
		if i >= 0 && c.arrivals[i].At > rest[k].a.At {
			c.arrivals[j], c.busy[j] = c.arrivals[i], c.busy[i]
			i--
		} else {
			c.arrivals[j], c.busy[j] = rest[k].a, rest[k].busy
			k--
		}
	}
}

// bound cuts the counts of folded refusals: a replay tries each by itself, so
// there must be no more of them than twice the arrivals that are kept.
func (c *scene) bound(most int) {
	limit := 2 * uint64(max(most, len(c.arrivals)))
	cut := false
	for count := uint32(maxCount); ; count /= 2 {
		var sum uint64
		for i := range c.arrivals {
			a := &c.arrivals[i]
			if a.Count > count {
				a.Count, cut = count, true
			}
			sum += uint64(max(a.Count, 1))
		}
		if sum <= limit {
			break
		}
	}
	if cut {
		c.note("There were more refusals than can be replayed; the largest counts were cut.")
	}
}

// shortest is the least time that a rate of clients is reckoned from: two
// refusals in a millisecond are no thousands in a second.
const shortest = 10 * time.Second

// recording is the scene for package loss, with the threads that nobody is
// known to hold held by a source of its own.
func (c *scene) recording() loss.Recording {
	rec := loss.Recording{Threads: c.threads, Sources: len(c.sources), Arrivals: c.arrivals,
		Length: c.since(c.end)}
	rec.RateFrom, rec.RateUntil = c.since(c.first), c.since(c.last)
	if short := shortest - (rec.RateUntil - rec.RateFrom); short > 0 {
		rec.RateFrom, rec.RateUntil = rec.RateFrom-short/2, rec.RateUntil+short/2
	}
	if c.unseen == 0 {
		return rec
	}
	first := c.since(c.lead)
	if len(c.arrivals) > 0 {
		first = min(first, c.arrivals[0].At)
	}
	ghosts := make([]loss.Arrival, c.unseen, c.unseen+len(c.arrivals))
	for i := range ghosts {
		ghosts[i] = loss.Arrival{At: first - 1, Hold: c.since(c.end) - first + 2, Source: uint32(rec.Sources), Service: math.MaxUint16}
	}
	rec.Sources++
	rec.Arrivals = append(ghosts, c.arrivals...)
	return rec
}

// notes are what is to be known of the log.
func (r *Recorder) notes(c *scene) []string {
	var notes []string
	if n := r.missing.between(c.lead, c.end); n > 0 {
		notes = append(notes, fmt.Sprintf("%d lines of the log are missing in this time.", n))
	}
	if c.open > 0 && c.end >= c.now-margin {
		notes = append(notes, fmt.Sprintf("%d connections are still open; what they waited for is not known yet.", c.open))
	}
	if r.dropped > 0 {
		notes = append(notes, fmt.Sprintf("The %d oldest decisions of policies are forgotten.", r.dropped))
	}
	return notes
}
