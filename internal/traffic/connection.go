package traffic

import (
	"cmp"
	"math"
	"slices"
	"time"

	"overstay/connlog"
)

// conn is a connection that holds a thread.
type conn struct {
	id     uint64 // 0 in a free slot
	client int32
	opened int64 // µs
	steps  int   // done so far
	fails  int
	proven bool
}

// attempt lets a client connect, in the order of a server's admission: banned,
// too many sessions, too busy, welcome.
func (s *simulator) attempt(who int32) {
	c := &s.clients[who]
	p := &s.pools[c.pool]
	c.draw()
	c.wanted = s.now + c.pause
	switch {
	case s.conf.Blocked != nil && s.conf.Blocked(c.addr, c.group.Service):
		s.refuse(c, connlog.RefuseBanned)
	case p.UnprovenPerSource > 0 && s.sources[c.origin].unproven >= p.UnprovenPerSource:
		s.refuse(c, connlog.RefuseSessions)
	case p.busy >= p.Threads:
		s.refuse(c, connlog.RefuseBusy)
	default:
		s.open(who)
		return
	}
	s.planAttempt(who, c.wanted)
}

// open gives the client a thread.
func (s *simulator) open(who int32) {
	c := &s.clients[who]
	p := &s.pools[c.pool]
	slot := s.slot()
	s.lastID++
	s.slots[slot] = conn{id: s.lastID, client: who, opened: s.now}
	s.sources[c.origin].unproven++
	p.busy++
	s.event = connlog.Event{
		Kind: connlog.Open, Service: p.Name, Conn: s.lastID, ClientIP: c.addr,
		// Derived, not drawn: the number of draws of an attempt is fixed.
		ClientPort: uint16(32768 + (s.lastID*2654435761>>7)%28232),
		Busy:       p.busy, Threads: p.Threads,
	}
	s.emit()
	s.planStep(slot)
}

// slot returns a free slot.
func (s *simulator) slot() int32 {
	if n := len(s.free); n > 0 {
		slot := s.free[n-1]
		s.free = s.free[:n-1]
		return slot
	}
	s.slots = append(s.slots, conn{})
	return int32(len(s.slots) - 1)
}

// planStep plans what happens next to a connection: its own next step, the end
// of the server's patience, or the end of its group's time.
func (s *simulator) planStep(slot int32) {
	k := &s.slots[slot]
	c := &s.clients[k.client]
	t := task{at: math.MaxInt64, what: doStep, ref: slot, conn: k.id}
	if c.group.Kind != Holding || c.group.Hold > 0 {
		t.at = s.now + c.stepTime(k.steps)
	}
	earlier := func(at int64, what action) {
		if at < t.at {
			t.at, t.what = max(at, s.now), what
		}
	}
	if patience := s.pools[c.pool].Patience; patience > 0 && !k.proven {
		earlier(k.opened+patience.Microseconds(), doTimeout)
	}
	if c.group.Kind == Holding && c.group.Until > 0 {
		earlier(c.group.Until.Microseconds(), doLetGo)
	}
	if t.at != math.MaxInt64 {
		s.queue.put(t)
	}
}

// stepTime is how long the client takes for the step after so many.
func (c *client) stepTime(steps int) int64 {
	t := c.hold
	switch {
	case c.group.Kind == Ordinary && steps == 0:
		t -= t / 8
	case c.group.Kind == Ordinary:
		t /= 8
	case c.group.Kind == Sending && steps == 0:
		t /= int64(c.group.tries()) // the first message proves it
	case c.group.Kind == Sending:
		t -= t / int64(c.group.tries())
	case c.group.Kind == Guessing && steps >= c.group.tries():
		t = 1 // has had its tries, hangs up
	}
	return max(t, 1)
}

// step does what the connection does next.
func (s *simulator) step(slot int32) {
	k := &s.slots[slot]
	g := s.clients[k.client].group
	k.steps++
	switch {
	case (g.Kind == Ordinary || g.Kind == Sending) && k.steps == 1:
		s.prove(k)
	case g.Kind == Guessing && k.steps <= g.tries():
		s.fail(k)
	default:
		s.close(slot, connlog.EndClient)
		return
	}
	s.planStep(slot)
}

func (s *simulator) prove(k *conn) {
	c := &s.clients[k.client]
	k.proven = true
	s.sources[c.origin].unproven--
	by := connlog.ByMessage
	if c.group.Service == WWW {
		by = connlog.ByRequest
	}
	s.event = connlog.Event{
		Kind: connlog.Proven, Service: c.group.Service, Conn: k.id, ClientIP: c.addr, By: by,
	}
	s.emit()
}

func (s *simulator) fail(k *conn) {
	c := &s.clients[k.client]
	k.fails++
	s.event = connlog.Event{
		Kind: connlog.Fail, Service: c.group.Service, Conn: k.id, ClientIP: c.addr,
		What: connlog.FailLogin, User: c.group.user(int(k.id) + k.fails),
	}
	s.emit()
}

// close gives the thread back; the client tries again when it wants to.
func (s *simulator) close(slot int32, end connlog.End) {
	k := &s.slots[slot]
	c := &s.clients[k.client]
	p := &s.pools[c.pool]
	p.busy--
	if !k.proven {
		s.sources[c.origin].unproven--
	}
	held := time.Duration(s.now-k.opened) * time.Microsecond
	s.event = connlog.Event{
		Kind: connlog.Close, Service: p.Name, Conn: k.id, ClientIP: c.addr,
		Held: held, End: end, Proven: k.proven, Fails: k.fails,
	}
	s.describe(k, c.group)
	s.emit()
	who := k.client
	*k = conn{}
	s.free = append(s.free, slot)
	if c.group.Kind == Holding {
		c.wanted = s.now + c.pause
	}
	s.planAttempt(who, max(c.wanted, s.now+1))
}

// describe fills in a close event's bytes, and its stages, which add up to the
// time held.
func (s *simulator) describe(k *conn, g *Group) {
	e := &s.event
	left := e.Held
	spend := func(stage connlog.Stage, d time.Duration) {
		d = min(d, left)
		e.Stages[stage] += d
		left -= d
	}
	e.BytesIn, e.BytesOut = 40, 160
	if g.Service == WWW {
		if k.proven {
			spend(connlog.StageIdle, e.Held/8)
			e.BytesIn, e.BytesOut = 120, 1800
		}
		spend(connlog.StageCommand, left)
		return
	}
	spend(connlog.StageGreeting, time.Millisecond)
	if k.fails > 0 {
		spend(connlog.StageLogin, left)
		e.BytesIn += int64(60 * k.fails)
		return
	}
	if k.proven {
		messages := int64(g.tries())
		spend(connlog.StageData, e.Held/2)
		spend(connlog.StageDeliver, e.Held/4)
		e.BytesIn, e.BytesOut = 1400*messages, 120+180*messages
	}
	spend(connlog.StageCommand, left)
}

// closeAll closes the connections whose client matches, oldest first.
func (s *simulator) closeAll(end connlog.End, match func(*client) bool) {
	var found []int32
	for i := range s.slots {
		k := &s.slots[i]
		if k.id != 0 && match(&s.clients[k.client]) {
			found = append(found, int32(i))
		}
	}
	slices.SortFunc(found, func(a, b int32) int {
		return cmp.Compare(s.slots[a].id, s.slots[b].id)
	})
	for _, slot := range found {
		s.close(slot, end)
	}
}
