package detector

// conn is an open connection. It stands in one of its source's two lists,
// unproven or proven, in the order of opening.
type conn struct {
	source     *source
	prev, next *conn
	id         uint64 // its number within the boot
	seq        uint64 // the line that opened it
	opened     int64  // microseconds
	head       uint32 // the last file head that named it
	proven     bool
	newcomer   bool // see isNewcomer, when it was opened
	listed     bool // it is in its pool's list

	poolPrev, poolNext *conn // see passing
}

// conns is a list of connections in the order of opening, so that the oldest
// is always at hand.
type conns struct {
	first, last *conn
}

// insert puts c in its place. Lines come in the order of time, so that is
// nearly always the end.
func (l *conns) insert(c *conn) {
	after := l.last
	for after != nil && after.opened > c.opened {
		after = after.prev
	}
	c.prev = after
	if after == nil {
		c.next, l.first = l.first, c
	} else {
		c.next, after.next = after.next, c
	}
	if c.next == nil {
		l.last = c
	} else {
		c.next.prev = c
	}
}

func (l *conns) remove(c *conn) {
	if c.prev == nil {
		l.first = c.next
	} else {
		c.prev.next = c.next
	}
	if c.next == nil {
		l.last = c.prev
	} else {
		c.next.prev = c.prev
	}
	c.prev, c.next = nil, nil
}

// holding is what a source holds now. Sources that hold nothing have none.
type holding struct {
	unproven, proven conns
	open             int // connections in both lists
	openUnproven     int
	// unprovenSum is the sum of the opening times of the unproven ones. It
	// may wrap around; the sum of their ages, which is a difference, does not.
	unprovenSum int64
	took        float32 // seconds that the slowest of them took to prove itself
	place       int     // in table.holders
	paid        toll    // what the pool's toll was when the source was last run

	// The net of the source, and its place among the members of it.
	net                    *net
	of                     *source
	prevMember, nextMember *holding
}

func (h *holding) insert(c *conn) {
	h.open++
	if c.proven {
		h.proven.insert(c)
		return
	}
	h.unproven.insert(c)
	h.openUnproven++
	h.unprovenSum += c.opened
}

func (h *holding) remove(c *conn) {
	h.open--
	if c.proven {
		h.proven.remove(c)
		return
	}
	h.unproven.remove(c)
	h.openUnproven--
	h.unprovenSum -= c.opened
}

// oldest is the time the oldest connection was opened; only for holders.
func (h *holding) oldest() int64 {
	u, p := h.unproven.first, h.proven.first
	switch {
	case u == nil:
		return p.opened
	case p == nil || u.opened <= p.opened:
		return u.opened
	default:
		return p.opened
	}
}
