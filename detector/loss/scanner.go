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
	messages []message // by the time they ask, and one that never does
	number   []uint32  // by arrival: the place of its message
}

// message is what a recorded connection sends to be scanned.
type message struct {
	at       int64 // when it asks for a scanner
	modelled int64 // what it waits in a queue of all recorded messages
	errand
	arrival uint32 // that it is of
}

// errand is the way of a connection to the scanners and back.
type errand struct {
	before int64 // what passes until it asks for one
	scan   int64 // what that one takes; 0: it sends no message
	rest   int64 // what the connection takes after it
	waited int64 // in the record
}

// asker is a message of a connection that is not as in the record.
type asker struct {
	*errand
	own   *message // of which only the time of the end is not; else nil
	at    int64
	cut   int64  // when the connection is cut off
	order uint64 // of those that ask at the same time
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
	var messages []message
	var waited, held, scanning, refusals float64
	for i := range s.arrivals {
		a := &s.arrivals[i]
		switch {
		case a.again:
		case a.Refused:
			refusals += float64(a.Count)
		case a.Scan > 0:
			messages = append(messages, message{at: int64(a.At + a.Before), arrival: uint32(i), errand: errand{
				before: int64(a.Before), scan: int64(a.Scan), rest: int64(a.Hold - a.Before - a.Wait - a.Scan), waited: int64(a.Wait)}})
			waited += float64(a.Wait)
			scanning += float64(a.Scan)
			held += float64(a.Hold)
		default:
			held += float64(a.Hold)
		}
	}
	if len(messages) == 0 || refusals == 0 {
		return nil
	}
	messages = inOrder(messages)
	c := &coupling{scanners: scannersOf(messages, waited), messages: messages}
	// If all that came had sent messages as those did that were served.
	span := float64(messages[len(messages)-1].at-messages[0].at) + scanning/float64(len(messages))
	asked := scanning * (1 + refusals/float64(len(s.arrivals)))
	if asked < fewScans*span*float64(c.scanners) && waited < fewWaits*held {
		return nil
	}
	c.number = make([]uint32, len(s.arrivals))
	var free heap
	for k := range messages {
		m := &messages[k]
		m.modelled = start(&free, c.scanners, m.at, m.scan) - m.at
		c.number[m.arrival] = uint32(k)
		s.marks[m.arrival] |= scans
	}
	c.messages = append(messages, message{at: never})
	return c
}

// inOrder sorts messages by the time they ask and then by arrival. They are
// large, so it is their places that are sorted.
func inOrder(messages []message) []message {
	type place struct {
		at int64
		n  uint32
	}
	places := make([]place, len(messages))
	for i := range messages {
		places[i] = place{messages[i].at, uint32(i)}
	}
	slices.SortFunc(places, func(x, y place) int { return cmp.Or(cmp.Compare(x.at, y.at), cmp.Compare(x.n, y.n)) })
	sorted := make([]message, len(messages), len(messages)+1)
	for i, p := range places {
		sorted[i] = messages[p.n]
	}
	return sorted
}

// scannersOf is the number of scanners with which a queue comes nearest to
// what the messages waited in all. More of them make none wait longer, so
// bisection finds it.
func scannersOf(messages []message, waited float64) int {
	total := func(n int) (sum float64) {
		var free heap
		for i := range messages {
			m := &messages[i]
			sum += float64(start(&free, n, m.at, m.scan) - m.at)
		}
		return sum
	}
	jobs := make([]Job, len(messages))
	for i := range messages {
		jobs[i] = Job{At: time.Duration(messages[i].at), Work: time.Duration(messages[i].scan)}
	}
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

// errandOf is what a recorded connection sends to the scanners.
func (s *System) errandOf(like uint32) *errand {
	if s.scanners == nil || like == nobody || s.marks[like]&scans == 0 {
		return nil
	}
	return &s.scanners.messages[s.scanners.number[like]].errand
}

// ask lets the connection of arrival j, which has a thread and sends a
// message, go on to the scanners, if it is not cut off before it gets there.
func (p *player) ask(j int, cut int64) bool {
	if cut == never {
		p.came[j] = true
		return true
	}
	m := &p.s.scanners.messages[p.s.scanners.number[j]]
	return p.send(uint32(j), asker{errand: &m.errand, own: m, at: m.at, cut: cut})
}

// askAnew is ask for a connection that only has its times from the record.
func (p *player) askAnew(j uint32, e *errand, cut int64) bool {
	return e != nil && e.scan > 0 && p.send(j, asker{errand: e, at: p.s.at[j] + e.before, cut: cut})
}

func (p *player) send(j uint32, a asker) bool {
	if a.cut <= a.at {
		return false
	}
	p.order++
	a.order = uint64(j)<<32 | uint64(p.order)
	p.nextAsk = min(p.nextAsk, a.at)
	p.asking.push(a)
	return true
}

// scan begins what was to be scanned up to a time, which is that of arrival j.
// It is then known when the connections end.
func (p *player) scan(now int64, j int) {
	c := p.s.scanners
	for {
		m := &c.messages[p.scanned]
		if len(p.asking) > 0 && p.asking[0].before(m) {
			if p.nextAsk = p.asking[0].at; p.nextAsk > now {
				return
			}
			a := p.asking.pop()
			p.scanLate(&a, j)
			continue
		}
		// The message of j itself has not come yet.
		if p.nextAsk = m.at; m.at > now || m.at == now && int(m.arrival) >= j {
			return
		}
		if p.scanned++; !p.came[m.arrival] {
			continue
		}
		wait := start(&p.free, c.scanners, m.at, m.scan) - m.at
		if wait != m.modelled {
			p.scheduled(&m.errand, max(wait+m.waited-m.modelled, 0), m.at, never, j)
			continue
		}
		// It ends as it did.
		if end := p.s.recorded[m.arrival]; int(end) > j {
			p.ending[end]++
		} else {
			p.busy--
		}
	}
}

// scanLate begins with a message that is not as in the record.
func (p *player) scanLate(a *asker, j int) {
	wait := start(&p.free, p.s.scanners.scanners, a.at, a.scan) - a.at
	if a.own != nil {
		wait = max(wait+a.waited-a.own.modelled, 0)
	}
	p.scheduled(a.errand, wait, a.at, a.cut, j)
}

// scheduled notes at arrival j when the connection ends whose message waits
// for so long.
func (p *player) scheduled(e *errand, wait, at, cut int64, j int) {
	wait = min(wait, maxHold)
	if p.work != nil && p.s.rated(at) {
		p.work.seconds += time.Duration(wait - e.waited).Seconds()
	}
	p.ends(j, min(cut, at+wait+e.scan+e.rest))
}

// asking is a binary heap of messages, the one that asks first on top.
type asking []asker

func (a *asker) before(m *message) bool {
	return a.at < m.at || a.at == m.at && a.order>>32 < uint64(m.arrival)
}

func (a *asker) first(o *asker) bool {
	return a.at < o.at || a.at == o.at && a.order < o.order
}

func (h *asking) push(m asker) {
	q := append(*h, m)
	i := len(q) - 1
	for i > 0 && m.first(&q[(i-1)/2]) {
		q[i] = q[(i-1)/2]
		i = (i - 1) / 2
	}
	q[i] = m
	*h = q
}

// pop takes the first. There must be one.
func (h *asking) pop() asker {
	q := *h
	first, m := q[0], q[len(q)-1]
	q = q[:len(q)-1]
	i := 0
	for 2*i+1 < len(q) {
		down := 2*i + 1
		if down+1 < len(q) && q[down+1].first(&q[down]) {
			down++
		}
		if m.first(&q[down]) {
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
