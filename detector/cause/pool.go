package cause

import (
	"math"
	"slices"
	"sort"

	"overstay/connlog"
)

// pool is a number of threads that one service, or several, share.
type pool struct {
	name string
	row  row
	// kept are arrivals that were dropped from the row while they held a
	// thread: who holds one for hours is the last to be forgotten.
	kept      []keptArrival // by number
	tidyAt    int           // how many of them there are before it is looked which ended
	forgotten int64         // all that came later than this is known
	drops     uint64

	sizes     []size    // what the log told, the latest last
	stretches []stretch // in order of time
}

type keptArrival struct {
	number uint64
	arrival
}

// size is how many threads a pool has from a time on.
type size struct {
	at      int64
	threads int
}

// stretch is a run of busy refusals, in our time.
type stretch struct {
	from, to int64
	refused  uint64
}

const (
	maxSizes     = 64
	maxThreads   = 1 << 18 // more are not believed
	maxStretches = 512
	// pause is how long without refusals ends a stretch.
	pause  = 60 * micros
	fewest = 64 // kept arrivals before they are looked through
)

func (p *pool) add(a arrival) uint64 { return p.row.add(a) }

// drop forgets the oldest arrivals, unless they hold a thread, and returns how
// many are gone now.
func (p *pool) drop() (gone int) {
	if p.row.len() <= len(p.kept) {
		// No pool has so many threads: this is a log that was made up.
		gone = (len(p.kept) + 1) / 2
		p.kept = slices.Delete(p.kept, 0, gone)
		return gone
	}
	n := p.row.first
	a := *p.row.at(n)
	p.row.drop()
	p.drops++
	p.forgotten = max(p.forgotten, a.at)
	if a.refused || a.end(math.MaxInt64) <= p.forgotten {
		return 1
	}
	p.kept = append(p.kept, keptArrival{number: n, arrival: a})
	if len(p.kept) < max(p.tidyAt, fewest) {
		return 0
	}
	gone = len(p.kept)
	p.kept = slices.DeleteFunc(p.kept, func(k keptArrival) bool { return k.end(math.MaxInt64) <= p.forgotten })
	p.tidyAt = 2 * len(p.kept)
	return gone - len(p.kept)
}

// len is how many arrivals are remembered.
func (p *pool) len() int { return p.row.len() + len(p.kept) }

// at is the arrival of a number, nil if it is forgotten.
func (p *pool) at(n uint64) *arrival {
	if a := p.row.at(n); a != nil {
		return a
	}
	i, ok := slices.BinarySearchFunc(p.kept, n, func(k keptArrival, n uint64) int {
		switch {
		case k.number < n:
			return -1
		case k.number > n:
			return 1
		}
		return 0
	})
	if !ok {
		return nil
	}
	return &p.kept[i].arrival
}

func (p *pool) sourceOf(n uint64) source {
	if a := p.at(n); a != nil {
		return a.source
	}
	return source{}
}

// resize takes in what the log says the pool's size is.
func (p *pool) resize(threads int, now int64) {
	if threads <= 0 {
		return
	}
	threads = min(threads, maxThreads)
	if n := len(p.sizes); n > 0 && p.sizes[n-1].threads == threads {
		return
	}
	if len(p.sizes) == maxSizes {
		p.sizes = slices.Delete(p.sizes, 0, 1)
	}
	p.sizes = append(p.sizes, size{at: now, threads: threads})
}

// sizeAt is the size that the pool had at a time, and since when; or the first
// one that was told. It is 0 if none was.
func (p *pool) sizeAt(t int64) size {
	i := sort.Search(len(p.sizes), func(i int) bool { return p.sizes[i].at > t })
	if i > 0 {
		return p.sizes[i-1]
	}
	if len(p.sizes) > 0 {
		return p.sizes[0]
	}
	return size{}
}

// resized is when the pool got another size after a time.
func (p *pool) resized(t int64) int64 {
	i := sort.Search(len(p.sizes), func(i int) bool { return p.sizes[i].at > t })
	if i == 0 || i == len(p.sizes) {
		return math.MaxInt64
	}
	return p.sizes[i].at
}

// refuse counts busy refusals. A stretch ends with a pause, and where the pool
// gets another size.
func (p *pool) refuse(now int64, n uint64) {
	if last := len(p.stretches) - 1; last >= 0 {
		s := &p.stretches[last]
		if now-s.to <= pause && p.sizeAt(now) == p.sizeAt(s.to) {
			s.to, s.refused = now, s.refused+n
			return
		}
	}
	if len(p.stretches) == maxStretches {
		p.stretches = slices.Delete(p.stretches, 0, 1)
	}
	p.stretches = append(p.stretches, stretch{from: now, to: now, refused: n})
}

// pools knows which service takes threads from which pool, as package detector
// does. Both are bounded: names come from a log, and a broken one has many.
type pools struct {
	all     []*pool
	byName  map[string]*pool
	service map[string]assignment
	numbers map[string]uint16 // of services, for ever
	// The service of the line before is nearly always that of the next.
	lastService string
	last        assignment
}

type assignment struct {
	pool    *pool
	service uint16
}

const (
	maxPools    = 256
	maxServices = 1024
)

func newPools() pools {
	return pools{byName: make(map[string]*pool), service: make(map[string]assignment), numbers: make(map[string]uint16)}
}

// of returns the pool of a service and the service's number: the pool that the
// start line told, or else one of its own. It is nil when there are too many.
func (ps *pools) of(service string) (*pool, uint16) {
	if ps.last.pool != nil && service == ps.lastService {
		return ps.last.pool, ps.last.service
	}
	a := ps.service[service]
	if a.pool == nil {
		a = ps.assign(service, service)
	}
	ps.lastService, ps.last = service, a
	return a.pool, a.service
}

// assign says that a service takes its threads from the pool of that name.
func (ps *pools) assign(service, name string) assignment {
	number, known := ps.numbers[service]
	if !known {
		if len(ps.numbers) >= maxServices {
			return assignment{}
		}
		number = uint16(len(ps.numbers))
		ps.numbers[service] = number
	}
	p := ps.byName[name]
	if p == nil {
		if len(ps.all) >= maxPools {
			return assignment{}
		}
		p = &pool{name: name, forgotten: firstMicro}
		ps.all = append(ps.all, p)
		ps.byName[name] = p
	}
	a := assignment{pool: p, service: number}
	ps.service[service] = a
	ps.last = assignment{}
	return a
}

// told takes in the list of services of a start or beat line.
func (ps *pools) told(e *connlog.Event, now int64) {
	for i := range e.Services {
		s := &e.Services[i]
		name := s.Pool
		if name == "" {
			name = s.Service
		}
		var p *pool
		if e.Kind == connlog.Start {
			p = ps.assign(s.Service, name).pool
		} else {
			p, _ = ps.of(s.Service)
		}
		if p != nil {
			p.resize(s.Threads, now)
		}
	}
}

// forget drops what a boot that ended had told of its services.
func (ps *pools) forget() {
	clear(ps.service)
	ps.last = assignment{}
}

// largest is the pool with the most arrivals. There must be one.
func (ps *pools) largest() *pool {
	most := ps.all[0]
	for _, p := range ps.all[1:] {
		if p.len() > most.len() {
			most = p
		}
	}
	return most
}
