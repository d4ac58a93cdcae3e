package detector

import (
	"slices"
	"time"

	"overstay/connlog"
)

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

// endedBoots is the number of boots before the present one whose lines are
// known to be old.
const endedBoots = 64

// isNext says whether the line has not been seen yet.
func (d *Detector) isNext(e *connlog.Event) bool {
	if !d.begun {
		return true
	}
	if e.Boot != d.boot {
		if slices.Contains(d.ended, e.Boot) {
			d.stats.OldBoot++
			return false
		}
		return true
	}
	// A log of others may have no numbers; then nothing can be said.
	if e.Seq == 0 || d.seq == 0 {
		return true
	}
	if e.Seq <= d.seq {
		d.stats.Repeats++
		return false
	}
	if e.Seq > d.seq+1 {
		d.stats.Gaps++
		d.stats.Missing += e.Seq - d.seq - 1
		d.head.broken = true
	}
	return true
}

// The years a log line can have, in microseconds.
const (
	firstMicro = -62167219200 * int64(micros) // year 0
	lastMicro  = 253402300800 * int64(micros) // year 10000
)

// internal turns a time of the log into ours, which never goes back.
func (d *Detector) internal(t time.Time) (int64, bool) {
	s := t.Unix()
	if s < firstMicro/micros || s >= lastMicro/micros {
		return 0, false
	}
	return s*micros + int64(t.Nanosecond())/1000 + d.shift, true
}

// listNow is the present time of the log, by which the list reckons its bans.
func (d *Detector) listNow() int64 { return d.now - d.shift }

// logTime turns our time into that of the log.
func (d *Detector) logTime(t int64) time.Time { return time.UnixMicro(t - d.shift).UTC() }

// backStep is how far a clock may go back and be caught up with by waiting.
const backStep = 5 * int64(micros)

// beats says whether the server wrote its beat up to the last line.
func (d *Detector) beats() bool { return d.beaten != 0 && d.lastLine-d.beaten <= late }

// reach lets the time pass up to a line.
func (d *Detector) reach(e *connlog.Event) {
	t, ok := d.internal(e.Time)
	if !ok {
		d.stats.Clamped++
		t = d.now
	}
	if !d.begun {
		d.begun = true
		d.now, d.lastLine, d.ticked, d.advanced = t, t, floor(t, quarter), t
		d.pressed = t - pressure
	}
	if t < d.now {
		t = d.clockWentBack(t)
	} else if t-d.lastLine > leap && e.Boot == d.boot {
		t = d.clockLeapt(t)
	}
	d.tickTo(t)
	d.now, d.lastLine = t, t
	d.advanced = max(d.advanced, t)
}

// clockWentBack returns the time of a line that is before the one before it.
// A little is waited out. After more, the clock was set, and time goes on from
// where it was, by whole seconds so that these stay whole: else a clock that
// was once wrong by a year would stand still for a year.
func (d *Detector) clockWentBack(t int64) int64 {
	d.stats.Clamped++
	back := d.now - t
	if back <= backStep || d.shift > lastMicro {
		return d.now
	}
	d.stats.ClockSteps++
	step := (back + micros - 1) / micros * micros
	d.shift += step
	return t + step
}

// leap is how long a log is silent at least when its clock was set ahead, or
// its machine stood still.
const leap = 60 * micros

// clockLeapt returns the time of a line that is long after the one before it.
// Where the server would have written its beat, time goes on from where it was,
// for nobody has held a thread for all that time. In another log it may be that
// nothing happened. In any case those who hold one now are looked at a little
// longer.
func (d *Detector) clockLeapt(t int64) int64 {
	if d.beats() {
		d.stats.ClockSteps++
		skipped := floor(t-d.now, micros)
		d.shift -= skipped
		t -= skipped
	}
	if len(d.table.holders) > 0 {
		d.doubt = t + doubtful
	}
	return t
}

// doubtful is how long there are no decisions after a leap of the clock.
const doubtful = 5 * micros

// enter makes the line the last one: a new boot closes what the one before
// held, and the end of a file's head closes what it did not name.
func (d *Detector) enter(e *connlog.Event) {
	carried := e.Kind == connlog.Open && e.Held > 0
	if d.stats.Boots == 0 || e.Boot != d.boot {
		d.changeBoot(e.Boot)
	} else if d.head.reading && !carried {
		d.endHead()
	}
	d.seq = e.Seq
}

