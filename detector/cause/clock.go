package cause

import (
	"slices"
	"time"

	"overstay/connlog"
)

// clock says which lines are new, and what time it is: that of the log, in
// microseconds, but one that never goes back. It does for each line what
// package detector does.
type clock struct {
	begun  bool
	now    int64
	before int64 // the time of the line before
	shift  int64 // now is the time of the log plus shift
	steps  []step

	boot  string
	seq   uint64   // of the last line
	ended []string // boots that were before, the latest last
	head  head
}

// step is a time from which on the clock of the log is behind ours by shift.
type step struct{ from, shift int64 }

// head is the head of a file: a start line that says it continues, and the
// open lines after it that name every connection that is open.
type head struct {
	reading bool
	broken  bool   // a line of it is missing
	number  uint32 // of the head read last
}

func (h *head) begin() {
	h.reading, h.broken = true, false
	h.number++
}

// turn is what a line means before it is looked at.
type turn uint8

const (
	next     turn = iota
	seen          // it was there already
	newBoot       // it is the first line of another server process
	headEnds      // it is the first line after a head that is complete
)

const (
	micros     = 1_000_000  // in a second
	backStep   = 5 * micros // how far a clock may go back and be waited for
	endedBoots = 64         // how many boots are known to be old
	maxSteps   = 1024       // how many steps of the clock are known
	// The years a log line can have, in microseconds.
	firstMicro = -62167219200 * micros // year 0
	lastMicro  = 253402300800 * micros // year 10000
)

// enter makes the line the last one. It also says how many lines before it
// are missing.
func (c *clock) enter(e *connlog.Event) (turn, uint64) {
	fresh := !c.begun || e.Boot != c.boot
	var missing uint64
	switch {
	case fresh && c.begun && slices.Contains(c.ended, e.Boot):
		return seen, 0
	case !fresh && e.Seq != 0 && c.seq != 0:
		// A log of others may have no numbers; then nothing can be said.
		if e.Seq <= c.seq {
			return seen, 0
		}
		if missing = e.Seq - c.seq - 1; missing > 0 {
			c.head.broken = true
		}
	}
	was := c.boot
	begun := c.begun
	c.reach(e.Time)
	c.boot, c.seq = e.Boot, e.Seq
	switch {
	case fresh:
		c.head.reading = false
		if begun {
			c.end(was)
		}
		return newBoot, 0
	case c.head.reading && (e.Kind != connlog.Open || e.Held <= 0):
		c.head.reading = false
		if !c.head.broken {
			return headEnds, missing
		}
	}
	return next, missing
}

func (c *clock) end(boot string) {
	if len(c.ended) == endedBoots {
		c.ended = slices.Delete(c.ended, 0, 1)
	}
	c.ended = append(c.ended, boot)
}

// reach lets the time pass up to a line.
func (c *clock) reach(at time.Time) {
	t := c.now
	if s := at.Unix(); s >= firstMicro/micros && s < lastMicro/micros {
		t = at.UnixMicro() + c.shift
	}
	if !c.begun {
		c.begun, c.now = true, t
		c.steps = append(c.steps, step{from: t})
	}
	if t < c.now {
		t = c.wentBack(t)
	}
	c.before, c.now = c.now, t
}

// wentBack returns the time of a line that is before the one before it.
func (c *clock) wentBack(t int64) int64 {
	back := c.now - t
	if back <= backStep || c.shift > lastMicro {
		return c.now
	}
	by := (back + micros - 1) / micros * micros
	c.shift += by
	if len(c.steps) == maxSteps {
		c.steps = slices.Delete(c.steps, 0, 1)
	}
	c.steps = append(c.steps, step{from: t + by, shift: c.shift})
	return t + by
}

// logTime turns our time into that of the log. Where that was set back, the
// log has two times for it, of which it is the earlier line's, or the later's.
func (c *clock) logTime(t int64, later bool) time.Time {
	if len(c.steps) == 0 {
		return time.Time{}
	}
	shift := c.steps[0].shift
	for _, s := range c.steps[1:] {
		if s.from > t || s.from == t && !later {
			break
		}
		shift = s.shift
	}
	return time.UnixMicro(t - shift).UTC()
}

// internal turns a time of the log that was just told into ours.
func (c *clock) internal(t time.Time) int64 {
	s := t.Unix()
	switch {
	case s < firstMicro/micros:
		return firstMicro
	case s >= lastMicro/micros:
		return lastMicro + c.shift
	}
	return t.UnixMicro() + c.shift
}

// span is what of our time shows a time of the log from from to to; a zero
// time is no bound. A log whose clock was set back shows some times twice:
// then it is all from the first to the last.
func (c *clock) span(from, to time.Time) (first, last int64, ok bool) {
	if !c.begun {
		return 0, 0, false
	}
	first, last = c.now+1, c.steps[0].from-1
	for i, s := range c.steps {
		begin, end := s.from, c.now
		if i+1 < len(c.steps) {
			end = c.steps[i+1].from
		}
		a, b := begin, end
		if !from.IsZero() {
			a = max(a, c.internal(from)-c.shift+s.shift)
		}
		if !to.IsZero() {
			b = min(b, c.internal(to)-c.shift+s.shift)
		}
		if a <= b {
			first, last = min(first, a), max(last, b)
		}
	}
	return first, last, first <= last
}
