package formats

import (
	"net/netip"

	"overstay/connlog"
)

// session is a connection that several lines tell of.
type session struct {
	conn    uint64
	addr    netip.Addr
	service string
	opened  int64
	proven  bool
	fails   int
	end     connlog.End // what an earlier line says of how it will end
}

// sessions are those that are open, by a key of the format: a process, a
// session's id, an address and port. They are bounded: a log that never tells
// of an end loses those that began first.
type sessions struct {
	limit int
	byKey map[uint64]*session
	queue []keyed // in the order in which they began, with those that are over
}

type keyed struct {
	key  uint64
	conn uint64
}

func (t *sessions) size() int { return len(t.byKey) }

func (t *sessions) get(key uint64) *session { return t.byKey[key] }

func (t *sessions) put(key uint64, s session) *session {
	if t.byKey == nil {
		t.byKey = make(map[uint64]*session)
	}
	if len(t.queue) > 2*t.limit+16 {
		t.compact()
	}
	t.queue = append(t.queue, keyed{key, s.conn})
	kept := &s
	t.byKey[key] = kept
	return kept
}

func (t *sessions) take(key uint64) (session, bool) {
	s, ok := t.byKey[key]
	if !ok {
		return session{}, false
	}
	delete(t.byKey, key)
	return *s, true
}

// crowded takes out the one that began first, if there is no room for one more.
func (t *sessions) crowded() (session, bool) {
	if len(t.byKey) < t.limit {
		return session{}, false
	}
	for len(t.queue) > 0 {
		first := t.queue[0]
		t.queue = t.queue[1:]
		if s := t.byKey[first.key]; s != nil && s.conn == first.conn {
			return t.take(first.key)
		}
	}
	return session{}, false
}

// compact forgets the places of sessions that are over.
func (t *sessions) compact() {
	kept := make([]keyed, 0, len(t.byKey)+16)
	for _, k := range t.queue {
		if s := t.byKey[k.key]; s != nil && s.conn == k.conn {
			kept = append(kept, k)
		}
	}
	t.queue = kept
}
