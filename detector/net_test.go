package detector

import (
	"math"
	"net/netip"
	"testing"
	"time"

	"overstay/connlog"
)

// full is a policy about nets that are in the way: others than the loudest of
// theirs hold threads unproven.
func full() Policy {
	return Policy{Name: "full", Level: LevelNet, When: "net.unproven.others >= 3", Action: Ban, Duration: time.Minute}
}

// addr is an address of the test nets by its text.
func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// sit has an address take n threads and keep them.
func (w *watched) sit(who string, n int) (ids []uint64) {
	for range n {
		ids = append(ids, w.connect(addr(who)))
	}
	return ids
}

// about checks whom the decisions since the last call were about.
func (w *watched) about(t *testing.T, want ...string) {
	t.Helper()
	var got []string
	for _, dec := range w.decided {
		got = append(got, dec.Source.String())
	}
	w.decided = nil
	if len(got) != len(want) {
		t.Fatalf("decided about %q, want %q", got, want)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("decided about %q, want %q", got, want)
		}
	}
}

func watchNets(t *testing.T, policies ...Policy) *watched {
	t.Helper()
	w := watch1(t, Options{Policies: policies})
	w.threads = 100
	return w
}

// TestLoudAddressDoesNotCondemnItsNet has one member hold nearly all.
func TestLoudAddressDoesNotCondemnItsNet(t *testing.T) {
	w := watchNets(t, full())
	w.sit("203.0.113.7", 30)
	w.sit("203.0.113.200", 2)
	w.idle(time.Minute)
	w.about(t)
	// A single member is no net, however much it holds.
	w.sit("198.51.100.9", 60)
	w.idle(time.Minute)
	w.about(t)
	// The third of the others makes it one. It narrows down to who it is.
	w.sit("203.0.113.201", 1)
	w.idle(2 * time.Second)
	w.about(t, "203.0.113.7/32")
}

// TestNarrowestPrefix holds threads for two minutes and asks whom a decision
// would be about.
func TestNarrowestPrefix(t *testing.T) {
	for _, c := range []struct {
		name    string
		sitters map[string]int
		late    map[string]int // who comes at the last moment
		want    string
	}{
		{"both halves", map[string]int{"203.0.113.1": 5, "203.0.113.255": 5}, nil, "203.0.113.0/24"},
		{"two neighbours", map[string]int{"203.0.113.6": 3, "203.0.113.7": 3}, nil, "203.0.113.6/31"},
		{"one of two", map[string]int{"203.0.113.6": 19, "203.0.113.7": 2}, nil, "203.0.113.6/32"},
		{"not quite", map[string]int{"203.0.113.6": 17, "203.0.113.7": 2}, nil, "203.0.113.6/31"},
		{"a quarter", map[string]int{"203.0.113.70": 4, "203.0.113.127": 4, "203.0.113.64": 4}, nil, "203.0.113.64/26"},
		{"a newcomer", map[string]int{"203.0.113.6": 3, "203.0.113.7": 3}, map[string]int{"203.0.113.200": 10}, "203.0.113.6/31"},
		{"a fifth apart", map[string]int{"203.0.113.6": 4, "203.0.113.7": 4, "203.0.113.200": 2}, nil, "203.0.113.0/24"},
		{"hopping", map[string]int{"2001:db8:5:1::1": 4, "2001:db8:5:ff00::1": 4}, nil, "2001:db8:5::/48"},
		{"a /60", map[string]int{"2001:db8:5:12::1": 4, "2001:db8:5:18::1": 4}, nil, "2001:db8:5:10::/60"},
		{"a /64", map[string]int{"2001:db8:5:12::1": 40, "2001:db8:5:12::2": 4, "2001:db8:5:18::1": 1}, nil, "2001:db8:5:12::/64"},
	} {
		w := watchNets(t)
		var who netip.Addr
		for _, sitters := range []map[string]int{c.sitters, c.late} {
			for a, n := range sitters {
				who = addr(a)
				w.sit(a, n)
			}
			w.idle(time.Duration(len(c.sitters)) * time.Minute)
			c.sitters = nil
		}
		d := w.d
		p := d.pools.byName["www"]
		n := p.nets[d.nets.keyOf(d.level.Source(who).Addr().As16())]
		if got := d.narrowest(n).prefix(); got.String() != c.want {
			t.Errorf("%s: %v, want %s", c.name, got, c.want)
		}
	}
}

