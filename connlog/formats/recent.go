package formats

// recent remembers the last few things that were put, by their keys. Which ones
// these are depends on the order of putting alone, and not on the keys, which
// are others in each run. The zero value is empty.
type recent[V any] struct {
	turns uint64
	byKey map[key]turned[V]
	queue []keyed // the last ones to be put, as a ring
}

type turned[V any] struct {
	value V
	turn  uint64 // in which it was put
}

// maxRecent is how many are remembered.
const maxRecent = 1024

func (r *recent[V]) put(k key, v V) {
	if r.byKey == nil {
		r.byKey, r.queue = map[key]turned[V]{}, make([]keyed, maxRecent)
	}
	r.turns++
	slot := &r.queue[r.turns%maxRecent]
	if old, ok := r.byKey[slot.key]; ok && old.turn == slot.turn {
		delete(r.byKey, slot.key)
	}
	*slot = keyed{k, r.turns}
	r.byKey[k] = turned[V]{v, r.turns}
}

func (r *recent[V]) get(k key) (V, bool) {
	one, ok := r.byKey[k]
	return one.value, ok
}

// forget reports whether it was there.
func (r *recent[V]) forget(k key) bool {
	_, ok := r.byKey[k]
	delete(r.byKey, k)
	return ok
}
