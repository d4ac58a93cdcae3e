package detector

import (
	"math"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"overstay/connlog"
)

// TestScanDoesNotFlush is the attack that empties a plain LRU: for each visit
// of one of 200 offenders come 100 addresses that are never seen again. Once
// the offenders have come a few times, their state has to be there whenever
// they return. A plain LRU of the same size runs beside, to show that the
// traffic is what it is meant to be.
func TestScanDoesNotFlush(t *testing.T) {
	const size, offenders, sweep, warm = 10_000, 200, 100, 1500
	rounds := 4000
	if testing.Short() || raceEnabled {
		rounds = 2000
	}
	d := mustNew(t, Options{MaxSources: size})
	plain, err := simplelru.NewLRU[netip.Addr, bool](size, nil)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(9, 9))
	e := connlog.Event{Time: epoch, Boot: "boot1", Service: "www"}
	visit := func(who netip.Addr) {
		plain.Add(who, true)
		e.Conn++
		e.ClientIP = who
		e.Kind, e.Seq = connlog.Open, e.Seq+1
		d.Observe(&e)
		e.Kind, e.Seq = connlog.Close, e.Seq+1
		d.Observe(&e)
		e.Time = e.Time.Add(time.Microsecond)
	}
	kept, keptPlain, next := 0, 0, 10_000
	for round := range rounds {
		who := ip(r.IntN(offenders))
		if round >= warm {
			if d.table.peek(key{addr: connlog.AddressLevel.Source(who).Addr().As16()}) != nil {
				kept++
			}
			if plain.Contains(who) {
				keptPlain++
			}
		}
		visit(who)
		for range sweep {
			visit(ip(next))
			next++
		}
	}
	share, sharePlain := float64(kept)/float64(rounds-warm), float64(keptPlain)/float64(rounds-warm)
	t.Logf("kept %.1f %%, a plain LRU %.1f %%", 100*share, 100*sharePlain)
	if share < 0.95 || sharePlain > 0.6 {
		t.Error("want 95 % at least, and 60 % at most")
	}
	if n := d.Stats().Sources; n != size {
		t.Errorf("%d sources, want %d", n, size)
	}
}

// TestHoldersAreNeverDropped sweeps past sources that hold a thread all the
// time, and past one that gives it back at the end.
func TestHoldersAreNeverDropped(t *testing.T) {
	d := mustNew(t, Options{MaxSources: 10})
	l := newLogger(100_000)
	var holders []uint64
	for i := range 50 {
		holders = append(holders, l.connect(ip(i)))
	}
	for i := range 1000 {
		l.wait(time.Millisecond)
		l.close(l.connect(ip(1000+i)), connlog.EndClient)
	}
	for i := range l.events {
		d.Observe(&l.events[i])
	}
	if s := d.Stats(); s.Holders != 50 || s.Sources != 10 || s.Conns != 50 {
		t.Fatalf("%+v", s)
	}
	for _, r := range d.Ranking(50) {
		if r.ThreadSeconds != 1 || r.Conns != 1 {
			t.Errorf("%v: %+v", r.Source, r)
		}
	}
	l.events = nil
	for _, id := range holders {
		l.close(id, connlog.EndClient)
	}
	for i := range l.events {
		d.Observe(&l.events[i])
	}
	if s := d.Stats(); s.Holders != 0 || s.Sources != 10 || s.Conns != 0 || d.table.pinned() != 0 {
		t.Fatalf("%+v, %d pinned", s, d.table.pinned())
	}
	// The last to go is remembered as any other is.
	last := d.table.peek(key{addr: ip(49).As16()})
	if last == nil || last.all.seconds != 1 {
		t.Fatalf("the last holder is %+v", last)
	}
}

// pinned are those that the cache has no room for.
func (t *table) pinned() int { return t.index.n - t.resting.len() }

// sources are those in the queue.
func (l *line) sources() (all []*source) {
	for s := l.first; s != nil; s = s.behind {
		all = append(all, s)
	}
	return all
}

// TestTableAgreesWithItself checks the queues after random use: nobody is in
// two, the marks are right, there is never more than fits, and who was just
// there is known.
func TestTableAgreesWithItself(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 3))
	for _, size := range []int{1, 2, 3, 16, 100} {
		table, err := newTable(size)
		if err != nil {
			t.Fatal(err)
		}
		q := table.resting
		for range 5000 {
			p := &pool{id: uint16(r.IntN(2 * size))}
			s := table.visit([16]byte{}, p, 0)
			if q.len() > size || table.pinned() != 0 || table.peek(s.key) != s {
				t.Fatalf("size %d: %d are in, and %v is %v", size, q.len(), s.key, table.peek(s.key))
			}
		}
		frequent, recent := q.frequent.sources(), q.recent.sources()
		if len(frequent) != q.frequent.n || len(recent) != q.recent.n {
			t.Fatalf("size %d: %d and %d are in, %d and %d counted", size, len(frequent), len(recent), q.frequent.n, q.recent.n)
		}
		for s := range table.index.all {
			inFrequent, inRecent := slices.Contains(frequent, s), slices.Contains(recent, s)
			if inFrequent == inRecent || inFrequent != (s.queue&^seenAgain == queueFrequent) || inRecent != (s.queue&^seenAgain == queueRecent) {
				t.Fatalf("size %d: %v is marked %d", size, s.key, s.queue)
			}
		}
	}
}

