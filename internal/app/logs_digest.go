package app

import (
	"math"
	"time"

	"overstay/connlog"
	"overstay/detector/occupancy"
)

// digest is what a batch of lines comes to, put together where they are parsed.
// What stands before the first start line of a batch is of the version that the
// batch before ended with, so it is kept apart.
type digest struct {
	early *early   // not to be told again
	long  *longest // asked which connections are long; nil: none is

	head, rest piece
	started    bool
	schema     int    // of the last start line
	newer      uint64 // events of rest that are of a later version
	lasted     []long
}

// piece is a part of a batch, with the time it spans.
type piece struct {
	notes    occupancy.Notes
	from, to int64 // microseconds since 1970, if there is a note
	written  int64 // the first that is no opening
}

func (p *piece) reset() {
	p.notes.Reset()
	p.from, p.to, p.written = math.MaxInt64, math.MinInt64, math.MaxInt64
}

func (p *piece) observe(e *connlog.Event) {
	p.notes.Observe(e)
	at := e.Time.UnixMicro()
	p.spans(at, at)
	if p.written == math.MaxInt64 && e.Kind != connlog.Open {
		p.written = at
	}
}

func (p *piece) spans(from, to int64) { p.from, p.to = min(p.from, from), max(p.to, to) }

// Reset empties it for the next batch.
func (d *digest) Reset() {
	d.head.reset()
	d.rest.reset()
	d.started, d.schema, d.newer = false, 0, 0
	d.lasted = d.lasted[:0]
}

// Observe takes in the next event.
func (d *digest) Observe(e *connlog.Event) {
	switch {
	case e.Kind == connlog.Start:
		d.started, d.schema = true, e.Schema
	case d.early.tells(e):
		return
	}
	switch {
	case !d.started:
		d.head.observe(e)
	case d.schema > connlog.SchemaVersion:
		d.newer++
	default:
		d.rest.observe(e)
	}
}

// Visit takes in the next connection. Only other servers' logs have some.
func (d *digest) Visit(v *connlog.Visit) {
	told := d.early.has(v.Conn)
	if d.long.wantsHeld(v.To - v.From) {
		d.lasted = append(d.lasted, longVisit(v))
	}
	d.head.notes.Visit(v, told)
	d.head.spans(v.From, v.To)
	if d.head.written == math.MaxInt64 {
		d.head.written = v.To
	}
}

// span is when the first line was written, as far as is known, and the time of
// the last event; the least if there is none.
func (d *digest) span() (written, to int64) {
	written = min(d.head.written, d.rest.written)
	if written == math.MaxInt64 {
		written = min(d.head.from, d.rest.from)
	}
	return written, max(d.head.to, d.rest.to)
}

// digested takes in a batch of a connection log.
func (r *reading) digested(d *digest) {
	if r.newer {
		r.Newer += d.head.notes.Events()
	} else {
		r.piece(&d.head)
	}
	if d.started {
		r.piece(&d.rest)
		r.Newer += d.newer
		r.started(d.schema)
	}
}

func (r *reading) piece(p *piece) {
	if r.counted(p) {
		r.to.notes(&p.notes)
	}
}

// counted counts a piece; false if there is nothing in it.
func (r *reading) counted(p *piece) bool {
	if p.notes.Events() == 0 {
		return false
	}
	r.events += p.notes.Events()
	r.spans(time.UnixMicro(p.from).UTC())
	r.spans(time.UnixMicro(p.to).UTC())
	return true
}

// foreign takes in a batch of another server's log, whose events have to find
// their place in time.
func (r *reading) foreign(d *digest) {
	if r.to.long != nil {
		r.to.long.add(d.lasted...)
	}
	for _, p := range []*piece{&d.head, &d.rest} {
		r.tell(time.UnixMicro(p.to), r.note)
		if r.counted(p) {
			r.noted.Add(&p.notes)
		}
	}
}

// note notes down one event.
func (r *reading) note(e *connlog.Event) {
	e.Seq = 0
	r.one.Reset()
	r.one.Observe(e)
	r.events++
	r.spans(e.Time)
	r.noted.Add(&r.one)
}
