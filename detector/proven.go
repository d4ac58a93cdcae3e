package detector

import "math"

// day is how long a net in which an address has proven itself is trusted.
const day = 24 * 60 * 60 * micros

// trust notes that an address of the net has proven itself.
func (ns *nets) trust(n *net, now int64) {
	if n.provenAt == 0 || hourOf(n.provenAt) != hourOf(now) {
		ns.trusted.note(n.key, now)
	}
	n.provenAt = now
}

// trusts says whether an address of the net, in whatever pool, has proven
// itself within a day, or has a proven connection open in this one.
//
// After a restart it is known for what the log that was read back tells.
func (ns *nets) trusts(n *net, now int64) bool {
	if n.open > n.unproven {
		return true
	}
	h, ok := ns.trusted.last(n.key, now)
	return ok && now-(h+1)*hour < day // it may have been at the end of that hour
}

// provenAge is the time since an address of the net last proved itself: exact
// for the pool that has seen it at. For what another pool saw in a later hour,
// or this one before the net was forgotten, it is that since the end of the
// hour. It is day or more if nothing is known of the last 24 hours.
func (ns *nets) provenAge(key uint64, at, now int64) int64 {
	h, ok := ns.trusted.last(key, now)
	if !ok {
		return math.MaxInt64
	}
	if at != 0 && hourOf(at) >= h {
		return now - at
	}
	return max(now-(h+1)*hour, 0)
}

// provenHours remembers for all nets, known or forgotten, in which hour an
// address of theirs last proved itself, as far as that was within a day. It is
// a table of a fixed size, in which each net has several places that it shares
// with others. A place has the last hour of all nets that share it, so the
// earliest of a net's places is its own hour or, if others came later in all of
// them, a later one: nets may be taken for proven that are not, never the other
// way round. With 50,000 nets proven in a day that is one in a hundred.
type provenHours struct {
	cells []uint8 // hour modulo 255, and 1; 0: none within a day
	hour  int64   // up to which cells are swept
}

const (
	hour        = 60 * 60 * micros
	provenBits  = 19 // half a megabyte
	provenCells = 4  // places of a net
	// dayHours is how many hours ago a proof can be and still be within a day.
	dayHours = 24
)

func hourOf(t int64) int64 { return floor(t, hour) / hour }

// note puts in that the net was proven at now.
func (p *provenHours) note(key uint64, now int64) {
	if p.cells == nil {
		p.cells = make([]uint8, 1<<provenBits)
		p.hour = hourOf(now)
	}
	p.sweep(hourOf(now))
	c := p.cell(p.hour)
	places := placesOf(key)
	for _, i := range places {
		p.cells[i] = c
	}
}

// last is the hour in which the net was last proven, at the latest; it is not
// ok if that was not within a day.
func (p *provenHours) last(key uint64, now int64) (h int64, ok bool) {
	if p.cells == nil {
		return 0, false
	}
	p.sweep(hourOf(now))
	ago := int64(0)
	for _, i := range placesOf(key) {
		c := p.cells[i]
		if c == 0 {
			return 0, false
		}
		ago = max(ago, p.ago(c))
	}
	return p.hour - ago, true
}

// cell is how an hour is written.
func (p *provenHours) cell(h int64) uint8 { return uint8((h%255+255)%255) + 1 }

// ago is how many hours ago the hour of a cell was.
func (p *provenHours) ago(c uint8) int64 {
	return (int64(p.cell(p.hour)) - int64(c) + 255) % 255
}

// sweep empties the cells that are older than a day, once an hour.
func (p *provenHours) sweep(h int64) {
	passed := h - p.hour
	if passed <= 0 {
		return
	}
	p.hour = h
	if passed > dayHours {
		clear(p.cells)
		return
	}
	for i, c := range p.cells {
		if c != 0 && p.ago(c) > dayHours {
			p.cells[i] = 0
		}
	}
}

// placesOf are the cells of a net. The hash is the same in every process, so
// that the same log makes the same decisions: the finalizer of SplitMix64
// (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators",
// OOPSLA 2014), and two halves of it added up (Kirsch and Mitzenmacher, "Less
// Hashing, Same Performance", ESA 2006).
func placesOf(key uint64) (places [provenCells]uint32) {
	x := key + 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	x ^= x >> 31
	at, step := uint32(x), uint32(x>>32)|1
	for i := range places {
		places[i] = at & (1<<provenBits - 1)
		at += step
	}
	return places
}
