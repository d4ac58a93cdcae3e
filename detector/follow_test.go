package detector

import (
	"testing"
	"time"

	"overstay/connlog"
)

func TestNewBootClosesEverything(t *testing.T) {
	w := watch1(t, Options{})
	for i := range 5 {
		w.connect(ip(i))
	}
	w.wait(10 * time.Second)
	w.restart("boot2")
	if s := w.d.Stats(); s.Conns != 0 || s.Holders != 0 || s.Boots != 2 {
		t.Fatalf("%+v", s)
	}
	// The old numbers are free again.
	w.connect(ip(1))
	if s := w.d.Stats(); s.Conns != 1 || s.ReusedConns != 0 {
		t.Fatalf("%+v", s)
	}
	if r := w.d.Ranking(1)[0]; r.ThreadSeconds != 10 {
		t.Errorf("%v thread-seconds, want 10", r.ThreadSeconds)
	}
}

func TestStopClosesEverything(t *testing.T) {
	w := watch1(t, Options{})
	w.connect(ip(1))
	w.write(connlog.Event{Kind: connlog.Stop})
	if s := w.d.Stats(); s.Conns != 0 {
		t.Fatalf("%+v", s)
	}
}

func TestHeadClosesWhatItDoesNotName(t *testing.T) {
	for _, broken := range []bool{false, true} {
		w := watch1(t, Options{})
		lost := w.connect(ip(1))
		w.connect(ip(2))
		w.drop(lost)
		w.seq++ // its close is lost
		w.wait(time.Second)
		if broken {
			w.write(connlog.Event{Kind: connlog.Start, Continued: true})
			w.seq++ // a line of the head itself is lost as well
		} else {
			w.head()
		}
		w.wait(time.Second)
		w.beat()
		want := 1
		if broken {
			want = 2 // nothing can be said
		}
		if s := w.d.Stats(); s.Conns != want || s.Missing == 0 {
			t.Errorf("broken %v: %+v", broken, s)
		}
	}
}

func TestLossesAreCounted(t *testing.T) {
	w := watch1(t, Options{})
	w.seq += 10
	w.beat()
	w.seq += 5
	w.write(connlog.Event{Kind: connlog.Lost, Count: 5})
	w.write(connlog.Event{Kind: connlog.Unknown})
	w.write(connlog.Event{Kind: connlog.Close, Service: "www", Conn: 77, ClientIP: ip(1)})
	w.write(connlog.Event{Kind: connlog.Open, Service: "www", Conn: 78})
	w.refuse(ip(1), connlog.RefuseBanned)
	got := w.d.Stats()
	want := Stats{Lines: 7, Boots: 1, Gaps: 2, Missing: 15, Lost: 5, Unknown: 1, UnknownConns: 1, NoAddress: 1, RefusedBanned: 1}
	if got != want {
		t.Errorf("%+v\nwant\n%+v", got, want)
	}
}

// TestBannedRefusalsAreNoOffence knocks while banned.
func TestBannedRefusalsAreNoOffence(t *testing.T) {
	w := watch1(t, Options{Policies: []Policy{{Name: "r", When: "refused > 0 || pool.refused > 0", Action: Ban, Duration: time.Hour}}})
	w.connect(ip(1))
	w.refuse(ip(1), connlog.RefuseBanned)
	w.expect(t)
	w.refuse(ip(1), connlog.RefuseSessions)
	w.expect(t, "ban 0s for 1h0m0s")
}

// TestFoldedRefusalsCountInFull has a thousand in one line.
func TestFoldedRefusalsCountInFull(t *testing.T) {
	w := watch1(t, Options{})
	w.write(connlog.Event{Kind: connlog.Refuse, Service: "www", ClientIP: ip(1), Reason: connlog.RefuseBusy, Count: 1000})
	if r := w.d.Ranking(1)[0]; r.Refused != 1000 {
		t.Errorf("%v refused, want 1000", r.Refused)
	}
	if p := w.d.Pools()[0]; p.Refused != 1000 {
		t.Errorf("%v refused in the pool, want 1000", p.Refused)
	}
}

// TestClockSteps sets the clock back by a little, then by a year: no load
// turns negative, and the seconds go on.
func TestClockSteps(t *testing.T) {
	p := three()
	p.For = 10 * time.Second
	w := watch1(t, Options{Policies: []Policy{p}})
	w.at(2500 * time.Millisecond)
	w.connect(ip(1))
	w.at(time.Second)
	w.connect(ip(1))
	if r := w.d.Ranking(1)[0]; r.ThreadSeconds != 0 || w.d.Stats().Clamped != 1 || w.d.Stats().ClockSteps != 0 {
		t.Fatalf("%+v, %+v", r, w.d.Stats())
	}
	w.at(-365 * 24 * time.Hour)
	w.connect(ip(1))
	w.idle(20 * time.Second)
	if s := w.d.Stats(); s.ClockSteps != 1 {
		t.Fatalf("%+v", s)
	}
	if len(w.decided) != 1 {
		t.Fatalf("decided %+v", w.decided)
	}
	// It held from some half second on, and seconds are whole ones of the log.
	at := w.decided[0].At.Sub(epoch.Add(-365 * 24 * time.Hour))
	if at != at.Truncate(time.Second) || at < 10*time.Second || at > 11*time.Second {
		t.Errorf("decided %v after the step", at)
	}
}

// TestSecondsAreNotLookedAtForEver: a condition that time alone fulfils is
// found as long as the log is alive.
func TestSecondsAreNotLookedAtForEver(t *testing.T) {
	p := Policy{Name: "old", When: "oldest >= 60", Action: Ban, Duration: time.Hour}
	w := watch1(t, Options{Policies: []Policy{p}})
	w.connect(ip(1))
	if decs := w.d.Advance(epoch.Add(61 * time.Second)); len(decs) != 1 || !decs[0].At.Equal(epoch.Add(time.Minute)) {
		t.Fatalf("decided %+v", decs)
	}
	p.When = "oldest >= 660"
	w = watch1(t, Options{Policies: []Policy{p}})
	w.connect(ip(1))
	if decs := w.d.Advance(epoch.Add(time.Hour)); decs != nil {
		t.Fatalf("decided %+v with no line for an hour", decs)
	}
	w.at(time.Hour)
	w.beat()
	w.at(time.Hour + 6*time.Second)
	w.beat()
	w.expect(t, "ban 1h0m5s for 1h0m0s") // looked at a little longer after the silence
}

// TestObserveDoesNotAllocate is for a steady state: known sources that come
// and go.
func TestObserveDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	d := mustNew(t, Options{Policies: DefaultPolicies(), MaxSources: 1000})
	m := newMixed(1000, true)
	for range 200_000 {
		d.Observe(m.next())
	}
	lines := make([]connlog.Event, 1000)
	n := testing.AllocsPerRun(5, func() {
		for i := range lines {
			lines[i] = *m.next()
		}
		for i := range lines {
			d.Observe(&lines[i])
		}
	})
	if n > 0 {
		t.Errorf("%v allocations in %d lines", n, len(lines))
	}
}

// TestCutOffIsNotShort tells a client that goes within a second from one that
// the server cut off.
func TestCutOffIsNotShort(t *testing.T) {
	w := watch1(t, Options{Policies: []Policy{{Name: "s", When: "short > 0", Action: Ban, Duration: time.Hour}}})
	w.close(w.connect(ip(1)), connlog.EndBanned)
	w.close(w.connect(ip(1)), connlog.EndShutdown)
	w.expect(t)
	w.close(w.connect(ip(1)), connlog.EndClient)
	w.expect(t, "ban 0s for 1h0m0s")
}
