package detector

import (
	"testing"
	"time"

	"overstay/connlog"
)

// TestLeapOfTheClock has six connections of an office under way when the clock
// leaps an hour ahead, or the machine stands still for one: they have not been
// held for an hour, and nobody is to blame.
func TestLeapOfTheClock(t *testing.T) {
	for name, beats := range map[string]bool{"of a server": true, "of another log": false} {
		t.Run(name, func(t *testing.T) {
			w := watch1(t, Options{Policies: DefaultPolicies()})
			w.threads = 20
			office := addr("203.0.113.1")
			visit := func(n int) {
				for range n {
					id := w.connect(office)
					w.wait(100 * time.Millisecond)
					w.prove(id)
					w.close(id, connlog.EndClient)
				}
			}
			visit(20)
			for i := range 14 {
				w.prove(w.connect(ip(i)))
			}
			var ids []uint64
			for range 6 {
				ids = append(ids, w.connect(office))
			}
			w.refuse(ip(20), connlog.RefuseBusy)
			if beats {
				w.beat()
			}
			w.wait(time.Hour)
			w.refuse(ip(20), connlog.RefuseBusy)
			for _, id := range ids {
				w.wait(500 * time.Millisecond)
				w.prove(id)
				w.close(id, connlog.EndClient)
			}
			visit(6)
			w.idle(5 * time.Minute)
			for _, dec := range w.decided {
				t.Errorf("%s of %s by %s at %v", dec.Action, dec.Source, dec.Policy, dec.At.Sub(epoch))
			}
			if steps := w.d.Stats().ClockSteps; steps > 0 != beats {
				t.Errorf("%d steps of the clock", steps)
			}
		})
	}
}

// TestHolderOverALeap is found all the same, and its ban is at the time of the
// log.
func TestHolderOverALeap(t *testing.T) {
	for _, beats := range []bool{true, false} {
		w := watch1(t, Options{Policies: DefaultPolicies()})
		w.threads = 20
		for i := range 4 {
			id := w.connect(ip(i))
			w.prove(id)
			w.close(id, connlog.EndClient)
		}
		w.sit("203.0.113.1", 20)
		w.wait(time.Second)
		if beats {
			w.beat()
		}
		w.wait(time.Hour)
		for range 20 {
			w.refuse(ip(1), connlog.RefuseBusy)
			w.wait(500 * time.Millisecond)
		}
		if len(w.decided) == 0 {
			t.Fatalf("beats %v: nothing is decided", beats)
		}
		if at := w.decided[0].At.Sub(epoch); at < time.Hour || at > time.Hour+8*time.Second {
			t.Errorf("beats %v: decided at %v", beats, at)
		}
	}
}

// TestHistoryIsOfTheLogsTime when its clock was set back in the part that is
// read again after a restart: the bans that it will make again are not earlier
// ones.
func TestHistoryIsOfTheLogsTime(t *testing.T) {
	policy := three()
	policy.Duration = time.Hour
	policy.Escalate = Escalate{Factor: 2, Max: 240 * time.Hour, Memory: 240 * time.Hour}
	play := func(earlier []Past) (decided []Decision) {
		w := watch1(t, Options{Policies: []Policy{policy}, Earlier: earlier})
		w.at(2000 * time.Hour) // it is wrong
		w.beat()
		w.at(time.Hour)
		for range 3 {
			var ids []uint64
			for range 4 {
				ids = append(ids, w.connect(ip(1)))
			}
			w.wait(time.Second)
			for _, id := range ids {
				w.close(id, connlog.EndBanned)
			}
			w.idle(9 * time.Hour)
		}
		return w.decided
	}
	first := play(nil)
	if len(first) != 3 || first[2].Duration != 4*time.Hour {
		t.Fatalf("%d decisions, the last for %v", len(first), first[len(first)-1].Duration)
	}
	old := Past{ID: "old", Source: first[0].Source, At: first[0].At.Add(-2 * time.Hour), Until: first[0].At.Add(-time.Hour)}
	earlier := []Past{old}
	for _, dec := range first {
		earlier = append(earlier, Past{ID: dec.ID, Source: dec.Source, At: dec.At, Until: dec.At.Add(dec.Duration)})
	}
	again := play(earlier)
	if len(again) != 3 {
		t.Fatalf("%d decisions when it is read again", len(again))
	}
	for i, dec := range again {
		if want := 2 * first[i].Duration; dec.ID != first[i].ID || dec.Duration != want {
			t.Errorf("decision %d lasts %v, want %v", i, dec.Duration, want)
		}
	}
}
