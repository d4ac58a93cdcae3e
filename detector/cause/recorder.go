package cause

import (
	"net/netip"
	"time"

	"overstay/connlog"
)

// Options of a Recorder. The zero value is fine.
type Options struct {
	// MaxArrivals is the number of arrivals that are kept, of all pools
	// together, 1,000,000 if zero. Each takes 48 bytes. The oldest of the pool
	// that has most are dropped first.
	MaxArrivals int
	// MaxConns is the number of open connections that are followed, 100,000 if
	// zero. Of further ones it is the close line that tells.
	MaxConns int
	// LeadIn is how long before a stretch is replayed with it, ten minutes if
	// zero.
	LeadIn time.Duration
}

const (
	defaultMaxArrivals = 1_000_000
	defaultMaxConns    = 100_000
	defaultLeadIn      = 10 * time.Minute
)

// Recorder keeps what came to each pool. It is not for concurrent use.
type Recorder struct {
	maxArrivals int
	maxConns    int
	leadIn      int64 // microseconds

	clock    clock
	pools    pools
	open     map[uint64]conn // by number, of the present boot
	total    int             // arrivals that are kept
	suspects []suspicion     // in order of time
	dropped  int             // of the suspects

	missing holes
}

// conn is an open connection.
type conn struct {
	pool    *pool
	arrival uint64 // its number in the pool
	head    uint32 // the last file head that named it
}

// New returns a Recorder that has seen nothing yet.
func New(o Options) *Recorder {
	return &Recorder{
		maxArrivals: positive(o.MaxArrivals, defaultMaxArrivals),
		maxConns:    positive(o.MaxConns, defaultMaxConns),
		leadIn:      positive(o.LeadIn, defaultLeadIn).Microseconds(),
		pools:       newPools(),
		open:        make(map[uint64]conn),
	}
}

func positive[T int | time.Duration](n, otherwise T) T {
	if n > 0 {
		return n
	}
	return otherwise
}

// Observe takes in one line of the log, which is only read. Lines that were
// seen already are ignored.
func (r *Recorder) Observe(e *connlog.Event) {
	turn, missing := r.clock.enter(e)
	if missing > 0 {
		r.lost(missing)
	}
	switch turn {
	case seen:
		return
	case newBoot:
		// What was open ended at some time after the last line, not now.
		r.closeAll(r.clock.before + 1)
		r.pools.forget()
	case headEnds:
		r.closeWhere(r.clock.now, func(c conn) bool { return c.head != r.clock.head.number })
	}
	r.apply(e)
}

// apply does what the line tells.
func (r *Recorder) apply(e *connlog.Event) {
	switch e.Kind {
	case connlog.Open:
		r.opened(e)
	case connlog.Close:
		r.closed(e)
	case connlog.Refuse:
		r.refused(e)
	case connlog.Start:
		r.pools.told(e, r.clock.now)
		if e.Continued {
			r.clock.head.begin()
		}
	case connlog.Beat:
		r.pools.told(e, r.clock.now)
	case connlog.Lost:
		r.lost(max(e.Count, 1))
	case connlog.Stop:
		r.closeAll(r.clock.now)
	}
}

// place finds the pool and the source a line is about. It is false for a line
// that names no address, or one service too many.
func (r *Recorder) place(e *connlog.Event) (*pool, uint16, source, bool) {
	src, ok := sourceOf(e.ClientIP)
	if !ok {
		return nil, 0, source{}, false
	}
	p, service := r.pools.of(e.Service)
	return p, service, src, p != nil
}

func (r *Recorder) opened(e *connlog.Event) {
	p, service, src, ok := r.place(e)
	if c, known := r.open[e.Conn]; known {
		if e.Held > 0 && ok && c.pool.sourceOf(c.arrival) == src {
			c.head = r.clock.head.number
			r.open[e.Conn] = c
			return
		}
		r.end(e.Conn, c, r.clock.now)
	}
	if !ok || len(r.open) >= r.maxConns {
		return
	}
	if e.Busy > 0 {
		p.resize(e.Threads, r.clock.now)
	}
	a := arrival{at: r.clock.now - max(e.Held.Microseconds(), 0), hold: stillOpen, source: src, service: service}
	r.open[e.Conn] = conn{pool: p, arrival: r.keep(p, a), head: r.clock.head.number}
}

