package occupancy

import (
	"slices"

	"overstay/connlog"
)

// journal says which lines are new, and what time it is: that of the log, in
// microseconds, but one that never goes back, and that stands still where a
// server that wrote its beat was silent for a minute: its clock was set ahead,
// or its machine stood still. It does for each line what package detector does.
type journal struct {
	begun  bool
	now    int64
	before int64 // the time of the line before
	shift  int64 // now is the time of the log plus shift
	beaten int64 // when the server wrote its beat last; 0: never
	leaps  bool  // what a clock leaps ahead counts as time

	boot  string
	seq   uint64   // of the last line
	ended []string // boots that were before, the latest last

	head    uint32 // of a file: the number of the one read last
	reading bool   // it, of which no line is missing
	broken  bool
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
	backStep   = 5 * micros // how far a clock may go back and be waited for
	leap       = 60 * micros
	lateBeat   = 15 * micros // a server beats every five seconds
	endedBoots = 64          // how many boots are known to be old
)

// enter makes the line the last one. Another boot is entered by another.
func (j *journal) enter(n *note) turn {
	if n.seq != 0 && j.seq != 0 { // A log of others may have no numbers.
		if n.seq <= j.seq {
			return seen
		}
		j.broken = j.broken || n.seq != j.seq+1
	}
	j.reach(n, n.seq == j.seq+1)
	j.seq = n.seq
	if j.reading && (n.kind != connlog.Open || n.extra == 0) {
		j.reading = false
		if !j.broken {
			return headEnds
		}
	}
	return next
}

// turn enters whatever line it is.
func (j *journal) turn(n *note, boot string) turn {
	if j.isOf(boot) {
		return j.enter(n)
	}
	return j.another(n, boot)
}

// isOf says whether lines of a boot are of the present one.
func (j *journal) isOf(boot string) bool { return j.begun && boot == j.boot }

// another enters a boot.
func (j *journal) another(n *note, boot string) turn {
	if slices.Contains(j.ended, boot) {
		return seen
	}
	if j.begun {
		if len(j.ended) == endedBoots {
			j.ended = slices.Delete(j.ended, 0, 1)
		}
		j.ended = append(j.ended, j.boot)
	}
	j.reach(n, false)
	j.boot, j.seq, j.reading = boot, n.seq, false
	return newBoot
}

// continued begins the head of a file.
func (j *journal) continued() {
	j.head++
	j.reading, j.broken = true, false
}

// reach lets the time pass up to a line. Where it follows the one before, which
// the same server wrote, and none is missing, the time between may be a leap.
func (j *journal) reach(n *note, follows bool) {
	t := n.at + j.shift
	if !j.begun {
		j.begun, j.now = true, t
	}
	if t < j.now {
		back := j.now - t
		if back > backStep && j.shift < lastMicro {
			by := (back + micros - 1) / micros * micros
			j.shift += by
			t += by
		} else {
			t = j.now
		}
	} else if follows && t-j.now > leap && j.beats() && !j.leaps {
		skipped := (t - j.now) / micros * micros
		j.shift -= skipped
		t -= skipped
	}
	if j.before, j.now = j.now, t; n.kind == connlog.Beat {
		j.beaten = t
	}
}

// beats says whether the server wrote its beat up to the last line.
func (j *journal) beats() bool { return j.beaten != 0 && j.now-j.beaten <= lateBeat }
