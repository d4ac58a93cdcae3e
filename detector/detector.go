package detector

import (
	"fmt"
	"net/netip"
	"time"

	"overstay/connlog"
)

// Options of a Detector. The zero value ranks, and decides nothing.
type Options struct {
	// Policies to apply, in this order; see DefaultPolicies.
	Policies []Policy
	// Level of the sources; the zero value means connlog.AddressLevel.
	Level connlog.Level
	// MaxSources is the number of sources without open connections that are
	// remembered, 100,000 if zero. Those with open connections always are. Each
	// takes some 250 bytes, and up to 160 more if it comes all day.
	MaxSources int
	// MaxConns is the number of open connections that are followed, 100,000 if
	// zero. Further ones are counted and skipped.
	MaxConns int
	// NetLevel is the size of the nets; the zero value means connlog.NetLevel.
	// From /16 to /31 of IPv4 and from /32 to /63 of IPv6 is possible, and no
	// net is smaller than a source.
	NetLevel connlog.Level
	// MaxNets is the number of nets without open connections that are
	// remembered, in all pools together, 4096 if zero. Those with open
	// connections always are.
	MaxNets int
	// BansPerMinute is the number of new bans within a minute after which a
	// ban becomes a suggestion, 300 if zero.
	BansPerMinute int
	// Earlier bans, from the history of the list, for escalation.
	Earlier []Past
}

// Detector follows one connection log. It is not for concurrent use.
type Detector struct {
	rules    panel // of sources
	netRules panel
	level    connlog.Level
	maxConns int

	table  *table
	nets   nets
	pools  pools
	memory *memory
	storm  storm

	open  map[uint64]*conn // by number, of the present boot
	spare []*conn          // to be used again

	boot  string
	seq   uint64   // of the last line
	ended []string // boots that were before, the latest last
	head  head

	begun    bool
	now      int64 // microseconds: the last line, or the last tick
	lastLine int64
	ticked   int64 // the last quarter of a second that was reached
	pressed  int64 // when a client was last turned away for want of a thread
	advanced int64 // what Advance was told
	shift    int64 // now is the time of the log plus shift
	beaten   int64 // when the last beat was; 0: there was none
	doubt    int64 // until then there are no decisions

	view  view
	due   []*rule // for what is in view; see panel
	out   []Decision
	stats Stats
}

// Defaults of the options.
const (
	defaultMaxSources    = 100_000
	defaultMaxConns      = 100_000
	defaultMaxNets       = 4096
	defaultBansPerMinute = 300
)

// New returns a detector that has seen nothing yet. The error tells of every
// policy that is wrong, with the line and column of a bad condition.
func New(o Options) (*Detector, error) {
	rules, err := prepareAll(o.Policies)
	if err != nil {
		return nil, err
	}
	level := o.Level
	if level == (connlog.Level{}) {
		level = connlog.AddressLevel
	}
	if level.V4 < 0 || level.V4 > 32 || level.V6 < 0 || level.V6 > 128 {
		return nil, fmt.Errorf("detector: level /%d and /%d: want at most 32 and 128 bits", level.V4, level.V6)
	}
	netLevel, err := netLevelOf(o.NetLevel, level)
	if err != nil {
		return nil, err
	}
	size := positive(o.MaxSources, defaultMaxSources)
	table, err := newTable(size)
	if err != nil {
		return nil, fmt.Errorf("detector: table of sources: %w", err)
	}
	memory, err := newMemory(size, o.Earlier, level, netLevel)
	if err != nil {
		return nil, fmt.Errorf("detector: memory of bans: %w", err)
	}
	return &Detector{
		rules:    panelOf(rules, false),
		netRules: panelOf(rules, true),
		level:    level,
		maxConns: positive(o.MaxConns, defaultMaxConns),
		table:    table,
		nets:     newNets(netLevel, positive(o.MaxNets, defaultMaxNets)),
		pools:    newPools(),
		memory:   memory,
		storm:    storm{limit: positive(o.BansPerMinute, defaultBansPerMinute)},
		open:     make(map[uint64]*conn),
	}, nil
}

func positive(n, otherwise int) int {
	if n > 0 {
		return n
	}
	return otherwise
}

