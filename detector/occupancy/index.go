package occupancy

import (
	"hash/maphash"
	"math/bits"
)

// index finds the number of a place. The places are chosen by strangers, so it
// is keyed anew for each fold; the numbers depend on the log only.
type index struct {
	keys   [2]uint64
	slots  []slot // a power of two, not more than half full
	places row[place]
}

// slot is empty if the number is 0; else it is one more than the place's.
type slot struct {
	tag    uint32 // other bits of the hash
	number int32
}

const leastSlots = 1 << 10

func newIndex() index {
	seed := maphash.MakeSeed()
	return index{keys: [2]uint64{maphash.Comparable(seed, 1), maphash.Comparable(seed, 2)}, slots: make([]slot, leastSlots)}
}

func (x *index) hash(p place) uint64 {
	high, low := bits.Mul64(p.high^x.keys[0], p.low^x.keys[1])
	high, low = bits.Mul64(high^low^x.keys[1], 0x9e3779b97f4a7c15)
	return high ^ low
}

// find returns the number of a place, -1 if it has none.
func (x *index) find(p place) int32 {
	h := x.hash(p)
	mask := uint64(len(x.slots) - 1)
	for at := h & mask; ; at = (at + 1) & mask {
		s := x.slots[at]
		if s.number == 0 {
			return -1
		}
		if s.tag == uint32(h>>32) && *x.places.at(s.number - 1) == p {
			return s.number - 1
		}
	}
}

// add gives the next number to a place that has none.
func (x *index) add(p place) {
	number, to := x.places.add()
	*to = p
	if 2*x.places.n <= len(x.slots) {
		x.put(p, number)
		return
	}
	x.slots = make([]slot, 2*len(x.slots))
	for i := range number + 1 {
		x.put(*x.places.at(i), i)
	}
}

func (x *index) put(p place, number int32) {
	h := x.hash(p)
	mask := uint64(len(x.slots) - 1)
	at := h & mask
	for x.slots[at].number != 0 {
		at = (at + 1) & mask
	}
	x.slots[at] = slot{uint32(h >> 32), number + 1}
}