func (r *Recorder) closed(e *connlog.Event) {
	c, known := r.open[e.Conn]
	if !known {
		r.closedUnseen(e)
		return
	}
	delete(r.open, e.Conn)
	if a := c.pool.at(c.arrival); a != nil {
		a.hold = max(r.clock.now-a.at, 0)
		a.stages(e)
	}
}

// closedUnseen takes in a connection whose opening was not seen.
func (r *Recorder) closedUnseen(e *connlog.Event) {
	held := e.Held.Microseconds()
	if held <= 0 {
		return
	}
	if p, service, src, ok := r.place(e); ok {
		a := arrival{at: r.clock.now - held, hold: held, source: src, service: service}
		a.stages(e)
		r.keep(p, a)
	}
}

func (r *Recorder) refused(e *connlog.Event) {
	if e.Reason != connlog.RefuseBusy {
		return
	}
	p, service, src, ok := r.place(e)
	if !ok {
		return
	}
	if e.Busy > 0 {
		p.resize(e.Threads, r.clock.now)
	}
	n := max(e.Count, 1)
	r.keep(p, arrival{at: r.clock.now, hold: int64(min(max(e.Busy, 0), maxThreads)), source: src,
		count: uint32(min(n, maxCount)), service: service, refused: true})
	p.refuse(r.clock.now, n)
}

// keep puts an arrival into its pool and returns its number there. If there
// are too many then, the oldest one of the pool with the most is dropped.
func (r *Recorder) keep(p *pool, a arrival) uint64 {
	for r.total >= r.maxArrivals {
		r.total -= r.pools.largest().drop()
	}
	r.total++
	return p.add(a)
}

// end ends an open connection at a time.
func (r *Recorder) end(id uint64, c conn, at int64) {
	delete(r.open, id)
	if a := c.pool.at(c.arrival); a != nil {
		a.hold = max(at-a.at, 0)
	}
}

func (r *Recorder) closeAll(at int64) { r.closeWhere(at, func(conn) bool { return true }) }

// closeWhere ends connections, each by itself, so that their order is of no
// matter.
func (r *Recorder) closeWhere(at int64, over func(conn) bool) {
	for id, c := range r.open {
		if over(c) {
			r.end(id, c, at)
		}
	}
}

// holes are the latest times at which lines were lost.
type holes []hole

type hole struct {
	at    int64
	lines uint64
}

const maxHoles = 256

// lost notes that lines are missing here.
func (r *Recorder) lost(lines uint64) {
	if n := len(r.missing); n > 0 && r.missing[n-1].at == r.clock.now {
		r.missing[n-1].lines += lines
		return
	}
	if len(r.missing) == maxHoles {
		r.missing = append(r.missing[:0], r.missing[1:]...)
	}
	r.missing = append(r.missing, hole{at: r.clock.now, lines: lines})
}

// between is how many lines are missing in a time.
func (h holes) between(from, to int64) (lines uint64) {
	for _, x := range h {
		if x.at >= from && x.at <= to {
			lines += min(x.lines, 1<<62-lines)
		}
	}
	return lines
}

// source is an address at connlog.AddressLevel: an IPv4 address, or the first
// half of an IPv6 one.
type source struct {
	bits uint64
	four bool
}

func sourceOf(ip netip.Addr) (source, bool) {
	if ip = ip.Unmap(); ip.Is4() {
		b := ip.As4()
		return source{bits: uint64(b[0])<<24 | uint64(b[1])<<16 | uint64(b[2])<<8 | uint64(b[3]), four: true}, true
	}
	if !ip.IsValid() {
		return source{}, false
	}
	b := ip.As16()
	var bits uint64
	for _, x := range b[:8] {
		bits = bits<<8 | uint64(x)
	}
	return source{bits: bits}, true
}