// TestNarrowestOfTheProven goes by all connections where none is unproven.
func TestNarrowestOfTheProven(t *testing.T) {
	p := full()
	p.When, p.ProvenNets = "net.load1 >= 1", true
	w := watchNets(t, p)
	for _, id := range append(w.sit("203.0.113.6", 3), w.sit("203.0.113.7", 3)...) {
		w.prove(id)
	}
	w.idle(time.Minute)
	w.about(t, "203.0.113.6/31")
}

// TestProvenNetIsLetBe for a day after any of its addresses was proven, though
// the net itself is long forgotten.
func TestProvenNetIsLetBe(t *testing.T) {
	for _, c := range []struct {
		age    time.Duration
		proven bool // ProvenNets
		want   int
	}{
		{0, false, 0}, {5 * time.Hour, false, 0}, {23 * time.Hour, false, 0}, {25*time.Hour + time.Second, false, 1},
		{0, true, 1}, {5 * time.Hour, true, 1},
	} {
		p := full()
		p.ProvenNets = c.proven
		w := watch1(t, Options{Policies: []Policy{p}, MaxNets: 2})
		w.threads, w.service = 100, "smtp" // another pool
		id := w.sit("203.0.113.5", 1)[0]
		w.wait(time.Second)
		w.prove(id)
		w.close(id, connlog.EndClient)
		w.service = "www"
		for i := range 5 {
			w.close(w.connect(ip(1000+i<<16)), connlog.EndClient)
		}
		if n := w.d.nets.idle.n; n != 2 {
			t.Fatalf("%d nets are remembered, want 2", n)
		}
		w.idle(c.age)
		w.sit("203.0.113.10", 3)
		w.sit("203.0.113.20", 3)
		w.idle(5 * time.Second)
		if len(w.decided) != c.want {
			t.Errorf("%v after the proof, ProvenNets %v: %d decisions, want %d", c.age, c.proven, len(w.decided), c.want)
		}
	}
}

// TestProvenConnectionGuardsItsNet however long ago it was proven.
func TestProvenConnectionGuardsItsNet(t *testing.T) {
	w := watchNets(t, full())
	id := w.sit("203.0.113.5", 1)[0]
	w.prove(id)
	w.idle(30 * time.Hour)
	w.sit("203.0.113.10", 3)
	w.sit("203.0.113.20", 3)
	w.idle(5 * time.Second)
	w.about(t)
	w.close(id, connlog.EndClient)
	w.idle(2 * time.Second)
	w.about(t, "203.0.113.0/27")
}

// TestNetBanStandsForItsMembers and members' bans do not stand for the net.
func TestNetBanStandsForItsMembers(t *testing.T) {
	w := watchNets(t, full(), Policy{Name: "four", When: "open >= 4", Action: Ban, Duration: time.Second})
	w.sit("203.0.113.1", 2)
	w.sit("203.0.113.2", 2)
	w.sit("203.0.113.3", 2)
	w.idle(2 * time.Second)
	w.about(t, "203.0.113.0/30")
	w.sit("203.0.113.1", 4)
	w.idle(10 * time.Second)
	w.about(t)
	// Outside of the part that is banned it is one's own.
	w.sit("203.0.113.4", 4)
	w.about(t, "203.0.113.4/32")
	// When the net's ban ends, the address is on its own again.
	w.idle(time.Minute)
	if last := w.decided[len(w.decided)-1]; last.Source.String() != "203.0.113.1/32" {
		t.Errorf("after the end: %v", last.Source)
	}
}

// TestReturningNetGrows has the net come back from other addresses of it.
func TestReturningNetGrows(t *testing.T) {
	p := full()
	p.Escalate = Escalate{Factor: 2}
	w := watchNets(t, p)
	var lasts []time.Duration
	var parts []string
	for i := range 4 {
		var ids []uint64
		for j := range 4 {
			ids = append(ids, w.connect(netip.AddrFrom4([4]byte{203, 0, 113, byte(64*i + j)})))
		}
		w.idle(2 * time.Second)
		for _, id := range ids {
			w.close(id, connlog.EndBanned)
		}
		w.idle(10 * time.Minute)
		dec := w.decided[len(w.decided)-1]
		lasts = append(lasts, dec.Duration)
		parts = append(parts, dec.Source.String())
		if dec.Evidence.HistoryBans != i || dec.Evidence.EarlierBans != i {
			t.Errorf("ban %d: the history has %d, %d count", i, dec.Evidence.HistoryBans, dec.Evidence.EarlierBans)
		}
	}
	for i, want := range []time.Duration{1, 2, 4, 8} {
		if lasts[i] != want*time.Minute || parts[i] != netip.PrefixFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(64 * i)}), 30).String() {
			t.Errorf("ban %d: %v for %v", i, parts[i], lasts[i])
		}
	}
}

