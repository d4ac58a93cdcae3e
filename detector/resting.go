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
// It is put together from the parts of golang-lru because that one's own 2Q
// takes a lock and looks up each key twice, and there is one user here.
type resting struct {
	size, recentSize int
	recent, frequent *simplelru.LRU[*source, struct{}]
	dropped          *simplelru.LRU[key, struct{}]
	most             int // sources that recent had since it was made
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
	q := &resting{size: size, recentSize: size / recentShare}
	var err error
	if q.recent, err = simplelru.NewLRU[*source, struct{}](size, nil); err != nil {
		return nil, err
	}
	if q.frequent, err = simplelru.NewLRU[*source, struct{}](size, nil); err != nil {
		return nil, err
	}
	q.dropped, err = simplelru.NewLRU[key, struct{}](max(size/droppedShare, 1), nil)
	return q, err
}

// shrink gives back the room of recent once it has less than half of what it
// had: before anybody has come again all sources are in it, and a map keeps
// the size it once had. It costs as much as half of the moves that led to it.
func (q *resting) shrink() {
	if q.most < 1024 || q.recent.Len() > q.most/2 {
		return
	}
	smaller, err := simplelru.NewLRU[*source, struct{}](q.size, nil)
	if err != nil {
		return // The old one goes on.
	}
	for _, s := range q.recent.Keys() { // the oldest first
		smaller.Add(s, struct{}{})
	}
	q.recent, q.most = smaller, smaller.Len()
}

// add puts in a source that is in no queue, and returns the one that had to go
// for it, if one had to.
func (q *resting) add(s *source) (dropped *source) {
	known := q.dropped.Remove(s.key)
	dropped = q.makeRoom(known)
	if known {
		q.frequent.Add(s, struct{}{})
		s.queue = queueFrequent
	} else {
		q.recent.Add(s, struct{}{})
		q.most = max(q.most, q.recent.Len())
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
		n := q.recent.Len()
		from := q.frequent
		if n > q.recentSize || n > 0 && n == q.recentSize && !forFrequent {
			from = q.recent
		}
		s, _, ok := from.RemoveOldest()
		switch {
		case !ok:
			return nil
		case s.queue&seenAgain != 0:
			s.queue = queueFrequent
			q.frequent.Add(s, struct{}{})
			q.shrink()
			continue
		case from == q.recent:
			q.dropped.Add(s.key, struct{}{})
		}
		s.queue = queueNone
		return s
	}
}

func (q *resting) len() int { return q.recent.Len() + q.frequent.Len() }
