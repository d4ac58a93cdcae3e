package occupancy

import (
	"math"
	"time"

	"overstay/connlog"
)

// Options of a Fold. The zero value counts everything at the usual levels.
type Options struct {
	// Address and Net are the sizes of sources; connlog.AddressLevel and
	// connlog.NetLevel if zero.
	Address, Net connlog.Level
	// Service is the only one that counts; empty: all do.
	Service string
	// From and To bound the time that counts, both included; zero is no bound.
	From, To time.Time
	// Threads of a pool of which the log does not tell: of each, and of those of
	// a name.
	Threads   int
	ThreadsOf map[string]int
	// Clock is how fine the stamps are. One that is coarser than a microsecond
	// makes peaks a range.
	Clock time.Duration
}

// Fold adds up a log. It is for one goroutine.
type Fold struct {
	address, net connlog.Level
	only         string
	clock        int64 // microseconds; 0 if it is fine
	// The stamp that was asked for last, and its number on that clock.
	stamp, stamped int64

	journal  journal
	window   window
	open     sessions
	sources  row[tally]
	bySource index
	nets     row[net]
	byNet    index
	pools    pools
	total    crest
	passing  passing
	totalAt  int64

	first, last int64 // events that counted, in the log's time
	any         bool
	alone       Notes // for Observe
	// Of the notes that are taken now: the place of the present boot's name, and
	// the numbers of services by the places of theirs.
	boot    int32
	numbers []int32
}

// window is the time that counts, in our time, once its ends are known.
type window struct {
	from, to int64 // of the log
	state    windowState
	bounded  bool
	begin    int64 // in our time
	end      int64
}

type windowState uint8

const (
	before windowState = iota
	within
	after
)

// New returns an empty Fold.
func New(o Options) *Fold {
	f := &Fold{
		address: o.Address, net: o.Net, only: o.Service,
		bySource: newIndex(), byNet: newIndex(), pools: newPools(o.Threads, o.ThreadsOf), passing: newPassing(),
		window: window{from: math.MinInt64 / 2, to: math.MaxInt64 / 2, begin: math.MinInt64 / 2, end: math.MaxInt64 / 2},
	}
	if f.address == (connlog.Level{}) {
		f.address = connlog.AddressLevel
	}
	if f.net == (connlog.Level{}) {
		f.net = connlog.NetLevel
	}
	if o.Clock > time.Microsecond {
		f.clock = o.Clock.Microseconds()
	}
	f.window.state, f.window.bounded = within, !o.From.IsZero() || !o.To.IsZero()
	if !o.From.IsZero() {
		f.window.from, f.window.state = microsOf(o.From), before
	}
	if !o.To.IsZero() {
		f.window.to = microsOf(o.To)
	}
	return f
}

// Observe takes in the next event of the log.
func (f *Fold) Observe(e *connlog.Event) {
	f.alone.Reset()
	f.alone.Observe(e)
	f.Take(&f.alone)
}

// Take takes in the next events of the log.
func (f *Fold) Take(n *Notes) {
	f.boot = noName
	f.forgetNumbers(n)
	f.look(n)
	for i := range n.all {
		f.take(&n.all[i], n)
	}
}

// noName is a place among the names that is none.
const noName = -1

// look finds the sources of what will need them. That is mostly waiting for
// memory, and for many at once it is not much longer than for one.
func (f *Fold) look(n *Notes) {
	for i := range n.all {
		one := &n.all[i]
		source := int32(nobody)
		if one.marks&hasAddress != 0 && (one.kind == connlog.Open || one.kind == connlog.Refuse) {
			source = f.bySource.find(f.placeOf(one))
		}
		one.source = source
	}
}

// forgetNumbers is for when names may have come to mean other services.
func (f *Fold) forgetNumbers(n *Notes) {
	f.numbers = f.numbers[:0]
	for range n.names.texts {
		f.numbers = append(f.numbers, noName)
	}
}

// service returns the number of the service of a note.
func (f *Fold) service(n *note, name string) uint16 {
	number := f.numbers[n.service]
	if number == noName {
		number = int32(f.pools.of(name))
		f.numbers[n.service] = number
	}
	return uint16(number)
}

func (f *Fold) take(n *note, all *Notes) {
	var turn turn
	if int32(n.boot) == f.boot {
		turn = f.journal.enter(n)
	} else {
		turn = f.journal.turn(n, all.names.texts[n.boot])
		f.boot = noName
		if turn != seen {
			f.boot = int32(n.boot)
		}
	}
	switch turn {
	case seen:
		return
	case newBoot:
		f.ends()
		f.forgetNumbers(all)
	case headEnds:
		f.cross()
		f.closeWhere(f.journal.now, func(s *session) bool { return s.head != f.journal.head })
	}
	if f.window.bounded {
		f.cross()
	}
	if f.window.state == within {
		f.reached()
	}
	name := all.names.texts[n.service]
	if f.only != "" && name != f.only && n.kind != connlog.Start && n.kind != connlog.Beat {
		return
	}
	switch n.kind {
	case connlog.Open:
		f.opened(n, name)
	case connlog.Close:
		f.closed(n, name)
	case connlog.Proven:
		f.proved(n, name)
	case connlog.Fail:
		f.failed(n, name)
	case connlog.Refuse:
		f.refused(n, name)
	case connlog.Start, connlog.Beat:
		f.pools.told(n.kind, all.lists[n.extra], f.only)
		f.forgetNumbers(all)
		if n.kind == connlog.Start && n.marks&isProven != 0 {
			f.journal.continued()
		}
	}
}

// ends ends what is open with its boot.
func (f *Fold) ends() {
	at := f.journal.before
	f.closeWhere(at, func(*session) bool { return true })
	f.pools.forget()
	for _, p := range f.pools.all {
		p.look(at, at-f.journal.shift)
	}
}

// reached notes the time of an event that counts.
func (f *Fold) reached() {
	at := f.journal.now - f.journal.shift
	if !f.any {
		f.any, f.first, f.last = true, at, at
		return
	}
	f.first, f.last = min(f.first, at), max(f.last, at)
}
