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

// hurryParked makes a read that waits already keep to the limit of a crowded
// pool.
func (c *Conn) hurryParked() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.parked && !c.ended {
		c.armReadLocked()
	}
}

// hurryParked looks for what was parked before its pool became crowded. It is
// called once a second, so that the accept loop need not do it.
func (s *Server) hurryParked() {
	for _, p := range s.pools {
		if !p.crowded() {
			continue
		}
		for _, c := range p.collect(nil) {
			c.hurryParked()
		}
	}
}
