package detector

import (
	"encoding/binary"
	"net/netip"
)

// key names a source in a pool. IPv4 is kept in its mapped form: a log never
// has mapped addresses, so the two cannot meet.
type key struct {
	addr [16]byte
	pool uint16
}

// source is what is known of one source in one pool. There may be a hundred
// thousand of them, so everything that only a holder needs is behind hold.
type source struct {
	key      key
	queue    queue  // where in table.resting it is
	minute   uint8  // minuteOf its last proof that proofs has counted; 0: none
	first    uint32 // Unix seconds when it was first seen
	at       int64  // microseconds up to which all figures are run
	all      load
	unproven load // of unproven connections
	rates    rates
	blame    float64 // busy refusals it caused
	blame1   float32 // the same, per minute
	windows  uint32  // its first in table.windows; 0: none, few counts
	few      few
	hold     *holding // nil: it holds no thread
	watch    *watch   // nil: no condition holds for it
	behind   *source  // the next one in its queue
	number   uint32   // in table.index
	known    bool     // it is in there

	_ [3]byte // three cache lines, of 64 bytes
}

// advance runs the figures up to now, which the source's pool has reached.
func (s *source) advance(now int64, p *pool) {
	if now == s.at {
		s.charge(p, 1)
		return
	}
	d := p.decays.after(now - s.at)
	var open, unproven int
	if s.hold != nil {
		open, unproven = s.hold.open, s.hold.openUnproven
	}
	s.all.run(open, d)
	s.unproven.run(unproven, d)
	s.rates.fade(d)
	s.charge(p, 1-d.m1)
	s.at = now
}

// address is the source's first address.
func (k key) address() netip.Addr {
	return netip.AddrFrom16(k.addr).Unmap()
}

// table holds the sources. They rest in a bounded cache, which a sweep of
// one-time addresses passes through without flushing those that come again and
// again. Those that hold threads are never dropped: one that the cache drops
// stays until it gives its last thread back. So they are exact, and there are no
// more of them than connections.
type table struct {
	index   index
	resting *resting
	holders []*source  // all holders, in an order that depends on the log only
	spare   []*holding // to be used again
	windows windows
}

func newTable(size int) (*table, error) {
	resting, err := newResting(size)
	if err != nil {
		return nil, err
	}
	return &table{resting: resting, index: newIndex()}, nil
}

// visit returns the source of that address in a pool, run up to now as the
// pool is: a new one if it is not known.
func (t *table) visit(addr [16]byte, p *pool, now int64) *source {
	k := key{addr: addr, pool: p.id}
	if s := t.index.get(k); s != nil {
		s.queue |= seenAgain
		s.advance(now, p)
		return s
	}
	s := t.index.add(k)
	s.at, s.first = now, unixSeconds(now)
	t.rest(s)
	return s
}

// peek returns a source as it was left, and does not count as a visit.
func (t *table) peek(k key) *source { return t.index.get(k) }

// rest puts a source into the cache, and forgets what it drops, unless that
// holds a thread.
func (t *table) rest(s *source) {
	if dropped := t.resting.add(s); dropped != nil && dropped.hold == nil {
		t.windows.release(dropped)
		t.index.remove(dropped)
	}
}

// hold makes s a holder, to whom its pool charges from now on.
func (t *table) hold(s *source, p *pool) {
	if n := len(t.spare); n > 0 {
		s.hold, t.spare = t.spare[n-1], t.spare[:n-1]
	} else {
		s.hold = new(holding)
	}
	s.hold.place, s.hold.paid = len(t.holders), p.toll
	t.holders = append(t.holders, s)
}

// release lets go of a holder that holds nothing any more.
func (t *table) release(s *source) {
	end := len(t.holders) - 1
	moved := t.holders[end]
	t.holders[s.hold.place] = moved
	moved.hold.place = s.hold.place
	t.holders[end] = nil
	t.holders = t.holders[:end]

	*s.hold = holding{}
	t.spare = append(t.spare, s.hold)
	s.hold = nil
	if s.queue&^seenAgain == queueNone {
		t.rest(s)
	}
}

// compare orders keys by address, then by pool.
func (k key) compare(o key) int {
	for i := 0; i < 16; i += 8 {
		a, b := binary.BigEndian.Uint64(k.addr[i:]), binary.BigEndian.Uint64(o.addr[i:])
		if a != b {
			if a < b {
				return -1
			}
			return 1
		}
	}
	return int(k.pool) - int(o.pool)
}

// unixSeconds is a time in microseconds as seconds that fit 32 bits.
func unixSeconds(us int64) uint32 {
	return uint32(min(max(us/micros, 0), 1<<32-1))
}
