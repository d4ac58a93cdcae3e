package loss

import (
	"math"
	"slices"
	"time"
)

// follow finds the tries that are of one client; see the assumptions of the
// package.
func (s *System) follow(within int64) {
	several := s.crowded()
	wishes := s.wishes(several)
	type client struct {
		first, tried int64
		chain        uint32
		service      uint16
	}
	last := make([]client, s.sources)
	for i := range s.arrivals {
		a := &s.arrivals[i]
		if several[a.Source] {
			continue
		}
		c := &last[a.Source]
		at := int64(a.At)
		again := c.chain != 0 && c.service == a.Service && at-c.tried <= within && at-c.first <= wishes.of(a)
		switch {
		case again:
		case a.Refused:
			s.own = append(s.own, -1)
			c.first, c.chain, c.service = at, uint32(len(s.own)-1), a.Service
		default:
			c.chain = 0
			continue
		}
		s.chain[i], c.tried = c.chain, at
		s.marks[i] |= chained
		if !a.Refused {
			s.own[c.chain] = int32(i)
			c.chain = 0
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