func TestRanking(t *testing.T) {
	d := mustNew(t, Options{})
	l := newLogger(1000)
	for i := range 20 { // the n-th holds n+1, half of them in either pool
		for j := range i + 1 {
			l.service = []string{"www", "smtp"}[j%2]
			id := l.connect(ip(i))
			if j == 0 {
				l.prove(id)
			}
		}
	}
	l.service = "www"
	l.connect(ip(100)) // two of the same
	l.connect(ip(99))
	l.wait(time.Minute)
	l.beat()
	for i := range l.events {
		d.Observe(&l.events[i])
	}
	ranks := d.Ranking(5)
	if len(ranks) != 5 {
		t.Fatalf("%d ranks", len(ranks))
	}
	for i, r := range ranks {
		n := 20 - i
		load := float64(n) * (1 - 1/2.718281828459045)
		if r.Source.Addr() != ip(n-1) || r.Conns != n || r.Unproven != n-1 || r.Oldest != time.Minute ||
			!agree("load1", r.Load1, load) || r.Share != float64((n+1)/2)/1000 || r.ThreadSeconds != float64(60*n) {
			t.Errorf("rank %d: %+v", i, r)
		}
	}
	all := d.Ranking(1000)
	if len(all) != 22 {
		t.Fatalf("%d ranks of all, want 22", len(all))
	}
	// Those of the same load come by address: 192.0.2.0, .99 and .100 hold one.
	for i, want := range []int{0, 99, 100} {
		if got := all[19+i].Source.Addr(); got != ip(want) {
			t.Errorf("rank %d: %v, want %v", 19+i, got, ip(want))
		}
	}
	if d.Ranking(0) != nil {
		t.Error("a ranking of nobody has somebody")
	}
}

// TestSourcesOfIPv6 shares a /64 and keeps two of them apart.
func TestSourcesOfIPv6(t *testing.T) {
	d := mustNew(t, Options{})
	l := newLogger(10)
	for _, a := range []string{"2001:db8::1", "2001:db8::ffff:2", "2001:db8:0:1::1", "::ffff:192.0.2.1", "192.0.2.1"} {
		l.connect(netip.MustParseAddr(a))
	}
	for i := range l.events {
		d.Observe(&l.events[i])
	}
	var got []string
	for _, r := range d.Ranking(10) {
		got = append(got, r.Source.String())
		if want := map[string]int{"2001:db8::/64": 2, "2001:db8:0:1::/64": 1, "192.0.2.1/32": 2}[r.Source.String()]; r.Conns != want {
			t.Errorf("%v holds %d, want %d", r.Source, r.Conns, want)
		}
	}
	if len(got) != 3 {
		t.Errorf("sources %v", got)
	}
}

// TestRankingKeepsTheHolder is a sweep of one-time addresses over one who holds
// threads all the while, each for as long as a hundred tables full of others
// take: it ranks first, with every second that it has held. A plain LRU of the
// same size has forgotten it each time it does something.
func TestRankingKeepsTheHolder(t *testing.T) {
	const size, sweep, rounds = 200, 2000, 10
	d, l := mustNew(t, Options{MaxSources: size}), newLogger(1000)
	l.onWrite, l.forget = func(e *connlog.Event) { d.Observe(e) }, true
	plain, err := simplelru.NewLRU[netip.Addr, bool](size, nil)
	if err != nil {
		t.Fatal(err)
	}
	holder, next, forgotten := ip(1), 1000, 0
	held := l.connect(holder)
	for range rounds {
		for range sweep {
			l.wait(time.Millisecond)
			l.close(l.connect(ip(next)), connlog.EndClient)
			plain.Add(ip(next), true)
			next++
		}
		if !plain.Contains(holder) {
			forgotten++
		}
		plain.Add(holder, true)
		before := held
		held = l.connect(holder)
		l.close(before, connlog.EndTimeout)
	}
	top := d.Ranking(1)[0]
	if want := (rounds * sweep * time.Millisecond).Seconds(); top.Source.Addr() != holder || math.Abs(top.ThreadSeconds-want) > 1e-6 {
		t.Errorf("first is %+v, want %v with %v thread-seconds", top, holder, want)
	}
	if net := d.Nets(1)[0]; !net.Source.Contains(holder) || net.Members != 1 || net.ThreadSeconds != top.ThreadSeconds {
		t.Errorf("the first net is %+v", net)
	}
	if forgotten != rounds {
		t.Errorf("a plain LRU forgot it %d times of %d", forgotten, rounds)
	}
}

// TestSourcesAreSmall bounds the memory of a source: 100,000 are to take less
// than 40 MB, with everything that finds them and those that were dropped.
func TestSourcesAreSmall(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector's own memory is counted in")
	}
	const size, most = 14_000, 270 // The tables are as full as with 100,000.
	m := newMixed(2*size, true)
	before := heapBytes()
	d := mustNew(t, Options{MaxSources: size, MaxNets: defaultMaxNets * size / defaultMaxSources})
	for range 20 * size {
		d.Observe(m.next())
	}
	used := heapBytes() - before - 1<<provenBits // That is there however few there are.
	if n := d.Stats().Sources; n != size || used > size*most {
		t.Errorf("%d bytes for each of %d sources, want %d at most", used/size, n, most)
	}
	runtime.KeepAlive(m)
	t.Logf("%d bytes each", used/size)
}
