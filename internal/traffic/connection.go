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

	asked   int64 // µs: since when its message waits for a scanner, 0 if it does not
	waited  int64 // µs: for a scanner, in all
	scanned int64 // µs: in all
	stalled int64 // µs: for what is behind the server, in all
}

// attempt begins an attempt. Retries of it repeat only the admission.
func (s *simulator) attempt(who int32) {
	c := &s.clients[who]
	c.draw()
	s.drawMore(c)
	c.visits++
	c.again = 0
	c.wanted = s.now + c.pause
	s.admit(who)
}

// admit lets a client connect, in the order of a server's admission: banned,
// too many sessions, too busy, welcome.
func (s *simulator) admit(who int32) {
	c := &s.clients[who]
	p := &s.pools[c.pool]
	switch {
	case s.down:
		s.turnedAway(who)
	case s.conf.Blocked != nil && s.conf.Blocked(c.addr, c.group.Service):
		s.refuse(c, connlog.RefuseBanned)
		s.planAttempt(who, max(c.wanted, s.now+1))
	case p.UnprovenPerSource > 0 && s.sources[c.origin].unproven >= p.UnprovenPerSource:
		s.refuse(c, connlog.RefuseSessions)
		s.turnedAway(who)
	case p.busy >= p.Threads:
		s.refuse(c, connlog.RefuseBusy)
		s.turnedAway(who)
	default:
		s.open(who)
	}
}

// turnedAway lets a client try again, or go on to its next attempt.
func (s *simulator) turnedAway(who int32) {
	c := &s.clients[who]
	g := c.group
	if int(c.again) >= g.Retries {
		s.planAttempt(who, max(c.wanted, s.now+1))
		return
	}
	// Derived, not drawn: what a client draws must not depend on how it fares.
	u := float64(mix(s.conf.Seed^uint64(who)<<32^uint64(c.visits)<<8^uint64(c.again))>>11) / (1 << 53)
	at := s.now + max(spread(g.Retry<<c.again, u).Microseconds(), 1)
	c.again++
	if g.Until != 0 && at >= g.Until.Microseconds() {
		return
	}
	s.queue.put(task{at: at, what: doRetry, ref: who})
}

// mix is the finalizer of SplitMix64 (Steele, Lea and Flood 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
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
		Kind: connlog.Open, Service: p.Name, Conn: s.lastID - s.baseID, ClientIP: c.addr,
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
	if !c.group.holds() || c.group.Hold > 0 || c.group.Kind == Idling && k.steps == 0 {
		takes := c.stepTime(k.steps, s.scans(c))
		t.at = after(s.stalls(c), s.now, takes)
		k.stalled += t.at - s.now - takes
	}
	earlier := func(at int64, what action) {
		if at < t.at {
			t.at, t.what = max(at, s.now), what
		}
	}
	if patience := s.pools[c.pool].Patience; patience > 0 && !k.proven {
		earlier(k.opened+patience.Microseconds(), doTimeout)
	}
	if c.group.holds() && c.group.Until > 0 {
		earlier(c.group.Until.Microseconds(), doLetGo)
	}
	if t.at != math.MaxInt64 {
		s.queue.put(t)
	}
}

// idlingProves is how long an Idling client takes to prove itself.
const idlingProves = 200 * time.Millisecond

// stepTime is how long the client takes for the step after so many.
func (c *client) stepTime(steps int, scanned bool) int64 {
	t := c.hold
	switch {
	case c.group.Kind == Ordinary && steps == 0:
		t -= t / 8
	case c.group.Kind == Ordinary:
		t /= 8
	case c.group.Kind == Sending && scanned && steps >= c.group.tries():
		t = 1 // nothing is left to send
	case c.group.Kind == Sending && (scanned || steps == 0):
		t /= int64(c.group.tries()) // the first message proves it
	case c.group.Kind == Sending:
		t -= t / int64(c.group.tries())
	case c.group.Kind == Guessing && steps >= c.group.tries():
		t = 1 // has had its tries, hangs up
	case c.group.Kind == Idling && steps == 0:
		t = idlingProves.Microseconds()
	}
	return max(t, 1)
}

// step does what the connection does next.
func (s *simulator) step(slot int32) {
	k := &s.slots[slot]
	c := &s.clients[k.client]
	if s.scans(c) && k.hasMessage(c.group) {
		s.queueScan(slot)
		return
	}
	s.stepped(slot)
}

// stepped is what comes of a step, once its message is scanned if it had one.
func (s *simulator) stepped(slot int32) {
	k := &s.slots[slot]
	c := &s.clients[k.client]
	g := c.group
	k.steps++
	switch {
	case (g.Kind == Ordinary || g.Kind == Sending || g.Kind == Idling) && k.steps == 1:
		s.prove(k)
	case g.Kind == Sending && s.scans(c) && k.steps <= g.tries():
		// One more message is delivered.
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
	switch {
	case c.group.Service == WWW:
		by = connlog.ByRequest
	case c.group.Kind == Idling || c.group.Service == IMAP:
		by = connlog.ByLogin
	}
	s.event = connlog.Event{
		Kind: connlog.Proven, Service: c.group.Service, Conn: k.id - s.baseID, ClientIP: c.addr, By: by,
	}
	s.emit()
}

func (s *simulator) fail(k *conn) {
	c := &s.clients[k.client]
	k.fails++
	s.event = connlog.Event{
		Kind: connlog.Fail, Service: c.group.Service, Conn: k.id - s.baseID, ClientIP: c.addr,
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
		Kind: connlog.Close, Service: p.Name, Conn: k.id - s.baseID, ClientIP: c.addr,
		Held: held, End: end, Proven: k.proven, Fails: k.fails,
	}
	s.describe(k, c.group)
	s.emit()
	s.release(slot)
}

// release forgets a connection, and lets its client go on.
func (s *simulator) release(slot int32) {
	who := s.slots[slot].client
	c := &s.clients[who]
	s.slots[slot] = conn{}
	s.free = append(s.free, slot)
	if c.group.holds() {
		c.wanted = s.now + c.pause
	}
	s.planAttempt(who, max(c.wanted, s.now+1))
}

// describe fills in a close event's bytes, and its stages, which add up to the
// time held.
func (s *simulator) describe(k *conn, g *Group) {
	e := &s.event
	left := e.Held
	if k.asked > 0 {
		k.waited += s.now - k.asked
	}
	spend := func(stage connlog.Stage, d time.Duration) {
		d = min(d, left)
		e.Stages[stage] += d
		left -= d
	}
	e.BytesIn, e.BytesOut = 40, 160
	spend(connlog.StageUpstream, time.Duration(k.stalled)*time.Microsecond)
	if g.Service == WWW {
		if k.proven {
			spend(connlog.StageIdle, e.Held/8)
			e.BytesIn, e.BytesOut = 120, 1800
		}
		spend(connlog.StageCommand, left)
		return
	}
	spend(connlog.StageGreeting, time.Millisecond)
	left = k.scanStages(&e.Stages, left)
	if k.proven && (g.Kind == Idling || g.Service == IMAP) {
		spend(connlog.StageLogin, idlingProves)
		spend(connlog.StageIdle, left)
		return
	}
	if k.fails > 0 {
		spend(connlog.StageLogin, left)
		e.BytesIn += int64(60 * k.fails)
		return
	}
	if k.proven {
		messages := int64(g.tries())
		own := max(e.Held-time.Duration(k.waited+k.scanned)*time.Microsecond, 0)
		spend(connlog.StageData, own/2)
		spend(connlog.StageDeliver, own/4)
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
