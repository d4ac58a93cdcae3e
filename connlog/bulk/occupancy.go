package bulk

import (
	"cmp"
	"encoding/binary"
	"math"
	"net/netip"
	"slices"
	"time"

	"overstay/connlog"
)

// Held is what one source held.
type Held struct {
	Source      netip.Prefix
	Connections uint64
	Time        time.Duration // thread time: the sum of its connections' lengths
	// Peak is the most threads that it held at once. It may have held up to
	// PeakAtMost where the log does not tell when some were opened.
	Peak, PeakAtMost int
	OpenAtEnd        int // of the connections: they are clipped at the last event
}

// Occupancy is a fold of events to what each source held, exactly. Its memory
// grows with the sources and the connections that are open at once, and with
// nothing else. It is for one goroutine.
//
// A connection that is open when its boot ends was open until the last event of
// that boot. One that was carried over into the first file, or whose close is
// the first line about it, began as long before as that line says; if it does
// not say, the close is an orphan.
type Occupancy struct {
	level   connlog.Level
	sources map[place]int32
	held    tallies
	open    sessions // of the boot
	orphans uint64

	boot    string
	seq     uint64
	now     int64 // of the last event, in microseconds
	head    uint32
	reading bool // the head of a file, of which no line is missing
}

// place is a source: the first bits of an address of 16 bytes.
type place struct{ high, low uint64 }

type tally struct {
	place       place
	v4          bool
	connections uint64
	time        uint64 // microseconds
	open, peak  int
	late        int // connections that were not known while they were open
	openAtEnd   int
}

// tallies grow without being copied: there may be a million of them.
type tallies struct {
	blocks []*[tallyBlock]tally
	n      int
}

const tallyBlock = 1 << 10

func (t *tallies) at(i int32) *tally { return &t.blocks[i/tallyBlock][i%tallyBlock] }

func (t *tallies) add(one tally) int32 {
	i := int32(t.n)
	if t.n++; i%tallyBlock == 0 {
		t.blocks = append(t.blocks, new([tallyBlock]tally))
	}
	*t.at(i) = one
	return i
}

// NewOccupancy returns an empty fold of sources of a level; the zero level
// stands for connlog.AddressLevel.
func NewOccupancy(level connlog.Level) *Occupancy {
	if level == (connlog.Level{}) {
		level = connlog.AddressLevel
	}
	return &Occupancy{level: level, sources: make(map[place]int32)}
}

// Observe takes in the next event of the log.
func (o *Occupancy) Observe(e *connlog.Event) {
	if e.Boot != o.boot {
		o.closeAll()
		o.boot, o.seq, o.reading = e.Boot, 0, false
	} else if e.Seq != 0 && o.seq != 0 {
		if e.Seq <= o.seq {
			return // It was read before.
		}
		o.reading = o.reading && e.Seq == o.seq+1
	}
	o.seq = e.Seq
	at := e.Time.UnixMicro()
	if o.reading && (e.Kind != connlog.Open || e.Held == 0) {
		o.endHead(at)
	}
	o.now = at
	switch e.Kind {
	case connlog.Start:
		if e.Continued {
			o.head++
			o.reading = true
		}
	case connlog.Open:
		o.opened(e, at)
	case connlog.Close:
		o.closed(e, at)
	}
}

func (o *Occupancy) opened(e *connlog.Event, at int64) {
	if o.open.name(e.Conn, o.head) {
		return // It is named again, no new one.
	}
	source, ok := o.sourceOf(e.ClientIP)
	if !ok {
		o.orphans++
		return
	}
	t := o.held.at(source)
	t.connections++
	t.open++
	t.peak = max(t.peak, t.open)
	o.open.add(e.Conn, session{opened: at - e.Held.Microseconds(), source: source, head: o.head})
}

func (o *Occupancy) closed(e *connlog.Event, at int64) {
	if s, ok := o.open.take(e.Conn); ok {
		o.held.at(s.source).end(&s, at)
		return
	}
	source, ok := o.sourceOf(e.ClientIP)
	if !ok || e.Held == 0 {
		o.orphans++
		return
	}
	t := o.held.at(source)
	t.connections++
	t.late++
	t.hold(e.Held.Microseconds())
}

// end ends a connection that is open.
func (t *tally) end(s *session, at int64) {
	t.open--
	t.hold(at - s.opened)
}

// hold adds a time, of which a clock that was set may have made nothing.
func (t *tally) hold(us int64) {
	t.time = min(t.time+uint64(max(us, 0)), math.MaxInt64/1000)
}

// endHead closes what the head of a file did not name: the end of it was lost.
func (o *Occupancy) endHead(at int64) {
	o.reading = false
	o.open.each(func(s *session) bool {
		if s.head == o.head {
			return false
		}
		o.held.at(s.source).end(s, at)
		return true
	})
}

// closeAll ends what is open with the boot.
func (o *Occupancy) closeAll() {
	o.open.each(func(s *session) bool {
		o.held.at(s.source).end(s, o.now)
		return true
	})
}

// sourceOf returns the source of an address.
func (o *Occupancy) sourceOf(addr netip.Addr) (int32, bool) {
	if !addr.IsValid() {
		return 0, false
	}
	addr = addr.Unmap()
	bytes := addr.As16()
	bits := o.level.V6
	if addr.Is4() {
		bits = o.level.V4 + 96
	}
	p := place{binary.BigEndian.Uint64(bytes[:8]), binary.BigEndian.Uint64(bytes[8:])}
	if bits <= 64 {
		p.low = 0
		p.high &= ^uint64(0) << (64 - bits)
	} else {
		p.low &= ^uint64(0) << (128 - bits)
	}
	i, ok := o.sources[p]
	if !ok {
		i = o.held.add(tally{place: p, v4: addr.Is4()})
		o.sources[p] = i
	}
	return i, true
}

// Orphans is the number of closes of connections of which nothing is known, and
// of openings without an address.
func (o *Occupancy) Orphans() uint64 { return o.orphans }

// Sources returns what was held up to the last event, the longest time first.
func (o *Occupancy) Sources() []Held {
	held := make([]tally, 0, o.held.n)
	for i := range o.held.n {
		held = append(held, *o.held.at(int32(i)))
	}
	o.open.each(func(s *session) bool {
		t := &held[s.source]
		t.end(s, o.now)
		t.openAtEnd++
		return false
	})
	all := make([]Held, 0, len(held))
	for i := range held {
		t := &held[i]
		all = append(all, Held{
			Source: t.prefix(o.level), Connections: t.connections, Time: time.Duration(t.time) * time.Microsecond,
			Peak: t.peak, PeakAtMost: t.peak + t.late, OpenAtEnd: t.openAtEnd,
		})
	}
	slices.SortFunc(all, func(a, b Held) int {
		return cmp.Or(cmp.Compare(b.Time, a.Time), a.Source.Addr().Compare(b.Source.Addr()))
	})
	return all
}

// prefix is the source as the rest of the world writes it.
func (t *tally) prefix(level connlog.Level) netip.Prefix {
	var bytes [16]byte
	binary.BigEndian.PutUint64(bytes[:8], t.place.high)
	binary.BigEndian.PutUint64(bytes[8:], t.place.low)
	addr := netip.AddrFrom16(bytes)
	if t.v4 {
		addr = netip.AddrFrom4([4]byte(bytes[12:]))
	}
	return level.Source(addr)
}
