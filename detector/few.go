package detector

// few is what a source has instead of windows while it has done little: the
// stretches of ten minutes in which it did anything at all, at most four. Most
// sources never do more, and there are a hundred thousand. It counts to the
// same as the windows that it is turned into when it has no room.
type few struct {
	last  uint32 // the stretch of ten minutes that was counted in last
	times [4]fewTimes
}

// fewTimes is how often a source did something in one stretch; a count of 0 is
// an empty place.
type fewTimes struct {
	ago   uint8 // stretches before the last
	kind  windowKind
	count uint8
}

// agoMost is the most stretches ago that can still lie within 24 hours or at
// the edge of them.
const agoMost = dayPerHour*dayStretches - 1

// add counts an event in the stretch n. It returns false, and has not counted
// it, if there is no room.
func (f *few) add(kind windowKind, n uint32) bool {
	f.reach(n)
	var empty *fewTimes
	for i := range f.times {
		switch t := &f.times[i]; {
		case t.count == 0:
			empty = t
		case t.ago == 0 && t.kind == kind:
			if t.count == 1<<8-1 {
				return false
			}
			t.count++
			return true
		}
	}
	if empty == nil {
		return false
	}
	*empty = fewTimes{kind: kind, count: 1}
	return true
}

// reach lets the time pass up to the stretch n, and drops what is too old.
func (f *few) reach(n uint32) {
	passed := n - f.last
	f.last = n
	if passed == 0 {
		return
	}
	for i := range f.times {
		t := &f.times[i]
		if age := uint32(t.ago) + min(passed, agoMost+1); age > agoMost {
			*t = fewTimes{}
		} else {
			t.ago = uint8(age)
		}
	}
}

// hour and day are the counts of a kind, as those of a window are.
func (f *few) hour(kind windowKind, now int64) (sum float64) {
	n, passed := stretch(now), part(now, hourStretch)
	for _, t := range f.times {
		if t.kind == kind {
			sum += float64(t.count) * weight(n-f.last+uint32(t.ago), hourStretches, passed)
		}
	}
	return sum
}

func (f *few) day(kind windowKind, now int64) (sum float64) {
	n, passed := stretch(now)/dayPerHour, part(now, dayStretch)
	for _, t := range f.times {
		if t.kind == kind {
			sum += float64(t.count) * weight(n-(f.last-uint32(t.ago))/dayPerHour, dayStretches, passed)
		}
	}
	return sum
}

// unfold turns what few has counted into windows.
func (ws *windows) unfold(s *source) {
	f := s.few
	s.few = few{}
	// The oldest first: a window's time does not go back.
	for ago := agoMost; ago >= 0; ago-- {
		for _, t := range f.times {
			if t.count > 0 && int(t.ago) == ago {
				ws.of(s, t.kind, f.last-uint32(ago)).add(f.last-uint32(ago), uint16(t.count))
			}
		}
	}
}
