package server

import (
	"context"
	"net"
	"sync"
)

// Listen opens the listeners of all services, or of none: the error, a
// *ListenError, says which one failed. Calling it again does nothing.
func (s *Server) Listen() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch s.state {
	case listening, serving:
		return nil
	case stopped:
		return ErrClosed
	}
	for i, svc := range s.services {
		l, err := svc.listen()
		if err != nil {
			for _, opened := range s.services[:i] {
				_ = opened.listener.Close() // The first error is the one to tell.
				opened.listener = nil
			}
			return err
		}
		svc.listener = l
	}
	s.state = listening
	return nil
}

func (s *service) listen() (net.Listener, error) {
	if s.Listener != nil {
		return s.Listener, nil
	}
	var config net.ListenConfig
	l, err := config.Listen(context.Background(), "tcp", s.Listen)
	if err != nil {
		return nil, &ListenError{Service: s.Name, Addr: s.Listen, Err: err}
	}
	return l, nil
}

// Addr returns the address that a service listens on, or nil if it does not.
func (s *Server) Addr(service string) net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, svc := range s.services {
		if svc.Name == service && svc.listener != nil {
			return svc.listener.Addr()
		}
	}
	return nil
}

// door is the listener that a protocol sees: it hands out what was admitted.
type door struct {
	addr   net.Addr
	in     chan *Conn
	once   sync.Once
	closed chan struct{}
}

// newDoor returns a door with room for as many connections as there are
// threads, so that admission does not wait for the protocol.
func newDoor(addr net.Addr, threads int) *door {
	return &door{addr: addr, in: make(chan *Conn, threads), closed: make(chan struct{})}
}

// pass hands c to the protocol. It returns false if the door is shut.
func (d *door) pass(c *Conn) bool {
	select {
	case <-d.closed:
		return false
	default:
	}
	select {
	case d.in <- c:
		return true
	case <-d.closed:
		return false
	}
}

// shut ends Accept.
func (d *door) shut() { d.once.Do(func() { close(d.closed) }) }

// empty closes what nobody has taken. It is called when nothing is passed any
// more.
func (d *door) empty() {
	for {
		select {
		case c := <-d.in:
			_ = c.Close() // It has not even begun.
		default:
			return
		}
	}
}

// Accept waits for the next admitted connection.
func (d *door) Accept() (net.Conn, error) {
	select {
	case c := <-d.in:
		return c, nil
	case <-d.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (d *door) Close() error {
	d.shut()
	return nil
}

// Addr implements net.Listener.
func (d *door) Addr() net.Addr { return d.addr }
