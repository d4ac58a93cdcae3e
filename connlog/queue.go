package connlog

import "time"

// A queue is encoded lines on their way to the disk, in order, and the places
// among them where another file begins.
type queue struct {
	buf   []byte
	lines int
	cuts  []cut
}

// A cut is a place in a queue where another file begins.
type cut struct {
	at    int // bytes before it
	kind  cutKind
	stamp time.Time    // for the name of the file that ends here
	done  chan<- error // nil: nobody waits
}

type cutKind uint8

const (
	cutRotate cutKind = iota // rename the file and create the next one
	cutReopen                // somebody else has renamed it: open what the path means now
)

func (q *queue) empty() bool { return len(q.buf) == 0 && len(q.cuts) == 0 }

// add encodes e and returns the number of its bytes.
func (q *queue) add(e *Event) int {
	before := len(q.buf)
	q.buf = append(Append(q.buf, e), '\n')
	q.lines++
	return len(q.buf) - before
}

func (q *queue) cut(c cut) {
	c.at = len(q.buf)
	q.cuts = append(q.cuts, c)
}

// maxSpareBytes is what a drained queue keeps. A burst may need more, but it
// should not be held for ever.
const maxSpareBytes = 8 << 20

func (q *queue) reset() {
	if cap(q.buf) > maxSpareBytes {
		q.buf = nil
	}
	*q = queue{buf: q.buf[:0], cuts: q.cuts[:0]}
}
