package detector

import (
	"math"
	"time"

	"overstay/connlog"
)

// pool is a number of threads that one service, or several, share.
type pool struct {
	name     string
	id       uint16
	threads  int // 0: the log has not told
	open     int // connections we know of
	unseen   int // threads held that the log counts and we have not seen opened
	unproven int
	sources  int // that hold a thread
	at       int64
	load     load
	refused  float64 // busy refusals per minute
	refusals float64 // busy refusals in all
	unblamed float64 // of these, the part of threads whose holders are not known
	toll     toll
	proofs   proofs
	scans    scans
	passing  passing
	decays   decays

	due, netDue []*rule         // at this tick, for sources and for nets; see panel
	nets        map[uint64]*net // by nets.keyOf
}

// scans are the messages that waited for a scanner.
type scans struct {
	m1      float64 // per minute
	seconds float64 // that those waited, together
}

func (c *scans) fade(d *decay) {
	c.m1 *= 1 - d.m1
	c.seconds *= 1 - d.m1
}

func (c *scans) add(seconds float64) {
	c.m1++
	c.seconds += seconds
}

// wait is the mean wait of the last minute. When there are no more it fades,
// for then nobody waits.
func (c *scans) wait() float64 { return c.seconds / max(c.m1, 1) }

func (p *pool) advance(now int64) {
	if now == p.at {
		return
	}
	d := p.decays.after(now - p.at)
	p.load.run(p.open, d)
	p.refused *= 1 - d.m1
	p.toll.m1 *= 1 - d.m1
	p.proofs.fade(d)
	p.scans.fade(d)
	p.at = now
}

// report takes in what a line says of the pool. A log that is read from its
// middle has connections that were never seen to open; busy makes up for them.
func (p *pool) report(busy, threads int) {
	if threads > 0 {
		p.threads = threads
	}
	p.unseen = max(busy-p.open, 0)
}

func (p *pool) busy() int { return p.open + p.unseen }

// size is the number of threads for a condition: without end while the log
// has not told, so that no part of it is ever reached.
func (p *pool) size() float64 {
	if p.threads <= 0 {
		return math.Inf(1)
	}
	return float64(p.threads)
}

// share is the part of the pool that n threads are.
func (p *pool) share(n int) float64 { return float64(n) / p.size() }

// pools knows which service takes threads from which pool. Both are bounded:
// names come from a log, and a broken log has many.
type pools struct {
	all     []*pool
	byName  map[string]*pool
	service map[string]*pool
	// The service of the line before is nearly always that of the next.
	lastService string
	lastPool    *pool
}

// The most pools and services that are kept apart. Lines of further ones are
// counted and skipped.
const (
	maxPools    = 256
	maxServices = 1024
)

func newPools() pools {
	return pools{byName: make(map[string]*pool), service: make(map[string]*pool)}
}

// of returns the pool of a service: the one that the start line told, or else
// one of its own. It is nil when there are too many.
func (ps *pools) of(service string, now int64) *pool {
	if ps.lastPool != nil && service == ps.lastService {
		return ps.lastPool
	}
	p := ps.service[service]
	if p == nil {
		p = ps.assign(service, service, now)
	}
	ps.lastService, ps.lastPool = service, p
	return p
}

// assign says that a service takes its threads from the pool of that name.
func (ps *pools) assign(service, name string, now int64) *pool {
	if _, known := ps.service[service]; !known && len(ps.service) >= maxServices {
		return nil
	}
	p := ps.byName[name]
	if p == nil {
		if len(ps.all) >= maxPools {
			return nil
		}
		p = &pool{name: name, id: uint16(len(ps.all)), at: now}
		ps.all = append(ps.all, p)
		ps.byName[name] = p
	}
	ps.service[service] = p
	ps.lastPool = nil
	return p
}

// told takes in the list of services of a start or beat line and returns how
// many there was no room for.
//
// No average is touched: a file that begins in the middle of a boot must not
// change even the rounding of what follows.
func (ps *pools) told(e *connlog.Event, now int64) (over int) {
	for i := range e.Services {
		s := &e.Services[i]
		name := s.Pool
		if name == "" {
			name = s.Service
		}
		var p *pool
		if e.Kind == connlog.Start {
			p = ps.assign(s.Service, name, now)
		} else {
			p = ps.of(s.Service, now)
		}
		if p == nil {
			over++
			continue
		}
		if s.Threads > 0 {
			p.threads = s.Threads
		}
		if e.Kind == connlog.Beat {
			p.report(s.Busy, s.Threads)
		}
	}
	return over
}

// forget drops what a boot that ended had told of its services.
func (ps *pools) forget(now int64) {
	clear(ps.service)
	ps.lastPool = nil
	for _, p := range ps.all {
		p.unseen = 0
		p.passing.restart(now)
	}
}

// PoolState is what the detector knows of a pool.
type PoolState struct {
	Name     string
	Threads  int // 0: the log has not told
	Busy     int
	Unproven int // unproven connections, of those busy
	Sources  int // sources that hold a thread
	Load1    float64
	Load5    float64
	Load15   float64
	Refused  float64 // busy refusals per minute
	Refusals float64 // busy refusals in all
	// Unblamed is the part of the refusals that the threads had whose opening
	// the log does not tell. The blame of the sources makes up the rest, but for
	// what forgotten sources had.
	Unblamed float64
	At       time.Time
}
