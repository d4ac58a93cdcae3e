package occupancy_test

import (
	"net/netip"
	"time"

	"overstay/connlog"
	"overstay/detector/occupancy"
)

// visit is one connection, as a person would note it down.
type visit struct {
	boot         string
	conn         uint64
	addr         netip.Addr
	service      string
	from, to     time.Time
	begins, ends int // the lines by which the log told of it
	over         bool
	late         bool // its beginning was not seen
	named        int  // the head that named it last
	proven       bool
	provenAt     time.Time // zero: not known
	blame        float64
	carried      bool
}

// story is a log as a person reads it, who looks through everything at each
// line.
type story struct {
	o       occupancy.Options
	events  []connlog.Event
	visits  []*visit
	unseen  map[string]int
	orphans map[string]uint64
	points  map[string][]moment // refusals of each pool
	spans   map[string][]moment // times in which it was full
	after   []int               // how many are open after each line
}

type moment struct {
	from, to time.Time
	refused  uint64
}

func (s *story) within(t time.Time) bool {
	return (s.o.From.IsZero() || !t.Before(s.o.From)) && (s.o.To.IsZero() || !t.After(s.o.To))
}

func (s *story) mine(e *connlog.Event) bool { return s.o.Service == "" || e.Service == s.o.Service }

func tell(events []connlog.Event, o occupancy.Options) *story {
	s := &story{
		o: o, events: events, unseen: map[string]int{}, orphans: map[string]uint64{},
		points: map[string][]moment{}, spans: map[string][]moment{},
	}
	inHead, heads, broken := false, 0, false
	for i := range events {
		e := &events[i]
		if i > 0 {
			for pool := range threads {
				if s.isFull(pool) {
					s.spans[pool] = append(s.spans[pool], moment{from: events[i-1].Time, to: e.Time})
				}
			}
		}
		if i > 0 && events[i-1].Boot != e.Boot {
			inHead = false
			for pool := range threads { // It was full until the boot ended, not until now.
				if s.isFull(pool) {
					s.spans[pool][len(s.spans[pool])-1].to = events[i-1].Time
				}
				s.unseen[pool] = 0
			}
			for _, v := range s.visits {
				s.end(v, i, events[i-1].Time)
			}
		}
		broken = broken || i > 0 && events[i-1].Boot == e.Boot && e.Seq != events[i-1].Seq+1
		if inHead && (e.Kind != connlog.Open || e.Held == 0) {
			inHead = false
			for _, v := range s.visits {
				if v.named != heads && !broken {
					s.end(v, i, e.Time)
				}
			}
		}
		if e.Kind == connlog.Start && e.Continued {
			inHead, broken = true, false
			heads++
		}
		if s.mine(e) {
			s.line(i, e, heads)
		}
	}
	last := events[len(events)-1].Time
	for pool := range threads {
		if s.isFull(pool) {
			s.spans[pool] = append(s.spans[pool], moment{from: last, to: last})
		}
	}
	for _, v := range s.visits {
		if !v.over {
			v.to, v.ends = events[len(events)-1].Time, len(events)
		}
	}
	return s
}

func (s *story) end(v *visit, line int, at time.Time) {
	if !v.over {
		v.over, v.to, v.ends = true, at, line
	}
}

func (s *story) find(boot string, conn uint64) *visit {
	for _, v := range s.visits {
		if v.boot == boot && v.conn == conn && !v.over {
			return v
		}
	}
	return nil
}

func (s *story) openIn(pool string) (n int) {
	for _, v := range s.visits {
		if !v.over && poolOf(v.service) == pool {
			n++
		}
	}
	return n
}

func (s *story) isFull(pool string) bool { return s.openIn(pool)+s.unseen[pool] >= threads[pool] }

func (s *story) line(i int, e *connlog.Event, heads int) {
	pool := poolOf(e.Service)
	v := s.find(e.Boot, e.Conn)
	switch e.Kind {
	case connlog.Open:
		if v != nil && e.Held > 0 && s.address(v.addr) == s.address(e.ClientIP) {
			v.named = heads
			return
		}
		if v != nil {
			s.end(v, i, e.Time)
		}
		if !e.ClientIP.IsValid() {
			if s.within(e.Time) {
				s.orphans[e.Service]++
			}
			return
		}
		v = &visit{boot: e.Boot, conn: e.Conn, addr: e.ClientIP, service: e.Service, from: e.Time.Add(-e.Held), begins: i, named: heads, proven: e.Proven, carried: e.Held > 0}
		if v.proven {
			v.provenAt = v.from
		}
		s.visits = append(s.visits, v)
		if e.Busy > 0 && e.Held == 0 {
			s.unseen[pool] = max(e.Busy-s.openIn(pool), 0)
		}
	case connlog.Close:
		switch {
		case v != nil:
			if e.Proven && !v.proven && s.within(e.Time) {
				v.proven, v.provenAt = true, v.from
			}
			s.end(v, i, e.Time)
		case e.Held > 0:
			v = &visit{addr: e.ClientIP, service: e.Service, from: e.Time.Add(-e.Held), to: e.Time, begins: i, ends: i, over: true, late: true, proven: e.Proven}
			v.provenAt = v.from
			s.visits = append(s.visits, v)
		case s.within(e.Time):
			s.orphans[e.Service]++
		}
	case connlog.Proven:
		if v != nil && !v.proven && e.Conn != 0 {
			v.proven, v.provenAt = true, e.Time
		}
	case connlog.Refuse:
		s.refuse(e, pool)
	}
}

