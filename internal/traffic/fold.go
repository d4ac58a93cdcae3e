package traffic

import (
	"net/netip"

	"overstay/connlog"
)

// A flood of refusals is folded as the log's schema says: of one source and
// reason at most maxRefuseLines lines within a second, the rest as one line
// with a count at the second's end.
const (
	maxRefuseLines = 10
	secondMicros   = 1_000_000
)

// foldReasons gives each reason its place in origin.fold.
var foldReasons = [...]connlog.Reason{
	connlog.RefuseBusy, connlog.RefuseSessions, connlog.RefuseBanned,
}

// fold is what one source got of one reason within the present second.
type fold struct {
	second int64
	lines  int
	count  uint64 // refusals without a line so far
}

// folds lists the folds that are owed a line, in the order they began to be.
type folds struct {
	owed []owed
}

type owed struct {
	pool   int32
	origin int32
	addr   netip.Addr // the first of the folded, if they are several
	reason int
}

// refuse turns a client away.
func (s *simulator) refuse(c *client, why connlog.Reason) {
	s.pools[c.pool].refused++
	reason := 0
	for foldReasons[reason] != why {
		reason++
	}
	f := &s.sources[c.origin].fold[reason]
	if second := s.now / secondMicros; f.second != second {
		*f = fold{second: second}
	}
	if f.lines < maxRefuseLines {
		f.lines++
		s.emitRefuse(c.pool, c.addr, why, 0)
		return
	}
	f.count++
	if f.count > 1 {
		return
	}
	if len(s.folds.owed) == 0 {
		s.queue.put(task{at: (f.second+1)*secondMicros - 1, what: doFold})
	}
	s.folds.owed = append(s.folds.owed, owed{
		pool: c.pool, origin: c.origin, addr: c.addr, reason: reason,
	})
}

// unfold writes the lines that are owed, in the last microsecond of their
// second.
func (s *simulator) unfold() {
	for _, o := range s.folds.owed {
		f := &s.sources[o.origin].fold[o.reason]
		s.emitRefuse(o.pool, o.addr, foldReasons[o.reason], f.count)
		f.count = 0
	}
	s.folds.owed = s.folds.owed[:0]
}

func (s *simulator) emitRefuse(pool int32, addr netip.Addr, why connlog.Reason, count uint64) {
	p := &s.pools[pool]
	s.event = connlog.Event{
		Kind: connlog.Refuse, Service: p.Name, ClientIP: addr, Reason: why,
		Busy: p.busy, Threads: p.Threads, Count: count,
	}
	s.emit()
}
