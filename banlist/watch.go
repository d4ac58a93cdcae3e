package banlist

import (
	"context"
	"iter"
	"sync"
)

// maxPending is how many steps wait for a slow watcher before it is told to
// read everything anew.
const maxPending = 4096

// Change is what happened to the bans in force since the change before. To
// follow it, remove what was removed, then add what was added: one ban of a
// prefix may end while another goes on, and then the other is in Added.
type Change struct {
	// Added are bans in force that are new or have a new end. They carry no
	// Evidence, nor do those in Removed.
	Added []Ban
	// Removed are bans that were lifted or have expired. Some may never have
	// been added.
	Removed []Ban
	// Allowed is set when the allow list changed. What it covers was lifted,
	// but a ban of a wider net stays.
	Allowed bool
	// Resync says that more happened than is told: read everything anew.
	Resync bool
}

func (c Change) empty() bool {
	return len(c.Added) == 0 && len(c.Removed) == 0 && !c.Allowed && !c.Resync
}

// Watch returns the changes of the list from now on, made by whatever process.
// The first one is always a Resync, so that a follower has one way to begin
// and to catch up. A follower that is slow gets several changes as one, or a
// Resync; it never holds up the list. The sequence ends with ctx or with
// Close, and can be ranged over once. A Lazy list has none.
func (l *List) Watch(ctx context.Context) iter.Seq[Change] {
	w := &watcher{ready: make(chan struct{}, 1)}
	w.add(Change{Resync: true})
	if l.options.Lazy || !l.feed.join(w) {
		return func(func(Change) bool) {}
	}
	stop := context.AfterFunc(ctx, func() { l.feed.leave(w) })
	return func(yield func(Change) bool) {
		defer stop()
		defer l.feed.leave(w)
		for {
			select {
			case <-ctx.Done():
				return
			case _, ok := <-w.ready:
				if !ok || ctx.Err() != nil || !yield(w.take()) {
					return
				}
			}
		}
	}
}

// feed hands changes to the watchers.
type feed struct {
	mu       sync.Mutex
	watchers map[*watcher]bool
	closed   bool
}

// join reports whether there is a feed to join.
func (f *feed) join(w *watcher) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return false
	}
	if f.watchers == nil {
		f.watchers = map[*watcher]bool{}
	}
	f.watchers[w] = true
	return true
}

func (f *feed) leave(w *watcher) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.watchers, w)
}

func (f *feed) publish(c Change) {
	if c.empty() {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for w := range f.watchers {
		w.add(c)
	}
}

// close ends all watchers.
func (f *feed) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	for w := range f.watchers {
		close(w.ready)
		delete(f.watchers, w)
	}
}

// watcher collects what its follower has not taken yet.
type watcher struct {
	ready chan struct{} // holds a token while something is pending

	mu             sync.Mutex
	added, removed pending
	allowed        bool
	resync         bool
}

// add merges a change into what is pending. The last word on an entry counts.
func (w *watcher) add(c Change) {
	w.mu.Lock()
	w.allowed = w.allowed || c.Allowed
	w.resync = w.resync || c.Resync ||
		len(w.added.order)+len(w.removed.order)+len(c.Added)+len(c.Removed) > maxPending
	if w.resync {
		w.added, w.removed = pending{}, pending{}
	} else {
		for _, b := range c.Removed {
			w.added.drop(b.ID)
			w.removed.put(b)
		}
		for _, b := range c.Added {
			w.removed.drop(b.ID)
			w.added.put(b)
		}
	}
	w.mu.Unlock()
	select {
	case w.ready <- struct{}{}:
	default:
	}
}

// take returns what is pending as one change.
func (w *watcher) take() Change {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := Change{Added: w.added.list(), Removed: w.removed.list(), Allowed: w.allowed, Resync: w.resync}
	w.added, w.removed, w.allowed, w.resync = pending{}, pending{}, false, false
	return c
}

// pending is a set of entries in the order in which they came.
type pending struct {
	order []Ban
	at    map[string]int // of an id in order
}

func (p *pending) put(b Ban) {
	if i, ok := p.at[b.ID]; ok {
		p.order[i] = b
		return
	}
	if p.at == nil {
		p.at = map[string]int{}
	}
	p.at[b.ID] = len(p.order)
	p.order = append(p.order, b)
}

// drop forgets an entry. Its place stays, empty.
func (p *pending) drop(id string) {
	if i, ok := p.at[id]; ok {
		p.order[i] = Ban{}
		delete(p.at, id)
	}
}

func (p *pending) list() []Ban {
	var out []Ban
	for _, b := range p.order {
		if b.ID != "" {
			out = append(out, b)
		}
	}
	return out
}
