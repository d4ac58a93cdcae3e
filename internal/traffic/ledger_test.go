package traffic

import (
	"net/netip"
	"testing"
	"time"

	"overstay/connlog"
)

// ledger keeps a server's books from its log alone, and complains about each
// line that does not fit.
type ledger struct {
	t        *testing.T
	services map[string]Service
	busy     map[string]int
	open     map[uint64]*connlog.Event
	proven   map[uint64]bool
	fails    map[uint64]int
	unproven map[string]map[netip.Prefix]int
	refused  map[string]uint64 // told by refuse lines
	claimed  map[string]uint64 // by the last beat
	kinds    map[connlog.Kind]int
	ends     map[connlog.End]int
	last     connlog.Event

	shutDown uint64 // the last connection that was
}

func newLedger(t *testing.T, services []Service) *ledger {
	l := &ledger{
		t: t, services: map[string]Service{}, busy: map[string]int{},
		open: map[uint64]*connlog.Event{}, proven: map[uint64]bool{}, fails: map[uint64]int{},
		unproven: map[string]map[netip.Prefix]int{}, refused: map[string]uint64{},
		claimed: map[string]uint64{}, kinds: map[connlog.Kind]int{}, ends: map[connlog.End]int{},
	}
	for _, s := range services {
		l.services[s.Name] = s
		l.unproven[s.Name] = map[netip.Prefix]int{}
	}
	return l
}

func (l *ledger) enter(e *connlog.Event) {
	l.t.Helper()
	if e.Seq != l.last.Seq+1 {
		l.t.Fatalf("seq %d after %d", e.Seq, l.last.Seq)
	}
	if e.Time.Before(l.last.Time) {
		l.t.Fatalf("seq %d: time went back from %v to %v", e.Seq, l.last.Time, e.Time)
	}
	if e.Time.Nanosecond()%1000 != 0 || e.Time.Location() != time.UTC {
		l.t.Fatalf("seq %d: %v is not in whole microseconds of UTC", e.Seq, e.Time)
	}
	if (e.Kind == connlog.Start) != (e.Seq == 1) {
		l.t.Fatalf("seq %d is a %v", e.Seq, e.Kind)
	}
	if l.last.Kind == connlog.Stop {
		l.t.Fatalf("a %v after the stop", e.Kind)
	}
	l.kinds[e.Kind]++
	l.last = *e
	switch e.Kind {
	case connlog.Open:
		l.opened(e)
	case connlog.Proven:
		l.proved(e)
	case connlog.Fail:
		l.fails[e.Conn]++
		if l.open[e.Conn] == nil {
			l.t.Fatalf("seq %d: conn %d fails but is not open", e.Seq, e.Conn)
		}
	case connlog.Close:
		l.closed(e)
	case connlog.Refuse:
		l.refusal(e)
	case connlog.Beat:
		for _, s := range e.Services {
			if s.Busy != l.busy[s.Service] {
				l.t.Fatalf("seq %d: %s beats with %d busy, has %d", e.Seq, s.Service, s.Busy, l.busy[s.Service])
			}
			if s.Refused < l.refused[s.Service] {
				l.t.Fatalf("seq %d: %s has %d refused, told of %d", e.Seq, s.Service, s.Refused, l.refused[s.Service])
			}
			l.claimed[s.Service] = s.Refused
		}
	}
}

func (l *ledger) opened(e *connlog.Event) {
	l.t.Helper()
	if l.open[e.Conn] != nil || e.Conn == 0 || e.ClientPort == 0 {
		l.t.Fatalf("seq %d: bad open of conn %d", e.Seq, e.Conn)
	}
	copied := *e
	l.open[e.Conn] = &copied
	l.busy[e.Service]++
	s := l.services[e.Service]
	if e.Busy != l.busy[e.Service] || e.Busy > s.Threads || e.Threads != s.Threads {
		l.t.Fatalf("seq %d: %d of %d busy, counted %d", e.Seq, e.Busy, e.Threads, l.busy[e.Service])
	}
	source := connlog.AddressLevel.Source(e.ClientIP)
	l.unproven[e.Service][source]++
	if n := l.unproven[e.Service][source]; s.UnprovenPerSource > 0 && n > s.UnprovenPerSource {
		l.t.Fatalf("seq %d: %v has %d unproven", e.Seq, source, n)
	}
}

