package mailstore

import (
	"sync"
	"time"
)

// watchInterval is how often watched folders are looked at. Other processes
// deliver too, and tell nobody.
const watchInterval = 500 * time.Millisecond

// watching is the one loop that looks at all watched folders. It runs while
// there are any.
type watching struct {
	mu      sync.Mutex
	folders map[string]*watched
	stop    chan struct{} // nil while the loop does not run
	done    chan struct{}
}

// watched is one folder that somebody waits for.
type watched struct {
	waiters map[chan struct{}]bool
	seen    stamps
	again   bool // the last change may have been followed by another one
}

// Watch returns a channel that gets a value when the mailbox may have changed,
// within a second, whoever did it. The caller ends it with stop.
func (m *Mailbox) Watch() (changed <-chan struct{}, stop func()) {
	w, dir, c := &m.account.store.watching, m.folder.dir, make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.folders == nil {
		w.folders = make(map[string]*watched)
	}
	f := w.folders[dir]
	if f == nil {
		f = &watched{waiters: make(map[chan struct{}]bool)}
		w.folders[dir] = f
		f.look(dir)
	}
	f.waiters[c] = true
	c <- struct{}{} // What happened before nobody has seen.
	if w.stop == nil {
		w.stop, w.done = make(chan struct{}), make(chan struct{})
		go w.run(w.stop, w.done)
	}
	var once sync.Once
	return c, func() { once.Do(func() { w.leave(dir, c) }) }
}

// leave takes away one who waits. The last one waits for the loop to end.
func (w *watching) leave(dir string, c chan struct{}) {
	w.mu.Lock()
	f := w.folders[dir]
	delete(f.waiters, c)
	if len(f.waiters) == 0 {
		delete(w.folders, dir)
	}
	if len(w.folders) > 0 {
		w.mu.Unlock()
		return
	}
	close(w.stop)
	done := w.done
	w.stop, w.done = nil, nil
	w.mu.Unlock()
	<-done
}

func (w *watching) run(stop, done chan struct{}) {
	defer close(done)
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
			w.look()
		}
	}
}

func (w *watching) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for dir, f := range w.folders {
		if !f.look(dir) {
			continue
		}
		for c := range f.waiters {
			select {
			case c <- struct{}{}:
			default: // It knows already.
			}
		}
	}
}

// look tells whether the folder has changed, or may have.
func (f *watched) look(dir string) bool {
	now, err := stampsOf(dir)
	if err != nil {
		return true // It is gone.
	}
	changed := now != f.seen
	report := changed || f.again
	f.seen, f.again = now, changed
	return report
}
