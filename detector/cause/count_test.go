package cause

import (
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"

	"overstay/connlog"
	"overstay/detector/loss"
)

// TestMargin has the minute before and after the refusals replayed, and counts
// what came from the first refusal to the last: 300 refusals, one each second.
func TestMargin(t *testing.T) {
	l := siege(Options{})
	l.after(time.Hour).open(anna)
	s, _ := l.r.Last()
	rep, err := l.r.Report(s, loss.Question{})
	if err != nil {
		t.Fatal(err)
	}
	if rep.Arrivals != 300 || rep.Diagnosis.Recorded != 300 {
		t.Errorf("%d arrivals and %d refusals, want 300 of each", rep.Arrivals, rep.Diagnosis.Recorded)
	}
	// Ten clients before and after.
	if tried := rep.Diagnosis.Finding.Grounds.Tried; tried != 322 {
		t.Errorf("%d arrivals are replayed, want 322", tried)
	}
	if lambda := rep.Diagnosis.Needed.Lambda; lambda < 1 || lambda > 1.02 {
		t.Errorf("%v clients a second come in the stretch, want one", lambda)
	}
}

// TestRateOfAMoment has all refusals of a stretch at once: that is no rate.
func TestRateOfAMoment(t *testing.T) {
	l := newLogger(Options{}, 1)
	id := l.open(anna)
	l.after(time.Second).refuse(ben, 100)
	l.after(time.Second).close(id, anna)
	l.after(time.Minute).open(anna)
	s, _ := l.r.Last()
	rep, err := l.r.Report(s, loss.Question{})
	if err != nil {
		t.Fatal(err)
	}
	if lambda := rep.Diagnosis.Needed.Lambda; lambda > 20 {
		t.Errorf("%v clients a second", lambda)
	}
}

// TestByBlame has two suspects of which the second holds more.
func TestByBlame(t *testing.T) {
	l := newLogger(Options{}, 3)
	l.open(anna)
	l.open(crook)
	l.open(crook)
	l.after(time.Second).refuse(ben, 30)
	l.suspect(anna+"/32", time.Hour)
	l.suspect(crook+"/32", time.Hour)
	rep := l.report(t, "www")
	if len(rep.Suspects) != 2 || rep.Suspects[0].Source.Addr().String() != crook || rep.Suspects[0].Blame != 20 || rep.Suspects[1].Blame != 10 {
		t.Errorf("%+v", rep.Suspects)
	}
}

// TestLoudest names the one address that has nearly all that its net caused,
// and none where two have a half each.
func TestLoudest(t *testing.T) {
	for addr, want := range map[string]string{crook: "203.0.113.9/32", "2001:db8:1:2::7": "2001:db8:1:2::/64"} {
		for _, alone := range []bool{true, false} {
			l := newLogger(Options{}, 20)
			net, other := "203.0.113.0/24", "203.0.113.77"
			if strings.Contains(addr, ":") {
				net, other = "2001:db8:1::/48", "2001:db8:1:3::1"
			}
			for i := range 20 {
				if i == 0 || i%2 == 0 && !alone {
					l.open(other)
				} else {
					l.open(addr)
				}
			}
			l.after(time.Second).refuse(ben, 20)
			l.suspect(net, time.Hour)
			a := l.report(t, "www").Suspects[0]
			if !alone {
				want = netip.Prefix{}.String()
			}
			if a.Loudest.String() != want || alone && math.Abs(a.LoudestBlame-19) > 1e-9 || a.Blame < 19.99 {
				t.Errorf("%s, alone %v: %v of %v, want %v", addr, alone, a.Loudest, a, want)
			}
		}
	}
}

// TestIdleIsKnownUntried has a suspect without blame, and no ban tried alone.
func TestIdleIsKnownUntried(t *testing.T) {
	l := siege(Options{})
	l.suspect(crook+"/32", time.Hour)
	l.suspect("198.51.100.3/32", time.Hour)
	s, _ := l.r.Last()
	rep, err := l.r.Report(s, loss.Question{Singles: -1})
	if err != nil {
		t.Fatal(err)
	}
	if len(rep.Suspects) != 1 || rep.Suspects[0].Alone || len(rep.Idle) != 1 {
		t.Errorf("suspects %+v, idle %+v", rep.Suspects, rep.Idle)
	}
}

// TestBanThatLetsInAnother has a suspect whose thread would have gone to
// somebody who then stands in the way of the next: a ban averts one refusal
// and makes another, so it is not suggested.
func TestBanThatLetsInAnother(t *testing.T) {
	l := newLogger(Options{}, 1)
	id := l.open(anna)
	l.after(10*time.Second).close(id, anna)
	id = l.open(crook)
	l.after(500*time.Millisecond).refuse("198.51.100.1", 1)
	l.after(500*time.Millisecond).close(id, crook)
	id = l.open("198.51.100.2")
	l.after(10*time.Second).close(id, "198.51.100.2")
	l.suspect(crook+"/32", time.Hour)
	rep := l.report(t, "www")
	if len(rep.Suspects) != 0 || len(rep.Idle) != 1 || rep.Idle[0].Blame != 1 {
		t.Errorf("suspects %+v, idle %+v", rep.Suspects, rep.Idle)
	}
}

// TestClockIsWaitedFor has a clock that goes back a little and catches up.
func TestClockIsWaitedFor(t *testing.T) {
	l := newLogger(Options{}, 1)
	l.after(10*time.Second).refuse(anna, 1)
	l.after(-3*time.Second).refuse(anna, 1)
	l.after(4*time.Second).refuse(anna, 1)
	expect(t, l, "www", "10s 192.0.2.7 refused 1", "10s 192.0.2.7 refused 1", "11s 192.0.2.7 refused 1")
}

func TestForgottenStretch(t *testing.T) {
	l := newLogger(Options{MaxArrivals: 100}, 1)
	l.refuse(anna, 1)
	l.after(10 * time.Minute)
	for range 200 {
		l.after(time.Second).refuse(anna, 1)
	}
	l.write(connlog.Event{Kind: connlog.Beat})
	if s := l.r.Stretches(); len(s) != 1 || s[0].Refused != 200 {
		t.Errorf("%+v", s)
	}
}
