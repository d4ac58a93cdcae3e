package loss

import (
	"cmp"
	"slices"
	"time"
)

// coupling is how messages make each other wait for the scanners. With it, who
// is let in under a change makes others wait, and who is kept out does not.
//
// The scanners are taken for a queue; see Queue. A recorded connection waits
// as long as it did, and longer or shorter by what the queue with the messages
// of the replay makes it wait compared with the recorded ones: with nothing
// changed, that is no difference.
type coupling struct {
	scanners int
	modelled []int64 // by arrival: what it waits in a queue of the recorded ones
}

// scanned is a message, with the connection that it is of.
type scanned struct {
	at, scan int64
	rest     int64 // what the connection takes after it
	cut      int64 // when the connection is cut off
	like     uint32
	recorded bool
	order    uint32 // of those that ask at the same time
}

// Messages are told from each other by the queue only where they are many: the
// scanners that there seem to be are busy for this part of the time, or this
// part of what connections took was waiting.
const (
	fewScans = 0.3
	fewWaits = 0.01
)

// couple finds out about the scanners. It is nil where they make no
// difference.
func (s *System) couple() *coupling {
	var jobs []Job
	var owners []uint32
	var waited, held, scanning, refusals float64
	for i := range s.arrivals {
		a := &s.arrivals[i]
		switch {
		case a.again:
		case a.Refused:
			refusals += float64(a.Count)
		case a.Scan > 0:
			owners = append(owners, uint32(i))
			waited += float64(a.Wait)
			scanning += float64(a.Scan)
			fallthrough
		default:
			held += float64(a.Hold)
		}
	}
	if len(owners) == 0 || refusals == 0 {
		return nil
	}
	asks := func(i uint32) int64 { return int64(s.arrivals[i].At + s.arrivals[i].Before) }
	slices.SortStableFunc(owners, func(x, y uint32) int { return cmp.Compare(asks(x), asks(y)) })
	for _, i := range owners {
		jobs = append(jobs, Job{At: time.Duration(asks(i)), Work: s.arrivals[i].Scan})
	}
	c := &coupling{scanners: scannersOf(jobs, waited)}
	// If all that came had sent messages as those did that were served.
	span := float64(jobs[len(jobs)-1].At-jobs[0].At) + scanning/float64(len(jobs))
	asked := scanning * (1 + refusals/float64(len(s.arrivals)))
	if asked < fewScans*span*float64(c.scanners) && waited < fewWaits*held {
		return nil
	}
	c.modelled = make([]int64, len(s.arrivals))
	var free heap
	for k, j := range jobs {
		c.modelled[owners[k]] = start(&free, c.scanners, int64(j.At), int64(j.Work)) - int64(j.At)
	}
	for _, i := range owners {
		s.marks[i] |= scans
	}
	return c
}

// scannersOf is the number of scanners with which a queue comes nearest to
// what the jobs, in order of time, waited in all. More of them make no job
// wait longer, so bisection finds it.
func scannersOf(jobs []Job, waited float64) int {
	total := func(n int) float64 { return total(jobs, n) }
	low, high := 1, max(overlap(jobs), 1)
	for low < high {
		mid := low + (high-low)/2
		if total(mid) <= waited {
			high = mid
		} else {
			low = mid + 1
		}
	}
	if low > 1 && total(low-1)-waited < waited-total(low) {
		low--
	}
	return low
}

// total is what jobs wait in all.
func total(jobs []Job, scanners int) (sum float64) {
	var free heap
	for _, j := range jobs {
		sum += float64(start(&free, scanners, int64(j.At), int64(j.Work)) - int64(j.At))
	}
	return sum
}

// start is when a job is begun by the scanners, and makes one of them busy
// with it.
func start(free *heap, scanners int, at, work int64) int64 {
	if len(*free) < scanners {
		free.push(ends(at, work))
		return at
	}
	begun := max(at, (*free)[0])
	free.replace(ends(begun, work))
	return begun
}

// ask lets a connection, which has a thread, go on to the scanners, if it is
// not cut off before it gets there. It is false for one that sends no message.
func (p *player) ask(at int64, like uint32, recorded bool, cut int64) bool {
	a := &p.s.arrivals[like]
	if a.Scan == 0 {
		return false
	}
	asks := at + int64(a.Before)
	if cut <= asks {
		return false
	}
	p.order++
	p.asking.push(scanned{at: asks, scan: int64(a.Scan), rest: int64(a.Hold - a.Before - a.Wait - a.Scan),
		cut: cut, like: like, recorded: recorded, order: p.order})
	return true
}

// scan begins what was to be scanned up to a time. It is then known when the
// connections end.
func (p *player) scan(now int64) {
	for len(p.asking) > 0 && p.asking[0].at <= now {
		m := p.asking.pop()
		a := &p.s.arrivals[m.like]
		wait := start(&p.free, p.s.scanners.scanners, m.at, m.scan) - m.at
		if m.recorded {
			wait = max(wait+int64(a.Wait)-p.s.scanners.modelled[m.like], 0)
		}
		wait = min(wait, maxHold)
		if p.work != nil && m.at >= 0 {
			p.work.seconds += time.Duration(wait - int64(a.Wait)).Seconds()
		}
		p.ends.push(min(m.cut, m.at+wait+m.scan+m.rest))
	}
}

// asking is a binary heap of messages, the one that asks first on top.
type asking []scanned

func (m *scanned) before(o *scanned) bool {
	return m.at < o.at || m.at == o.at && m.order < o.order
}

func (h *asking) push(m scanned) {
	q := append(*h, m)
	i := len(q) - 1
	for i > 0 && m.before(&q[(i-1)/2]) {
		q[i] = q[(i-1)/2]
		i = (i - 1) / 2
	}
	q[i] = m
	*h = q
}

// pop takes the first. There must be one.
func (h *asking) pop() scanned {
	q := *h
	first, m := q[0], q[len(q)-1]
	q = q[:len(q)-1]
	i := 0
	for 2*i+1 < len(q) {
		down := 2*i + 1
		if down+1 < len(q) && q[down+1].before(&q[down]) {
			down++
		}
		if m.before(&q[down]) {
			break
		}
		q[i] = q[down]
		i = down
	}
	if len(q) > 0 {
		q[i] = m
	}
	*h = q
	return first
}
