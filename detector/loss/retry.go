package loss

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// try is what is known of the client of a source while its tries are gone
// through in order.
type try struct {
	first, last int64  // tries, of its present client
	chain       uint32 // that they are; 0 if it was served
	service     uint16
}

// goesOn says whether an arrival is a further try of the client.
func (t *try) goesOn(a *Arrival, usual *wishes, within int64) bool {
	return t.chain != 0 && t.service == a.Service && int64(a.At)-t.last <= within && int64(a.At)-t.first <= usual.of(a)
}

// follow finds the tries that are of one client; see the assumptions of the
// package.
func (s *System) follow(several []bool, usual *wishes, within int64) {
	tries := make([]try, s.sources)
	for i := range s.arrivals {
		a := &s.arrivals[i]
		if several[a.Source] {
			continue
		}
		t := &tries[a.Source]
		if a.again {
			s.chain[i] = t.chain
			continue
		}
		at := int64(a.At)
		switch {
		case t.goesOn(a, usual, within):
		case a.Refused:
			s.own = append(s.own, -1)
			*t = try{first: at, chain: uint32(len(s.own) - 1), service: a.Service}
		default:
			t.chain = 0
			continue
		}
		s.chain[i], t.last = t.chain, at
		s.marks[i] |= chained
		if !a.Refused {
			s.own[t.chain] = int32(i)
			t.chain = 0
		}
	}
}

// The most arrivals that are added between two tries.
const mostMissed = 64

// missed adds the arrivals that would have been if clients had been served:
// who is turned away waits, mostly longer each time, where it would have come
// for the next thing. They happen in a replay in which the client before them
// is served, as often as that one comes when it is.
func (s *System) missed(several []bool, usual *wishes, within int64) {
	tries := make([]try, s.sources)
	var missed []Arrival
	room := min(len(s.arrivals), MaxArrivals-len(s.arrivals))
	for i := range s.arrivals {
		a := &s.arrivals[i]
		if several[a.Source] {
			continue
		}
		t := &tries[a.Source]
		at := int64(a.At)
		if !t.goesOn(a, usual, within) {
			if t.chain != 0 && t.service == a.Service {
				every := usual.of(a)
				for k := int64(1); every < never && k <= mostMissed && t.first+k*every < at-every/2 && len(missed) < room; k++ {
					missed = append(missed, Arrival{At: time.Duration(t.first + k*every), Source: a.Source, Service: a.Service,
						Count: 1, Refused: true, again: true})
				}
			}
			*t = try{first: at, chain: 1, service: a.Service}
		}
		t.last = at
		if !a.Refused {
			t.chain = 0
		}
	}
	if len(missed) == 0 {
		return
	}
	for i := range missed {
		if missed[i].At >= 0 {
			s.offered++
		} else {
			s.first++
		}
	}
	s.merge(missed)
}

// merge puts in arrivals that are in no order, each behind those of its time.
func (s *System) merge(more []Arrival) {
	slices.SortStableFunc(more, func(a, b Arrival) int { return cmp.Compare(a.At, b.At) })
	i, k := len(s.arrivals)-1, len(more)-1
	s.arrivals = append(s.arrivals, more...)
	for j := len(s.arrivals) - 1; k >= 0; j-- {
		if i >= 0 && s.arrivals[i].At > more[k].At {
			s.arrivals[j] = s.arrivals[i]
			i--
		} else {
			s.arrivals[j] = more[k]
			k--
		}
	}
}

// crowded finds the sources that asked for a thread while they held one.
func (s *System) crowded() []bool {
	several := make([]bool, s.sources)
	until := make([]int64, s.sources)
	for i := range until {
		until[i] = math.MinInt64
	}
	for i := range s.arrivals {
		a := &s.arrivals[i]
		if int64(a.At) < until[a.Source] {
			several[a.Source] = true
		}
		if !a.Refused {
			until[a.Source] = max(until[a.Source], int64(a.At+a.Hold))
		}
	}
	return several
}

// wishes are how long after it was served a client comes for the next thing:
// on the average of a source, and for half of the sources of a service.
type wishes struct {
	source  []wish
	service []int64
}

// wish is what is known of one source.
type wish struct {
	sum     int64 // of the times from being served to coming again
	n       int32 // of these
	service uint16
	served  bool // the last time it came, at the time at
	ever    bool
	at      int64
}

// never is how long nobody waits.
const never = math.MaxInt64

func (s *System) wishes(several []bool) wishes {
	w := wishes{source: make([]wish, s.sources)}
	services := 0
	for i := range s.arrivals {
		a := &s.arrivals[i]
		services = max(services, int(a.Service)+1)
		x := &w.source[a.Source]
		if several[a.Source] {
			continue
		}
		if x.served && x.service == a.Service {
			x.sum += int64(a.At) - x.at
			x.n++
		}
		if x.served = !a.Refused; x.served {
			x.service, x.ever, x.at = a.Service, true, int64(a.At)
		}
	}
	all := make([][]int64, services)
	for i := range w.source {
		if x := &w.source[i]; x.ever {
			all[x.service] = append(all[x.service], x.mean())
		}
	}
	w.service = make([]int64, services)
	for i, gaps := range all {
		if w.service[i] = never; len(gaps) > 0 {
			slices.Sort(gaps)
			w.service[i] = gaps[(len(gaps)-1)/2]
		}
	}
	return w
}

func (x *wish) mean() int64 {
	if x.n == 0 {
		return never
	}
	return x.sum / int64(x.n)
}

// of is for how long the tries of an arrival's client may be for one thing.
func (w *wishes) of(a *Arrival) int64 {
	if own := w.source[a.Source].mean(); own != never {
		return own
	}
	return w.service[a.Service]
}

// defaultRetry is the longest time between two tries of one client.
const defaultRetry = time.Minute
