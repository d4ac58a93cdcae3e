package connlog

import (
	"cmp"
	"net/netip"
	"slices"
	"time"
)

// A ledger knows what a reader of the log knows who has read all of it: the
// last start line and the connections that are open. It writes the head of a
// new file from that.
type ledger struct {
	start Event
	conns map[uint64]openConn
}

type openConn struct {
	service string
	ip      netip.Addr
	port    uint16
	proven  bool
	fails   int
	threads int
	since   time.Time
}

func (l *ledger) len() int { return len(l.conns) }

// observe takes note of a line. It keeps nothing that belongs to e's caller
// but strings.
func (l *ledger) observe(e *Event) {
	switch e.Kind {
	case Start:
		l.start = *e
		l.start.Services = slices.Clone(e.Services)
	case Beat:
		l.resize(e.Services)
	case Open:
		if l.conns == nil {
			l.conns = make(map[uint64]openConn)
		}
		l.conns[e.Conn] = openConn{
			service: e.Service, ip: e.ClientIP, port: e.ClientPort,
			proven: e.Proven, fails: e.Fails, threads: e.Threads,
			since: e.Time.Add(-e.Held),
		}
	case Proven, Fail:
		c, ok := l.conns[e.Conn]
		if !ok {
			return
		}
		if e.Kind == Proven {
			c.proven = true
		} else {
			c.fails++
		}
		l.conns[e.Conn] = c
	case Close:
		delete(l.conns, e.Conn)
	}
}

// resize takes note of how large the pools are by now. The list of the start
// line is the ledger's own.
func (l *ledger) resize(services []Service) {
	for _, now := range services {
		for i := range l.start.Services {
			if s := &l.start.Services[i]; s.Service == now.Service {
				s.Threads = now.Threads
			}
		}
	}
}

// head gives write the lines that a file begins with: the start line, marked
// as continued, and the open connections, oldest first. Each of these says how
// many threads of its pool are held up to and with it.
func (l *ledger) head(now time.Time, write func(*Event)) {
	start := l.start
	start.Kind, start.Schema, start.Continued = Start, SchemaVersion, true
	write(&start)

	ids := make([]uint64, 0, len(l.conns))
	for id := range l.conns {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	busy := make(map[string]int)
	for _, id := range ids {
		c := l.conns[id]
		pool, threads := l.pool(c.service)
		if threads == 0 {
			threads = c.threads // A service that no start line named.
		}
		busy[pool]++
		write(&Event{
			Kind: Open, Service: c.service, Conn: id, ClientIP: c.ip, ClientPort: c.port,
			Busy: busy[pool], Threads: threads, Proven: c.proven, Fails: c.fails,
			// Never zero, because that is how a reader tells a carried line.
			Held: max(now.Sub(c.since), time.Microsecond),
		})
	}
}

// pool returns the pool of a service and its size, 0 if that is not known.
func (l *ledger) pool(service string) (name string, threads int) {
	for i := range l.start.Services {
		if s := &l.start.Services[i]; s.Service == service {
			return cmp.Or(s.Pool, service), s.Threads
		}
	}
	return service, 0
}
