package detector

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"overstay/connlog"
)

// oracle computes everything from the whole history, by the definitions: a
// load is the integral over each connection's time, a rate the sum over each
// event's age, and at a refusal each open connection is charged. It is slow,
// obvious, and shares nothing with the detector but the names of the figures.
type oracle struct {
	level  connlog.Level
	hist   map[oracleKey]*history
	conns  map[uint64]*span // open, of the present boot
	boot   string
	now    float64
	named  map[uint64]bool // connections a file's head names; nil outside of one
	unseen map[string]int  // threads held beyond those of conns, by pool
	// By pool: busy refusals, and what of them nobody is charged for.
	refusals, unblamed map[string]float64
	passages           []passage
	restarts           []float64
	beat, skipped      float64 // when the last beat was, and seconds that do not count
}

type oracleKey struct{ pool, addr string }

type history struct {
	pool  string
	spans []*span
	marks map[string][]mark
	blame []mark
}

// span is the time of one connection in seconds; an open one ends never.
type span struct {
	from, to, provenAt float64
	of                 *history
	source             string
	newcomer, carried  bool
	seen               float64 // when it was opened, or carried over
}

type mark struct{ at, n float64 }

func newOracle(level connlog.Level) *oracle {
	return &oracle{level: level, hist: make(map[oracleKey]*history), conns: make(map[uint64]*span),
		unseen: make(map[string]int), refusals: make(map[string]float64), unblamed: make(map[string]float64), beat: math.Inf(-1)}
}

func poolOf(service string) string {
	if service == "smtp" {
		return "mail"
	}
	return service
}

