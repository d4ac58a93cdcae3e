package app

import (
	"cmp"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"overstay/connlog"
)

// A log that tells of a connection when it ends has the beginnings of long ones
// far behind the time of the lines around. There is room to sort what is near;
// for the rest the log is read again, when it is known which connections are
// long, and their beginnings are put in before their lines come.

// long is a connection that lasted long.
type long struct {
	opened, held int64 // microseconds
	conn         uint64
	addr         netip.Addr
	port         uint16
	service      string
	at           where
}

// maxLong bounds those that are kept: the longest.
const maxLong = 1 << 17

// longest are the longest connections of a log. Only least may be asked for by
// several goroutines.
type longest struct {
	all   []long
	least atomic.Int64 // microseconds: shorter ones are of no interest
}

func newLongest() *longest {
	l := &longest{}
	l.least.Store(time.Second.Microseconds()) // Such as are shorter find their place.
	return l
}

// wants reports whether the close of a connection tells that it was long. The
// connection log tells of beginnings when they happen.
func (l *longest) wants(e *connlog.Event) bool {
	return e.Kind == connlog.Close && e.Boot == "" && l.wantsHeld(e.Held.Microseconds())
}

// wantsHeld is wants for microseconds held.
func (l *longest) wantsHeld(held int64) bool { return l != nil && held >= l.least.Load() }

// longOf is the connection that a close tells of.
func longOf(e *connlog.Event) long {
	held := e.Held.Microseconds()
	return long{opened: e.Time.UnixMicro() - held, held: held, conn: e.Conn, addr: e.ClientIP, service: e.Service}
}

func longVisit(v *connlog.Visit) long {
	return long{opened: v.From, held: v.To - v.From, conn: v.Conn, addr: v.Client, service: v.Service}
}

func (l *longest) add(some ...long) {
	if l.all = append(l.all, some...); len(l.all) >= 2*maxLong {
		l.trim()
	}
}

// trim forgets all but the longest.
func (l *longest) trim() {
	if len(l.all) <= maxLong {
		return
	}
	slices.SortFunc(l.all, func(a, b long) int { return cmp.Or(cmp.Compare(b.held, a.held), cmp.Compare(a.conn, b.conn)) })
	l.all = l.all[:maxLong]
	l.least.Store(l.all[maxLong-1].held)
}

// early are connections whose beginnings are told before their lines come. It
// does not change, and may be used by several goroutines.
type early struct {
	opens []long // in the order of time
	conns map[uint64]struct{}
}

func newEarly(l *longest) *early {
	l.trim()
	e := &early{opens: l.all, conns: make(map[uint64]struct{}, len(l.all))}
	slices.SortFunc(e.opens, func(a, b long) int { return cmp.Or(cmp.Compare(a.opened, b.opened), cmp.Compare(a.conn, b.conn)) })
	for i := range e.opens {
		e.conns[e.opens[i].conn] = struct{}{}
	}
	return e
}

// tells reports whether an event is a beginning that was told already.
func (e *early) tells(event *connlog.Event) bool {
	return event.Kind == connlog.Open && event.Boot == "" && e.has(event.Conn)
}

// has reports whether the beginning of a connection was told already.
func (e *early) has(conn uint64) bool {
	if e == nil {
		return false
	}
	_, ok := e.conns[conn]
	return ok
}

// event is the beginning of a connection.
func (l *long) event() connlog.Event {
	return connlog.Event{
		Kind: connlog.Open, Time: time.UnixMicro(l.opened).UTC(), Service: l.service, Conn: l.conn,
		ClientIP: l.addr, ClientPort: l.port, Seq: pack(l.at),
	}
}

// memory is what passes over the same logs learn for the next ones.
type memory struct {
	read  int // passes
	early *early
}

// passes is the number of the present one.
func (m *memory) passes(otherwise int) int {
	if m == nil {
		return otherwise
	}
	return m.read
}

// learn reports whether it is known how fewer events would be late.
func (m *memory) learn(read *LogsRead, l *longest) bool {
	if read.Late == 0 || len(l.all) == 0 {
		return false
	}
	m.early = newEarly(l)
	return true
}
