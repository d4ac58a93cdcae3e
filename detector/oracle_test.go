package detector

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"overstay/connlog"
)

// oracle computes everything from the whole history, by the definitions: a
// load is the integral over each connection's time, a rate the sum over each
// event's age. It is slow, obvious, and shares nothing with the detector but
// the names of the figures.
type oracle struct {
	hist  map[oracleKey]*history
	conns map[uint64]*span // open, of the present boot
	boot  string
	now   float64
	named map[uint64]bool // connections a file's head names; nil outside of one
}

type oracleKey struct{ pool, addr string }

type history struct {
	spans []*span
	marks map[string][]mark
}

// span is the time of one connection in seconds; an open one ends never.
type span struct {
	from, to, provenAt float64
}

type mark struct{ at, n float64 }

func newOracle() *oracle {
	return &oracle{hist: make(map[oracleKey]*history), conns: make(map[uint64]*span)}
}

func (o *oracle) of(e *connlog.Event) *history {
	k := oracleKey{e.Service, connlog.AddressLevel.Source(e.ClientIP).String()}
	if k.pool == "smtp" {
		k.pool = "mail"
	}
	h := o.hist[k]
	if h == nil {
		h = &history{marks: make(map[string][]mark)}
		o.hist[k] = h
	}
	return h
}

func (o *oracle) closeAllBut(keep map[uint64]bool) {
	for id, c := range o.conns {
		if !keep[id] {
			c.to = o.now
			delete(o.conns, id)
		}
	}
}

func (o *oracle) observe(e *connlog.Event) {
	o.now = e.Time.Sub(epoch).Seconds()
	if e.Boot != o.boot {
		o.closeAllBut(nil)
		o.boot, o.named = e.Boot, nil
	}
	carried := e.Kind == connlog.Open && e.Held > 0
	if o.named != nil && !carried {
		o.closeAllBut(o.named)
		o.named = nil
	}
	count := func(name string, n float64) {
		h := o.of(e)
		h.marks[name] = append(h.marks[name], mark{o.now, n})
	}
	switch e.Kind {
	case connlog.Start:
		if e.Continued {
			o.named = make(map[uint64]bool)
		}
	case connlog.Open:
		if o.named != nil {
			o.named[e.Conn] = true
		}
		if carried && o.conns[e.Conn] != nil {
			return
		}
		c := &span{from: o.now - e.Held.Seconds(), to: math.Inf(1), provenAt: math.Inf(1)}
		if e.Proven {
			c.provenAt = math.Inf(-1)
		}
		o.conns[e.Conn] = c
		h := o.of(e)
		h.spans = append(h.spans, c)
		if !carried {
			count("opens", 1)
		}
	case connlog.Proven:
		if c := o.conns[e.Conn]; c != nil && c.provenAt < o.now {
			return
		} else if c != nil {
			c.provenAt = o.now
		}
		count("proven", 1)
	case connlog.Fail:
		count("fails", 1)
		if e.What == connlog.FailLogin {
			count("logins_failed", 1)
		}
	case connlog.Close:
		c := o.conns[e.Conn]
		if c == nil {
			return
		}
		c.to = o.now
		delete(o.conns, e.Conn)
		if c.provenAt > o.now && o.now-c.from < 1 {
			count("short", 1)
		}
	case connlog.Refuse:
		if e.Reason != connlog.RefuseBanned {
			count("refused", float64(max(e.Count, 1)))
		}
		if e.Reason == connlog.RefuseBusy {
			count("busy", float64(max(e.Count, 1)))
		}
	}
}

// integral is the load that a thread held from a to b leaves at now.
func integral(a, b, now, tau float64) float64 {
	b = min(b, now)
	if b <= a {
		return 0
	}
	return math.Exp((b-now)/tau) - math.Exp((a-now)/tau)
}

// figures of one history, and of the pool if it is the sum of all of one.
func (h *history) figures(now float64) map[string]float64 {
	f := make(map[string]float64)
	for name, tau := range map[string]float64{"load1": 60, "load5": 300, "load15": 900} {
		for _, c := range h.spans {
			f[name] += integral(c.from, c.to, now, tau)
			f["unproven."+name] += integral(c.from, min(c.to, c.provenAt), now, tau)
		}
	}
	var ages float64
	for _, c := range h.spans {
		f["thread_seconds"] += min(c.to, now) - c.from
		f["unproven.thread_seconds"] += max(0, min(c.to, c.provenAt, now)-c.from)
		if c.to <= now {
			continue
		}
		f["open"]++
		f["oldest"] = max(f["oldest"], now-c.from)
		if c.provenAt > now {
			f["unproven.open"]++
			f["unproven.oldest"] = max(f["unproven.oldest"], now-c.from)
			ages += now - c.from
		}
	}
	if f["unproven.open"] > 0 {
		f["unproven.mean_age"] = ages / f["unproven.open"]
	}
	for _, name := range []string{"opens", "fails", "logins_failed", "refused", "proven", "short"} {
		for _, m := range h.marks[name] {
			f[name] += m.n * math.Exp((m.at-now)/60)
			f[name+"15"] += m.n * math.Exp((m.at-now)/900) / 15
		}
	}
	for _, m := range h.marks["busy"] {
		f["busy"] += m.n * math.Exp((m.at-now)/60)
	}
	return f
}

