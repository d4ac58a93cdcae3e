package detector

// window counts one kind of event of one source, over the last hour and over
// the last 24. There are two rings of counters, each for a stretch of the
// log's time that begins at a multiple of its length: ten minutes and two
// hours. A count adds up the stretches that lie within the hour or the day,
// and of the one at the far edge the part that lies within, as if its events
// were spread evenly over it. That part is all that is not exact. A counter
// stops at 65,535.
//
// There may be several for each of a hundred thousand sources, so they are
// small, have no pointers, and only who has such an event has one.
type window struct {
	next  uint32 // the next window of the source, or the next unused one; 0: none
	kind  windowKind
	last  uint32 // the stretch of ten minutes that was counted in last
	hours [hourStretches]uint16
	days  [dayStretches]uint16
}

// windowKind is what a window counts.
type windowKind uint8

const (
	windowOpens windowKind = iota
	windowMessages
	windowLoginsFailed
)

const (
	hourStretch   = 10 * 60 * micros
	dayPerHour    = 12 // stretches of an hour's ring in one of a day's
	dayStretch    = dayPerHour * hourStretch
	hourStretches = 6 + 1 // the last is the one at the edge
	dayStretches  = 12 + 1
)

// stretch is the number of the ten minutes that now lies in.
func stretch(now int64) uint32 { return uint32(max(now, 0) / hourStretch) }

// add counts an event at now.
func (w *window) add(now int64) {
	n := stretch(now)
	if n != w.last {
		clearBetween(w.hours[:], w.last, n)
		clearBetween(w.days[:], w.last/dayPerHour, n/dayPerHour)
		w.last = n
	}
	increase(&w.hours[n%hourStretches])
	increase(&w.days[n/dayPerHour%dayStretches])
}

// clearBetween empties the counters of the stretches after last, up to n.
func clearBetween(ring []uint16, last, n uint32) {
	size := uint32(len(ring))
	if n-last >= size {
		clear(ring)
		return
	}
	for last != n {
		last++
		ring[last%size] = 0
	}
}

func increase(c *uint16) {
	if *c < 1<<16-1 {
		*c++
	}
}

// hour is the number of events in the hour up to now.
func (w *window) hour(now int64) float64 {
	return within(w.hours[:], w.last, stretch(now), part(now, hourStretch))
}

// day is the number of events in the 24 hours up to now.
func (w *window) day(now int64) float64 {
	return within(w.days[:], w.last/dayPerHour, stretch(now)/dayPerHour, part(now, dayStretch))
}

// part is how much of its stretch has passed at now.
func part(now, length int64) float64 { return float64(max(now, 0)%length) / float64(length) }

// within adds up a ring that was last counted in at the stretch last, as it is
// seen from the stretch n, of which passed is over.
func within(ring []uint16, last, n uint32, passed float64) (sum float64) {
	size := uint32(len(ring))
	for age := n - last; age < size && age <= n; age++ {
		c := float64(ring[(n-age)%size])
		if age == size-1 {
			c *= 1 - passed
		}
		sum += c
	}
	return sum
}

// windows holds the windows of all sources. They are named by number, from 1
// on; a source knows its first one.
type windows struct {
	pages [][]window
	made  uint32
	spare uint32 // the first of those to be used again
}

// windowsPerPage makes a page fill whole pages of memory.
const windowsPerPage = 2048

func (ws *windows) at(n uint32) *window {
	n--
	return &ws.pages[n/windowsPerPage][n%windowsPerPage]
}

// find returns the window of a kind in the list that begins at first, or nil.
func (ws *windows) find(first uint32, kind windowKind) *window {
	for n := first; n != 0; {
		w := ws.at(n)
		if w.kind == kind {
			return w
		}
		n = w.next
	}
	return nil
}

// count counts an event of the source at now.
func (ws *windows) count(s *source, kind windowKind, now int64) {
	w := ws.find(s.windows, kind)
	if w == nil {
		n := ws.take()
		w = ws.at(n)
		*w = window{next: s.windows, kind: kind, last: stretch(now)}
		s.windows = n
	}
	w.add(now)
}

// take returns the number of an unused window.
func (ws *windows) take() uint32 {
	if n := ws.spare; n != 0 {
		ws.spare = ws.at(n).next
		return n
	}
	if ws.made%windowsPerPage == 0 {
		ws.pages = append(ws.pages, make([]window, windowsPerPage))
	}
	ws.made++
	return ws.made
}

// release takes back what a source has that is forgotten.
func (ws *windows) release(s *source) {
	for n := s.windows; n != 0; {
		w := ws.at(n)
		next := w.next
		w.next, ws.spare = ws.spare, n
		n = next
	}
	s.windows = 0
}
