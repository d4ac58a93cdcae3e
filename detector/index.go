package detector

import "hash/maphash"

// index finds sources by their keys. It is a hash table with linear probing, of
// which a line of the log asks once. The map of the language would take three
// times as much, since it keeps the keys that the sources have already.
//
// The hash is another one in every process, so nobody can choose addresses that
// meet. It decides nothing but where something is.
type index struct {
	seed    maphash.Seed
	hashes  []uint32 // 0: the place is empty; as many as a power of two
	sources []*source
	n       int
}

// fewestPlaces in an index.
const fewestPlaces = 64

func newIndex() index {
	return index{seed: maphash.MakeSeed(), hashes: make([]uint32, fewestPlaces), sources: make([]*source, fewestPlaces)}
}

func (x *index) hash(k key) uint32 { return max(uint32(maphash.Comparable(x.seed, k)), 1) }

// get returns the source of a key, or nil.
func (x *index) get(k key) *source {
	h, mask := x.hash(k), uint32(len(x.hashes)-1)
	for i := h & mask; x.hashes[i] != 0; i = (i + 1) & mask {
		if x.hashes[i] == h && x.sources[i].key == k {
			return x.sources[i]
		}
	}
	return nil
}

// add puts in a source that is not in yet.
func (x *index) add(s *source) {
	if x.n >= len(x.hashes)/8*7 {
		x.grow()
	}
	x.place(x.hash(s.key), s)
	x.n++
}

func (x *index) place(h uint32, s *source) {
	mask := uint32(len(x.hashes) - 1)
	i := h & mask
	for x.hashes[i] != 0 {
		i = (i + 1) & mask
	}
	x.hashes[i], x.sources[i] = h, s
}

func (x *index) grow() {
	hashes, sources := x.hashes, x.sources
	x.hashes, x.sources = make([]uint32, 2*len(hashes)), make([]*source, 2*len(hashes))
	for i, h := range hashes {
		if h != 0 {
			x.place(h, sources[i])
		}
	}
}

// remove takes out a source that is in, and moves those behind it up that were
// kept from their places (Knuth, "The Art of Computer Programming", volume 3,
// algorithm 6.4 R).
func (x *index) remove(s *source) {
	mask := uint32(len(x.hashes) - 1)
	gap := x.hash(s.key) & mask
	for x.sources[gap] != s {
		gap = (gap + 1) & mask
	}
	for i := (gap + 1) & mask; x.hashes[i] != 0; i = (i + 1) & mask {
		if (i-x.hashes[i])&mask >= (i-gap)&mask {
			x.hashes[gap], x.sources[gap] = x.hashes[i], x.sources[i]
			gap = i
		}
	}
	x.hashes[gap], x.sources[gap] = 0, nil
	x.n--
}

// all are the sources, in no order of meaning.
func (x *index) all(yield func(*source) bool) {
	for _, s := range x.sources {
		if s != nil && !yield(s) {
			return
		}
	}
}
