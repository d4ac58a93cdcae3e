package occupancy

import (
	"math"
	"net/netip"
	"slices"
	"time"

	"overstay/connlog"
)

// TimelineOptions say what of a log is to be shown.
type TimelineOptions struct {
	// From and To bound the time that is shown, as a Report has it. If either is
	// zero it is all of the log, in buckets of as many seconds as a power of two
	// as are needed: not more than Buckets of them, and more than half as many.
	From, To time.Time
	Buckets  int            // that the time is divided into; 240 if zero, at most 10,000
	Sources  []netip.Prefix // that are shown apart, the first that fits
	Together []netip.Prefix // that are shown as one, where none of Sources fits
	Service  string         // the only one; empty: all
	// Threads and ThreadsOf are as in Options.
	Threads   int
	ThreadsOf map[string]int
}

// Bucket is a part of a timeline.
type Bucket struct {
	From, To time.Time
	Threads  int // that there are, 0 if not all are known
	// Held are mean threads held: by each of Sources, by Together if there are
	// any, and last by all others.
	Held    []float64
	Peak    int    // threads held at once
	Refused uint64 // connections turned away, for whatever reason
}

// Timeline is the threads over time. What is known only by its close is held,
// but not part of a peak. Where a clock leapt ahead, the time that it left out is
// shown as the log has it. It is for one goroutine.
type Timeline struct {
	only  string
	shown []shown
	group map[shown]struct{} // that are shown as one
	sizes []shown            // one of each size in it
	most  int
	grows bool
	from  int64 // microseconds, of the first bucket
	to    int64 // where the last one ends
	width int64

	buckets []bucket
	journal journal
	open    sessions
	pools   pools
	lanes   []lane // one for each of shown, one for together if there are any, one for all others
	total   lane
	alone   Notes
}

// shown is a source that is shown apart.
type shown struct {
	place place
	bits  int
	v4    bool
}

// lane is a number of threads that have been held since a time.
type lane struct {
	open  int32
	since int64
}

type bucket struct {
	held    []float64 // microseconds
	peak    int32
	refused uint64
	threads int32 // noThreads until the log tells
}

const (
	defaultBuckets = 240
	mostBuckets    = 10_000
	noThreads      = -1
)

// NewTimeline returns a Timeline of nothing yet.
func NewTimeline(o TimelineOptions) *Timeline {
	t := &Timeline{only: o.Service, journal: journal{leaps: true}, pools: newPools(o.Threads, o.ThreadsOf), most: min(o.Buckets, mostBuckets)}
	if t.most <= 0 {
		t.most = defaultBuckets
	}
	for _, p := range o.Sources {
		t.shown = append(t.shown, shownAs(p))
	}
	t.lanes = make([]lane, len(t.shown)+1)
	if len(o.Together) > 0 {
		t.lanes = append(t.lanes, lane{})
		t.group = make(map[shown]struct{}, len(o.Together))
	}
	for _, p := range o.Together {
		s := shownAs(p)
		t.group[s] = struct{}{}
		if !slices.ContainsFunc(t.sizes, func(one shown) bool { return one.bits == s.bits && one.v4 == s.v4 }) {
			t.sizes = append(t.sizes, s)
		}
	}
	t.from, t.to = microsOf(o.From), microsOf(o.To)
	if t.grows = o.From.IsZero() || o.To.IsZero() || t.to <= t.from; t.grows {
		t.width = micros
		return t
	}
	t.width = (t.to - t.from + int64(t.most) - 1) / int64(t.most)
	t.extend(t.to - 1)
	return t
}

func shownAs(p netip.Prefix) shown {
	s := shown{place: placeOf(p.Addr().As16()), v4: p.Addr().Unmap().Is4(), bits: p.Bits()}
	if p.Addr().Is4() {
		s.bits += 96
	}
	s.place = s.place.cut(s.bits)
	return s
}

// Observe takes in the next event of the log.
func (t *Timeline) Observe(e *connlog.Event) {
	t.alone.Reset()
	t.alone.Observe(e)
	t.Take(&t.alone)
}

