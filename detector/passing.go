package detector

import (
	"math"

	"overstay/connlog"
)

// passing is who gets through a pool. It tells holders from victims: while
// somebody holds threads on purpose others still come and get through, or
// nobody does because the threads were taken in a rush; in a standstill, of a
// scanner or of what is behind the server, nobody gets through, and those who
// sit there came as they always come.
//
// Each way of proving oneself stands for itself: while the scanner stands still
// people may log in.
type passing struct {
	ways  [numWays]way
	usual float64 // seconds that it takes to get through, as far as it is allowed for

	last *conn // of the unproven connections that were seen to open, in that order
}

// The ways that are told apart; the last is for all the others.
const (
	wayLogin = iota
	wayMessage
	wayRequest
	wayOther
	numWays
)

func wayOf(by connlog.By) int {
	switch by {
	case connlog.ByLogin:
		return wayLogin
	case connlog.ByMessage:
		return wayMessage
	case connlog.ByRequest:
		return wayRequest
	default:
		return wayOther
	}
}

// way is one way of proving oneself.
type way struct {
	latest  [passers]passer // the latest opened of those that got through, one for each source
	passers int             // how many there are
	mark    int64           // when the last of them was opened
	marked  bool            // there was one

	at        int64   // up to which the rates are run
	proofs15  float64 // per minute, over 15 minutes
	new5      float64 // of these, of newcomers' connections
	new15     float64
	from      int64 // so long before the mark that those before it were overtaken
	after     *conn // the first of the list that was opened after that
	opened    int   // connections from there on
	newcomers int   // of these, those of newcomers
	newTimes  int64 // when these were opened, together; it may wrap around
}

// passers is how many sources must have got through: not one lucky one, nor a
// monitor that needs nothing of what stands still, nor one who does it on
// purpose.
const passers = 3

// passer is a source and when its latest connection was opened that got through.
type passer struct {
	source key
	opened int64
}

// regular is what proven15 of a source is at least that has proven a connection
// within about the last twenty minutes.
const regular = 0.015

// isNewcomer says whether the latest connection of a source is a newcomer's: of
// one that has proven nothing lately, or in the last quarter of an hour fewer
// than it sits on, so that a single proof is worth a single thread.
func isNewcomer(s *source) bool {
	n, proven := s.hold.openUnproven, s.rates.proven15
	return proven < regular || n > 1 && float32(n) > 15*proven
}

// allowed is the most, in seconds, that counts as usual: who proves himself on
// purpose as late as he can shall not buy time for others with it.
const allowed = 12

// slack is by how many seconds one must have been overtaken for it to mean
// something.
func (q *passing) slack() float64 { return max(1, 2*q.usual) }

// take puts a connection that opens now behind all others.
func (q *passing) take(c *conn) {
	c.listed = true
	c.poolPrev = q.last
	if q.last != nil {
		q.last.poolNext = c
	}
	q.last = c
	for i := range q.ways {
		w := &q.ways[i]
		if w.has(c) {
			if w.after == nil {
				w.after = c
			}
			w.count(c, 1)
		}
	}
}

// leave takes out a connection that is proven now, or over.
func (q *passing) leave(c *conn) {
	if !c.listed {
		return
	}
	for i := range q.ways {
		w := &q.ways[i]
		if w.has(c) {
			w.count(c, -1)
			if w.after == c {
				w.after = c.poolNext
			}
		}
	}
	if c.poolPrev != nil {
		c.poolPrev.poolNext = c.poolNext
	}
	if c.poolNext == nil {
		q.last = c.poolPrev
	} else {
		c.poolNext.poolPrev = c.poolPrev
	}
	c.poolPrev, c.poolNext, c.listed = nil, nil, false
}

// expect says how long it takes to get through.
func (q *passing) expect(seconds float64) {
	q.usual = min(seconds, allowed)
	for i := range q.ways {
		q.move(&q.ways[i])
	}
}

// proved notes that a connection got through.
func (q *passing) proved(c *conn, by connlog.By, now int64) {
	w := &q.ways[wayOf(by)]
	w.run(now)
	w.proofs15 += per15
	if c.newcomer {
		w.new5 += 1.0 / 5
		w.new15 += per15
	}
	if w.note(passer{source: c.source.key, opened: c.opened}) {
		q.reach(w, w.latest[passers-1].opened)
	}
}

// restart forgets what was before a server that starts now: while none ran
// nobody could get through.
func (q *passing) restart(now int64) {
	for i := range q.ways {
		q.reach(&q.ways[i], now)
	}
}

