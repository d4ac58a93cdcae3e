package score

import (
	"net/netip"
	"slices"

	"overstay/connlog"
	"overstay/internal/traffic"
)

// books are the accounts of the truth: who was refused, and whose threads were
// in the way.
type books struct {
	truth    *traffic.Truth
	attempts uint64 // of innocents
	refused  uint64 // of them, as busy

	// The blame is kept as the detector keeps it, by a running sum: an attacker
	// who holds n threads from one time to another is charged n times what the
	// sum grew by. It is of refusals of innocents alone.
	toll map[string]float64 // by service: the sum of 1/busy
	held map[uint64]holding // attackers' connections by number
	owed map[netip.Prefix]float64
}

// holding is a connection of an attacker.
type holding struct {
	attacker netip.Prefix
	service  string
	toll     float64 // when it was opened
}

func newBooks(truth *traffic.Truth) *books {
	return &books{
		truth: truth,
		toll:  map[string]float64{}, held: map[uint64]holding{}, owed: map[netip.Prefix]float64{},
	}
}

// enter takes in a line of the log.
func (b *books) enter(e *connlog.Event) {
	switch e.Kind {
	case connlog.Open:
		b.open(e)
	case connlog.Refuse:
		part := b.truth.Of(e.ClientIP)
		if e.Reason == connlog.RefuseBusy && innocent(part) {
			b.attempts += max(e.Count, 1)
			b.refused += max(e.Count, 1)
			b.toll[e.Service] += float64(max(e.Count, 1)) / float64(max(e.Busy, 1))
		}
	case connlog.Close:
		b.release(e.Conn)
	case connlog.Start:
		for conn := range b.held { // of a server that crashed
			b.release(conn)
		}
	}
}

func (b *books) open(e *connlog.Event) {
	part := b.truth.Of(e.ClientIP)
	if innocent(part) {
		b.attempts++
	}
	if part == traffic.Attacker || part == traffic.Insider {
		b.held[e.Conn] = holding{attacker: b.attacker(e.ClientIP), service: e.Service, toll: b.toll[e.Service]}
	}
}

// innocent says whether a refusal of such a one counts. Who shares an address
// with an attacker counts, and so does the attacker: a log cannot tell them
// apart.
func innocent(p traffic.Part) bool { return p == traffic.Innocent || p == traffic.Insider }

// attacker returns the entry of the truth that an attacking address is of.
func (b *books) attacker(addr netip.Addr) netip.Prefix {
	for _, list := range [][]netip.Prefix{b.truth.Shared, b.truth.Attackers} {
		i, found := slices.BinarySearchFunc(list, addr, func(p netip.Prefix, a netip.Addr) int {
			return p.Addr().Compare(a)
		})
		if found {
			return list[i]
		}
		if i > 0 && list[i-1].Contains(addr) {
			return list[i-1]
		}
	}
	return netip.Prefix{}
}

func (b *books) release(conn uint64) {
	h, ok := b.held[conn]
	if !ok {
		return
	}
	delete(b.held, conn)
	if cost := b.toll[h.service] - h.toll; cost > 0 {
		b.owed[h.attacker] += cost
	}
}

// close ends the accounts and returns who cost innocents a refusal or more.
func (b *books) close() map[netip.Prefix]bool {
	for conn := range b.held {
		b.release(conn)
	}
	costly := map[netip.Prefix]bool{}
	for p, cost := range b.owed {
		if cost >= 1 {
			costly[p] = true
		}
	}
	return costly
}