// Take takes in the next events of the log.
func (t *Timeline) Take(n *Notes) {
	for i := range n.all {
		t.take(&n.all[i], n)
	}
}

func (t *Timeline) take(n *note, all *Notes) {
	begun := t.journal.begun
	turn := t.journal.turn(n, all.names.texts[n.boot])
	if turn == seen {
		return
	}
	if t.grows {
		if !begun {
			t.from = t.journal.now - (t.journal.now%micros+micros)%micros
		}
		t.extend(t.journal.now)
	}
	switch turn {
	case newBoot:
		t.closeWhere(t.journal.before, func(*session) bool { return true })
		t.pools.forget()
	case headEnds:
		t.closeWhere(t.journal.now, func(s *session) bool { return s.head != t.journal.head })
	}
	name := all.names.texts[n.service]
	mine := t.only == "" || name == t.only
	switch {
	case n.kind == connlog.Start || n.kind == connlog.Beat:
		t.pools.told(n.kind, all.lists[n.extra], t.only)
		t.resized()
		if n.kind == connlog.Start && n.marks&isProven != 0 {
			t.journal.continued()
		}
	case !mine:
	case n.kind == connlog.Open:
		t.opened(n, name)
	case n.kind == connlog.Close:
		t.closed(n)
	case n.kind == connlog.Refuse:
		if b := t.at(t.journal.now); b != nil {
			b.refused += uint64(n.extra)
		}
		t.size(n, name)
	}
}

func (t *Timeline) opened(n *note, name string) {
	lane := t.laneOf(n)
	if s := t.open.find(n.conn); s != nil {
		if n.extra > 0 && s.source == lane {
			t.open.name(n.conn, t.journal.head)
			return
		}
		one, _ := t.open.take(n.conn)
		t.ended(&one, t.journal.now)
	}
	if n.marks&hasAddress == 0 {
		return
	}
	now := t.journal.now
	t.open.add(n.conn, session{source: lane, head: t.journal.head})
	t.hold(lane, now-n.extra, now, 1) // What it held before it was told of.
	t.change(&t.lanes[lane], lane, now, 1)
	t.change(&t.total, -1, now, 1)
	t.size(n, name)
}

func (t *Timeline) closed(n *note) {
	if s, ok := t.open.take(n.conn); ok {
		t.ended(&s, t.journal.now)
	} else if n.marks&hasAddress != 0 {
		t.hold(t.laneOf(n), t.journal.now-n.extra, t.journal.now, 1)
	}
}

func (t *Timeline) ended(s *session, at int64) {
	t.change(&t.lanes[s.source], s.source, at, -1)
	t.change(&t.total, -1, at, -1)
}

func (t *Timeline) closeWhere(at int64, over func(*session) bool) {
	for _, one := range t.open.sorted() {
		if over(&one.session) {
			t.open.take(one.conn)
			t.ended(&one.session, at)
		}
	}
}

// laneOf is where an event's source is shown.
func (t *Timeline) laneOf(n *note) int32 {
	v4 := n.marks&isIPv4 != 0
	for i := range t.shown {
		if s := &t.shown[i]; s.v4 == v4 && n.address.cut(s.bits) == s.place {
			return int32(i)
		}
	}
	for _, size := range t.sizes {
		if size.v4 != v4 {
			continue
		}
		if _, ok := t.group[shown{place: n.address.cut(size.bits), bits: size.bits, v4: v4}]; ok {
			return int32(len(t.shown))
		}
	}
	return int32(len(t.lanes) - 1)
}

// change lets the time pass in a lane, or for the peaks of all of them, and then
// changes the number of its threads.
func (t *Timeline) change(l *lane, number int32, at int64, by int32) {
	t.pass(l, number, at)
	if l.open += by; number < 0 {
		if b := t.at(at); b != nil {
			b.peak = max(b.peak, l.open)
		}
	}
}