func (w *way) count(c *conn, n int) {
	w.opened += n
	if c.newcomer {
		w.newcomers += n
		w.newTimes += int64(n) * c.opened
	}
}

// run lets the rates fade up to now.
func (w *way) run(now int64) {
	if now == w.at {
		return
	}
	d := decayOver(max(now-w.at, 0))
	w.proofs15 *= 1 - d.m15
	w.new5 *= 1 - d.m5
	w.new15 *= 1 - d.m15
	w.at = now
}

// note puts a source in its place among the latest, and says whether there are
// enough of them for a mark.
func (w *way) note(p passer) bool {
	i := 0 // its place, or that of the one that it drives out
	for i < w.passers && w.latest[i].source != p.source {
		i++
	}
	switch {
	case i < w.passers && w.latest[i].opened >= p.opened:
		return false
	case i == passers:
		if i--; w.latest[i].opened >= p.opened {
			return false
		}
	case i == w.passers:
		w.passers++
	}
	for ; i > 0 && w.latest[i-1].opened < p.opened; i-- {
		w.latest[i] = w.latest[i-1]
	}
	w.latest[i] = p
	return w.known()
}

// known says whether so many sources have got through that there is a mark.
func (w *way) known() bool { return w.passers == passers }

// has says whether a connection counts as one that nobody has overtaken.
func (w *way) has(c *conn) bool { return !w.marked || c.opened > w.from }

// reach moves the mark of a way on.
func (q *passing) reach(w *way, mark int64) {
	if w.marked && mark <= w.mark {
		return
	}
	w.mark, w.marked = mark, true
	q.move(w)
}

// move counts those from slack before the mark on. What it moves over was added
// to the list, or it is as many as sit there, once a minute for each source.
func (q *passing) move(w *way) {
	if !w.marked {
		return // all count
	}
	w.from = w.mark - int64(q.slack()*micros)
	for w.after != nil && w.after.opened <= w.from {
		w.count(w.after, -1)
		w.after = w.after.poolNext
	}
	before := q.last
	if w.after != nil {
		before = w.after.poolPrev
	}
	for ; before != nil && before.opened > w.from; before = before.poolPrev {
		w.count(before, 1)
		w.after = before
	}
}

// usual says whether a fifth of those who get through do so in this way.
func (w *way) usual(all float64) bool { return w.known() && w.proofs15 >= 0.2*all }

// run lets the rates of all ways fade up to now, and returns their sum.
func (q *passing) run(now int64) (all float64) {
	for i := range q.ways {
		q.ways[i].run(now)
		all += q.ways[i].proofs15
	}
	return all
}

// overtaken is by how many seconds those of a mean age were overtaken: how much
// later others were opened that got through; in the way of which that is the
// least.
func (q *passing) overtaken(age float64, now int64) float64 {
	ahead, known := q.ahead(age, now)
	if !known {
		return 0
	}
	return max(-ahead, 0)
}

// expected is how many connections of those of a mean age would sit here if
// nobody got through any more, and so many come in a minute that do.
func (q *passing) expected(age, rate float64, now int64) float64 {
	ahead, known := q.ahead(age, now)
	if !known {
		return 0
	}
	return rate / 60 * (2*max(ahead, 0) + q.usual)
}

// ahead is by how many seconds those of a mean age came after the latest that
// got through, or before them if it is negative; in the way of which it is the
// most. It is not known where nobody is known to get through.
func (q *passing) ahead(age float64, now int64) (seconds float64, known bool) {
	all := q.run(now)
	most := math.Inf(-1)
	for i := range q.ways {
		if w := &q.ways[i]; w.usual(all) {
			most = max(most, float64(now-w.mark)/micros-age)
		}
	}
	return most, !math.IsInf(most, -1)
}

// rush is how many times as many newcomers came as usual, of those who sit there
// unproven and were not overtaken; in the way of which that is the least. It is
// without end where nobody is known to get through.
func (q *passing) rush(now int64) float64 {
	all := q.run(now)
	least := math.Inf(1)
	for i := range q.ways {
		if w := &q.ways[i]; w.usual(all) {
			least = min(least, w.rush(q.usual))
		}
	}
	return least
}

// rush counts one more than usual, since the first of few is no rush. It is 0
// if most of them are no newcomers. They came over twice the time that they came
// after the mark on average, and some were not through yet.
func (w *way) rush(took float64) float64 {
	if w.newcomers == 0 || 2*w.newcomers < w.opened {
		return 0
	}
	n := float64(w.newcomers)
	lag := float64(w.newTimes-int64(w.newcomers)*w.mark) / micros / n
	return n / (1 + (2*max(lag, 0)+took)/60*max(w.new5, w.new15))
}
