package server

import (
	"time"

	"overstay/connlog"
)

// lastWords is how long a client that has run out of time may take to read
// that it has.
const lastWords = time.Second

// minDataRate is how many bytes a second of a message or body that comes
// slowly have to come, so that a client with no proof may finish it.
const minDataRate = 4 << 10

// deadlines are what a protocol asked for, and what came of it.
type deadlines struct {
	read, write time.Time
	readSince   time.Time // start of the last read
	armed       time.Time // what the line's reads have now
	// lastWords is until when one that is past its end may be written to; zero
	// if that was never tried.
	lastWords time.Time
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
	return c.armReadLocked()
}

// SetWriteDeadline asks for a deadline of writes. The limits of the service
// stay in force.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.limit.write = t
	return c.raw.SetWriteDeadline(c.writeDeadlineLocked(time.Now()))
}

// armRead begins a read.
func (c *Conn) armRead(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.limit.readSince = now
	_ = c.armReadLocked() // A closed one fails at the read.
}

// rearm makes a read that waits already keep to the limits as they are now.
func (c *Conn) rearm() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended {
		_ = c.armReadLocked() // A closed one is awake.
	}
}

func (c *Conn) armReadLocked() error {
	d := c.readDeadlineLocked()
	if d.Equal(c.limit.armed) {
		return nil
	}
	c.limit.armed = d
	return c.raw.SetReadDeadline(d)
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
	limit, pool := &c.service.current().limits, c.service.pool
	idle := limit.ProvenIdle
	if !c.proven {
		idle = limit.patience(int(pool.busy.Load()), pool.size())
		d = earliest(d, c.proofDueLocked(limit))
	}
	if c.parked && pool.crowded() {
		d = earlier(d, c.clock.since, parkedTime)
	}
	d = earliest(d, c.endLocked(limit))
	if c.clock.stage == connlog.StageIdle {
		return earlier(d, c.clock.since, idle)
	}
	d = earlier(d, c.clock.since, limit.Stage)
	turn := c.clock.since
	if c.limit.readSince.After(turn) {
		turn = c.limit.readSince
	}
	return earlier(d, turn, idle)
}

// proofDueLocked returns when an unproven client that is waited for has had its
// time; zero is never. While there are threads enough, who sends a message may
// finish it, as long as it really comes.
func (c *Conn) proofDueLocked(limit *Limits) time.Time {
	due := earlier(time.Time{}, c.opened, limit.Unproven)
	if due.IsZero() || c.clock.stage != connlog.StageData || c.stressed(limit) {
		return due
	}
	came := c.bytesIn.Load() - c.cameBefore
	paidUntil := c.clock.since.Add(time.Duration(came/minDataRate) * time.Second)
	if paidUntil.After(due) {
		return paidUntil
	}
	return due
}

// stressed tells whether the pool has few threads left.
func (c *Conn) stressed(limit *Limits) bool {
	return limit.stressed(int(c.service.pool.busy.Load()), c.service.pool.size())
}

// writeDeadlineLocked does not let a slow taker outlive its end. One that is
// past it, because we took so long, has a moment for our answer. Who is
// unproven may take its answer slowly while there are threads enough.
func (c *Conn) writeDeadlineLocked(now time.Time) time.Time {
	limit := &c.service.current().limits
	room := limit.Write
	if c.cause == connlog.EndTimeout {
		room = lastWords
	}
	d := earlier(c.limit.write, now, room)
	end := c.endLocked(limit)
	if pool := c.service.pool; !c.proven && c.stressed(limit) {
		d = earlier(d, now, limit.patience(int(pool.busy.Load()), pool.size()))
		end = earlier(end, c.opened, limit.Unproven)
	}
	if end.IsZero() || end.After(now) {
		c.limit.lastWords = time.Time{} // It is not past its end any more.
		return earliest(d, end)
	}
	if c.limit.lastWords.IsZero() {
		c.limit.lastWords = now.Add(lastWords)
	}
	return earliest(d, c.limit.lastWords)
}

// endLocked returns when the connection has lasted, or been in its stage, for
// as long as it may; zero is never.
func (c *Conn) endLocked(limit *Limits) time.Time {
	return earlier(c.clock.end(&limit.Total), c.opened, limit.Session)
}

// earliest returns the earlier of two times, of which zero is never.
func earliest(t, u time.Time) time.Time {
	if t.IsZero() || !u.IsZero() && u.Before(t) {
		return u
	}
	return t
}

// earlier returns the earlier of t and start+limit. A zero t is never, and so
// is a zero limit.
func earlier(t, start time.Time, limit time.Duration) time.Time {
	if limit == 0 {
		return t
	}
	return earliest(t, start.Add(limit))
}
