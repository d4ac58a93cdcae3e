package server

import (
	"encoding/binary"
	"net"
	"time"

	"overstay/connlog"
)

// maxEarlyBytes is how much is taken of what a client says before its turn.
// The rest waits in the kernel.
const maxEarlyBytes = 512

// greetsLate tells whether clients are made to wait for the greeting.
func (s *service) greetsLate(set *settings) bool {
	return set.greetDelay > 0 && s.Protocol.SpeaksFirst()
}

// prepare does what comes before the protocol: the handshake, and the wait for
// the greeting. It holds a thread already, and ends at once if c is ended.
func (s *service) prepare(c *Conn, set *settings) {
	client := net.Conn(c)
	if set.tls != nil {
		if s.greetsLate(set) {
			c.records = &records{}
		}
		t, err := c.StartTLS(set.tls)
		if err != nil {
			_ = c.Close() // All is said.
			return
		}
		c.Enter(connlog.StageGreeting)
		c.records, client = nil, t
	}
	if s.greetsLate(set) && !c.holdBack(set.greetDelay) || !c.prepared() {
		_ = c.Close() // It is gone.
		return
	}
	s.handOver(c, client)
}

// prepared notes that the protocol gets the connection, unless it has ended.
func (c *Conn) prepared() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.preparing = false
	return !c.ended
}

// isPreparing tells whether no protocol knows of the connection yet.
func (c *Conn) isPreparing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.preparing
}

// hasEnded tells whether the thread has been given back.
func (c *Conn) hasEnded() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended
}

// holdBack waits before the greeting. A client that talks meanwhile has not
// waited for its turn, as the simplest of senders do not. What it said is kept
// for the protocol. It returns false if the connection ends.
func (c *Conn) holdBack(delay time.Duration) bool {
	until := time.Now().Add(delay)
	_ = c.SetReadDeadline(until) // A closed one fails at the read.
	early := make([]byte, maxEarlyBytes)
	n, err := c.Read(early)
	switch {
	case n > 0:
		c.bytesIn.Add(-int64(n))
		c.raw.(*kept).keep(early[:n])
		c.Fail(connlog.FailCommand, "")
		if !c.wait(until) {
			return false
		}
	case !isTimeout(err) || time.Now().Before(until):
		return false // Gone, or out of time by a limit of the service.
	}
	_ = c.SetReadDeadline(time.Time{}) // A closed one fails at the read.
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cause = "" // It was us who wanted to be woken.
	return true
}

// wait returns false if the connection has ended before the time.
func (c *Conn) wait(until time.Time) bool {
	t := time.NewTimer(time.Until(until))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-c.Context().Done():
		return false
	}
}

// records cuts reads at the ends of TLS records (RFC 8446, 5.1), so that what
// a client sends behind its handshake is not read with it.
type records struct {
	header [5]byte
	have   int // bytes of the header
	rest   int // bytes of the record that are to come
}

// limit shortens b to what may be read now.
func (r *records) limit(b []byte) []byte {
	want := r.rest
	if want == 0 {
		want = len(r.header) - r.have
	}
	return b[:min(len(b), want)]
}

// took notes what was read.
func (r *records) took(b []byte) {
	if r.rest > 0 {
		r.rest -= len(b)
		return
	}
	r.have += copy(r.header[r.have:], b)
	if r.have == len(r.header) {
		r.have, r.rest = 0, int(binary.BigEndian.Uint16(r.header[3:]))
	}
}
