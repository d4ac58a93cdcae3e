package proxy

import (
	"io"
	"testing"

	"overstay/connlog"
	"overstay/server"
)

// In a crowded pool a connection between two HTTP requests is not kept.
func TestHTTPIsParked(t *testing.T) {
	back := upstream(t, func(c *talk) {
		if _, err := io.ReadFull(c.in, make([]byte, len("GET / HTTP/1.1\r\n\r\n"))); err == nil {
			c.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}
		c.rest()
	})
	s := start(t, Options{Upstream: back, Speaks: HTTP}, server.Service{Threads: 2})
	c := s.dial(t, "127.0.0.1")
	c.send("GET / HTTP/1.1\r\n\r\n")
	c.hear("HTTP/1.1 200 OK\r\n")
	if e := s.log.wait(t, connlog.Close, 1); !e.Proven || e.End != connlog.EndTimeout {
		t.Errorf("close line: %+v", e)
	}
}
