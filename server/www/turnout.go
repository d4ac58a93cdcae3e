package www

import (
	"net"
	"sync"
)

// turnout hands out the connections of a listener that speak HTTP/1.1, and
// leads the others to a listener beside it: the library's server for HTTP/1.1
// and that for HTTP/2 are two, because only over a connection of its own kind
// does the latter let us see the clear text.
type turnout struct {
	net.Listener
	protocol *Protocol
	beside   *siding
}

// Accept implements net.Listener.
func (t *turnout) Accept() (net.Conn, error) {
	for {
		c, err := t.Listener.Accept()
		if err != nil {
			return nil, err
		}
		l, err := t.protocol.newLink(c)
		switch {
		case err != nil:
			return nil, err
		case !l.h2:
			return l, nil
		case !t.beside.pass(l):
			_ = l.Close() // The server stops.
		}
	}
}

// siding is the listener beside.
type siding struct {
	addr   net.Addr
	in     chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func newSiding(addr net.Addr) *siding {
	return &siding{addr: addr, in: make(chan net.Conn), closed: make(chan struct{})}
}

func (s *siding) pass(c net.Conn) bool {
	select {
	case s.in <- c:
		return true
	case <-s.closed:
		return false
	}
}

// Accept implements net.Listener.
func (s *siding) Accept() (net.Conn, error) {
	select {
	case c := <-s.in:
		return c, nil
	case <-s.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (s *siding) Close() error {
	s.once.Do(func() { close(s.closed) })
	return nil
}

// Addr implements net.Listener.
func (s *siding) Addr() net.Addr { return s.addr }