func (t *Timeline) pass(l *lane, number int32, at int64) {
	if l.open > 0 {
		t.hold(number, l.since, at, l.open)
	}
	l.since = at
}

// hold spreads the threads that a lane held over the buckets of a time.
func (t *Timeline) hold(number int32, from, to int64, threads int32) {
	from, to = max(from, t.from), min(to, t.limit())
	for from < to {
		i := (from - t.from) / t.width
		next := min(t.from+(i+1)*t.width, to)
		if number < 0 {
			t.buckets[i].peak = max(t.buckets[i].peak, threads)
		} else {
			t.buckets[i].held[number] += float64(threads) * float64(next-from)
		}
		from = next
	}
}

// limit is where that ends which is shown.
func (t *Timeline) limit() int64 {
	if t.grows {
		return t.end()
	}
	return t.to
}

func (t *Timeline) end() int64 { return t.from + int64(len(t.buckets))*t.width }

// at is the bucket of a time, nil if it is not shown.
func (t *Timeline) at(us int64) *bucket {
	if !t.grows && us == t.to {
		us-- // The end counts.
	}
	if us < t.from || us >= t.limit() {
		return nil
	}
	return &t.buckets[(us-t.from)/t.width]
}

// extend makes buckets up to a time. If they become too many, each two become
// one.
func (t *Timeline) extend(to int64) {
	for (to-t.from)/t.width >= int64(t.most) && t.grows {
		for i := range t.buckets {
			if i%2 == 0 {
				t.buckets[i/2] = t.buckets[i]
			} else {
				t.buckets[i/2].join(&t.buckets[i])
			}
		}
		t.buckets = t.buckets[:(len(t.buckets)+1)/2]
		t.width *= 2
	}
	for to >= t.end() {
		t.buckets = append(t.buckets, bucket{held: make([]float64, len(t.lanes)), threads: noThreads})
	}
}

func (b *bucket) join(next *bucket) {
	for i := range b.held {
		b.held[i] += next.held[i]
	}
	b.peak = max(b.peak, next.peak)
	b.refused += next.refused
	b.threads = max(b.threads, next.threads)
}

// size takes in what a line says of the pool.
func (t *Timeline) size(n *note, name string) {
	p := t.pools.all[t.pools.services[t.pools.of(name)].pool]
	if n.threads > 0 && p.threads != n.threads {
		p.threads = n.threads
		t.resized()
	}
}

// resized notes how many threads there are.
func (t *Timeline) resized() {
	b := t.at(max(t.journal.now, t.from)) // What was told before goes on.
	if b == nil {
		return
	}
	if sum := t.pools.threads(); sum > 0 {
		b.threads = max(b.threads, sum)
	}
}

// Buckets returns the timeline up to the last event.
func (t *Timeline) Buckets() []Bucket {
	if len(t.buckets) == 0 {
		return nil
	}
	last := t.journal.now
	for i := range t.lanes {
		t.pass(&t.lanes[i], int32(i), last)
	}
	t.pass(&t.total, -1, last)
	if !t.grows {
		last = math.MaxInt64
	}
	all := make([]Bucket, 0, len(t.buckets))
	threads := t.firstThreads()
	for i := range t.buckets {
		b := &t.buckets[i]
		from := t.from + int64(i)*t.width
		to := from + t.width
		if !t.grows {
			to = min(to, t.to)
		}
		if to <= from {
			break
		}
		if b.threads != noThreads {
			threads = int(b.threads)
		}
		one := Bucket{From: timeOf(from), To: timeOf(to), Threads: threads, Peak: int(b.peak), Refused: b.refused, Held: slices.Clone(b.held)}
		for k := range one.Held {
			one.Held[k] /= float64(max(min(to, last)-from, 1))
		}
		all = append(all, one)
	}
	return all
}

// firstThreads is how many threads there were when the log first told.
func (t *Timeline) firstThreads() int {
	for i := range t.buckets {
		if t.buckets[i].threads != noThreads {
			return int(t.buckets[i].threads)
		}
	}
	return int(t.pools.threads())
}
