package server

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unicode/utf8"

	"overstay/connlog"
)

const (
	maxUserBytes = 256
	// maxFailLines bounds what one connection can write into the log. The
	// close line has the whole number.
	maxFailLines = 100
)

// Conn is an admitted connection. It holds one thread of its service's pool
// from admission until it is closed, by the protocol or by the server, and
// writes its life into the connection log.
//
// It is a [net.Conn], and its methods may be called at the same time. It does
// not offer io.ReaderFrom: a file goes out in pieces, each with its own
// deadline.
type Conn struct {
	raw     net.Conn
	service *service
	id      uint64
	peer    netip.AddrPort
	from    origin
	opened  time.Time

	bytesIn, bytesOut atomic.Int64
	cameBefore        int64     // of bytesIn, when the stage began; guarded by mu
	handled           sync.Once // the protocol is done with it
	records           *records  // what reads must stop at; only its reader's

	index int // in pool.open, -1 if not there; guarded by pool.mu

	mu     sync.Mutex
	event  connlog.Event // reused for each event, so that logging does not allocate
	proven bool
	fails  int
	ended  bool
	cut    bool // by the server, under its protocol
	parked bool
	// preparing is true until it is handed to the protocol.
	preparing bool
	ctx       context.Context // nil until somebody asks for it
	cancel    context.CancelFunc
	cause     connlog.End // of the last read or write, empty if it went well
	clock     stageClock
	limit     deadlines
}

func newConn(raw net.Conn, s *service, peer netip.AddrPort, from origin, now time.Time) *Conn {
	return &Conn{
		raw:     raw,
		service: s,
		id:      s.server.lastConn.Add(1),
		peer:    peer,
		from:    from,
		opened:  now,
		index:   -1,
		clock:   stageClock{since: now},
	}
}

// Peer returns the client's address, unmapped and without a zone.
func (c *Conn) Peer() netip.AddrPort { return c.peer }

// ID returns the number of the connection, unique within the server's life.
func (c *Conn) ID() uint64 { return c.id }

// LocalAddr returns our end's address.
func (c *Conn) LocalAddr() net.Addr { return c.raw.LocalAddr() }

// RemoteAddr returns the client's address as the listener gave it.
func (c *Conn) RemoteAddr() net.Addr { return c.raw.RemoteAddr() }

// Context returns a context that ends with the connection, whoever ends it. A
// protocol waits with it for everything that is of no use without the client,
// so that a ban frees that too.
func (c *Conn) Context() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx == nil {
		c.ctx, c.cancel = context.WithCancel(context.Background())
		if c.ended {
			c.cancel()
		}
	}
	return c.ctx
}

// Read reads from the client, within the limits of the service.
func (c *Conn) Read(b []byte) (int, error) {
	c.armRead(time.Now())
	if c.records != nil {
		b = c.records.limit(b)
	}
	n, err := c.raw.Read(b)
	if c.records != nil {
		c.records.took(b[:n])
	}
	c.bytesIn.Add(int64(n))
	c.note(err)
	return n, err
}

// Write writes to the client, within the limits of the service.
func (c *Conn) Write(b []byte) (int, error) {
	c.armWrite(time.Now())
	n, err := c.raw.Write(b)
	c.bytesOut.Add(int64(n))
	if err != nil {
		c.note(err)
	}
	return n, err
}

// CloseWrite tells the client that nothing more follows. It does nothing
// where the transport cannot.
func (c *Conn) CloseWrite() error {
	if err := closeWrite(c.raw); !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return nil
}

// Proven notes that the client did what only a real one does. Only the first
// call counts. The user is as the client gave it, and may be empty.
func (c *Conn) Proven(by connlog.By, user string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended || c.proven {
		return
	}
	c.proven = true
	c.service.pool.prove(c.from)
	e := c.eventLocked(connlog.Proven)
	e.By = by
	e.User = clip(user)
	c.service.server.log.Write(e)
}