func (l *ledger) proved(e *connlog.Event) {
	l.t.Helper()
	if l.open[e.Conn] == nil || l.proven[e.Conn] || e.By == "" {
		l.t.Fatalf("seq %d: conn %d proven by %q out of turn", e.Seq, e.Conn, e.By)
	}
	l.proven[e.Conn] = true
	l.unproven[e.Service][connlog.AddressLevel.Source(e.ClientIP)]--
}

func (l *ledger) closed(e *connlog.Event) {
	l.t.Helper()
	o := l.open[e.Conn]
	if e.End == connlog.EndShutdown {
		if e.Conn < l.shutDown {
			l.t.Fatalf("seq %d: conn %d is shut down after %d", e.Seq, e.Conn, l.shutDown)
		}
		l.shutDown = e.Conn
	}
	if o == nil || o.ClientIP != e.ClientIP || o.Service != e.Service {
		l.t.Fatalf("seq %d: close of conn %d does not match %+v", e.Seq, e.Conn, o)
	}
	if held := e.Time.Sub(o.Time); e.Held != held {
		l.t.Fatalf("seq %d: held %v, was open for %v", e.Seq, e.Held, held)
	}
	var sum time.Duration
	for _, d := range e.Stages {
		if d < 0 {
			l.t.Fatalf("seq %d: negative stage in %v", e.Seq, e.Stages)
		}
		sum += d
	}
	if sum != e.Held {
		l.t.Fatalf("seq %d: stages add up to %v of %v", e.Seq, sum, e.Held)
	}
	if e.Proven != l.proven[e.Conn] || e.Fails != l.fails[e.Conn] {
		l.t.Fatalf("seq %d: closes with proven %v, %d fails", e.Seq, e.Proven, e.Fails)
	}
	if !e.Proven {
		l.unproven[e.Service][connlog.AddressLevel.Source(e.ClientIP)]--
	}
	l.busy[e.Service]--
	l.ends[e.End]++
	delete(l.open, e.Conn)
	delete(l.proven, e.Conn)
	delete(l.fails, e.Conn)
}

func (l *ledger) refusal(e *connlog.Event) {
	l.t.Helper()
	s := l.services[e.Service]
	switch {
	case e.Busy != l.busy[e.Service] || e.Threads != s.Threads:
		l.t.Fatalf("seq %d: refusal with %d of %d busy, counted %d", e.Seq, e.Busy, e.Threads, l.busy[e.Service])
	case e.Reason == connlog.RefuseBusy && e.Count == 0 && e.Busy < e.Threads:
		l.t.Fatalf("seq %d: busy with %d of %d threads held", e.Seq, e.Busy, e.Threads)
	case e.Reason == connlog.RefuseSessions && e.Count == 0:
		source := connlog.AddressLevel.Source(e.ClientIP)
		if n := l.unproven[e.Service][source]; n != s.UnprovenPerSource {
			l.t.Fatalf("seq %d: %v has %d unproven of %d, and is refused", e.Seq, source, n, s.UnprovenPerSource)
		}
	}
	l.refused[e.Service] += max(e.Count, 1)
}

// play runs a simulation through a ledger and hands each event to see, which
// may be nil.
func play(t *testing.T, s *Simulation, see func(*connlog.Event)) *ledger {
	t.Helper()
	events, err := s.Events()
	if err != nil {
		t.Fatal(err)
	}
	l := newLedger(t, s.Services)
	for e := range events {
		l.enter(e)
		if see != nil {
			see(e)
		}
	}
	return l
}
