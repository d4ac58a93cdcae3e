package detector

import "github.com/hashicorp/golang-lru/v2/simplelru"

// resting says who is to be forgotten when there is no room for all. It is a 2Q
// cache (Johnson and Shasha, "2Q: A Low Overhead High Performance Buffer
// Management Replacement Algorithm", VLDB 1994): who is seen once waits in
// recent, who is seen again moves to frequent, and the names of those that fell
// out of recent are kept a while, so that their return counts as well. A sweep
// of one-time addresses only ever passes through recent.
//
// Who is seen again is only marked, which is all that most lines cost here. It
// is when its turn comes to be dropped that it moves instead (Corbato's "A Paging
// Experiment with the Multics System", 1968, has the same for one queue).
//
// So both are plain queues of sources, which takes far less room than golang-lru's
// own 2Q, and no source is looked up to be moved.
type resting struct {
	size, recentSize int
	recent, frequent line
	dropped          *simplelru.LRU[key, struct{}]
}

// line is a queue of sources, each of which knows who is behind it.
type line struct {
	first, last *source
	n           int
}

// add puts a source at the end.
func (l *line) add(s *source) {
	if l.last == nil {
		l.first = s
	} else {
		l.last.behind = s
	}
	l.last = s
	l.n++
}

// next takes out the first source; nil if there is none.
func (l *line) next() *source {
	s := l.first
	if s == nil {
		return nil
	}
	l.first, s.behind = s.behind, nil
	if l.first == nil {
		l.last = nil
	}
	l.n--
	return s
}

// A quarter of the room is for sources seen once, and half as many names of
// dropped ones are kept.
const (
	recentShare  = 4
	droppedShare = 8
)

// queue is where in the cache a source is.
type queue uint8

const (
	queueNone queue = iota
	queueRecent
	queueFrequent

	// seenAgain is added when the source is seen again there.
	seenAgain queue = 1 << 7
)

func newResting(size int) (*resting, error) {
	dropped, err := simplelru.NewLRU[key, struct{}](max(size/droppedShare, 1), nil)
	return &resting{size: size, recentSize: size / recentShare, dropped: dropped}, err
}

// add puts in a source that is in no queue, and returns the one that had to go
// for it, if one had to.
func (q *resting) add(s *source) (dropped *source) {
	known := q.dropped.Remove(s.key)
	dropped = q.makeRoom(known)
	if known {
		q.frequent.add(s)
		s.queue = queueFrequent
	} else {
		q.recent.add(s)
		s.queue = queueRecent
	}
	return dropped
}

// makeRoom drops one source if there is no room for another: one of those seen
// once, as long as they have more than their share.
func (q *resting) makeRoom(forFrequent bool) *source {
	if q.len() < q.size {
		return nil
	}
	for {
		n := q.recent.n
		from := &q.frequent
		if n > q.recentSize || n > 0 && n == q.recentSize && !forFrequent {
			from = &q.recent
		}
		s := from.next()
		switch {
		case s == nil:
			return nil
		case s.queue&seenAgain != 0:
			s.queue = queueFrequent
			q.frequent.add(s)
			continue
		case from == &q.recent:
			q.dropped.Add(s.key, struct{}{})
		}
		s.queue = queueNone
		return s
	}
}

func (q *resting) len() int { return q.recent.n + q.frequent.n }
