package occupancy

import (
	"encoding/binary"
	"math"
	"net/netip"

	"overstay/connlog"
)

// tally is what is known of a source.
type tally struct {
	load        load
	crest       crest
	time        uint64 // microseconds
	unproven    uint64 // of these
	blame       float64
	connections uint64
	proven      uint64 // connections
	openAtEnd   uint64 // of the connections, when the window was left
	late        uint64 // connections that were not known while they were open
	refused     uint64
	fails       uint64
	first, last int64 // microseconds of the log
	place       place
	net         int32
	members     int // of a net
	v4          bool
	seen        bool // there was something to count
}

// net is what has to be known of a net while the log is read. All else is the
// sum of its members.
type net struct {
	crest crest
	load  load
	place place
	v4    bool
}

// load is the average of the threads held over the last minute, as of at, and
// the largest value that it had at an event.
type load struct {
	value, most float64
	at          int64
}

// run lets the time pass with n threads held.
func (l *load) run(n int32, now int64, p *passing) {
	if d := now - l.at; d > 0 {
		l.value += (float64(n) - l.value) * p.of(d)
		l.at = now
	}
}

// hold adds a time, of which a clock that was set may have made nothing.
func hold(to *uint64, us int64) {
	*to = min(*to+uint64(max(us, 0)), math.MaxInt64/1000)
}

// row is a list that grows without being copied: there may be a million.
type row[T any] struct {
	blocks []*[rowBlock]T
	n      int
}

const rowBlock = 1 << 10

func (r *row[T]) at(i int32) *T { return &r.blocks[i/rowBlock][i%rowBlock] }

func (r *row[T]) add() (int32, *T) {
	i := int32(r.n)
	if r.n++; i%rowBlock == 0 {
		r.blocks = append(r.blocks, new([rowBlock]T))
	}
	return i, r.at(i)
}

// cut is the source of an address at a level.
func (p place) cut(bits int) place {
	if bits <= 64 {
		p.low = 0
		p.high &= ^uint64(0) << (64 - bits)
	} else {
		p.low &= ^uint64(0) << (128 - bits)
	}
	return p
}

func bitsOf(level connlog.Level, v4 bool) int {
	if v4 {
		return level.V4 + 96
	}
	return level.V6
}

// prefix is a place as the rest of the world writes it.
func (p place) prefix(level connlog.Level, v4 bool) netip.Prefix {
	var bytes [16]byte
	binary.BigEndian.PutUint64(bytes[:8], p.high)
	binary.BigEndian.PutUint64(bytes[8:], p.low)
	addr := netip.AddrFrom16(bytes)
	if v4 {
		addr = netip.AddrFrom4([4]byte(bytes[12:]))
	}
	return level.Source(addr)
}

// placeOf is the source of a note, which has an address.
func (f *Fold) placeOf(n *note) place {
	return n.address.cut(bitsOf(f.address, n.marks&isIPv4 != 0))
}

// source returns the number of the source of a note.
func (f *Fold) source(n *note) int32 {
	if n.source >= 0 {
		return n.source // It was found already.
	}
	v4, p := n.marks&isIPv4 != 0, f.placeOf(n)
	i := f.bySource.find(p)
	if i < 0 {
		var t *tally
		i, t = f.sources.add()
		t.place, t.v4, t.first, t.last = p, v4, math.MaxInt64, math.MinInt64
		t.net = f.netOf(p, v4)
		f.bySource.add(p)
	}
	return i
}

func (f *Fold) netOf(p place, v4 bool) int32 {
	p = p.cut(bitsOf(f.net, v4))
	i := f.byNet.find(p)
	if i < 0 {
		var n *net
		i, n = f.nets.add()
		n.place, n.v4 = p, v4
		f.byNet.add(p)
	}
	return i
}
