package proxy

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"overstay/connlog"
	"overstay/server"
)

// A client that asks and asks and takes no answer does not hold up the end.
func TestGoodbyeIsNotWaitedFor(t *testing.T) {
	const clients = 8 // Some are cut off within a line, and not told.
	full := make(chan struct{}, clients)
	back := upstream(t, func(c *talk) {
		c.send("220 mx\r\n")
		if _, err := c.in.ReadString('\n'); err != nil {
			return
		}
		// Short lines, so that what is passed on at a time ends with one.
		text := strings.Repeat("421\n", 16<<10)
		for {
			_ = c.SetWriteDeadline(time.Now().Add(500 * time.Millisecond)) // It is open.
			if _, err := c.Write([]byte(text)); err != nil {
				break
			}
		}
		full <- struct{}{}
		c.rest()
	})
	s := start(t, Options{Upstream: back, Speaks: SMTP}, server.Service{})
	for range clients {
		c := s.dial(t, "127.0.0.1")
		c.hear("220 mx\r\n")
		c.send("NOOP\r\n")
	}
	for range clients {
		<-full
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	s.log.wait(t, connlog.Close, clients)
	for _, e := range s.log.of(connlog.Close) {
		if e.Held > 15*time.Second {
			t.Errorf("close line: %+v", e)
		}
	}
}
