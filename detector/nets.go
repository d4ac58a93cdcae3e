package detector

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"overstay/connlog"
)

// net is what is known of one net in one pool: what its sources do, together.
// It is reached from each of its sources that holds a thread, and nothing in it
// moves while none of them does anything; see netSums.
type net struct {
	key  uint64
	pool *pool
	sums netSums

	open, unproven           int32 // threads its members hold
	members, unprovenMembers int32
	// The most unproven threads of one member, and how many have as many, at
	// least; if that is 0, loud is only a bound.
	loud, louds int32

	first      *holding // of the members, who hold threads
	place      int      // in nets.crowded, from 1 on; 0: not in it
	provenAt   int64    // when a source of it was last proven; 0: not known
	watch      *watch   // nil: no condition holds for it
	prev, next *net     // in nets.idle, while it has no members
}

// nets knows the nets: those with members, and of the others the ones that
// were left last.
type nets struct {
	level   connlog.Level
	most    int // nets without members that are remembered
	idle    netList
	spare   []*net // to be used again
	crowded []*net // those with two members or more, in an order that depends on the log only
	clock   clock
	unknown net // one in which nothing has happened
	trusted provenHours
}

// netLevelOf checks the level of nets, and keeps it from being smaller than
// that of the sources.
func netLevelOf(l, source connlog.Level) (connlog.Level, error) {
	if l == (connlog.Level{}) {
		l = connlog.NetLevel
	}
	if l.V4 < 16 || l.V4 > 31 || l.V6 < 32 || l.V6 > 63 {
		return l, fmt.Errorf("detector: nets of /%d and /%d: want /16 to /31 of IPv4 and /32 to /63 of IPv6", l.V4, l.V6)
	}
	return connlog.Level{V4: min(l.V4, source.V4), V6: min(l.V6, source.V6)}, nil
}

func newNets(level connlog.Level, most int) nets {
	return nets{level: level, most: most, clock: newClock()}
}

// keyOf is the net of an address, as a number: the leading bits of IPv6, whose
// last bit is never one of a net and says so, or those of IPv4.
func (ns *nets) keyOf(addr [16]byte) uint64 {
	if isIPv4(addr) {
		v4 := uint64(binary.BigEndian.Uint32(addr[12:]))
		return v4 >> (32 - ns.level.V4) << (32 - ns.level.V4) << 1
	}
	return binary.BigEndian.Uint64(addr[:8])>>(64-ns.level.V6)<<(64-ns.level.V6) | 1
}

// target is the net of that number as decisions are about it.
func (ns *nets) target(key uint64) (t target) {
	if key&1 == 1 {
		binary.BigEndian.PutUint64(t.addr[:8], key&^1)
		t.bits = uint8(ns.level.V6)
		return t
	}
	t.addr = netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, uint32(key>>1)))).As16()
	t.bits = uint8(mappedBits + ns.level.V4)
	return t
}

// known returns the net of a source in a pool, run up to now, or nil.
func (ns *nets) known(s *source, p *pool, now int64) *net {
	n := (*net)(nil)
	if s.hold != nil {
		n = s.hold.net
	} else {
		n = p.nets[ns.keyOf(s.key.addr)]
	}
	if n != nil {
		ns.run(n, now)
	}
	return n
}

// of returns the net of a source in its pool, run up to now as the pool is: a
// new one if it is not known.
func (ns *nets) of(s *source, p *pool, now int64) *net {
	n := ns.known(s, p, now)
	if n == nil {
		n = ns.add(ns.keyOf(s.key.addr), p, now)
	} else if n.members == 0 {
		ns.idle.remove(n)
		ns.idle.add(n)
	}
	return n
}

// run makes a net ready to be read and changed at now, which its pool has
// reached.
func (ns *nets) run(n *net, now int64) {
	ns.clock.reach(now)
	n.sums.run(&ns.clock, n.pool.toll, int(n.open))
}

// add puts in a net that has no members yet.
func (ns *nets) add(key uint64, p *pool, now int64) *net {
	var n *net
	if end := len(ns.spare) - 1; end >= 0 {
		n, ns.spare = ns.spare[end], ns.spare[:end]
	} else {
		n = new(net)
	}
	ns.clock.reach(now)
	*n = net{key: key, pool: p, sums: netSums{era: ns.clock.era}}
	if p.nets == nil {
		p.nets = make(map[uint64]*net)
	}
	p.nets[key] = n
	ns.rest(n)
	return n
}

// rest puts a net among those without members, and forgets the one that was
// left the longest ago if there are too many.
func (ns *nets) rest(n *net) {
	ns.idle.add(n)
	if ns.idle.n > ns.most {
		old := ns.idle.first
		ns.idle.remove(old)
		delete(old.pool.nets, old.key)
		old.watch = nil
		ns.spare = append(ns.spare, old)
	}
}

// join makes a source that takes its first thread a member of its net.
func (ns *nets) join(s *source, p *pool, now int64) {
	key := ns.keyOf(s.key.addr)
	n := p.nets[key]
	if n == nil {
		n = ns.add(key, p, now)
	}
	if n.members == 0 {
		ns.idle.remove(n)
	}
	n.members++
	if n.members == 2 {
		ns.crowded = append(ns.crowded, n)
		n.place = len(ns.crowded)
	}
	h := s.hold
	h.net, h.of, h.nextMember = n, s, n.first
	if n.first != nil {
		n.first.prevMember = h
	}
	n.first = h
}

// leave ends the membership of a source that gave back its last thread.
func (ns *nets) leave(h *holding) {
	n := h.net
	if h.prevMember == nil {
		n.first = h.nextMember
	} else {
		h.prevMember.nextMember = h.nextMember
	}
	if h.nextMember != nil {
		h.nextMember.prevMember = h.prevMember
	}
	n.members--
	switch n.members {
	case 1:
		ns.thin(n)
	case 0:
		ns.rest(n)
	}
}

// thin takes a net out of the crowded ones. It is not judged any more, so no
// condition holds for it.
func (ns *nets) thin(n *net) {
	end := len(ns.crowded)
	moved := ns.crowded[end-1]
	ns.crowded[n.place-1] = moved
	moved.place = n.place
	ns.crowded[end-1] = nil
	ns.crowded = ns.crowded[:end-1]
	n.place, n.watch = 0, nil
}

// netList is a list of nets, the one that was put in first at its head.
type netList struct {
	first, last *net
	n           int
}

func (l *netList) add(n *net) {
	n.prev, n.next = l.last, nil
	if l.last == nil {
		l.first = n
	} else {
		l.last.next = n
	}
	l.last = n
	l.n++
}

func (l *netList) remove(n *net) {
	if n.prev == nil {
		l.first = n.next
	} else {
		n.prev.next = n.next
	}
	if n.next == nil {
		l.last = n.prev
	} else {
		n.next.prev = n.prev
	}
	n.prev, n.next = nil, nil
	l.n--
}
