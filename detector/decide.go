package detector

import (
	"slices"
	"time"
)

// judge looks at all rules for a source in its pool, both run up to now.
func (d *Detector) judge(s *source, p *pool) {
	d.view = view{now: d.now, s: s, p: p, windows: &d.table.windows}
	var holds uint64
	for _, r := range d.rules {
		if r.covers(p) && r.when(&d.view) {
			holds |= r.bit
		}
	}
	if holds == 0 {
		s.watch = nil
		return
	}
	d.consider(s, holds)
}

// consider goes on from the conditions that hold to decisions: those that
// held long enough, that have not decided since they began to hold, and whose
// source has no such decision standing already.
func (d *Detector) consider(s *source, holds uint64) {
	w := s.watch
	if w == nil {
		w = &watch{since: make([]int64, len(d.rules))}
		s.watch = w
	}
	fresh := holds &^ w.holds
	w.holds = holds
	w.decided &= holds
	for _, r := range d.rules {
		if holds&r.bit == 0 {
			continue
		}
		if fresh&r.bit != 0 {
			w.since[r.n] = d.now
		}
		if w.decided&r.bit == 0 && d.now-w.since[r.n] >= r.hold && d.decide(r) {
			w.decided |= r.bit
		}
	}
}

// decide makes the decision of a rule about the source in view. It does
// nothing and returns false when one stands that is as strong.
func (d *Detector) decide(r *rule) bool {
	addr := d.view.s.key.addr
	if d.memory.standing(addr, r.Action, d.now) {
		return false
	}
	action := r.Action
	raging := action == Ban && d.storm.rages(d.now)
	if raging {
		action = Suggest
		if d.memory.standing(addr, action, d.now) {
			return false
		}
	}

	source := d.source(d.view.s.key)
	rec := d.memory.of(addr)
	lasts, earlier := rec.duration(&r.Policy, d.now)
	until := d.now + lasts.Microseconds()
	dec := Decision{
		ID:       identity(r.Name, source, d.boot, d.seq),
		Policy:   r.Name,
		Action:   action,
		Source:   source,
		Services: slices.Clone(r.Services),
		At:       d.logTime(d.now),
		Duration: lasts,
		Evidence: d.evidence(r, &d.view),
	}
	dec.Evidence.BanStorm = raging
	dec.Evidence.EarlierBans = earlier
	if action == Ban {
		rec.remember(past{id: dec.ID, at: d.now, until: until})
		rec.banned = until
		d.storm.count(d.now)
	} else {
		rec.suggested = until
	}
	d.out = append(d.out, dec)
	return true
}

// tick looks at all who hold a thread.
func (d *Detector) tick(at int64) {
	d.now = at
	for _, p := range d.pools.all {
		if p.open > 0 {
			p.advance(at)
		}
	}
	for _, s := range d.table.holders {
		p := d.pools.all[s.key.pool]
		s.advance(at, p)
		d.judge(s, p)
	}
}

// tickTo goes through the ticks up to t. When nobody holds anything there is
// nothing to look at, and when the log was silent for long, nothing new: the
// ticks past quiet are skipped, however far a clock has jumped.
func (d *Detector) tickTo(t int64) {
	limit := min(t, d.lastLine+quiet)
	for next := d.tickAfter(d.ticked); next <= limit && len(d.table.holders) > 0; next = d.tickAfter(next) {
		d.tick(next)
		d.ticked = next
	}
	d.ticked = max(d.ticked, floor(t, quarter))
}

// tickAfter is the tick that follows the one at t. There is one each second,
// and while clients are turned away, when each moment is a client lost, four.
func (d *Detector) tickAfter(t int64) int64 {
	if t-d.pressed < pressure {
		return t + quarter
	}
	return floor(t, micros) + micros
}

const (
	quarter = micros / 4
	// pressure is how long after a refusal the ticks are close together.
	pressure = 10 * micros
	// quiet is how long after the last line there are ticks, in microseconds.
	// A server that lives writes a beat every five seconds.
	quiet = int64(10 * time.Minute / time.Microsecond)
)

// floor is the last multiple of step at or before t.
func floor(t, step int64) int64 {
	r := t % step
	if r < 0 {
		r += step
	}
	return t - r
}
