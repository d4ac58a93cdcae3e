package server

import (
	"context"
	"net"
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
