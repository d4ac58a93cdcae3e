package server

import (
	"errors"
	"net"
	"sync"
)

// kept is a connection of which some was read before its time: that is read
// again first, whatever the deadline.
type kept struct {
	net.Conn
	remote net.Addr // of the client

	mu    sync.Mutex
	bytes []byte
}

// keep puts b in front of what is read next.
func (k *kept) keep(b []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.bytes = append(b[:len(b):len(b)], k.bytes...)
}

// Read implements net.Conn.
func (k *kept) Read(b []byte) (int, error) {
	if n := k.again(b); n > 0 {
		return n, nil
	}
	return k.Conn.Read(b)
}

func (k *kept) again(b []byte) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	n := copy(b, k.bytes)
	if k.bytes = k.bytes[n:]; len(k.bytes) == 0 {
		k.bytes = nil
	}
	return n
}

// RemoteAddr returns the client's address, which need not be the peer's.
func (k *kept) RemoteAddr() net.Addr { return k.remote }

// CloseWrite passes on what the embedded interface hides.
func (k *kept) CloseWrite() error { return closeWrite(k.Conn) }

// SetLinger passes on what the embedded interface hides.
func (k *kept) SetLinger(sec int) error { return setLinger(k.Conn, sec) }

// closeWrite tells the other end that nothing more follows, or returns
// errors.ErrUnsupported.
func closeWrite(c net.Conn) error {
	if w, ok := c.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return errors.ErrUnsupported
}

// setLinger says what a close does with what was not sent, or returns
// errors.ErrUnsupported.
func setLinger(c net.Conn, sec int) error {
	if l, ok := c.(interface{ SetLinger(sec int) error }); ok {
		return l.SetLinger(sec)
	}
	return errors.ErrUnsupported
}