// refuse charges everyone who holds a thread.
func (s *story) refuse(e *connlog.Event, pool string) {
	if e.Reason == connlog.RefuseBanned {
		return
	}
	s.unseen[pool] = max(e.Busy-s.openIn(pool), 0)
	if e.Reason != connlog.RefuseBusy || !s.within(e.Time) {
		return
	}
	count := max(e.Count, 1)
	s.points[pool] = append(s.points[pool], moment{from: e.Time, to: e.Time, refused: count})
	for _, v := range s.visits {
		if !v.over && poolOf(v.service) == pool {
			v.blame += float64(count) / float64(s.openIn(pool)+s.unseen[pool])
		}
	}
}

func (s *story) address(a netip.Addr) netip.Prefix { return connlog.AddressLevel.Source(a) }

// clip returns what of a visit counts.
func (s *story) clip(v *visit) (from, to time.Time, ok bool) {
	from, to = v.from, v.to
	if !s.o.From.IsZero() && from.Before(s.o.From) && !to.Before(s.o.From) {
		from = s.o.From
	}
	if end := s.lastTime(); to.After(end) {
		to = end
	}
	if !s.o.From.IsZero() && v.to.Before(s.o.From) {
		return from, to, false
	}
	if !v.late && !s.within(s.told(v)) && (s.o.From.IsZero() || s.told(v).After(s.o.From)) {
		return from, to, false // It was told of after the end.
	}
	return from, to, !from.After(to)
}

// told is when the log told of a visit.
func (s *story) told(v *visit) time.Time { return s.events[v.begins].Time }

func (s *story) lastTime() time.Time {
	last := s.events[len(s.events)-1].Time
	if !s.o.To.IsZero() && last.After(s.o.To) {
		return s.o.To
	}
	return last
}

// openAfter counts who is there after a line, but not who is known too late.
func (s *story) openAfter(line int) int {
	if s.after == nil {
		s.after = make([]int, len(s.events))
		for _, v := range s.visits {
			for i := v.begins; i < v.ends && !v.late; i++ {
				s.after[i]++
			}
		}
	}
	return s.after[line]
}

// holder adds up the visits of one source.
func (s *story) holder(source netip.Prefix, mine func(netip.Addr) bool) occupancy.Holder {
	h := occupancy.Holder{Source: source}
	var own []*visit
	for _, v := range s.visits {
		from, to, ok := s.clip(v)
		if !mine(v.addr) || !ok {
			if mine(v.addr) {
				own = append(own, v)
			}
			continue
		}
		own = append(own, v)
		h.Connections++
		h.ThreadTime += to.Sub(from)
		switch {
		case !v.proven || v.provenAt.After(to):
			h.Unproven += to.Sub(from)
		default:
			h.Proven++
			h.Unproven += max(v.provenAt.Sub(from), 0)
		}
		if v.ends == len(s.events) || v.to.After(s.lastTime()) {
			h.OpenAtEnd++
		}
		h.Blame += v.blame
		seen(&h, from, to)
	}
	for i := range s.events {
		e := &s.events[i]
		if !s.within(e.Time) || !s.mine(e) || !e.ClientIP.IsValid() || !mine(e.ClientIP) {
			continue
		}
		switch e.Kind {
		case connlog.Refuse:
			h.Refused += max(e.Count, 1)
		case connlog.Fail:
			h.Fails++
		case connlog.Proven:
			if e.Conn != 0 {
				continue
			}
			h.Proven++
		default:
			continue
		}
		seen(&h, e.Time, e.Time)
	}
	h.Peak = s.peak(own)
	h.Load = s.load(own)
	return h
}

// seen widens the time between the first and the last of a source.
func seen(h *occupancy.Holder, from, to time.Time) {
	if h.First.IsZero() || from.Before(h.First) {
		h.First = from
	}
	if to.After(h.Last) {
		h.Last = to
	}
}
