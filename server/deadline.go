package server

import (
	"time"

	"overstay/connlog"
)

// lastWords is how long a client that has run out of time may take to read
// that it has.
const lastWords = time.Second

// deadlines are what a protocol asked for, and the start of its last read.
type deadlines struct {
	read, write time.Time
	readSince   time.Time // start of the last read
}

// wokenUp tells whether a timeout was no timeout: a protocol that sets a
// deadline before the connection's beginning wants to interrupt its own read.
func (d *deadlines) wokenUp(opened time.Time) bool {
	return !d.read.IsZero() && d.read.Before(opened)
}

// SetDeadline asks for a deadline of reads and writes. The limits of the
// service stay in force.
func (c *Conn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

// SetReadDeadline asks for a deadline of reads. The limits of the service stay
// in force.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.limit.read = t
	return c.raw.SetReadDeadline(c.readDeadlineLocked())
}

// SetWriteDeadline asks for a deadline of writes. The limits of the service
// stay in force.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.limit.write = t
	return c.raw.SetWriteDeadline(c.writeDeadlineLocked(time.Now()))
}

func (c *Conn) armRead(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.limit.readSince = now
	c.armReadLocked()
}

func (c *Conn) armReadLocked() {
	_ = c.raw.SetReadDeadline(c.readDeadlineLocked()) // A closed one fails at the read.
}

func (c *Conn) armWrite(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.raw.SetWriteDeadline(c.writeDeadlineLocked(now)) // A closed one fails at the write.
}

// readDeadlineLocked returns the earliest of what the protocol asked for and
// of our own limits, none of which a byte now and then can move.
func (c *Conn) readDeadlineLocked() time.Time {
	d := c.limit.read
	if !c.clock.clientsTurn() {
		return d
	}
	limit := c.service.Limits
	if !c.proven {
		d = earlier(d, c.opened, limit.Unproven)
	}
	if c.parked && c.service.pool.crowded() {
		d = earlier(d, c.clock.since, parkedTime)
	}
	d = earlier(d, c.clock.since, limit.Stage)
	turn := c.clock.since
	if c.limit.readSince.After(turn) {
		turn = c.limit.readSince
	}
	return earlier(d, turn, limit.Idle)
}

func (c *Conn) writeDeadlineLocked(now time.Time) time.Time {
	limit := c.service.Limits.Write
	if c.cause == connlog.EndTimeout {
		limit = lastWords
	}
	return earlier(c.limit.write, now, limit)
}

// earlier returns the earlier of t and start+limit. A zero t is never, and so
// is a zero limit.
func earlier(t, start time.Time, limit time.Duration) time.Time {
	if limit == 0 {
		return t
	}
	if d := start.Add(limit); t.IsZero() || d.Before(t) {
		return d
	}
	return t
}
