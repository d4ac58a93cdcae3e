package detector

import (
	"slices"
	"time"
)

// judge looks at all rules for a source in its pool, both run up to now.
func (d *Detector) judge(s *source, p *pool) {
	d.view = view{now: d.now, s: s, p: p, d: d}
	d.due = d.rules.due(d.due[:0], &d.view)
	s.watch = d.consider(s.watch, &d.rules, d.due)
}

// consider looks at the rules of a panel that are due for what is in view, and
// returns its watch.
func (d *Detector) consider(w *watch, p *panel, due []*rule) *watch {
	holds := thatHold(due, &d.view)
	if holds == 0 {
		return nil
	}
	if w == nil {
		w = &watch{since: make([]int64, len(d.rules.rules)+len(d.netRules.rules))}
	}
	d.follow(w, p.rules, holds)
	return w
}

// follow goes on from the conditions that hold to decisions: those that held
// long enough, that have not decided since they began to hold, and whose
// source has no such decision standing already.
func (d *Detector) follow(w *watch, rules []*rule, holds uint64) {
	fresh := holds &^ w.holds
	w.holds = holds
	w.decided &= holds
	for _, r := range rules {
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

// suggested is how long a suggestion stands: as long as the list keeps it.
const suggested = 24 * hour

// heavyPart of its pool is held by one who is banned in a storm before others.
const heavyPart = 0.05

// decide makes the decision of a rule about what is in view. It returns false
// when there is none to be made now, or a weaker one only.
func (d *Detector) decide(r *rule) bool {
	about, ok := d.subject(r)
	now := d.listNow()
	if !ok || d.now < d.doubt || d.memory.standing(about, r.Action, r.Services, now) {
		return false
	}
	action := r.Action
	raging := action == Ban && d.storm.rages(d.now, d.view.share() >= heavyPart)
	if raging {
		action = Suggest
		if d.memory.standing(about, action, r.Services, now) {
			return false
		}
	}

	source := about.prefix()
	lasts, earlier := d.memory.growth(about).duration(&r.Policy, now)
	until := now + lasts.Microseconds()
	dec := Decision{
		ID:       identity(r.Name, source, d.boot, d.line()),
		Policy:   r.Name,
		Action:   action,
		Source:   source,
		Services: slices.Clone(r.Services),
		At:       d.logTime(d.now),
		Duration: lasts,
		Evidence: d.evidence(r, &d.view, about),
	}
	dec.Evidence.BanStorm = raging
	dec.Evidence.EarlierBans = earlier
	if action == Ban {
		d.memory.remember(about, past{id: dec.ID, at: now, until: until, bits: about.bits, services: r.Services})
		d.storm.count(d.now)
	} else {
		until = max(until, now+suggested)
	}
	d.memory.of(about).decided(stand{action, until, r.Services}, now)
	d.out = append(d.out, dec)
	return !raging // The ban is still to come.
}

// subject is what a decision of the rule would be about, if there may be one:
// the source in view, or what explains the load of the net in view.
func (d *Detector) subject(r *rule) (target, bool) {
	v := &d.view
	if r.Averts && v.blame1() < leastBlame*v.part() {
		return target{}, false
	}
	if !r.net {
		return d.target(v.s.key), true
	}
	if !r.ProvenNets && d.nets.trusts(v.n, d.now) {
		return target{}, false
	}
	return d.narrowest(v.n), true
}

// leastBlame is the blame, in refusals per minute, below which a ban of who
// holds all threads would avert none: that of one who did at one refusal, nearly
// five minutes ago. Of who holds a part of them it is that part.
const leastBlame = 0.01

// share is the part of the pool that is held by what is in view.
func (v *view) share() float64 {
	if v.s != nil {
		return v.p.share(v.open())
	}
	return v.p.share(int(v.n.open))
}

// part is that part; 1 if nothing is held.
func (v *view) part() float64 {
	if part := v.share(); part > 0 {
		return min(part, 1)
	}
	return 1
}

// tick looks at all who hold a thread.
func (d *Detector) tick(at int64) {
	d.now = at
	for _, p := range d.pools.all {
		if p.open > 0 {
			p.advance(at)
			d.view = view{now: at, p: p, d: d}
			p.due = d.rules.due(p.due[:0], &d.view)
			p.netDue = d.netRules.due(p.netDue[:0], &d.view)
		}
	}
	// The nets first: who is banned with the net needs no ban of its own.
	if len(d.netRules.rules) > 0 {
		for _, n := range d.nets.crowded {
			d.nets.run(n, at)
			d.view = view{now: at, n: n, p: n.pool, d: d}
			n.watch = d.consider(n.watch, &d.netRules, n.pool.netDue)
		}
	}
	for _, s := range d.table.holders {
		p := d.pools.all[s.key.pool]
		s.advance(at, p)
		d.view = view{now: at, s: s, p: p, d: d}
		s.watch = d.consider(s.watch, &d.rules, p.due)
	}
}

// tickTo goes through the ticks up to t. When nobody holds anything there is
// nothing to look at, and when the log was silent for long, nothing new: the
// ticks past quiet are skipped, however far a clock has jumped.
func (d *Detector) tickTo(t int64) {
	if t < d.ticked+quarter {
		return
	}
	limit := min(t, d.lastLine+d.quiet())
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
	// silence is how long after the last line there are ticks, in microseconds,
	// and late the same after the last line of a server that wrote its beat, as
	// it does every five seconds.
	silence = int64(10 * time.Minute / time.Microsecond)
	late    = 15 * micros
)

// quiet is how long after the last line there are ticks.
func (d *Detector) quiet() int64 {
	if d.beats() {
		return late
	}
	return silence
}

// floor is the last multiple of step at or before t.
func floor(t, step int64) int64 {
	r := t % step
	if r < 0 {
		r += step
	}
	return t - r
}
