package occupancy

import (
	"cmp"
	"slices"

	"overstay/connlog"
)

// service is what is known of one.
type service struct {
	name                                      string
	pool                                      uint16
	crest                                     crest
	peakAt                                    int64
	connections, orphans, late, openAtEnd     uint64
	time                                      uint64
	proven, fails, busy, sessionsOver, banned uint64
	seen                                      bool
}

// pool is a number of threads that one service, or several, share.
type pool struct {
	name    string
	threads int32 // 0: nobody has told
	open    int32 // connections we know of
	unseen  int32 // threads held that the log counts and we have not seen opened
	toll    float64
	isFull  bool
	run     stretch
	fulls   stretches
}

// stretch is a time in which a pool was full, in our time and the log's. It is
// none if it has no end.
type stretch struct {
	until    int64
	from, to int64
	refused  uint64
	exists   bool
}

// pause is how long without a full moment ends a stretch.
const pause = 60 * micros

// report takes in what a line says of the pool. A log that is read from its
// middle has connections that were never seen to open; busy makes up for them.
func (p *pool) report(n *note) {
	if n.threads > 0 {
		p.threads = n.threads
	}
	p.unseen = max(n.busy-p.open, 0)
}

func (p *pool) busy() int32 { return p.open + p.unseen }

// look sees whether the pool is full after a change, at a time that is given as
// ours and as the log's.
func (p *pool) look(at, log int64) {
	full := p.threads > 0 && p.busy() >= p.threads
	if full || p.isFull {
		p.touch(at, log)
	}
	p.isFull = full
}

// touch notes that the pool is full at this moment, or was up to it.
func (p *pool) touch(at, log int64) *stretch {
	if !p.isFull && p.run.exists && at-p.run.until > pause {
		p.fulls.add(p.run)
		p.run.exists = false
	}
	if !p.run.exists {
		p.run = stretch{from: log, exists: true}
	}
	p.run.reach(at, log)
	return &p.run
}

func (s *stretch) reach(at, log int64) { s.until, s.to = at, log }

// refuse counts connections that were turned away for want of a thread, and
// charges them to those who hold the threads.
func (p *pool) refuse(count uint64, at, log int64) {
	p.touch(at, log).refused += count
	if busy := p.busy(); busy > 0 {
		p.toll += float64(count) / float64(busy)
	}
}

// stretches are those that ended, of which only the worst are kept.
type stretches struct {
	all     []stretch
	dropped int
}

// mostStretches are kept of each pool.
const mostStretches = 512

func (s *stretches) add(one stretch) {
	if s.all = append(s.all, one); len(s.all) == 2*mostStretches {
		s.trim(mostStretches)
	}
}

func (s *stretches) trim(most int) {
	if len(s.all) <= most {
		return
	}
	slices.SortStableFunc(s.all, func(a, b stretch) int {
		return cmp.Or(cmp.Compare(b.refused, a.refused), cmp.Compare(b.to-b.from, a.to-a.from))
	})
	s.dropped += len(s.all) - most
	s.all = s.all[:most]
}

// pools knows which service takes threads from which pool. Both are bounded:
// names come from a log, and a broken one has many; further ones are taken
// together under the name of others.
type pools struct {
	services  []*service
	all       []*pool
	byService map[string]uint16
	byPool    map[string]uint16
	each      int32          // threads of a pool of which the log has not told
	threadsOf map[string]int // the same, by name
	known     []bool         // services of which this boot has told the pool, by their numbers
}

const (
	mostServices = 1024
	others       = "others"
)

func newPools(threads int, of map[string]int) pools {
	return pools{byService: make(map[string]uint16), byPool: make(map[string]uint16), each: small(threads), threadsOf: of}
}

// of returns the number of a service, which has a pool of its own if nobody has
// told otherwise.
func (ps *pools) of(name string) uint16 {
	i, ok := ps.byService[name]
	if !ok {
		if len(ps.services) >= mostServices {
			name = others
			if i, ok = ps.byService[name]; ok {
				return i
			}
		}
		i = uint16(len(ps.services))
		ps.services = append(ps.services, &service{name: name, pool: ps.named(name)})
		ps.byService[name] = i
		ps.known = append(ps.known, true)
	}
	if !ps.known[i] { // of another boot
		ps.services[i].pool = ps.named(name)
		ps.known[i] = true
	}
	return i
}

func (ps *pools) named(name string) uint16 {
	i, ok := ps.byPool[name]
	if !ok {
		if len(ps.all) >= mostServices {
			name = others
			if i, ok = ps.byPool[name]; ok {
				return i
			}
		}
		i = uint16(len(ps.all))
		p := &pool{name: name, threads: ps.each}
		if n := ps.threadsOf[name]; n > 0 {
			p.threads = small(n)
		}
		ps.all = append(ps.all, p)
		ps.byPool[name] = i
	}
	return i
}

// told takes in the list of services of a start or beat line.
func (ps *pools) told(kind connlog.Kind, list []connlog.Service, only string) {
	for i := range list {
		s := &list[i]
		if only != "" && s.Service != only {
			continue
		}
		service := ps.services[ps.of(s.Service)]
		if kind == connlog.Start {
			service.pool = ps.named(cmp.Or(s.Pool, s.Service))
		}
		if p := ps.all[service.pool]; s.Threads > 0 {
			p.threads = small(s.Threads)
		}
	}
}

// forget drops what a boot that ended had told of its services.
func (ps *pools) forget() {
	clear(ps.known)
	for _, p := range ps.all {
		p.unseen = 0
	}
}

// threads is the number of threads of all pools that a service takes one from,
// 0 if it is not known of each.
func (ps *pools) threads() (sum int32) {
	counted := make([]bool, len(ps.all))
	for _, s := range ps.services {
		if counted[s.pool] {
			continue
		}
		counted[s.pool] = true
		threads := ps.all[s.pool].threads
		if threads == 0 {
			return 0
		}
		sum = min(sum+threads, maxThreads)
	}
	return sum
}