func (o *oracle) of(e *connlog.Event) *history {
	k := oracleKey{poolOf(e.Service), o.level.Source(e.ClientIP).String()}
	h := o.hist[k]
	if h == nil {
		h = &history{pool: k.pool, marks: make(map[string][]mark)}
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

// held is the number of known connections that are open in a pool.
func (o *oracle) held(pool string) (n int) {
	for _, c := range o.conns {
		if c.of.pool == pool {
			n++
		}
	}
	return n
}

// told takes in the threads that the log says a service's pool has held.
func (o *oracle) told(service string, busy int) {
	pool := poolOf(service)
	o.unseen[pool] = max(busy-o.held(pool), 0)
}

// refuse charges each open connection of the pool its part of n refusals.
func (o *oracle) refuse(pool string, n float64) {
	o.refusals[pool] += n
	busy := o.held(pool) + o.unseen[pool]
	if busy == 0 {
		o.unblamed[pool] += n
		return
	}
	o.unblamed[pool] += n * float64(o.unseen[pool]) / float64(busy)
	for _, c := range o.conns {
		if c.of.pool == pool {
			c.of.blame = append(c.of.blame, mark{o.now, n / float64(busy)})
		}
	}
}

func (o *oracle) observe(e *connlog.Event) {
	at := e.Time.Sub(epoch).Seconds() - o.skipped
	if at-o.now > 60 && e.Boot == o.boot && o.beat >= o.now-15 {
		// The server, or its machine, stood still.
		skip := math.Floor(at - o.now)
		o.skipped, at = o.skipped+skip, at-skip
	}
	o.now = at
	if e.Boot != o.boot {
		o.closeAllBut(nil)
		if o.boot != "" {
			o.restarts = append(o.restarts, o.now)
		}
		o.boot, o.named = e.Boot, nil
		clear(o.unseen)
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
			count("trusted", 1)
		}
		o.conns[e.Conn] = c
		c.of, c.carried, c.seen = o.of(e), carried, o.now
		c.source, c.newcomer = o.level.Source(e.ClientIP).String(), !carried && o.isNewcomer(c.of)
		c.of.spans = append(c.of.spans, c)
		if !carried {
			count("opens", 1)
			o.told(e.Service, e.Busy)
		}
	case connlog.Beat:
		o.beat = o.now
		for _, s := range e.Services {
			o.told(s.Service, s.Busy)
		}
	case connlog.Proven:
		if c := o.conns[e.Conn]; c != nil && c.provenAt < o.now {
			return
		} else if c != nil {
			c.provenAt = o.now
			o.passed(c, e.By)
		}
		count("proven", 1)
		if e.By == connlog.ByMessage {
			count("by_message", 1)
		}
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
			if e.Busy > 0 {
				o.told(e.Service, e.Busy)
			}
			o.refuse(poolOf(e.Service), float64(max(e.Count, 1)))
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
	f["prove_time"] = h.proveTime(now)
	for _, name := range []string{"opens", "fails", "logins_failed", "refused", "proven", "short"} {
		for _, m := range h.marks[name] {
			f[name] += m.n * math.Exp((m.at-now)/60)
			f[name+"15"] += m.n * math.Exp((m.at-now)/900) / 15
		}
	}
	for _, m := range h.marks["busy"] {
		f["busy"] += m.n * math.Exp((m.at-now)/60)
	}
	for _, m := range h.blame {
		f["blame"] += m.n
		f["blame1"] += m.n * math.Exp((m.at-now)/60)
	}
	for _, name := range []string{"opens", "by_message", "logins_failed"} {
		f[name+"_1h"] = inWindow(h.marks[name], now, 3600, 600)
		f[name+"_24h"] = inWindow(h.marks[name], now, 24*3600, 2*3600)
	}
	return f
}

// inWindow counts the marks of the last so many seconds, those of the stretch
// at the far edge as if they were spread evenly over it.
func inWindow(marks []mark, now, window, stretch float64) (n float64) {
	begin := now - window
	edge := math.Floor(begin/stretch) * stretch
	for _, m := range marks {
		switch {
		case m.at >= edge+stretch:
			n++
		case m.at >= edge:
			n += (edge + stretch - begin) / stretch
		}
	}
	return n
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
		compareWithOracle(t, seed, connlog.AddressLevel, events)
		if seed < 3 {
			compareWithOracle(t, seed, connlog.NetLevel, events)
		}
	}
}

func compareWithOracle(t *testing.T, seed int, level connlog.Level, events []connlog.Event) {
	t.Helper()
	d, o := mustNew(t, Options{Policies: DefaultPolicies(), Level: level}), newOracle(level)
	for i := range events {
		d.Observe(&events[i])
		o.observe(&events[i])
		if i < 40 { // what a head tells of, before it fades
			compareNets(t, seed, d, o)
		}
		if i%100 != 0 && i != len(events)-1 {
			continue
		}
		for k, h := range o.hist {
			want := h.figures(o.now)
			o.addPassing(want, "unproven.", k.pool, d.pools.byName[k.pool].passing.usual)
			for name, got := range d.figuresOf(k) {
				if !agree(name, got, want[name]) {
					t.Fatalf("seed %d, line %d, %s of %v: %v, the oracle has %v", seed, i, name, k, got, want[name])
				}
			}
		}
		comparePools(t, seed, d, o)
		if i%300 == 0 || i == len(events)-1 {
			compareNets(t, seed, d, o)
		}
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
			"open": float64(p.Busy - o.unseen[p.Name]), "unproven.open": float64(p.Unproven), "load1": p.Load1,
			"load5": p.Load5, "load15": p.Load15, "busy": p.Refused,
		} {
			if !agree(name, got, want[name]) {
				t.Fatalf("seed %d, %s of pool %s: %v, the oracle has %v", seed, name, p.Name, got, want[name])
			}
		}
		if p.Refusals != o.refusals[p.Name] || !agree("unblamed", p.Unblamed, o.unblamed[p.Name]) {
			t.Fatalf("seed %d, pool %s: %v of %v refusals are unblamed, the oracle has %v of %v",
				seed, p.Name, p.Unblamed, p.Refusals, o.unblamed[p.Name], o.refusals[p.Name])
		}
		if got, want := d.rushIn(p.Name), o.rush(p.Name, d.pools.byName[p.Name].passing.usual); !agree("pool.rush", got, want) {
			t.Fatalf("seed %d, at %v: the rush in pool %s is %v, the oracle has %v", seed, o.now, p.Name, got, want)
		}
		if sum := d.blameIn(p.Name) + p.Unblamed; !agree("blame", sum, p.Refusals) {
			t.Fatalf("seed %d, pool %s: the blame adds up to %v of %v refusals", seed, p.Name, sum, p.Refusals)
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
	for s := range d.table.index.all {
		if p == nil || s.key.pool != p.id || d.source(s.key).String() != k.addr {
			continue
		}
		c := s.copyAt(d.now, p)
		for _, f := range figures() {
			if group, _, _ := strings.Cut(f.Name, "."); group != "pool" && group != "net" && group != "history" {
				out[f.Name] = f.value(&view{now: d.now, s: &c, p: p, d: d})
			}
		}
	}
	return out
}
