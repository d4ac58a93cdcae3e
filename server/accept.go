package server

import (
	"errors"
	"net"
	"syscall"
	"time"
)

// The pauses of an accept loop after errors in a row.
const (
	minPause = 5 * time.Millisecond
	maxPause = time.Second
)

// acceptLoop admits connections until the listener is closed. Every other
// error is waited out: most are a lack of file descriptors or memory, and the
// rest is no reason to turn a server off.
func (s *service) acceptLoop() error {
	var pause time.Duration
	for {
		raw, err := s.listener.Accept()
		switch {
		case err == nil:
			pause = 0
			s.admit(raw)
		case errors.Is(err, net.ErrClosed):
			return err
		case errors.Is(err, syscall.ECONNABORTED):
			// The client was gone before we came to it.
		default:
			pause = min(max(2*pause, minPause), maxPause)
			s.server.logger.Warn("cannot accept connections", "service", s.Name, "pause", pause, "error", err)
			if !s.server.sleep(pause) {
				return err
			}
		}
	}
}

// sleep waits for d and returns false if the server stops before.
func (s *Server) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.stop:
		return false
	}
}
