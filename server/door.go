package server

import (
	"net"
	"slices"
	"sync"
	"time"
)

// door is the listener that a protocol sees: it hands out what was admitted.
// Whoever passes something does not wait for the protocol, and what waits is
// bounded by the threads that it holds.
type door struct {
	addr   net.Addr
	ready  chan struct{} // one element if something may be queued
	closed chan struct{} // shut, and nobody waits any more

	mu    sync.Mutex
	shut  bool       // nothing is passed any more
	ended bool       // closed is closed
	queue []net.Conn // from head on
	head  int
	purge int // length from which on ended connections are thrown out
}

// minPurge keeps the search for ended connections rare.
const minPurge = 1024

func newDoor(addr net.Addr) *door {
	return &door{addr: addr, ready: make(chan struct{}, 1), closed: make(chan struct{}), purge: minPurge}
}

// pass hands c to the protocol. It returns false if the door is shut.
func (d *door) pass(c net.Conn) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.shut {
		return false
	}
	if len(d.queue) >= d.purge {
		d.tidyLocked()
	}
	d.queue = append(d.queue, c)
	d.wakeLocked()
	return true
}

// tidyLocked gives up connections that were ended before the protocol came for
// them: they hold no thread, so nothing else bounds their number.
func (d *door) tidyLocked() {
	d.queue = slices.DeleteFunc(d.queue[d.head:], func(c net.Conn) bool {
		admitted, ok := Admitted(c)
		if ok = ok && admitted.hasEnded(); ok {
			_ = admitted.Close() // It has been cut already.
		}
		return ok
	})
	d.head = 0
	d.purge = max(minPurge, 2*len(d.queue))
}

func (d *door) wakeLocked() {
	select {
	case d.ready <- struct{}{}:
	default:
	}
}

// next takes the first in the queue.
func (d *door) next() (net.Conn, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.head == len(d.queue) {
		return nil, false
	}
	c := d.queue[d.head]
	d.queue[d.head] = nil
	d.head++
	if d.head == len(d.queue) {
		d.queue, d.head = d.queue[:0], 0
		d.endLocked()
	} else {
		d.wakeLocked()
	}
	return c, true
}

// shutAndWait lets nobody in any more, and waits until the protocol has taken
// those who are, or timeout is over: a client that was given a thread should
// hear from the protocol that the server stops.
func (d *door) shutAndWait(timeout <-chan time.Time) {
	d.mu.Lock()
	if !d.shut {
		d.shut = true
		d.endLocked()
	}
	d.mu.Unlock()
	select {
	case <-d.closed:
	case <-timeout:
	}
}

// endLocked ends Accept if nobody waits any more.
func (d *door) endLocked() {
	if d.shut && !d.ended && d.head == len(d.queue) {
		d.ended = true
		close(d.closed)
	}
}

// Accept waits for the next admitted connection.
func (d *door) Accept() (net.Conn, error) {
	for {
		select {
		case <-d.ready:
		case <-d.closed:
			return nil, net.ErrClosed
		}
		if c, ok := d.next(); ok {
			return c, nil
		}
	}
}

// Close ends Accept, and the connections that nobody has taken.
func (d *door) Close() error {
	d.mu.Lock()
	d.shut = true
	left := d.queue[d.head:]
	d.queue, d.head = nil, 0
	d.endLocked()
	d.mu.Unlock()
	for _, c := range left {
		if admitted, ok := Admitted(c); ok {
			_ = admitted.Close() // It has not even begun.
		}
	}
	return nil
}

// Addr implements net.Listener.
func (d *door) Addr() net.Addr { return d.addr }
