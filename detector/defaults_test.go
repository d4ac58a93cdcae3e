package detector

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"overstay/connlog"
)

// crowd is who a server is there for: 8 addresses with about 27 attempts a
// second in all, and an office of 40 behind one address with about 130.
func crowd(w *world) (clients, office *tally) {
	clients, office = new(tally), new(tally)
	for i := range 8 {
		w.client(ip(1+i), 300*time.Millisecond, clients)
	}
	for range 40 {
		w.client(ip(20), 300*time.Millisecond, office)
	}
	return clients, office
}

// innocents is everybody else who must never be decided about.
func innocents(w *world) {
	w.every(time.Second, func() { w.visit(ip(30), 0, false, 20*time.Millisecond) })          // a monitor
	w.every(time.Minute, func() { w.visit(ip(31), 1, false, 300*time.Millisecond) })         // a phone
	w.every(5*time.Minute, func() { w.visit(ip(32), 3, false, 300*time.Millisecond) })       // another
	w.every(time.Second, func() { w.visit(ip(33), 0, true, 8*time.Second) })                 // a bulk sender
	w.every(time.Minute, func() { w.visit(ip(34), 0, true, time.Hour) })                     // IMAP, idle
	w.every(20*time.Second, func() { w.visit(ip(35), 0, true, time.Second) })                // an office,
	w.every(30*time.Second, func() { w.visit(ip(35), 1, false, time.Second) })               // a bad phone in it
	w.every(2*time.Second, func() { w.visit(ip(40+w.r.IntN(200)), 0, true, 2*time.Second) }) // passers-by
}

// TestNobodyInnocentIsDecidedAbout runs two hours without an attack.
func TestNobodyInnocentIsDecidedAbout(t *testing.T) {
	length := 2 * time.Hour
	if testing.Short() {
		length = 20 * time.Minute
	}
	w := newWorld(t, 100, DefaultPolicies(), 1)
	var c tally
	for i := range 8 {
		w.client(ip(1+i), 2*time.Second, &c)
	}
	innocents(w)
	w.run(length)
	for _, dec := range w.decided {
		t.Errorf("%s %s by %s: %+v", dec.Action, dec.Source, dec.Policy, dec.Evidence)
	}
	if c.tried == 0 || c.share() < 1 {
		t.Errorf("%d of %d served", c.served, c.tried)
	}
}

// TestSlowStep lets everybody sit: for half a minute nothing inside the server
// goes on, the pool fills up and turns away. Nobody who got work done before
// is to blame, neither the many with one thread nor the one with dozens.
func TestSlowStep(t *testing.T) {
	w := newWorld(t, 100, DefaultPolicies(), 5)
	stalled := false
	deliver := func(who netip.Addr) {
		id := w.arrive(who)
		if id == 0 {
			return
		}
		var done func()
		done = func() {
			if w.open[id] == nil {
				return
			}
			if stalled {
				w.after(w.about(time.Second), done)
				return
			}
			w.prove(id)
			w.close(id, connlog.EndClient)
		}
		w.after(w.about(time.Second), done)
	}
	for i := range 30 {
		w.every(w.about(4*time.Second), func() { deliver(ip(1 + i)) })
	}
	w.every(150*time.Millisecond, func() { deliver(ip(50)) }) // has six at a time
	w.run(10 * time.Minute)
	stalled = true
	w.run(30 * time.Second)
	if w.busy["www"] != 100 || w.d.Pools()[0].Refused < 10 {
		t.Fatalf("%d threads held, %+v: no pressure", w.busy["www"], w.d.Pools()[0])
	}
	stalled = false
	w.run(time.Minute)
	for _, dec := range w.decided {
		t.Errorf("%s %s by %s", dec.Action, dec.Source, dec.Policy)
	}
}

