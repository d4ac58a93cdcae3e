package detector

import (
	"net/netip"
	"testing"
	"time"

	"overstay/connlog"
)

// stranger is the i-th of many who have nothing in common.
func stranger(i int) netip.Addr {
	return netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, byte(i >> 8), byte(i), 15: 1})
}

// TestStandstill lets nobody through for a while, of clients who are all
// strangers. Each of them looks as a holder does, and none is one.
func TestStandstill(t *testing.T) {
	for _, c := range []struct {
		name    string
		service string
		threads int
		every   time.Duration // one comes
		takes   time.Duration // until he is through
		stall   time.Duration
		by      connlog.By
		others  connlog.By // who get through all the same, by something else
		monitor bool       // two who need nothing do so as well
	}{
		{"web server", "www", 50, 50 * time.Millisecond, 200 * time.Millisecond, 20 * time.Second, connlog.ByRequest, "", false},
		{"web server and monitors", "www", 50, 50 * time.Millisecond, 200 * time.Millisecond, 20 * time.Second, connlog.ByRequest, "", true},
		{"a moment", "www", 50, 50 * time.Millisecond, 200 * time.Millisecond, 8 * time.Second, connlog.ByRequest, "", false},
		{"scanner", "smtp", 40, 300 * time.Millisecond, 700 * time.Millisecond, 3 * time.Minute, connlog.ByMessage, "", false},
		{"scanner, while people log in", "smtp", 40, 300 * time.Millisecond, 700 * time.Millisecond, 3 * time.Minute, connlog.ByMessage, connlog.ByLogin, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := watch1(t, Options{Policies: DefaultPolicies()})
			w.threads, w.service = c.threads, c.service
			type visit struct {
				id uint64
				at time.Time
			}
			var waiting []visit
			begin := w.now.Add(5 * time.Minute)
			end := begin.Add(c.stall)
			refused := 0
			for n := 0; w.now.Before(end.Add(time.Minute)); n++ {
				w.wait(c.every / 2)
				stalled := w.now.After(begin) && w.now.Before(end)
				for !stalled && len(waiting) > 0 && w.now.Sub(waiting[0].at) > c.takes {
					w.proveBy(waiting[0].id, c.by)
					w.close(waiting[0].id, connlog.EndClient)
					waiting = waiting[1:]
				}
				at := w.now
				switch {
				case n%2 == 0:
					if id := w.connect(stranger(n)); id != 0 {
						waiting = append(waiting, visit{id, at})
					} else {
						refused++
					}
				case (c.others != "" || c.monitor) && len(waiting) < c.threads-1:
					by, who := c.others, stranger(n)
					if c.monitor {
						by, who = c.by, ip(n%4/2)
					}
					id := w.connect(who)
					w.proveBy(id, by)
					w.close(id, connlog.EndClient)
				}
				if n%50 == 0 {
					w.beat()
				}
			}
			if refused == 0 {
				t.Error("nobody was refused")
			}
			for _, dec := range w.decided {
				t.Fatalf("%d decisions, the first: %s by %s at %v", len(w.decided), dec.Action, dec.Policy, dec.At.Sub(begin))
			}
		})
	}
}

// TestFrozenPool is taken by attackers so fast that nobody gets through any
// more and nobody can overtake them: they came in a rush.
func TestFrozenPool(t *testing.T) {
	for _, c := range []struct {
		threads, sources int
		visitors         int // a second, before
		strangers        bool
		over             time.Duration // in which the pool was filled
		within           time.Duration
		proofs           int // of each attacker, before
	}{
		{100, 100, 30, false, 300 * time.Millisecond, 9 * time.Second, 0},
		{100, 100, 30, true, 300 * time.Millisecond, 9 * time.Second, 0},
		{100, 10, 30, true, 300 * time.Millisecond, 3 * time.Second, 0},
		{100, 10, 30, false, 300 * time.Millisecond, 3 * time.Second, 1},
		{100, 100, 1, true, 5 * time.Second, 13 * time.Second, 0},
		{6, 1, 5, true, 0, 3 * time.Second, 0},
		{3, 3, 1, false, 0, 9 * time.Second, 0},
	} {
		w := watch1(t, Options{Policies: DefaultPolicies()})
		w.threads = c.threads
		visitor := 0
		for i := range 3 * 60 * c.visitors {
			w.wait(time.Second / time.Duration(c.visitors))
			if visitor = i % 20; c.strangers {
				visitor = 5000 + i
			}
			id := w.connect(stranger(visitor))
			w.wait(50 * time.Millisecond)
			w.prove(id)
			w.close(id, connlog.EndClient)
			if i%c.visitors == 0 {
				w.beat()
			}
		}
		for i := range c.sources * c.proofs {
			id := w.connect(stranger(20000 + i%c.sources))
			w.prove(id)
			w.close(id, connlog.EndClient)
		}
		began := w.now
		for i := range c.threads {
			w.connect(stranger(20000 + i%c.sources))
			w.wait(c.over / time.Duration(c.threads))
		}
		for w.now.Before(began.Add(c.within)) {
			w.wait(100 * time.Millisecond)
			w.refuse(ip(1), connlog.RefuseBusy)
		}
		for _, dec := range w.decided {
			if e := dec.Evidence; c.threads > 6 && e.PoolRush < 4 && e.OvertakenS < 1 {
				t.Errorf("%+v: %s by %s with a rush of %v, overtaken by %v s", c, dec.Source, dec.Policy, e.PoolRush, e.OvertakenS)
			}
		}
		if bans := len(w.decided); bans < c.sources*9/10 {
			t.Errorf("%+v: %d decisions within %v", c, bans, c.within)
		}
	}
}

// TestOvertaken are holders when three others, not the same one thrice, have
// come later and got through.
func TestOvertaken(t *testing.T) {
	w := watch1(t, Options{})
	w.threads = 100
	w.sit("203.0.113.1", 2)
	value := func(name string) float64 {
		w.beat()
		return w.d.figuresOf(oracleKey{"www", "203.0.113.1/32"})[name]
	}
	for i := range 6 {
		w.wait(10 * time.Second)
		id := w.connect(ip(max(i-3, 0)))
		w.wait(time.Second)
		w.prove(id)
		want := 0.0
		if i == 5 { // the first of the three came for the last time after 43 seconds
			want = 43
		}
		if got := value("unproven.overtaken"); got != want {
			t.Errorf("after %d: overtaken by %v s, want %v", i+1, got, want)
		}
	}
	if got := value("unproven.rush"); got != 2 {
		t.Errorf("a rush of %v, want 2: it has proven nothing", got)
	}
}