// Observe takes in one line of the log and returns what was decided by it and
// by the time that passed before it, mostly nothing. The result is valid
// until the next call. The event is only read.
//
// Lines that were seen already are ignored, so a reader may overlap.
func (d *Detector) Observe(e *connlog.Event) []Decision {
	d.out = d.out[:0]
	if !d.isNext(e) {
		return nil
	}
	d.stats.Lines++
	d.reach(e)
	d.enter(e)
	d.apply(e)
	return d.out
}

// Advance says that no line before t is to come. It looks at the ticks up
// to t, which the next line would do in any case: a log that goes on needs it
// only where a decision must not wait for that line.
func (d *Detector) Advance(t time.Time) []Decision {
	d.out = d.out[:0]
	to, ok := d.internal(t)
	if to = min(to, d.lastLine+d.quiet()); !d.begun || !ok || to <= d.now {
		return nil
	}
	d.tickTo(to)
	d.advanced = max(d.advanced, to)
	return d.out
}

// apply does what the line tells.
func (d *Detector) apply(e *connlog.Event) {
	switch e.Kind {
	case connlog.Open:
		d.opened(e)
	case connlog.Proven:
		d.proved(e)
	case connlog.Fail:
		d.failed(e)
	case connlog.Close:
		d.closed(e)
	case connlog.Refuse:
		d.refused(e)
	case connlog.Start:
		d.stats.PoolsOver += uint64(d.pools.told(e, d.now))
		if e.Continued {
			d.head.begin()
		}
	case connlog.Beat:
		d.beaten = d.now
		d.stats.PoolsOver += uint64(d.pools.told(e, d.now))
	case connlog.Lost:
		d.stats.Lost += max(e.Count, 1)
	case connlog.Stop:
		d.closeAll()
	case connlog.Unknown:
		d.stats.Unknown++
	}
}

// place finds the pool and the source a line is about, run up to now. Both
// are nil, and counted, if it names no address or one service too many.
func (d *Detector) place(e *connlog.Event) (*source, *pool) {
	src := d.level.Source(e.ClientIP)
	if !src.IsValid() {
		d.stats.NoAddress++
		return nil, nil
	}
	p := d.pools.of(e.Service, d.now)
	if p == nil {
		d.stats.PoolsOver++
		return nil, nil
	}
	p.advance(d.now)
	return d.table.visit(src.Addr().As16(), p, d.now), p
}

// sized takes the size of a pool from a line that says it was full and not whom
// it turned away, as other servers write.
func (d *Detector) sized(e *connlog.Event) {
	if p := d.pools.of(e.Service, d.now); p != nil && e.Busy > 0 {
		p.advance(d.now)
		p.report(e.Busy, e.Threads)
	}
}

func (d *Detector) opened(e *connlog.Event) {
	carried := e.Held > 0
	if c := d.open[e.Conn]; c != nil {
		if carried && c.source.key.addr == d.level.Source(e.ClientIP).Addr().As16() {
			d.named(c, e)
			return
		}
		d.stats.ReusedConns++
		d.release(c)
	}
	if len(d.open) >= d.maxConns {
		d.stats.ConnsOver++
		return
	}
	s, p := d.place(e)
	if s == nil {
		return
	}
	c := d.newConn()
	*c = conn{source: s, id: e.Conn, seq: e.Seq, opened: d.now, head: d.head.number, proven: e.Proven}
	if carried {
		d.carry(c, p, e.Held)
	}
	d.take(c, p)
	if carried {
		return
	}
	if !c.proven {
		c.newcomer = isNewcomer(s)
		p.passing.take(c)
	}
	s.rates.opens++
	s.hold.net.sums.opens += d.nets.clock.e.m1
	d.table.windows.count(s, windowOpens, d.now)
	if e.Busy > 0 {
		p.report(e.Busy, e.Threads)
	}
	d.judge(s, p)
}

