package mailstore

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"
)

const (
	// maxLoginWait is how long a login may wait for its turn.
	maxLoginWait = 10 * time.Second
	// maxSourceLogins is how many logins of one source may wait: those of an
	// office at nine o'clock, whose last is checked well within its time.
	maxSourceLogins = 64
)

// turns hands out the right to check a password. Sources take turns, each with
// one login at a time, so whoever sends many waits behind himself: a login from
// elsewhere waits for one check of each source that was there before it.
//
// How many wait in all is not bounded here. Each of them has a connection, and
// those are.
type turns struct {
	mu    sync.Mutex
	free  int // checks that could begin; none while somebody waits
	lines map[netip.Prefix]*waitingLine
	round []*waitingLine // those of lines, the next one first
}

// waitingLine are the logins of a source that wait, at least one.
type waitingLine struct {
	source  netip.Prefix
	waiting []chan struct{} // closed when it is its turn
}

func newTurns(n int) *turns {
	return &turns{free: n, lines: make(map[netip.Prefix]*waitingLine)}
}

// take waits until a password may be checked. After that give must follow. It
// returns ErrCrowd, ErrBusy, or ctx's error.
func (t *turns) take(ctx context.Context, source netip.Prefix) error {
	turn, err := t.join(source)
	if err != nil {
		return err
	}
	timeout := time.NewTimer(maxLoginWait)
	defer timeout.Stop()
	select {
	case <-turn:
		return nil
	case <-timeout.C:
		err = ErrBusy
	case <-ctx.Done():
		err = ctx.Err()
	}
	if !t.leave(source, turn) {
		t.give() // It came at the same moment.
	}
	return err
}

func (t *turns) join(source netip.Prefix) (chan struct{}, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	turn := make(chan struct{})
	if t.free > 0 {
		t.free--
		close(turn)
		return turn, nil
	}
	l := t.lines[source]
	if l == nil {
		l = &waitingLine{source: source}
		t.lines[source] = l
		t.round = append(t.round, l)
	}
	if len(l.waiting) >= maxSourceLogins {
		return nil, ErrCrowd
	}
	l.waiting = append(l.waiting, turn)
	return turn, nil
}

// give hands the turn on.
func (t *turns) give() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.round) == 0 {
		t.free++
		return
	}
	l := t.round[0]
	t.round = t.round[1:]
	close(l.waiting[0])
	if l.waiting = l.waiting[1:]; len(l.waiting) == 0 {
		delete(t.lines, l.source)
		return
	}
	t.round = append(t.round, l)
}

// leave is false if the turn has come already.
func (t *turns) leave(source netip.Prefix, turn chan struct{}) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.lines[source]
	if l == nil {
		return false
	}
	i := slices.Index(l.waiting, turn)
	if i < 0 {
		return false
	}
	if l.waiting = slices.Delete(l.waiting, i, i+1); len(l.waiting) == 0 {
		delete(t.lines, source)
		t.round = slices.DeleteFunc(t.round, func(other *waitingLine) bool { return other == l })
	}
	return true
}
