package occupancy_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"overstay/connlog"
)

// generator makes up a log of connections that come, prove themselves or fail,
// and go, with all that makes it hard to add up: restarts with and without an
// end, rotation, losses, numbers used again, and ends that nobody saw begin.
type generator struct {
	rng    *rand.Rand
	zipf   *rand.Zipf
	now    time.Time
	boot   string
	seq    uint64
	conn   uint64
	stride uint64 // from one connection's number to the next one's
	open   []connlog.Event
	flaws  bool // or a log of a server that nothing ever happens to
	coarse time.Duration
	events []connlog.Event
}

func newGenerator(seed uint64, flaws bool) *generator {
	rng := rand.New(rand.NewPCG(seed, 7))
	g := &generator{
		rng: rng, zipf: rand.NewZipf(rng, 1.2, 4, 60), flaws: flaws, stride: []uint64{1, 256, 217}[seed%3],
		now: time.Date(2026, 11, 23, 14, 0, 0, 0, time.UTC),
	}
	g.restart()
	return g
}

// threads of each pool; mail is shared by two services.
var threads = map[string]int{"smtp": 6, "mail": 4}

func poolOf(service string) string {
	if service == "smtp" {
		return service
	}
	return "mail"
}

func (g *generator) write(e connlog.Event) {
	g.seq++
	e.Time, e.Boot, e.Seq = g.now.Truncate(max(g.coarse, time.Microsecond)), g.boot, g.seq
	g.events = append(g.events, e)
}

func (g *generator) restart() {
	g.boot, g.seq, g.conn, g.open = fmt.Sprintf("boot%d", g.rng.Uint32()), 0, 0, nil
	g.write(connlog.Event{Kind: connlog.Start, Schema: 1, Services: services()})
}

func services() []connlog.Service {
	return []connlog.Service{
		{Service: "smtp", Threads: threads["smtp"]},
		{Service: "imap", Pool: "mail", Threads: threads["mail"]},
		{Service: "pop3", Pool: "mail", Threads: threads["mail"]},
	}
}

func (g *generator) source() netip.Addr {
	n := g.zipf.Uint64()
	if n%4 == 1 {
		return netip.MustParseAddr(fmt.Sprintf("2001:db8:%x:%x::%x", n%3, n/5, g.rng.IntN(3)+1))
	}
	return netip.AddrFrom4([4]byte{198, 51, byte(100 + n%3), byte(n)})
}

func (g *generator) held(pool string) (n int) {
	for _, e := range g.open {
		if poolOf(e.Service) == pool {
			n++
		}
	}
	return n
}

// quiet lets seconds pass in which nobody comes: the server beats.
func (g *generator) quiet(seconds int) {
	for ; seconds > 0; seconds -= 5 {
		g.now = g.now.Add(time.Duration(min(seconds, 5)) * time.Second)
		g.write(connlog.Event{Kind: connlog.Beat, Services: services()})
	}
}

// step writes a line or a few.
func (g *generator) step() {
	g.now = g.now.Add(time.Duration(g.rng.ExpFloat64()*3e6) * time.Microsecond)
	if g.rng.IntN(50) == 0 {
		g.quiet(g.rng.IntN(200))
	}
	if g.flaws && g.rng.IntN(40) == 0 {
		g.flaw()
		return
	}
	service := []string{"smtp", "smtp", "imap", "pop3"}[g.rng.IntN(4)]
	pool := poolOf(service)
	switch n := g.rng.IntN(100); {
	case n == 0:
		g.write(connlog.Event{Kind: connlog.Beat, Services: services()})
	case n < 45 && g.held(pool) < threads[pool]:
		g.conn += g.stride
		e := connlog.Event{Kind: connlog.Open, Service: service, Conn: g.conn, ClientIP: g.source(), Busy: g.held(pool) + 1, Threads: threads[pool]}
		g.write(e)
		e.Time = g.now
		g.open = append(g.open, e)
	case n < 45:
		e := connlog.Event{Kind: connlog.Refuse, Service: service, ClientIP: g.source(), Busy: g.held(pool), Threads: threads[pool], Count: uint64(g.rng.IntN(3))}
		e.Reason = []connlog.Reason{connlog.RefuseBusy, connlog.RefuseBusy, connlog.RefuseSessions, connlog.RefuseBanned}[g.rng.IntN(4)]
		g.write(e)
	case n < 48: // of no connection
		g.write(g.happened(connlog.Event{Service: service, ClientIP: g.source()}))
	case len(g.open) == 0:
	case n < 62:
		c := &g.open[g.rng.IntN(len(g.open))]
		e := g.happened(connlog.Event{Service: c.Service, Conn: c.Conn, ClientIP: c.ClientIP})
		c.Proven = c.Proven || e.Kind == connlog.Proven
		g.write(e)
	default:
		g.closed(g.rng.IntN(len(g.open)))
	}
}

func (g *generator) happened(e connlog.Event) connlog.Event {
	e.Kind, e.By = connlog.Proven, connlog.ByLogin
	if g.rng.IntN(2) == 0 {
		e.Kind, e.By, e.What = connlog.Fail, "", connlog.FailLogin
	}
	return e
}

func (g *generator) closed(i int) {
	c := g.open[i]
	g.write(connlog.Event{
		Kind: connlog.Close, Service: c.Service, Conn: c.Conn, ClientIP: c.ClientIP,
		Held: g.now.Sub(c.Time).Truncate(time.Microsecond), End: connlog.EndClient, Proven: c.Proven,
	})
	g.open[i] = g.open[len(g.open)-1]
	g.open = g.open[:len(g.open)-1]
}

// flaw is what does not happen every minute.
func (g *generator) flaw() {
	switch g.rng.IntN(7) {
	case 0: // a crash
		g.restart()
	case 1: // an orderly end
		for len(g.open) > 0 {
			g.closed(0)
		}
		g.write(connlog.Event{Kind: connlog.Stop, Reason: "signal"})
		g.restart()
	case 2:
		g.rotate()
	case 3: // lines are lost: openings and ends
		kept := len(g.events)
		for range 10 {
			g.step()
		}
		if boot := g.events[kept-1].Boot; boot == g.boot {
			g.events = g.events[:kept]
			g.write(connlog.Event{Kind: connlog.Lost, Count: 10})
			if g.rng.IntN(2) == 0 {
				g.rotate()
			}
		}
	case 4: // an end of which nothing else is known
		g.write(connlog.Event{Kind: connlog.Close, Service: "smtp", Conn: 1<<40 + g.seq, ClientIP: g.source(), End: connlog.EndReset})
	case 5: // no address
		g.write(connlog.Event{Kind: connlog.Open, Service: "smtp", Conn: 1<<41 + g.seq})
	case 6: // a number that is given again: the end of the first one was lost
		if n := len(g.open); n > 0 {
			e := &g.open[g.rng.IntN(n)]
			e.ClientIP, e.Time, e.Proven = g.source(), g.now, false
			e.Busy = g.held(poolOf(e.Service))
			g.write(*e)
		}
	}
}

// rotate names all that is open once more, as the head of a file does.
func (g *generator) rotate() {
	g.write(connlog.Event{Kind: connlog.Start, Schema: 1, Continued: true, Services: services()})
	for _, e := range g.open {
		e.Held = max(g.now.Sub(e.Time).Truncate(time.Microsecond), time.Microsecond)
		g.write(e)
	}
}

// log returns a log of at least n events.
func (g *generator) log(n int) []connlog.Event {
	for len(g.events) < n {
		g.step()
	}
	return g.events
}
