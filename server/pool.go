package server

import (
	"net/netip"
	"sync"
	"sync/atomic"

	"overstay/connlog"
)

// pool is a number of threads and who holds them. Services may share one.
type pool struct {
	name    string
	threads atomic.Int64 // busy may be more for a while when they become fewer
	busy    atomic.Int64 // changed under mu, read without
	pressed bool         // at the last look of hurry, which alone uses it

	mu       sync.Mutex
	unproven int
	sources  map[netip.Prefix]tally // only sources that hold threads
	nets     map[netip.Prefix]int   // threads held by whole nets, likewise
	open     []*Conn                // what a ban may end; a Conn knows its index
}

// tally is what one source holds in a pool.
type tally struct{ total, unproven int }

// sourceLimits are what one source may hold, 0 for any number.
type sourceLimits struct{ total, unproven, net int }

// origin is where a connection comes from, at both levels of a source.
type origin struct{ source, net netip.Prefix }

func originOf(addr netip.Addr) origin {
	return origin{source: connlog.AddressLevel.Source(addr), net: connlog.NetLevel.Source(addr)}
}

func newPool(name string, threads int) *pool {
	p := &pool{name: name, sources: make(map[netip.Prefix]tally), nets: make(map[netip.Prefix]int)}
	p.threads.Store(int64(threads))
	return p
}

// size is the number of threads.
func (p *pool) size() int { return int(p.threads.Load()) }

// crowded tells whether at least a half of the threads are held.
func (p *pool) crowded() bool { return 2*p.busy.Load() >= p.threads.Load() }

// take takes a thread. It returns why it did not, or "", and the number of
// threads that are held now.
func (p *pool) take(from origin, limit sourceLimits) (busy int, refused connlog.Reason) {
	p.mu.Lock()
	defer p.mu.Unlock()
	busy = int(p.busy.Load())
	t, inNet := p.sources[from.source], p.nets[from.net]
	switch {
	case limit.unproven > 0 && t.unproven >= limit.unproven && p.crowded(),
		limit.total > 0 && t.total >= limit.total,
		limit.net > 0 && inNet >= limit.net:
		return busy, connlog.RefuseSessions
	case busy >= p.size():
		return busy, connlog.RefuseBusy
	}
	t.total++
	t.unproven++
	p.unproven++
	p.sources[from.source] = t
	p.nets[from.net] = inNet + 1
	p.busy.Store(int64(busy + 1))
	return busy + 1, ""
}

// prove notes that one of a source's connections is proven.
func (p *pool) prove(from origin) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.sources[from.source]
	t.unproven--
	p.unproven--
	p.sources[from.source] = t
}

// give gives the thread of c back.
func (p *pool) give(c *Conn, proven bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.sources[c.from.source]
	t.total--
	if !proven {
		t.unproven--
		p.unproven--
	}
	if t.total == 0 {
		delete(p.sources, c.from.source)
	} else {
		p.sources[c.from.source] = t
	}
	if n := p.nets[c.from.net]; n > 1 {
		p.nets[c.from.net] = n - 1
	} else {
		delete(p.nets, c.from.net)
	}
	p.busy.Add(-1)
	p.unregisterLocked(c)
}

// register makes c one of those that collect returns.
func (p *pool) register(c *Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c.index = len(p.open)
	p.open = append(p.open, c)
}

func (p *pool) unregisterLocked(c *Conn) {
	if c.index < 0 {
		return // It never was.
	}
	last := len(p.open) - 1
	p.open[c.index] = p.open[last]
	p.open[c.index].index = c.index
	p.open[last] = nil
	p.open = p.open[:last]
	c.index = -1
}

// collect appends the open connections to dst. The lock is held for a copy of
// pointers only, so the accept loop hardly notices.
func (p *pool) collect(dst []*Conn) []*Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append(dst, p.open...)
}

// counts returns the threads held, and how many of them by connections that
// have proven nothing.
func (p *pool) counts() (busy, unproven int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return int(p.busy.Load()), p.unproven
}
