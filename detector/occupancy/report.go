package occupancy

import (
	"cmp"
	"math"
	"net/netip"
	"slices"
	"time"

	"overstay/connlog"
)

// Report is what a log came to.
type Report struct {
	From, To    time.Time // of the first and the last event that counted
	Connections uint64
	Orphans     uint64 // closes of which nothing else is known, and openings without an address
	OpenAtEnd   uint64
	Sources     int // that there are, however many are listed
	NetCount    int
	ThreadTime  time.Duration
	Peak        Peak // of all services together
	Services    []Service
	Ranking     []Holder
	Nets        []Holder
	Full        []Full // in the order of time
	FullDropped int    // of these, more than are kept: those that refused fewest
}

// Range is a number that is known to lie between two.
type Range struct{ Low, High int }

// Peak is the most threads that were held at once.
type Peak struct {
	Threads   int // that there are, 0 if not all are known
	Low, High int
	At        time.Time
}

// Service is what a service came to.
type Service struct {
	Service     string
	Pool        string // that it took its threads from
	Threads     int    // of the pool, 0 if not known
	Connections uint64
	Orphans     uint64
	OpenAtEnd   uint64
	ThreadTime  time.Duration
	Peak        Peak
	Proven      uint64 // connections
	Fails       uint64
	Busy        uint64 // refusals by their reasons
	Sessions    uint64
	Banned      uint64
}

// Holder is what a source held: an address or a net.
type Holder struct {
	Rank        int // from 1
	Source      netip.Prefix
	Connections uint64
	ThreadTime  time.Duration
	Share       float64 // of all thread time
	Peak        Range
	OpenAtEnd   uint64
	Proven      uint64        // connections
	Unproven    time.Duration // of ThreadTime
	Refused     uint64
	Fails       uint64
	Blame       float64 // busy refusals that it caused
	Load        float64 // the largest average over one minute
	Members     int     // of a net: addresses
	First, Last time.Time
}

// Full is a stretch in which a pool was full: clients were turned away for want
// of a thread, or all threads were held, with no pause of more than a minute.
type Full struct {
	From, To time.Time
	Service  string // the pool, which mostly is a service's own
	Refused  uint64
}

// Report returns what the log came to so far, the sources ranked by a figure,
// and of these as many as are asked for; all, if top is 0. It may be called
// again, and the log may go on.
func (f *Fold) Report(by By, top int) *Report {
	e := f.ending(f.journal.now)
	r := &Report{}
	f.span(r)
	f.serviceRows(r, &e)
	f.fullRows(r)
	r.Peak.Low, r.Peak.High = int(f.total.settled()), int(max(f.total.high, f.total.settled()))
	for _, s := range f.pools.services {
		r.Peak.High = add(r.Peak.High, s.late)
	}
	if r.Peak.High > 0 {
		r.Peak.At = timeOf(f.totalAt)
	}
	source := func(i int) *tally {
		if t := e.sources[int32(i)]; t != nil {
			return t
		}
		return f.sources.at(int32(i))
	}
	nets := f.netRows(&e, source)
	r.Sources, r.Ranking = ranking(by, top, f.sources.n, source, f.address, r.ThreadTime)
	r.NetCount, r.Nets = ranking(by, top, len(nets), func(i int) *tally { return &nets[i] }, f.net, r.ThreadTime)
	return r
}

func (f *Fold) span(r *Report) {
	if !f.any {
		return
	}
	r.From, r.To = timeOf(f.first), timeOf(f.last)
	if f.window.begin > math.MinInt64/2 {
		r.From = timeOf(f.window.from)
	}
	if f.window.state == after {
		r.To = timeOf(f.window.to)
	}
}

// add is n more, as far as a number goes.
func add(n int, more uint64) int { return n + int(min(more, math.MaxInt32)) }

func (f *Fold) serviceRows(r *Report, e *ending) {
	for i, s := range f.pools.services {
		if end := e.services[uint16(i)]; end != nil {
			s = end
		}
		p := f.pools.all[s.pool]
		threads := int(p.threads)
		if !s.seen {
			continue
		}
		low := int(s.crest.settled())
		row := Service{
			Service: s.name, Pool: p.name, Threads: threads, Connections: s.connections, Orphans: s.orphans, OpenAtEnd: s.openAtEnd,
			ThreadTime: microseconds(s.time), Proven: s.proven, Fails: s.fails, Busy: s.busy, Sessions: s.sessionsOver, Banned: s.banned,
			Peak: Peak{Threads: threads, Low: low, High: add(max(int(s.crest.high), low), s.late)},
		}
		if row.Peak.High > 0 {
			row.Peak.At = timeOf(s.peakAt)
		}
		r.Services = append(r.Services, row)
		r.Connections += s.connections
		r.Orphans += s.orphans
		r.OpenAtEnd += s.openAtEnd
		r.ThreadTime += row.ThreadTime
	}
	r.Peak.Threads = int(f.pools.threads())
	slices.SortFunc(r.Services, func(a, b Service) int {
		return cmp.Or(cmp.Compare(b.ThreadTime, a.ThreadTime), cmp.Compare(a.Service, b.Service))
	})
}