// TestHoldersAreBanned is the main job: clients and an office get through
// while holders attack in three shapes, with and without the server's own
// limit of unproven connections.
func TestHoldersAreBanned(t *testing.T) {
	for _, shape := range []struct {
		name           string
		sources, conns int
		limit          int
		whole, end     float64 // share served, of all 75 s and of the last 20
	}{
		{"3x60", 3, 60, 0, 0.95, 0.99},
		{"3x60 limited", 3, 60, 10, 0.95, 0.99},
		{"20x9", 20, 9, 0, 0.95, 0.99},
		{"20x9 limited", 20, 9, 10, 0.95, 0.99},
	} {
		t.Run(shape.name, func(t *testing.T) {
			w := newWorld(t, 100, DefaultPolicies(), 2)
			w.limit = shape.limit
			innocents(w)
			clients, office := crowd(w)
			w.run(20 * time.Second) // an ordinary day
			*clients, *office = tally{}, tally{}
			for i := range shape.sources {
				w.sitter(ip(300+i), shape.conns, 30*time.Second)
			}
			attacked := w.now
			w.run(55 * time.Second)
			before := [2]tally{*clients, *office}
			w.run(20 * time.Second)
			for i, all := range []tally{*clients, *office} {
				end := tally{all.tried - before[i].tried, all.served - before[i].served}
				t.Logf("served %.1f %%, in the last 20 s %.1f %%", 100*all.share(), 100*end.share())
				if all.share() < shape.whole || end.share() < shape.end {
					t.Errorf("want %.0f and %.0f", 100*shape.whole, 100*shape.end)
				}
			}
			for _, dec := range w.decided {
				if !attacker(dec, shape.sources) {
					t.Errorf("%s %s by %s", dec.Action, dec.Source, dec.Policy)
				}
			}
			if len(w.decided) > 0 {
				first, last := w.decided[0], w.decided[len(w.decided)-1]
				t.Logf("%d decisions, the first after %v, the last after %v", len(w.decided), first.At.Sub(attacked), last.At.Sub(attacked))
			}
		})
	}
}

func attacker(dec Decision, sources int) bool {
	for i := range sources {
		if dec.Source.Contains(ip(300 + i)) {
			return true
		}
	}
	return false
}

// TestOneThreadEach is the third shape. Only the age of a connection tells, so
// nothing happens for eight seconds, and then bans are short.
func TestOneThreadEach(t *testing.T) {
	const sources = 180
	w := newWorld(t, 100, DefaultPolicies(), 3)
	w.limit = 10
	innocents(w)
	clients, office := new(tally), new(tally)
	for i := range 8 {
		w.client(ip(1+i), time.Second, clients)
		w.client(ip(20), 300*time.Millisecond, office)
	}
	for i := range sources {
		w.sitter(ip(300+i), 1, 30*time.Second)
	}
	w.run(5 * time.Minute)
	*clients, *office = tally{}, tally{}
	w.run(10 * time.Minute)
	if clients.share() < 0.95 || office.share() < 0.95 {
		t.Errorf("from the fifth to the fifteenth minute: %.1f %% and %.1f %% served",
			100*clients.share(), 100*office.share())
	}
	for _, dec := range w.decided {
		if !attacker(dec, sources) {
			t.Errorf("%s %s by %s", dec.Action, dec.Source, dec.Policy)
		}
	}
}