// pool adds up the histories of a pool.
func (o *oracle) pool(name string) (all history, sources int) {
	all.marks = make(map[string][]mark)
	for k, h := range o.hist {
		if k.pool != name {
			continue
		}
		all.spans = append(all.spans, h.spans...)
		for n, m := range h.marks {
			all.marks[n] = append(all.marks[n], m...)
		}
		if h.figures(o.now)["open"] > 0 {
			sources++
		}
	}
	return all, sources
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
			l.prove(id)
		case n < 120:
			l.fail(id, connlog.FailLogin)
		case n < 125:
			l.fail(id, connlog.FailCommand)
		case n < 180:
			l.close(id, connlog.EndClient)
		case n < 185:
			l.write(connlog.Event{Kind: connlog.Refuse, Service: l.service, ClientIP: who,
				Reason: connlog.RefuseBusy, Count: r.Uint64N(50)})
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

// TestOracle holds the detector to the definitions, at every hundredth line
// and for a log that is read from its middle, where a head tells of the rest.
func TestOracle(t *testing.T) {
	seeds := 9
	if testing.Short() || raceEnabled {
		seeds = 3
	}
	for seed := range seeds {
		r := rand.New(rand.NewPCG(uint64(seed), 7))
		events := randomLog(r, 3000)
		if seed%3 == 2 {
			// From a head in the middle on.
			for events = events[500:]; !events[0].Continued; {
				events = events[1:]
			}
		}
		compareWithOracle(t, seed, events)
	}
}

func compareWithOracle(t *testing.T, seed int, events []connlog.Event) {
	t.Helper()
	d, o := mustNew(t, Options{Policies: DefaultPolicies()}), newOracle()
	for i := range events {
		d.Observe(&events[i])
		o.observe(&events[i])
		if i%100 != 0 && i != len(events)-1 {
			continue
		}
		for k, h := range o.hist {
			want := h.figures(o.now)
			for name, got := range d.figuresOf(k) {
				if !agree(name, got, want[name]) {
					t.Fatalf("seed %d, line %d, %s of %v: %v, the oracle has %v", seed, i, name, k, got, want[name])
				}
			}
		}
		comparePools(t, seed, d, o)
	}
	if n := d.Stats().Conns; n != len(o.conns) {
		t.Fatalf("seed %d: %d connections, the oracle has %d", seed, n, len(o.conns))
	}
}

func comparePools(t *testing.T, seed int, d *Detector, o *oracle) {
	t.Helper()
	for _, p := range d.Pools() {
		h, sources := o.pool(p.Name)
		want := h.figures(o.now)
		for name, got := range map[string]float64{
			"open": float64(p.Busy), "unproven.open": float64(p.Unproven), "load1": p.Load1,
			"load5": p.Load5, "load15": p.Load15, "busy": p.Refused,
		} {
			if !agree(name, got, want[name]) {
				t.Fatalf("seed %d, %s of pool %s: %v, the oracle has %v", seed, name, p.Name, got, want[name])
			}
		}
		if p.Sources != sources {
			t.Fatalf("seed %d: %d sources in pool %s, the oracle has %d", seed, p.Sources, p.Name, sources)
		}
	}
}

// figuresOf are the source's own figures by name.
func (d *Detector) figuresOf(k oracleKey) map[string]float64 {
	out := make(map[string]float64)
	p := d.pools.byName[k.pool]
	for _, s := range append(d.table.resting.values(), slices.Collect(maps.Values(d.table.pinned))...) {
		if p == nil || s.key.pool != p.id || d.source(s.key).String() != k.addr {
			continue
		}
		c := *s
		c.advance(d.now)
		for _, f := range figures() {
			if f.Name[:min(5, len(f.Name))] != "pool." {
				out[f.Name] = f.value(&view{now: d.now, s: &c, p: p})
			}
		}
	}
	return out
}

// agree allows 1e-9; for rates, which have half the precision, 1e-5.
func agree(name string, got, want float64) bool {
	tolerance := 1e-9
	switch name {
	case "opens", "fails", "logins_failed", "refused", "proven", "short", "logins_failed15", "proven15":
		tolerance = 1e-5
	}
	return math.Abs(got-want) <= tolerance*max(1, math.Abs(want))
}