func (d *Detector) proved(e *connlog.Event) {
	c := d.open[e.Conn]
	if c == nil {
		if s := d.bystander(e); s != nil {
			d.counted(s, e)
		}
		return
	}
	if c.proven {
		return
	}
	s, p := c.source, d.pools.all[c.source.key.pool]
	d.runTo(s, p)
	d.prove(c, p)
	d.took(c, p, float64(d.now-c.opened)/micros)
	p.passing.proved(c, e.By, d.now)
	d.counted(s, e)
	d.judge(s, p)
}

// counted puts a proof into the figures of its source.
func (d *Detector) counted(s *source, e *connlog.Event) {
	s.rates.prove()
	n := d.nets.of(s, d.pools.all[s.key.pool], d.now)
	n.sums.prove(&d.nets.clock)
	d.nets.trust(n, d.now)
	if e.By == connlog.ByMessage {
		d.table.windows.count(s, windowByMessage, d.now)
	}
}

func (d *Detector) failed(e *connlog.Event) {
	var s *source
	if c := d.open[e.Conn]; c != nil {
		s = c.source
		d.runTo(s, d.pools.all[s.key.pool])
	} else if s = d.bystander(e); s == nil {
		return
	}
	s.rates.fails++
	n := d.nets.of(s, d.pools.all[s.key.pool], d.now)
	n.sums.fails += d.nets.clock.e.m1
	if e.What == connlog.FailLogin {
		s.rates.failLogin()
		n.sums.failLogin(&d.nets.clock)
		d.table.windows.count(s, windowLoginsFailed, d.now)
	}
	d.judge(s, d.pools.all[s.key.pool])
}

// bystander is the source of a line whose connection we do not know.
func (d *Detector) bystander(e *connlog.Event) *source {
	d.stats.UnknownConns++
	s, _ := d.place(e)
	return s
}

func (d *Detector) closed(e *connlog.Event) {
	d.scanned(e)
	c := d.open[e.Conn]
	if c == nil {
		d.stats.UnknownConns++
		d.wasProven(e)
		return
	}
	s, p := c.source, d.pools.all[c.source.key.pool]
	d.runTo(s, p)
	ours := e.End == connlog.EndBanned || e.End == connlog.EndShutdown
	switch {
	case c.proven:
	case e.Proven: // The line that told of it was lost.
		d.nets.trust(s.hold.net, d.now)
	case !ours && d.now-c.opened < micros:
		s.rates.short++
		d.nets.run(s.hold.net, d.now)
		s.hold.net.sums.short += d.nets.clock.e.m1
	}
	d.release(c)
	d.judge(s, p)
}

// scanned puts in how long a message waited for a scanner.
func (d *Detector) scanned(e *connlog.Event) {
	wait := e.Stages[connlog.StageScanWait]
	if wait <= 0 {
		return
	}
	if p := d.pools.of(e.Service, d.now); p != nil {
		p.advance(d.now)
		p.scans.add(wait.Seconds())
	}
}

// wasProven notes the proof of a connection of which the log does not tell
// more, because it is read from its middle.
func (d *Detector) wasProven(e *connlog.Event) {
	if src := d.level.Source(e.ClientIP); e.Proven && src.IsValid() {
		d.nets.trusted.note(d.nets.keyOf(src.Addr().As16()), d.now)
	}
}

func (d *Detector) refused(e *connlog.Event) {
	n := float64(max(e.Count, 1))
	if e.Reason == connlog.RefuseBanned {
		// Who is banned already does no further wrong by knocking, and a flood
		// of it costs nothing here.
		d.stats.RefusedBanned += max(e.Count, 1)
		return
	}
	s, p := d.place(e)
	if s == nil {
		d.sized(e)
		return
	}
	s.rates.refused += float32(n)
	if e.Busy > 0 {
		p.report(e.Busy, e.Threads)
	}
	if e.Reason == connlog.RefuseBusy {
		p.refuse(n)
		s.charge(p, 1)
		d.pressed = d.now
	}
	d.judge(s, p)
}

// source is the source that a table's key names.
func (d *Detector) source(k key) netip.Prefix { return d.level.Source(k.address()) }

// target is that source as decisions are about it.
func (d *Detector) target(k key) target {
	if isIPv4(k.addr) {
		return target{addr: k.addr, bits: uint8(mappedBits + d.level.V4)}
	}
	return target{addr: k.addr, bits: uint8(d.level.V6)}
}
