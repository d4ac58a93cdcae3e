package bulk_test

import (
	"math/rand/v2"
	"net/netip"
	"time"

	"overstay/connlog"
)

// generator makes up a log of connections that come, prove themselves or fail,
// and go, with all that makes it hard to add up: restarts with and without an
// end, rotation, losses, twins of lines, and ends that nobody saw begin.
type generator struct {
	rng     *rand.Rand
	zipf    *rand.Zipf
	now     time.Time
	boot    string
	seq     uint64
	conn    uint64
	open    []connlog.Event
	threads int
	stride  uint64 // from one connection's number to the next one's
	flaws   bool   // or a log of a server that nothing ever happens to
	text    []byte
}

func newGenerator(seed uint64, threads int, flaws bool) *generator {
	rng := rand.New(rand.NewPCG(seed, 1))
	g := &generator{
		rng: rng, zipf: rand.NewZipf(rng, 1.2, 8, 200_000), threads: threads, flaws: flaws,
		now: time.Date(2026, 11, 23, 14, 0, 0, 0, time.UTC),
	}
	g.restart()
	return g
}

func (g *generator) write(e connlog.Event) {
	g.seq++
	e.Time, e.Boot, e.Seq = g.now, g.boot, g.seq
	g.text = append(connlog.Append(g.text, &e), '\n')
}

func (g *generator) restart() {
	g.boot, g.seq, g.conn, g.open = "boot"+string(rune('a'+g.rng.IntN(26)))+time.Duration(g.rng.Int64N(1e9)).String(), 0, 0, nil
	g.write(connlog.Event{Kind: connlog.Start, Schema: 1, Version: "1", Host: "mx", Services: services("smtp", 100)})
}

func services(name string, threads int) []connlog.Service {
	return []connlog.Service{{Service: name, Threads: threads}, {Service: "imap", Threads: threads}}
}

func (g *generator) source() netip.Addr {
	n := g.zipf.Uint64()
	if n%5 == 0 {
		a := netip.MustParseAddr("2001:db8::1").As16()
		a[5], a[6], a[7], a[15] = byte(n>>16), byte(n>>8), byte(n), byte(g.rng.IntN(3)+1)
		return netip.AddrFrom16(a)
	}
	return netip.AddrFrom4([4]byte{198, 18 + byte(n>>16), byte(n >> 8), byte(n)})
}

// step writes a line or a few.
func (g *generator) step() {
	g.now = g.now.Add(time.Duration(g.rng.ExpFloat64()*20_000) * time.Microsecond)
	if g.flaws && g.rng.IntN(60) == 0 {
		g.flaw()
		return
	}
	switch n := g.rng.IntN(100); {
	case n == 0:
		g.write(connlog.Event{Kind: connlog.Beat, Services: services("smtp", g.threads)})
	case len(g.open) == 0, n < 38 && len(g.open) < g.threads:
		g.conn += max(g.stride, 1)
		e := connlog.Event{
			Kind: connlog.Open, Service: "smtp", Conn: g.conn, ClientIP: g.source(),
			ClientPort: uint16(g.rng.IntN(60_000) + 1024), Busy: len(g.open) + 1, Threads: g.threads,
		}
		g.open = append(g.open, e)
		e.Time = g.now
		g.open[len(g.open)-1].Time = g.now
		g.write(e)
	case n < 38:
		g.write(connlog.Event{
			Kind: connlog.Refuse, Service: "smtp", ClientIP: g.source(), Reason: connlog.RefuseBusy,
			Busy: g.threads, Threads: g.threads, Count: uint64(g.rng.IntN(3)),
		})
	case n < 60:
		c := g.open[g.rng.IntN(len(g.open))]
		e := connlog.Event{Service: "smtp", Conn: c.Conn, ClientIP: c.ClientIP, User: "user" + string(rune('a'+g.rng.IntN(26))) + "@example.org"}
		if e.Kind, e.By = connlog.Proven, connlog.ByLogin; g.rng.IntN(3) == 0 {
			e.Kind, e.By, e.What = connlog.Fail, "", connlog.FailLogin
		}
		g.write(e)
	default:
		g.closed(g.rng.IntN(len(g.open)))
	}
}

func (g *generator) closed(i int) {
	c := g.open[i]
	e := connlog.Event{
		Kind: connlog.Close, Service: "smtp", Conn: c.Conn, ClientIP: c.ClientIP, Held: g.now.Sub(c.Time),
		BytesIn: g.rng.Int64N(100_000), BytesOut: g.rng.Int64N(2000), End: connlog.EndClient, Proven: g.rng.IntN(2) == 0,
	}
	e.Stages[connlog.StageGreeting] = e.Held / 8
	e.Stages[connlog.StageCommand] = e.Held / 4
	e.Stages[connlog.StageData] = e.Held / 2
	g.write(e)
	g.open[i] = g.open[len(g.open)-1]
	g.open = g.open[:len(g.open)-1]
}

// flaw is what does not happen every minute.
func (g *generator) flaw() {
	switch g.rng.IntN(6) {
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
		lost := 0
		kept := len(g.text)
		for range 20 {
			g.step()
			lost++
		}
		g.text = g.text[:kept]
		g.write(connlog.Event{Kind: connlog.Lost, Count: uint64(lost)})
		if g.rng.IntN(2) == 0 {
			g.rotate()
		}
	case 4: // what is no line of a log
		g.text = append(g.text, "{\"time\":\"2026-11-2\x00\xff\n\n"...)
	case 5: // an end of which nothing else is known
		g.write(connlog.Event{Kind: connlog.Close, Service: "smtp", Conn: 1<<40 + g.seq, ClientIP: g.source(), End: connlog.EndReset})
	}
}

// rotate names all that is open once more, as the head of a file does.
func (g *generator) rotate() {
	g.write(connlog.Event{Kind: connlog.Start, Schema: 1, Continued: true, Services: services("smtp", g.threads)})
	for i := range g.open {
		e := g.open[i]
		e.Held = g.now.Sub(e.Time)
		g.write(e)
	}
}

// log returns a log of at least n bytes.
func (g *generator) log(n int) []byte {
	for len(g.text) < n {
		g.step()
	}
	return g.text
}