func microseconds(us uint64) time.Duration {
	return time.Duration(min(us, math.MaxInt64/1000)) * time.Microsecond
}

func (f *Fold) fullRows(r *Report) {
	for _, p := range f.pools.all {
		all := stretches{all: slices.Clone(p.fulls.all), dropped: p.fulls.dropped}
		if run := p.run; run.exists {
			if p.isFull && f.window.state == within {
				run.reach(f.journal.now, f.journal.now-f.journal.shift)
			}
			all.add(run)
		}
		all.trim(mostStretches)
		r.FullDropped += all.dropped
		for _, s := range all.all {
			r.Full = append(r.Full, Full{From: timeOf(s.from), To: timeOf(s.to), Service: p.name, Refused: s.refused})
		}
	}
	slices.SortFunc(r.Full, func(a, b Full) int {
		return cmp.Or(a.From.Compare(b.From), cmp.Compare(a.Service, b.Service), a.To.Compare(b.To))
	})
}

// netRows adds up the members of each net.
func (f *Fold) netRows(e *ending, source func(int) *tally) []tally {
	nets := make([]tally, f.nets.n)
	for i := range nets {
		n := f.nets.at(int32(i))
		if end := e.nets[int32(i)]; end != nil {
			n = end
		}
		nets[i] = tally{crest: n.crest, load: n.load, place: n.place, v4: n.v4, first: math.MaxInt64, last: math.MinInt64}
	}
	for i := range f.sources.n {
		if t := source(i); t.seen {
			nets[t.net].add(t)
		}
	}
	return nets
}

// add adds a member to a net.
func (t *tally) add(member *tally) {
	t.members++
	t.time = min(t.time+member.time, math.MaxInt64/1000)
	t.unproven = min(t.unproven+member.unproven, math.MaxInt64/1000)
	t.blame += member.blame
	t.connections += member.connections
	t.openAtEnd += member.openAtEnd
	t.proven += member.proven
	t.late += member.late
	t.refused += member.refused
	t.fails += member.fails
	t.touch(member.first, member.last)
}

// ranking counts what there is and lists the top of it.
func ranking(by By, top, n int, at func(int) *tally, level connlog.Level, all time.Duration) (seen int, list []Holder) {
	top = min(top, n)
	var order []*tally
	var worst *tally // of those that may still be listed; nil: all may
	compare := func(a, b *tally) int {
		return cmp.Or(cmp.Compare(by.of(b), by.of(a)), cmp.Compare(b.time, a.time),
			cmp.Compare(a.place.high, b.place.high), cmp.Compare(a.place.low, b.place.low))
	}
	for i := range n {
		t := at(i)
		if !t.seen {
			continue
		}
		seen++
		if worst != nil && compare(t, worst) > 0 {
			continue
		}
		order = append(order, t)
		if top > 0 && len(order) >= 2*top+fewRows {
			slices.SortFunc(order, compare)
			order = order[:top]
			worst = order[top-1]
		}
	}
	slices.SortFunc(order, compare)
	if top > 0 && len(order) > top {
		order = order[:top]
	}
	for i, t := range order {
		list = append(list, t.holder(i+1, level, all))
	}
	return seen, list
}

// fewRows are sorted in no time.
const fewRows = 256

func (t *tally) holder(rank int, level connlog.Level, all time.Duration) Holder {
	low := int(t.crest.settled())
	h := Holder{
		Rank: rank, Source: t.place.prefix(level, t.v4), Connections: t.connections, ThreadTime: microseconds(t.time),
		Peak: Range{Low: low, High: add(max(int(t.crest.high), low), t.late)}, OpenAtEnd: t.openAtEnd, Proven: t.proven,
		Unproven: microseconds(t.unproven), Refused: t.refused, Fails: t.fails, Blame: t.blame, Load: t.load.most, Members: t.members,
		First: timeOf(t.first), Last: timeOf(t.last),
	}
	if all > 0 {
		h.Share = float64(h.ThreadTime) / float64(all)
	}
	return h
}
