package detector

import "hash/maphash"

// index has the sources, and finds them by their keys. It is a hash table with
// linear probing, of which a line of the log asks once. Its slots are small, so
// that those of 100,000 sources stay in the processor's cache, and only the
// source itself has to be fetched from further away.
//
// The hash is another one in every process, so nobody can choose addresses that
// meet. It decides nothing but where something is.
type index struct {
	seed    maphash.Seed
	slots   []slot // as many as a power of two
	n       int
	sources pages[source]
	spare   *source // the first of those to be used again, each behind another
}

type slot struct {
	hash   uint32
	number uint32 // of the source; 0: the slot is empty
}

// fewestSlots in an index.
const fewestSlots = 64

func newIndex() index {
	return index{seed: maphash.MakeSeed(), slots: make([]slot, fewestSlots)}
}

func (x *index) hash(k key) uint32 { return uint32(maphash.Comparable(x.seed, k)) }

// get returns the source of a key, or nil.
func (x *index) get(k key) *source {
	h, mask := x.hash(k), uint32(len(x.slots)-1)
	for i := h & mask; ; i = (i + 1) & mask {
		at := x.slots[i]
		if at.number == 0 {
			return nil
		}
		if at.hash == h {
			if s := x.sources.at(at.number); s.key == k {
				return s
			}
		}
	}
}

// add puts in a new source, of a key that is not in yet.
func (x *index) add(k key) *source {
	if x.n >= len(x.slots)/8*7 {
		x.grow()
	}
	x.n++
	s := x.spare
	if s != nil {
		x.spare = s.behind
		*s = source{number: s.number}
	} else {
		n := x.sources.more()
		s = x.sources.at(n)
		s.number = n
	}
	s.key, s.known = k, true
	x.put(slot{x.hash(k), s.number})
	return s
}

func (x *index) put(s slot) {
	mask := uint32(len(x.slots) - 1)
	i := s.hash & mask
	for x.slots[i].number != 0 {
		i = (i + 1) & mask
	}
	x.slots[i] = s
}

func (x *index) grow() {
	slots := x.slots
	x.slots = make([]slot, 2*len(slots))
	for _, s := range slots {
		if s.number != 0 {
			x.put(s)
		}
	}
}

// remove takes out a source that is in, and moves those behind it up that were
// kept from their places (Knuth, "The Art of Computer Programming", volume 3,
// algorithm 6.4 R).
func (x *index) remove(s *source) {
	mask := uint32(len(x.slots) - 1)
	gap := x.hash(s.key) & mask
	for x.slots[gap].number != s.number {
		gap = (gap + 1) & mask
	}
	for i := (gap + 1) & mask; x.slots[i].number != 0; i = (i + 1) & mask {
		if (i-x.slots[i].hash)&mask >= (i-gap)&mask {
			x.slots[gap] = x.slots[i]
			gap = i
		}
	}
	x.slots[gap] = slot{}
	x.n--
	s.known, s.behind, x.spare = false, x.spare, s
}

// all are the sources, in no order of meaning.
func (x *index) all(yield func(*source) bool) {
	for n := uint32(1); n <= x.sources.made; n++ {
		if s := x.sources.at(n); s.known && !yield(s) {
			return
		}
	}
}
