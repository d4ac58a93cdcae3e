package server

import (
	"time"

	"overstay/connlog"
)

// parkedTime is how long a parked connection is waited for in a crowded pool.
const parkedTime = time.Second

// Crowded tells whether at least a half of the pool's threads are held. A
// protocol that could keep a connection for later lets it go then.
func (c *Conn) Crowded() bool { return c.service.pool.crowded() }

// Park moves the connection into the idle stage, as one whose client has all
// that it asked for and loses nothing if it has to come back on another: while
// the pool is crowded, it is waited for no longer than a second, proven or
// not. The next Enter ends that.
func (c *Conn) Park() { c.enter(connlog.StageIdle, true) }

// hurry makes reads that wait already keep to what their pool has become since
// they began: crowded for those that are parked, full for those that are
// unproven, or neither any more. It is called once a second, so that the
// accept loop need not do it.
func (s *Server) hurry() {
	for _, p := range s.pools {
		before := p.pressed
		p.pressed = s.pressed(p)
		if before || p.pressed {
			p.rearm()
		}
	}
}

// pressed tells whether some of a pool's connections are to be hurried.
func (s *Server) pressed(p *pool) bool {
	if p.crowded() {
		return true
	}
	busy, threads := int(p.busy.Load()), p.size()
	for _, svc := range s.services {
		if svc.pool == p && svc.current().limits.stressed(busy, threads) {
			return true
		}
	}
	return false
}

// rearm makes all reads that wait keep to the limits as they are now.
func (p *pool) rearm() {
	for _, c := range p.collect(nil) {
		c.rearm()
	}
}
