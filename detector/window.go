package detector

// window counts one kind of event of one source, over the last hour and over
// the last 24. There are two rings of counters, each for a stretch of the
// log's time that begins at a multiple of its length: ten minutes and two
// hours. A count adds up the stretches that lie within the hour or the day,
// and of the one at the far edge the part that lies within, as if its events
// were spread evenly over it. That part is all that is not exact. A counter
// stops at 65,535.
//
// There may be several for each of many sources, so they are small and have no
// pointers; a source that has done little has few instead.
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
	windowByMessage
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

// add counts events in the stretch n, which is not before the last.
func (w *window) add(n uint32, count uint16) {
	if n != w.last {
		clearBetween(w.hours[:], w.last, n)
		clearBetween(w.days[:], w.last/dayPerHour, n/dayPerHour)
		w.last = n
	}
	increase(&w.hours[n%hourStretches], count)
	increase(&w.days[n/dayPerHour%dayStretches], count)
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

func increase(c *uint16, by uint16) {
	*c += min(by, 1<<16-1-*c)
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
		sum += float64(ring[(n-age)%size]) * weight(age, size, passed)
	}
	return sum
}

// weight is how much of a stretch counts that is so many stretches old, where
// the last of size is at the edge.
func weight(age, size uint32, passed float64) float64 {
	switch {
	case age < size-1:
		return 1
	case age == size-1:
		return 1 - passed
	default:
		return 0
	}
}

// windows holds the windows of all sources; a source knows the number of its
// first one.
type windows struct {
	pages[window]
	spare uint32 // the first of those to be used again
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
	n := stretch(now)
	if s.windows == 0 {
		if s.few.add(kind, n) {
			return
		}
		ws.unfold(s)
	}
	ws.of(s, kind, n).add(n, 1)
}

// hour is how often the source did something in the hour up to now.
func (ws *windows) hour(s *source, kind windowKind, now int64) float64 {
	if s.windows == 0 {
		return s.few.hour(kind, now)
	}
	if w := ws.find(s.windows, kind); w != nil {
		return w.hour(now)
	}
	return 0
}

// day is how often it did so in the 24 hours up to now.
func (ws *windows) day(s *source, kind windowKind, now int64) float64 {
	if s.windows == 0 {
		return s.few.day(kind, now)
	}
	if w := ws.find(s.windows, kind); w != nil {
		return w.day(now)
	}
	return 0
}

// of returns the window of a kind of the source, one that is empty at the
// stretch n if there is none yet.
func (ws *windows) of(s *source, kind windowKind, n uint32) *window {
	if w := ws.find(s.windows, kind); w != nil {
		return w
	}
	i := ws.take()
	w := ws.at(i)
	*w = window{next: s.windows, kind: kind, last: n}
	s.windows = i
	return w
}

// take returns the number of an unused window.
func (ws *windows) take() uint32 {
	if n := ws.spare; n != 0 {
		ws.spare = ws.at(n).next
		return n
	}
	return ws.more()
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