func (d *Detector) changeBoot(boot string) {
	d.closeAll()
	d.pools.forget(d.now)
	d.head.reading = false
	if d.stats.Boots > 0 {
		d.ended = append(d.ended, d.boot)
		if len(d.ended) > endedBoots {
			d.ended = slices.Delete(d.ended, 0, 1)
		}
	}
	d.boot, d.seq = boot, 0
	d.stats.Boots++
}

// endHead closes the connections that the head did not name: their close
// lines were lost. A head that lacks a line says nothing about anything.
func (d *Detector) endHead() {
	d.head.reading = false
	if d.head.broken {
		return
	}
	d.closeWhere(func(c *conn) bool { return c.head != d.head.number })
}

// closeAll closes everything, as the end of a server does.
func (d *Detector) closeAll() {
	d.closeWhere(func(*conn) bool { return true })
}

// closeWhere goes through the holders in their order, never through a map:
// what is put to rest first is dropped first.
func (d *Detector) closeWhere(over func(*conn) bool) {
	for i := len(d.table.holders) - 1; i >= 0; i-- {
		s := d.table.holders[i]
		p := d.pools.all[s.key.pool]
		h := s.hold
		for _, l := range []conns{h.unproven, h.proven} {
			for c := l.first; c != nil; {
				next := c.next
				if over(c) {
					d.runTo(s, p)
					d.release(c)
				}
				c = next
			}
		}
	}
}

// named notes that a file's head named a connection we know.
func (d *Detector) named(c *conn, e *connlog.Event) {
	c.head = d.head.number
	if e.Proven && !c.proven {
		p := d.pools.all[c.source.key.pool]
		d.runTo(c.source, p)
		d.prove(c, p)
		d.nets.trust(c.source.hold.net, d.now)
	}
}

// runTo runs the figures of a source and its pool up to now.
func (d *Detector) runTo(s *source, p *pool) {
	p.advance(d.now)
	s.advance(d.now, p)
}

// carry puts in what a connection has held before we learned of it. When it
// was proven is not known, so all of it counts as proven if it is by now.
func (d *Detector) carry(c *conn, p *pool, held time.Duration) {
	us := held.Microseconds()
	c.opened = d.now - us
	l := loadOf(us)
	c.source.all.add(l)
	if !c.proven {
		c.source.unproven.add(l)
	}
	c.source.first = min(c.source.first, unixSeconds(c.opened))
	p.load.add(l)
	n := d.nets.of(c.source, p, d.now)
	n.sums.all.carry(l, &d.nets.clock)
	if !c.proven {
		n.sums.unproven.carry(l, &d.nets.clock)
	} else {
		d.nets.trust(n, d.now)
	}
}

// take gives a thread to a connection.
func (d *Detector) take(c *conn, p *pool) {
	d.open[c.id] = c
	if c.source.hold == nil {
		d.table.hold(c.source, p)
		d.nets.join(c.source, p, d.now)
		p.sources++
	}
	h := c.source.hold
	h.insert(c)
	d.nets.run(h.net, d.now)
	h.net.take(c, h, &d.nets.clock)
	p.open++
	if !c.proven {
		p.unproven++
	}
}

// prove moves a connection from the unproven to the proven.
func (d *Detector) prove(c *conn, p *pool) {
	h := c.source.hold
	h.remove(c)
	d.nets.run(h.net, d.now)
	h.net.giveUnproven(c, h, &d.nets.clock)
	c.proven = true
	h.insert(c)
	p.unproven--
	p.passing.leave(c)
}

// release takes the thread back. Source and pool are run up to now.
func (d *Detector) release(c *conn) {
	s, p := c.source, d.pools.all[c.source.key.pool]
	d.runTo(s, p)
	h := s.hold
	h.remove(c)
	d.nets.run(h.net, d.now)
	h.net.give(c, h, &d.nets.clock)
	p.open--
	if !c.proven {
		p.unproven--
	}
	p.passing.leave(c)
	if h.open == 0 {
		p.sources--
		d.nets.leave(h)
		d.table.release(s)
	}
	delete(d.open, c.id)
	*c = conn{}
	d.spare = append(d.spare, c)
}

func (d *Detector) newConn() *conn {
	if n := len(d.spare); n > 0 {
		c := d.spare[n-1]
		d.spare = d.spare[:n-1]
		return c
	}
	return new(conn)
}
