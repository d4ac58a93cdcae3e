package detector

// explains is the part of a net's load that a smaller prefix must have to be
// taken for the whole.
const explains = 0.9

// narrowest is the smallest prefix that explains the load of a net, from the
// net itself down to a source: while one half of the prefix has nine tenths of
// the net's load it goes into that half.
//
// The load is load1 of the unproven connections, of members who hold threads
// now; of all their connections, if none of it is unproven. So a newcomer, who
// has held a thread for a moment, hides nothing, and neither does one who is
// quick, and one who has sat for an hour does not stand for the many who have
// for two minutes.
func (d *Detector) narrowest(n *net) target {
	t := d.nets.target(n.key)
	all := n.loadIn(t, d.now)
	if all == 0 {
		return t
	}
	for most := d.target(n.first.of.key).bits; t.bits < most; {
		lower, upper := t.halves()
		switch {
		case n.loadIn(lower, d.now) >= explains*all:
			t = lower
		case n.loadIn(upper, d.now) >= explains*all:
			t = upper
		default:
			return t
		}
	}
	return t
}

// loadIn is the load of those members that lie in t, as narrowest sees it.
func (n *net) loadIn(t target, now int64) (sum float64) {
	for h := n.first; h != nil; h = h.nextMember {
		switch s := h.of; {
		case !t.covers(s.key.addr):
		case n.unproven > 0:
			sum += s.unproven.m1At(h.openUnproven, now-s.at)
		default:
			sum += s.all.m1At(h.open, now-s.at)
		}
	}
	return sum
}

// membersIn is the number of members that lie in t.
func (n *net) membersIn(t target) (in int) {
	for h := n.first; h != nil; h = h.nextMember {
		if t.covers(h.of.key.addr) {
			in++
		}
	}
	return in
}

// halves are the two targets that t is made of; it has a bit to spare.
func (t target) halves() (lower, upper target) {
	lower, upper = t, t
	lower.bits++
	upper.bits++
	upper.addr[t.bits/8] |= 0x80 >> (t.bits % 8)
	return lower, upper
}

// covers says whether an address lies in t.
func (t target) covers(addr [16]byte) bool {
	return target{addr: addr}.within(t.bits).addr == t.addr
}