// TestNetsOfTheHistory are honoured, whatever their size.
func TestNetsOfTheHistory(t *testing.T) {
	p := full()
	p.Escalate = Escalate{Factor: 2}
	for _, c := range []struct {
		past string
		want string
	}{
		{"203.0.113.0/24", "ban 30s for 2m0s"},
		{"203.0.113.0/30", "ban 30s for 2m0s"},
		{"203.0.0.0/16", "ban 30s for 1m0s"},   // stands, but is no ban of this net
		{"203.0.113.64/26", "ban 1s for 2m0s"}, // does not stand for them, but is one of this net
		{"198.51.100.0/24", "ban 1s for 1m0s"},
		{"::/48", "ban 1s for 1m0s"},
	} {
		past := Past{ID: "x", Source: netip.MustParsePrefix(c.past), At: epoch.Add(-time.Hour), Until: epoch.Add(30 * time.Second)}
		w := watch1(t, Options{Policies: []Policy{p}, Earlier: []Past{past}})
		w.sit("203.0.113.1", 2)
		w.sit("203.0.113.2", 2)
		w.sit("203.0.113.3", 2)
		w.idle(40 * time.Second)
		got := w.decided
		w.expect(t, c.want)
		if got[0].Source.String() != "203.0.113.0/30" {
			t.Errorf("%s: %v", c.past, got[0].Source)
		}
	}
}

// TestNetsTakePartInTheStorm counts a net as one ban.
func TestNetsTakePartInTheStorm(t *testing.T) {
	w := watch1(t, Options{Policies: []Policy{full()}, BansPerMinute: 2})
	w.threads = 100
	for i := range 4 {
		for j := range 4 {
			w.connect(netip.MustParseAddr(netip.AddrFrom4([4]byte{203, 0, byte(113 + i), byte(j)}).String()))
		}
	}
	w.wait(2 * time.Second)
	w.beat()
	w.expect(t, "ban 1s for 1m0s", "ban 1s for 1m0s", "suggest 1s for 1m0s", "suggest 1s for 1m0s")
}

// TestAverts decides only where somebody is turned away for it.
func TestAverts(t *testing.T) {
	three, full := three(), full()
	three.Averts, full.Averts = true, true
	w := watch1(t, Options{Policies: []Policy{three, full}})
	w.sit("203.0.113.1", 4)
	w.sit("198.51.100.1", 2)
	w.sit("198.51.100.2", 4) // the pool is full
	w.idle(20 * time.Second)
	w.about(t)
	w.refuse(ip(1), connlog.RefuseBusy)
	w.idle(2 * time.Second)
	w.about(t, "203.0.113.1/32", "198.51.100.2/32")
}

// soundNets checks what must hold of the nets whatever a log says.
func soundNets(t *testing.T, d *Detector) {
	t.Helper()
	holders, idle, crowded := 0, 0, 0
	for _, p := range d.pools.all {
		for key, n := range p.nets {
			open, unproven, members, unprovenMembers, loudest := 0, 0, 0, 0, 0
			for h := n.first; h != nil; h = h.nextMember {
				members++
				open += h.open
				unproven += h.openUnproven
				if h.openUnproven > 0 {
					unprovenMembers++
				}
				loudest = max(loudest, h.openUnproven)
				if h.net != n || h.of.hold != h || d.nets.keyOf(h.of.key.addr) != key {
					t.Fatalf("%v is in a net that is not its own", h.of.key)
				}
			}
			if n.key != key || n.pool != p || int(n.open) != open || int(n.unproven) != unproven || int(n.members) != members ||
				int(n.unprovenMembers) != unprovenMembers || n.others() != unproven-loudest {
				t.Fatalf("net %x: %+v, counted %d, %d, %d, %d, %d", key, *n, open, unproven, members, unprovenMembers, loudest)
			}
			holders += members
			if members == 0 {
				idle++
			}
			if members > 1 {
				crowded++
			}
			if (members > 1) != (n.place > 0) || n.place > 0 && d.nets.crowded[n.place-1] != n {
				t.Fatalf("net %x of %d members has the place %d", key, members, n.place)
			}
		}
	}
	if holders != len(d.table.holders) || idle != d.nets.idle.n || idle > d.nets.most || crowded != len(d.nets.crowded) {
		t.Fatalf("%d members of %d holders, %d idle nets of %d, %d crowded of %d",
			holders, len(d.table.holders), idle, d.nets.idle.n, crowded, len(d.nets.crowded))
	}
	for _, r := range d.Nets(100) {
		for _, x := range []float64{r.Load1, r.Load5, r.Load15, r.UnprovenLoad1, r.Fails, r.Share, float64(r.Oldest)} {
			if math.IsNaN(x) || math.IsInf(x, 0) || x < 0 {
				t.Fatalf("%+v", r)
			}
		}
	}
}

