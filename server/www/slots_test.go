package www

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"overstay/server"
)

// Connections whose requests never get their bodies do not keep out a client
// that comes later, nor does it have to ask for one thing after the other.
func TestStalledBodiesDoNotKeepOthersOut(t *testing.T) {
	const conns = 12
	var posts atomic.Int32
	back := behind(t, func(_ http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			posts.Add(1)
		}
		_, _ = io.Copy(io.Discard, r.Body)
	})
	s := startTLS(t, Options{Upstream: back, UpstreamConns: conns}, server.Service{})
	for range 2 {
		c := s.h2(t)
		for stream := uint32(1); stream < 2*conns; stream += 2 {
			c.request(stream, "/", false)
		}
	}
	eventually(t, "the upstream is asked", func() bool { return posts.Load() >= conns/2+1 })
	var asking sync.WaitGroup
	for range 10 {
		asking.Go(func() {
			resp, err := s.client.Get(s.url)
			if err != nil {
				t.Error(err)
				return
			}
			_ = resp.Body.Close() // It is empty.
			if resp.StatusCode != http.StatusOK {
				t.Error(resp.Status)
			}
		})
	}
	asking.Wait()
}

// A request that waits in vain is told of, and so is who has all the slots.
func TestNoSlotIsLogged(t *testing.T) {
	var log bytes.Buffer
	var mu sync.Mutex
	logger := slog.New(slog.NewTextHandler(&lockedWriter{mu: &mu, w: &log}, nil))
	s := startTLS(t, Options{Upstream: swallow(t), UpstreamConns: 2, UpstreamTime: 100 * time.Millisecond, Logger: logger}, server.Service{})
	c := s.h2(t)
	c.request(1, "/", false)
	c.request(3, "/", false)
	eventually(t, "it is logged", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return strings.Contains(log.String(), "too many requests at a time") && strings.Contains(log.String(), "most_held_by=127.0.0.1 held=1")
	})
}

type lockedWriter struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

// Whatever the order, nothing is given twice or lost.
func TestSlots(t *testing.T) {
	s := newSlots(4)
	links := [3]*link{{}, {}, {}}
	var open, most atomic.Int32
	var running sync.WaitGroup
	for i := range 300 {
		running.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			if i%7 == 0 {
				cancel()
			}
			defer cancel()
			l := links[i%len(links)]
			if err := s.take(ctx, l, 10*time.Second); err != nil {
				if !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
				return
			}
			n := open.Add(1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			open.Add(-1)
			s.give(l)
		})
	}
	running.Wait()
	if most.Load() > 4 || s.taken != 0 || len(s.held) != 0 || len(s.waiting) != 0 {
		t.Errorf("%d at a time; left: %d taken, %v held, %d waiting", most.Load(), s.taken, s.held, len(s.waiting))
	}
}