// Fail notes that the client failed at something, and returns how often it
// did by now. The user is as the client gave it, and may be empty.
func (c *Conn) Fail(what connlog.What, user string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return c.fails
	}
	c.fails++
	if c.fails <= maxFailLines {
		e := c.eventLocked(connlog.Fail)
		e.What = what
		e.User = clip(user)
		c.service.server.log.Write(e)
	}
	return c.fails
}

// Close closes the connection and gives its thread back. The protocol must
// call it; a second call does nothing.
func (c *Conn) Close() error {
	if !c.finish("") && c.wasCut() {
		_ = setLinger(c.raw, 0) // We are faster than abort, which wants the same.
	}
	err := c.raw.Close()
	c.handled.Do(c.service.server.handlers.Done)
	return err
}

// finish writes the close event, then gives the thread back: the other way
// round, the log could show more threads held than there are. It reports
// whether this was the first call. An empty end means: see what happened.
func (c *Conn) finish(end connlog.End) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return false
	}
	c.ended, c.cut = true, end == connlog.EndBanned || end == connlog.EndShutdown
	if end == "" {
		end = c.causeLocked()
	}
	now := time.Now()
	c.clock.stop(now)
	e := c.eventLocked(connlog.Close)
	e.Held = now.Sub(c.opened)
	e.Stages = c.clock.spent
	e.BytesIn, e.BytesOut = c.bytesIn.Load(), c.bytesOut.Load()
	e.End = end
	e.Proven = c.proven
	e.Fails = c.fails
	c.service.server.log.Write(e)
	c.service.pool.give(c, c.proven)
	if c.cancel != nil {
		c.cancel()
	}
	return true
}

// wasCut tells whether the server ended the connection under its protocol.
func (c *Conn) wasCut() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cut
}

// abort cuts the line with a reset: whatever was still on its way to the
// client is dropped, and the kernel keeps nothing. The protocol, which still
// has the Conn, finds out at its next read or write.
func (c *Conn) abort() {
	_ = setLinger(c.raw, 0) // Only an optimization.
	_ = c.raw.Close()       // The peer may have been faster.
}

// open writes the open event.
func (c *Conn) open(busy int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.eventLocked(connlog.Open)
	e.ClientPort = c.peer.Port()
	e.Busy = busy
	e.Threads = c.service.pool.size()
	c.service.server.log.Write(e)
}

func (c *Conn) eventLocked(kind connlog.Kind) *connlog.Event {
	c.event = connlog.Event{
		Kind:     kind,
		Service:  c.service.Name,
		Conn:     c.id,
		ClientIP: c.peer.Addr(),
	}
	return &c.event
}

// causeLocked says how a connection ended that the protocol closed.
func (c *Conn) causeLocked() connlog.End {
	switch {
	case c.cause != "":
		return c.cause
	case c.service.server.stopping():
		return connlog.EndShutdown
	}
	return connlog.EndServer
}

// note remembers how the last read or write went. Of several failures the
// first counts, except that a reset seen by a write can show as a plain end to
// the read beside it.
func (c *Conn) note(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.cause = ""
		return
	}
	cause := endOf(err)
	if cause == connlog.EndTimeout && c.limit.wokenUp(c.opened) {
		return
	}
	if c.cause == "" || errors.Is(err, syscall.ECONNRESET) {
		c.cause = cause
	}
}

// endOf says what an error tells of the connection's end; empty if nothing.
func endOf(err error) connlog.End {
	switch {
	case errors.Is(err, net.ErrClosed), errors.Is(err, io.ErrClosedPipe):
		return "" // We closed it ourselves, so it says nothing of the client.
	case errors.Is(err, io.EOF):
		return connlog.EndClient
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return connlog.EndReset
	case isTimeout(err):
		return connlog.EndTimeout
	}
	return connlog.EndError
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// clip shortens what a client sent to what the log takes.
func clip(s string) string {
	if len(s) <= maxUserBytes {
		return s
	}
	s = s[:maxUserBytes]
	for i := 0; i < utf8.UTFMax && len(s) > 0; i++ {
		if r, n := utf8.DecodeLastRuneInString(s); r != utf8.RuneError || n > 1 {
			break
		}
		s = s[:len(s)-1]
	}
	return s
}
