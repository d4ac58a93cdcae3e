package detector

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"overstay/connlog"
)

// epoch is when the logs of the tests begin.
var epoch = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// logger writes a log into memory as a server would: it stamps time, boot and
// seq, gives out connection numbers and keeps count of the pool.
type logger struct {
	events  []connlog.Event
	boot    string
	seq     uint64
	now     time.Time
	lastID  uint64
	threads int
	service string // of the next connection
	open    map[uint64]*opening
	busy    map[string]int // threads held, by service
	onWrite func(e *connlog.Event)
	forget  bool // onWrite is all, nothing is kept
}

// opening is what the logger knows of an open connection.
type opening struct {
	ip      netip.Addr
	service string
	at      time.Time
	proven  bool
	fails   int
}

func newLogger(threads int) *logger {
	l := &logger{now: epoch, threads: threads, service: "www"}
	l.restart("boot1")
	return l
}

func (l *logger) restart(boot string) {
	l.boot, l.seq, l.lastID = boot, 0, 0
	l.open, l.busy = make(map[uint64]*opening), make(map[string]int)
	l.write(connlog.Event{Kind: connlog.Start, Schema: connlog.SchemaVersion,
		Services: l.services()})
}

// services are two with a pool each.
func (l *logger) services() []connlog.Service {
	return []connlog.Service{
		{Service: "www", Threads: l.threads, Busy: l.busy["www"]},
		{Service: "smtp", Threads: l.threads, Busy: l.busy["smtp"], Pool: "mail"},
	}
}

// head begins a new file: a start line that continues, and what is open.
func (l *logger) head() {
	l.write(connlog.Event{Kind: connlog.Start, Continued: true, Services: l.services()})
	for _, id := range slices.Sorted(maps.Keys(l.open)) {
		o := l.open[id]
		l.write(connlog.Event{Kind: connlog.Open, Service: o.service, Conn: id, ClientIP: o.ip,
			Held: max(l.now.Sub(o.at), time.Microsecond), Proven: o.proven})
	}
}

func (l *logger) write(e connlog.Event) {
	l.seq++
	e.Time, e.Boot, e.Seq = l.now, l.boot, l.seq
	if !l.forget {
		l.events = append(l.events, e)
	}
	if l.onWrite != nil {
		l.onWrite(&e)
	}
}

// at moves the time of the log to d after the epoch.
func (l *logger) at(d time.Duration) { l.now = epoch.Add(d) }

func (l *logger) wait(d time.Duration) { l.now = l.now.Add(d) }

// connect opens a connection, or writes a refusal and returns 0.
func (l *logger) connect(ip netip.Addr) uint64 {
	if l.busy[l.service] >= l.threads {
		l.refuse(ip, connlog.RefuseBusy)
		return 0
	}
	l.lastID++
	l.busy[l.service]++
	l.open[l.lastID] = &opening{ip: ip, service: l.service, at: l.now}
	l.write(connlog.Event{Kind: connlog.Open, Service: l.service, Conn: l.lastID, ClientIP: ip,
		Busy: l.busy[l.service], Threads: l.threads})
	return l.lastID
}

func (l *logger) refuse(ip netip.Addr, why connlog.Reason) {
	l.write(connlog.Event{Kind: connlog.Refuse, Service: l.service, ClientIP: ip, Reason: why,
		Busy: l.busy[l.service], Threads: l.threads})
}

func (l *logger) prove(id uint64) { l.proveBy(id, connlog.ByRequest) }

func (l *logger) proveBy(id uint64, by connlog.By) {
	o := l.open[id]
	o.proven = true
	l.write(connlog.Event{Kind: connlog.Proven, Service: o.service, Conn: id, ClientIP: o.ip, By: by})
}

func (l *logger) fail(id uint64, what connlog.What) {
	o := l.open[id]
	o.fails++
	l.write(connlog.Event{Kind: connlog.Fail, Service: o.service, Conn: id, ClientIP: o.ip, What: what, User: "eve"})
}

func (l *logger) close(id uint64, end connlog.End) {
	o := l.open[id]
	l.drop(id)
	l.write(connlog.Event{Kind: connlog.Close, Service: o.service, Conn: id, ClientIP: o.ip,
		Held: l.now.Sub(o.at), End: end, Proven: o.proven, Fails: o.fails})
}

// drop ends a connection without a line about it.
func (l *logger) drop(id uint64) {
	l.busy[l.open[id].service]--
	delete(l.open, id)
}

func (l *logger) beat() {
	l.write(connlog.Event{Kind: connlog.Beat, Services: l.services()})
}

// ip returns the n-th address of a documentation net.
func ip(n int) netip.Addr {
	switch {
	case n < 256:
		return netip.AddrFrom4([4]byte{192, 0, 2, byte(n)})
	case n < 512:
		return netip.AddrFrom4([4]byte{198, 51, 100, byte(n)})
	case n < 768:
		return netip.AddrFrom4([4]byte{203, 0, 113, byte(n)})
	default: // a /64 of its own
		return netip.MustParseAddr(fmt.Sprintf("2001:db8:%x:%x::1", n>>16, n&0xffff))
	}
}

// randomLog is traffic without sense: everything happens to everybody.
func randomLog(r *rand.Rand, lines int) []connlog.Event {
	l := newLogger(25)
	for len(l.events) < lines {
		// Pauses from a microsecond to an hour.
		l.wait(time.Duration(math.Exp(r.Float64()*r.Float64()*22)) * time.Microsecond)
		l.service = []string{"www", "smtp"}[r.IntN(2)]
		who := ip(r.IntN(40) * 50) // both families
		ids := slices.Sorted(maps.Keys(l.open))
		var id uint64
		if len(ids) > 0 {
			id = ids[r.IntN(len(ids))]
		}
		switch n := r.IntN(200); {
		case n < 80 || id == 0:
			l.connect(who)
		case n < 110:
			l.proveBy(id, []connlog.By{connlog.ByRequest, connlog.ByMessage}[r.IntN(2)])
		case n < 120:
			l.fail(id, connlog.FailLogin)
		case n < 125:
			l.fail(id, connlog.FailCommand)
		case n < 180:
			l.close(id, connlog.EndClient)
		case n < 185:
			e := connlog.Event{Kind: connlog.Refuse, Service: l.service, ClientIP: who,
				Reason: connlog.RefuseBusy, Count: r.Uint64N(50)}
			if r.IntN(2) == 0 { // as a log does that lacks some lines
				e.Busy, e.Threads = l.busy[l.service]+r.IntN(6), l.threads
			}
			l.write(e)
		case n < 187:
			l.refuse(who, connlog.RefuseBanned)
		case n < 194:
			l.beat()
		case n < 197:
			l.head()
		case n < 198:
			// A loss: some closes are missing, and the next head tells.
			for _, gone := range ids[:len(ids)/2] {
				l.drop(gone)
			}
			l.seq += uint64(len(ids)/2 + 1)
			l.head()
		default:
			if r.IntN(10) == 0 {
				l.restart("boot" + l.boot)
			}
		}
	}
	return l.events
}