// TestEachDefaultActs has one attack for each policy that the test above does
// not need, with the time by which it must have acted.
func TestEachDefaultActs(t *testing.T) {
	eve, office, alone := ip(300), ip(20), unrelated(0)
	full := func(w *world, proven, sitters int) { // a pool that others keep full as well
		for i := range proven {
			w.visit(ip(100+i), 0, true, time.Hour)
		}
		for i := range sitters {
			w.sitter(unrelated(i), 1, time.Hour)
		}
	}
	for _, attack := range []struct {
		policy  string
		action  Action
		who     netip.Addr
		within  time.Duration
		not     time.Duration // not before
		prepare func(w *world)
	}{
		{"thread-hogging", Ban, eve, 3 * time.Second, time.Second, func(w *world) { w.sitter(eve, 120, time.Hour) }},
		{"net-hogging", Ban, eve, 6 * time.Second, 5 * time.Second, func(w *world) {
			for i := range 140 {
				w.sitter(ip(300+i), 1, time.Hour)
			}
		}},
		{"spread-out", Ban, alone, 9 * time.Second, 8 * time.Second, func(w *world) { full(w, 0, 140) }},
		{"long-unproven", Ban, alone, 24 * time.Second, 20 * time.Second, func(w *world) { full(w, 60, 48) }},
		{"shared-hogging", Suggest, office, 12 * time.Second, 10 * time.Second, func(w *world) { w.sitter(office, 120, time.Hour) }},
		{"proven-hogging", Suggest, eve, 2 * time.Minute, time.Minute, func(w *world) {
			for range 30 {
				w.visit(eve, 0, true, time.Hour)
			}
			full(w, 75, 0)
		}},
		{"slow-hogging", Ban, eve, 5 * time.Minute, time.Minute, func(w *world) { w.sitter(eve, 10, 20*time.Second) }},
		{"failed-logins", Ban, eve, 10 * time.Second, time.Second, func(w *world) {
			w.every(500*time.Millisecond, func() { w.visit(eve, 1, false, time.Second) })
		}},
		{"failed-logins", Ban, eve, 20 * time.Minute, 5 * time.Minute, func(w *world) { // slowly
			w.every(20*time.Second, func() { w.visit(eve, 1, false, time.Second) })
		}},
		{"short-flood", Ban, eve, 30 * time.Second, 5 * time.Second, func(w *world) {
			w.every(50*time.Millisecond, func() { w.visit(eve, 0, false, 20*time.Millisecond) })
		}},
	} {
		t.Run(attack.policy, func(t *testing.T) {
			w := newWorld(t, 100, DefaultPolicies(), 4)
			innocents(w)
			if attack.within < 3*time.Minute {
				crowd(w)
			}
			w.run(10 * time.Second)
			began := w.now
			attack.prepare(w)
			w.run(attack.within)
			first := slices.IndexFunc(w.decided, func(d Decision) bool { return d.Source.Contains(attack.who) })
			if first < 0 {
				t.Fatalf("nothing within %v", attack.within)
			}
			d := &w.decided[first]
			if d.Policy != attack.policy || d.Action != attack.action || d.At.Sub(began) < attack.not {
				t.Errorf("%s by %s after %v, want %s by %s after %v at least",
					d.Action, d.Policy, d.At.Sub(began), attack.action, attack.policy, attack.not)
			}
		})
	}
}

// unrelated is the i-th address of a net of its own.
func unrelated(i int) netip.Addr {
	return netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 0x80, byte(i), 15: 1})
}

// TestReturningIsBannedSooner lets one come back after two bans, as one of
// many: the third time it gets half of the others' patience.
func TestReturningIsBannedSooner(t *testing.T) {
	w := newWorld(t, 100, DefaultPolicies(), 7)
	crowd(w)
	w.run(10 * time.Second)
	for i := range 140 {
		w.sitter(unrelated(i), 1, time.Hour)
	}
	w.run(12 * time.Minute)
	bans := w.bans(unrelated(0))
	if len(bans) < 3 {
		t.Fatalf("%d bans", len(bans))
	}
	for i, d := range bans {
		want, patience := "spread-out", 8.0
		if i >= 2 { // has returned once already
			want, patience = "returning", 4.0
		}
		if age := d.Evidence.UnprovenMean; d.Policy != want || age < patience {
			t.Errorf("ban %d is by %s at the age of %v s", i, d.Policy, age)
		}
		if i > 0 && d.Duration < 2*bans[i-1].Duration {
			t.Errorf("ban %d lasts %v, the one before %v", i, d.Duration, bans[i-1].Duration)
		}
	}
}

// TestSlowLinks lets many come once over links so slow that a thread is held
// for ten seconds before it is proven, and there are too few threads for them.
// They are older than any attacker of a fast server gets, and all are. Nor is
// anybody to blame where the log does not tell of proofs.
func TestSlowLinks(t *testing.T) {
	for name, proves := range map[string]bool{"proven in the end": true, "no proofs at all": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 100, DefaultPolicies(), 6)
			next := 0
			w.every(70*time.Millisecond, func() {
				next++
				id := w.arrive(ip(1000 + next))
				if id == 0 {
					return
				}
				w.after(5*time.Second+w.about(5*time.Second), func() {
					if w.open[id] == nil {
						return
					}
					if proves {
						w.prove(id)
					}
					w.close(id, connlog.EndClient)
				})
			})
			w.run(5 * time.Minute)
			if w.busy["www"] < 90 || w.d.Pools()[0].Refused < 10 {
				t.Fatalf("%d threads held, %+v: no pressure", w.busy["www"], w.d.Pools()[0])
			}
			for _, dec := range w.decided {
				t.Errorf("%s %s by %s: %+v", dec.Action, dec.Source, dec.Policy, dec.Evidence)
			}
		})
	}
}
