package server

import (
	"errors"
	"testing"
)

// halfCloser is a connection that can end its own direction.
type halfCloser struct {
	readOnly
	half, linger bool
}

func (h *halfCloser) CloseWrite() error   { h.half = true; return nil }
func (h *halfCloser) SetLinger(int) error { h.linger = true; return nil }

// What a connection can do it can do in disguise, too, and no more.
func TestKeptHidesNothing(t *testing.T) {
	able := &halfCloser{}
	c := &Conn{raw: &kept{Conn: able}}
	if err := c.CloseWrite(); err != nil || !able.half {
		t.Errorf("close: %v", err)
	}
	if c.abort(); !able.linger {
		t.Error("no reset")
	}
	c = &Conn{raw: &kept{Conn: readOnly{}}}
	if err := c.CloseWrite(); err != nil {
		t.Errorf("close where the transport cannot: %v", err)
	}
	if err := closeWrite(c.raw); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("error: %v", err)
	}
}

// What was read before its time comes again before anything else, the last
// that was kept first.
func TestKeptComesFirst(t *testing.T) {
	k := &kept{}
	k.keep([]byte("world"))
	k.keep([]byte("hello "))
	var got []byte
	for b := make([]byte, 4); len(got) < len("hello world"); {
		n, err := k.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, b[:n]...)
	}
	if string(got) != "hello world" || k.bytes != nil {
		t.Errorf("%q, and %d bytes are left", got, len(k.bytes))
	}
}