// TestNetsAreBounded has clients from a million nets, some of whom stay.
func TestNetsAreBounded(t *testing.T) {
	n := 1_000_000
	if testing.Short() || raceEnabled {
		n = 50_000
	}
	d := mustNew(t, Options{MaxSources: 100, MaxNets: 50, Policies: DefaultPolicies()})
	e := connlog.Event{Boot: "boot1", Service: "www", Time: epoch}
	line := func(kind connlog.Kind, conn uint64, who netip.Addr) {
		e.Kind, e.Conn, e.ClientIP, e.By = kind, conn, who, connlog.ByRequest
		e.Seq++
		e.Time = e.Time.Add(10 * time.Millisecond)
		d.Observe(&e)
	}
	for i := range n {
		who := netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, byte(i >> 16), byte(i >> 8), byte(i)})
		if i%3 == 0 {
			who = netip.AddrFrom4([4]byte{198, byte(i >> 16), byte(i >> 8), byte(i)})
		}
		line(connlog.Open, uint64(i+1), who)
		if i%4 == 0 {
			line(connlog.Proven, uint64(i+1), who)
		}
		if i%10_000 != 0 {
			line(connlog.Close, uint64(i+1), who)
		}
	}
	soundNets(t, d)
	if s := d.Stats(); s.Nets > 50+n/10_000+1 || s.Nets < 50+n/20_000 || len(d.nets.spare) > 100 {
		t.Errorf("%d nets, %d to spare", s.Nets, len(d.nets.spare))
	}
}

// TestNetLevel checks the sizes that nets can have.
func TestNetLevel(t *testing.T) {
	for _, c := range []struct {
		level  connlog.Level
		source connlog.Level
		ok     bool
		v4, v6 string
	}{
		{connlog.Level{}, connlog.Level{}, true, "203.0.113.0/24", "2001:db8:5::/48"},
		{connlog.Level{V4: 16, V6: 32}, connlog.Level{}, true, "203.0.0.0/16", "2001:db8::/32"},
		{connlog.Level{V4: 31, V6: 63}, connlog.Level{}, true, "203.0.113.200/31", "2001:db8:5:fe::/63"},
		{connlog.Level{V4: 20, V6: 56}, connlog.Level{V4: 18, V6: 40}, true, "203.0.64.0/18", "2001:db8::/40"},
		{connlog.Level{V4: 15, V6: 48}, connlog.Level{}, false, "", ""},
		{connlog.Level{V4: 32, V6: 48}, connlog.Level{}, false, "", ""},
		{connlog.Level{V4: 24, V6: 31}, connlog.Level{}, false, "", ""},
		{connlog.Level{V4: 24, V6: 64}, connlog.Level{}, false, "", ""},
		{connlog.Level{V4: 24}, connlog.Level{}, false, "", ""},
	} {
		d, err := New(Options{NetLevel: c.level, Level: c.source})
		if (err == nil) != c.ok {
			t.Errorf("%v: %v", c.level, err)
		}
		if err != nil {
			continue
		}
		for who, want := range map[string]string{"203.0.113.201": c.v4, "2001:db8:5:ff::1": c.v6} {
			key := d.nets.keyOf(d.level.Source(addr(who)).Addr().As16())
			if got := d.nets.target(key).prefix().String(); got != want {
				t.Errorf("%v: %s is in %s, want %s", c.level, who, got, want)
			}
		}
	}
}
