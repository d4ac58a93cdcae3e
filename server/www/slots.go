package www

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// slots bound how many requests the upstream is asked at a time. A connection
// that has none open may take the last one; its further requests have to leave
// a half of all free. So connections whose requests go on and on do not keep
// out those that ask for one thing, as long as there are no more of them than
// a half of the slots.
type slots struct {
	size int

	mu      sync.Mutex
	taken   int
	held    map[*link]int // only links that hold some
	waiting []*waiter     // the oldest first; none of them could have a slot now
}

type waiter struct {
	link    *link
	granted bool // guarded by slots.mu
	ready   chan struct{}
}

func newSlots(size int) *slots { return &slots{size: size, held: make(map[*link]int)} }

// take waits for a slot, but not for longer than patience.
func (s *slots) take(ctx context.Context, l *link, patience time.Duration) error {
	s.mu.Lock()
	if s.freeLocked(l) {
		s.takeLocked(l)
		s.mu.Unlock()
		return nil
	}
	w := &waiter{link: l, ready: make(chan struct{})}
	s.waiting = append(s.waiting, w)
	s.mu.Unlock()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	var err error
	select {
	case <-w.ready:
		return nil
	case <-timer.C:
		err = errUpstreamFull
	case <-ctx.Done():
		err = ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if w.granted {
		return nil // At the last moment.
	}
	s.waiting = slices.DeleteFunc(s.waiting, func(other *waiter) bool { return other == w })
	return err
}

// give gives a slot back, and hands out what is free now.
func (s *slots) give(l *link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken--
	if s.held[l]--; s.held[l] == 0 {
		delete(s.held, l)
	}
	s.waiting = slices.DeleteFunc(s.waiting, func(w *waiter) bool {
		if !s.freeLocked(w.link) {
			return false
		}
		s.takeLocked(w.link)
		w.granted = true
		close(w.ready)
		return true
	})
}

func (s *slots) freeLocked(l *link) bool {
	if s.held[l] > 0 {
		return s.taken < s.size/2
	}
	return s.taken < s.size
}

func (s *slots) takeLocked(l *link) {
	s.taken++
	s.held[l]++
}

// most returns the client that holds the most, and how many those are.
func (s *slots) most() (client netip.Addr, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	by := make(map[netip.Addr]int)
	for l, held := range s.held {
		if l == nil {
			continue
		}
		addr := l.Peer().Addr()
		if by[addr] += held; by[addr] > n {
			client, n = addr, by[addr]
		}
	}
	return client, n
}
