package formats

import (
	"hash/maphash"
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
	by      key         // of a message: the session that it came in by
	turn    uint64      // in which it was put
}

// key names a session in a log: a hash of its name, seeded anew for each
// parser, so that nobody can make up a name that meets another's session.
type key uint64

// keys makes keys.
type keys struct {
	seed maphash.Seed
	text []byte
}

// named is the key of an id, of a kind and with what else it is of.
func (n *keys) named(kind byte, id, of []byte) key {
	n.text = append(append(append(append(n.text[:0], kind), id...), 0), of...)
	return key(maphash.Bytes(n.seed, n.text))
}

// endpoint is the key of a client's address and port.
func (n *keys) endpoint(kind byte, addr netip.Addr, port uint16) key {
	ip := addr.As16()
	n.text = append(append(n.text[:0], kind, byte(port>>8), byte(port)), ip[:]...)
	return key(maphash.Bytes(n.seed, n.text))
}

// sessions are those that are open, by key. They are bounded: a log that never tells
// of an end loses those that began first.
type sessions struct {
	limit int
	turns uint64 // sessions that were put
	byKey map[key]*session
	queue []keyed // in the order in which they began, with those that are over
	spare []*session
}

type keyed struct {
	key  key
	turn uint64
}

func (t *sessions) size() int { return len(t.byKey) }

func (t *sessions) get(k key) *session { return t.byKey[k] }

// put keeps a session; it is valid until it is taken.
func (t *sessions) put(k key, s session) *session {
	if old := t.byKey[k]; old != nil {
		t.spare = append(t.spare, old)
	} else if t.byKey == nil {
		t.byKey = make(map[key]*session)
	}
	if len(t.queue) > 2*t.limit+16 {
		t.compact()
	}
	t.turns++
	s.turn = t.turns
	t.queue = append(t.queue, keyed{k, s.turn})
	var kept *session
	if n := len(t.spare); n > 0 {
		kept, t.spare = t.spare[n-1], t.spare[:n-1]
	} else {
		kept = new(session)
	}
	*kept = s
	t.byKey[k] = kept
	return kept
}

func (t *sessions) take(k key) (session, bool) {
	s, ok := t.byKey[k]
	if !ok {
		return session{}, false
	}
	delete(t.byKey, k)
	t.spare = append(t.spare, s)
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
		if s := t.byKey[first.key]; s != nil && s.turn == first.turn {
			return t.take(first.key)
		}
	}
	return session{}, false
}

// compact forgets the places of sessions that are over.
func (t *sessions) compact() {
	kept := make([]keyed, 0, len(t.byKey)+16)
	for _, k := range t.queue {
		if s := t.byKey[k.key]; s != nil && s.turn == k.turn {
			kept = append(kept, k)
		}
	}
	t.queue = kept
}
