package detector

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"overstay/connlog"
)

// garble makes an event of any kind with any values in it.
func garble(r *rand.Rand) connlog.Event {
	pick := func() int64 {
		switch r.IntN(6) {
		case 0:
			return math.MaxInt64
		case 1:
			return math.MinInt64
		case 2:
			return -1
		case 3:
			return int64(r.Uint64())
		default:
			return int64(r.IntN(10))
		}
	}
	e := connlog.Event{
		Time: epoch.Add(time.Duration(r.Int64N(int64(time.Hour)))),
		Boot: fmt.Sprint("boot", r.IntN(3)), Seq: uint64(pick()),
		Kind: connlog.Kind(r.IntN(12)), Service: fmt.Sprint("s", r.IntN(4)), Conn: uint64(r.IntN(30)),
		ClientIP: ip(r.IntN(4)), Busy: int(pick()), Threads: int(pick()), Held: time.Duration(pick()),
		What: connlog.What([]string{"login", "", "x"}[r.IntN(3)]), End: "?", Proven: r.IntN(2) == 0,
		Reason: connlog.Reason([]string{"busy", "sessions", "banned", "x"}[r.IntN(4)]),
		Count:  uint64(pick()), Continued: r.IntN(2) == 0,
	}
	switch r.IntN(20) {
	case 0:
		e.ClientIP = netip.Addr{}
	case 1:
		e.ClientIP = netip.MustParseAddr("fe80::1%eth0")
	case 2:
		e.Time = time.Time{}
	case 3:
		e.Time = time.Unix(pick(), pick())
	case 4:
		e.Time = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	}
	if r.IntN(3) == 0 {
		e.Services = []connlog.Service{{Service: "s1", Threads: int(pick()), Busy: int(pick())}, {}, {Service: "s2", Pool: "s1"}}
	}
	return e
}

// sound checks what must hold whatever a log says.
func sound(t *testing.T, d *Detector, decs []Decision) {
	t.Helper()
	open, unproven := 0, 0
	for _, s := range d.table.holders {
		open += s.hold.open
		unproven += s.hold.openUnproven
		if s.hold.open <= 0 || d.table.peek(s.key) != s {
			t.Fatalf("%v is a holder of %d", s.key, s.hold.open)
		}
	}
	var poolOpen, poolUnproven int
	for _, p := range d.pools.all {
		poolOpen += p.open
		poolUnproven += p.unproven
	}
	soundNets(t, d)
	if open != len(d.open) || poolOpen != open || poolUnproven != unproven || d.table.pinned() > len(d.table.holders) {
		t.Fatalf("open: %d by source, %d by number, %d by pool; unproven: %d and %d",
			open, len(d.open), poolOpen, unproven, poolUnproven)
	}
	finite := func(x float64) {
		if math.IsNaN(x) || math.IsInf(x, 0) || x < 0 {
			t.Fatalf("a figure is %v", x)
		}
	}
	for _, r := range d.Ranking(100) {
		for _, x := range []float64{r.Load1, r.Load15, r.UnprovenLoad1, r.Refused, r.Fails, r.ThreadSeconds, r.Share, float64(r.Oldest)} {
			finite(x)
		}
	}
	for _, p := range d.Pools() {
		finite(p.Load1)
		finite(p.Refused)
	}
	for _, dec := range decs {
		if _, err := json.Marshal(dec); err != nil {
			t.Fatal(err)
		}
	}
}

func TestGarbage(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 5))
	rounds := 60
	if testing.Short() {
		rounds = 15
	}
	for range rounds {
		o := Options{Policies: append(DefaultPolicies(), three(), full()), MaxSources: 8, MaxConns: 20, MaxNets: 1}
		d := mustNew(t, o)
		for i := range 400 {
			e := garble(r)
			decs := d.Observe(&e)
			if i%10 == 0 {
				sound(t, d, decs)
			}
			if r.IntN(20) == 0 {
				d.Advance(garble(r).Time)
			}
		}
	}
}

func FuzzObserve(f *testing.F) {
	for i := range uint64(20) {
		f.Add(i, uint8(50))
	}
	f.Fuzz(func(t *testing.T, seed uint64, n uint8) {
		r := rand.New(rand.NewPCG(seed, 6))
		d := mustNew(t, Options{Policies: append(DefaultPolicies(), three(), full()), MaxSources: 5, MaxConns: 10, MaxNets: 1})
		for range n {
			e := garble(r)
			sound(t, d, d.Observe(&e))
		}
	})
}

// TestNamesAreBounded floods the detector with names that a log should not
// have: services, pools, boots, connections.
func TestNamesAreBounded(t *testing.T) {
	n := 1_000_000
	if testing.Short() || raceEnabled {
		n = 50_000
	}
	d := mustNew(t, Options{MaxSources: 100, MaxConns: 1000})
	for i := range n {
		e := connlog.Event{Time: epoch, Boot: fmt.Sprint("boot", i/2), Seq: uint64(i), Kind: connlog.Open,
			Service: fmt.Sprint("s", i), Conn: uint64(i), ClientIP: ip(i % 700)}
		d.Observe(&e)
		e.Boot, e.Seq, e.Kind = "last", uint64(i+1), connlog.Start
		e.Services = []connlog.Service{{Service: fmt.Sprint("t", i), Pool: fmt.Sprint("p", i)}}
		if i > n/2 {
			d.Observe(&e)
			e.Kind, e.Seq = connlog.Open, e.Seq+uint64(n)
			d.Observe(&e)
		}
	}
	s := d.Stats()
	if len(d.pools.all) > maxPools || len(d.pools.service) > maxServices || len(d.ended) > endedBoots ||
		s.Conns > 1000 || s.Sources > 100 || s.PoolsOver == 0 {
		t.Errorf("%d pools, %d services, %d boots, %+v", len(d.pools.all), len(d.pools.service), len(d.ended), s)
	}
}

// TestMaxConns counts what is beyond, and lives on.
func TestMaxConns(t *testing.T) {
	d := mustNew(t, Options{MaxConns: 10})
	l := newLogger(1000)
	var ids []uint64
	for range 100 {
		ids = append(ids, l.connect(ip(1)))
	}
	for _, id := range ids {
		l.close(id, connlog.EndClient)
	}
	l.connect(ip(2))
	for i := range l.events {
		d.Observe(&l.events[i])
	}
	if s := d.Stats(); s.ConnsOver != 90 || s.UnknownConns != 90 || s.Conns != 1 {
		t.Errorf("%+v", s)
	}
}

// TestFarFutureIsQuick jumps thousands of years with threads held.
func TestFarFutureIsQuick(t *testing.T) {
	d := mustNew(t, Options{Policies: DefaultPolicies()})
	l := newLogger(1000)
	for i := range 1000 {
		l.connect(ip(i))
	}
	for i := range l.events {
		d.Observe(&l.events[i])
	}
	looked := 0
	d.rules = panelOf([]*rule{{}}, false)
	d.rules.rules[0].when.rest.truth = func(*view) bool { looked++; return false }
	e := connlog.Event{Time: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), Kind: connlog.Beat, Boot: l.boot, Seq: l.seq + 1}
	d.Observe(&e)
	if looked > 600*1000 {
		t.Errorf("looked at %d sources for one line", looked)
	}
	sound(t, d, nil)
}
