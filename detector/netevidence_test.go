package detector

import (
	"reflect"
	"testing"
	"time"

	"overstay/connlog"
)

// TestNetEvidence is a case to be reckoned by hand: three members of a pool of
// ten, one of whom lies outside of the prefix that is banned.
func TestNetEvidence(t *testing.T) {
	p := full()
	p.When, p.For = "net.unproven.others >= 3", 58*time.Second
	w := watch1(t, Options{Policies: []Policy{p}})
	w.wait(time.Second)
	w.sit("203.0.113.16", 4)
	w.wait(time.Second)
	w.sit("203.0.113.17", 3)
	w.idle(56 * time.Second)
	w.sit("203.0.113.200", 2)
	w.service = "smtp"
	w.sit("203.0.113.16", 5) // in another pool
	w.service = "www"
	w.refuse(ip(1), connlog.RefuseBusy)
	w.idle(3 * time.Second)
	w.refuse(ip(1), connlog.RefuseBusy)
	if len(w.decided) != 1 {
		t.Fatalf("%d decisions, want 1", len(w.decided))
	}
	dec := w.decided[0]
	if dec.Source.String() != "203.0.113.16/31" || dec.At.Sub(epoch) != 61*time.Second {
		t.Fatalf("%v at %v", dec.Source, dec.At.Sub(epoch))
	}
	e := dec.Evidence
	n := e.Net
	if n == nil {
		t.Fatal("it says nothing of the net")
	}
	// All nine threads were held at a refusal.
	for _, c := range []struct {
		what      string
		got, want any
	}{
		{"level", e.Level, LevelNet},
		{"prefix", n.Prefix.String(), "203.0.113.0/24"},
		{"members", []int{n.Members, n.UnprovenMembers, n.Within}, []int{3, 3, 2}},
		{"threads", []int{n.Open, n.Unproven, n.Others, e.Open, e.Unproven}, []int{9, 9, 5, 9, 9}},
		{"share", []float64{n.Share, e.Share}, []float64{0.9, 0.9}},
		{"part", n.Part > 0.97 && n.Part < 1, true},
		{"loads", []float64{e.Load1, e.Load5, e.Load15, e.UnprovenLoad1, e.UnprovenLoad5},
			[]float64{n.Load1, n.Load5, n.Load15, n.UnprovenLoad1, n.UnprovenLoad5}},
		{"ages", []float64{e.OldestS, e.UnprovenOldest}, []float64{60, 60}},
		{"mean age", e.UnprovenMean, round((4*60 + 3*59 + 2*3) / 9.0)},
		{"thread seconds", e.ThreadSeconds, float64(4*60 + 3*59 + 2*3)},
		{"blame", e.Blame, 1.0},
		{"first seen", e.FirstSeen.Equal(epoch.Add(time.Second)), true},
		{"lines", e.Lines, []string{"boot1:2", "boot1:6", "boot1:21"}},
	} {
		if !reflect.DeepEqual(c.got, c.want) {
			t.Errorf("%s: %v, want %v", c.what, c.got, c.want)
		}
	}
}

// TestSourceEvidenceTellsOfTheNet if others of it hold threads too.
func TestSourceEvidenceTellsOfTheNet(t *testing.T) {
	for _, others := range []int{0, 2} {
		w := watch1(t, Options{Policies: []Policy{three()}})
		if others > 0 {
			w.sit("203.0.113.200", others)
		}
		w.idle(20 * time.Second)
		w.sit("203.0.113.9", 3)
		e := w.decided[0].Evidence
		if e.Level != "" || e.Open != 3 || (e.Net != nil) != (others > 0) {
			t.Errorf("%d others: %+v", others, e)
		}
		if n := e.Net; n != nil && (n.Members != 2 || n.Open != 5 || n.Others != 2 || n.Within != 1 || n.Part != 0) {
			t.Errorf("the net: %+v", *n)
		}
	}
}

// TestNetsAllocateNothing looks at every figure of nets on every line, while
// nets come and go.
func TestNetsAllocateNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	never := "false"
	for _, f := range netFigures() {
		never += " || " + f.Name + " < -1"
	}
	d := mustNew(t, Options{MaxSources: 500, MaxNets: 50, Policies: append(DefaultPolicies(),
		Policy{Name: "all", When: never, Action: Ban, Duration: time.Minute},
		Policy{Name: "nets", When: never, Level: LevelNet, Action: Ban, Duration: time.Minute})})
	m := newMixed(2000, true)
	for range 50_000 {
		d.Observe(m.next())
	}
	if n := testing.AllocsPerRun(50_000, func() { d.Observe(m.next()) }); n != 0 {
		t.Errorf("%v allocations a line", n)
	}
	if n := d.Stats().Nets; n < 50 || n >= 157 { // of 157
		t.Errorf("%d nets are known", n)
	}
}
