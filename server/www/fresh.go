package www

import (
	"context"
	"sync"
	"time"
)

// firstRequest is how long the first request of a connection is waited for
// when the server stops.
const firstRequest = time.Second

// fresh is the connections whose first request is still to come. Once it has
// been told to stop, the library drops such a request without an answer, though
// the client could not know.
type fresh struct {
	mu    sync.Mutex
	links map[*link]struct{}
	none  chan struct{} // closed when there are none; nil while nobody waits
}

func (f *fresh) add(l *link) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.links == nil {
		f.links = make(map[*link]struct{})
	}
	f.links[l] = struct{}{}
}

// remove may be called more than once.
func (f *fresh) remove(l *link) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.links, l)
	if len(f.links) == 0 && f.none != nil {
		close(f.none)
		f.none = nil
	}
}

// wait waits until there are none, but not for long: clients that say nothing
// must not hold up the end.
func (f *fresh) wait(ctx context.Context) {
	f.mu.Lock()
	if len(f.links) == 0 {
		f.mu.Unlock()
		return
	}
	none := make(chan struct{})
	f.none = none
	f.mu.Unlock()
	timeout := time.NewTimer(firstRequest)
	defer timeout.Stop()
	select {
	case <-none:
	case <-timeout.C:
	case <-ctx.Done():
	}
}
