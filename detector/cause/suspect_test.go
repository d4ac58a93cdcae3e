package cause

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"overstay/connlog"
	"overstay/detector/loss"
)

// siege is a pool of two threads that crook holds from the tenth second on,
// for five minutes, while somebody else asks for a thread each second.
func siege(o Options) *logger {
	l := newLogger(o, 2)
	clients := 0
	ask := func(refused bool) {
		clients++
		ip := netip.AddrFrom4([4]byte{198, 51, 100, byte(1 + clients%250)}).String()
		if refused {
			l.refuse(ip, 1)
			return
		}
		id := l.open(ip)
		l.after(100*time.Millisecond).close(id, ip)
		l.after(-100 * time.Millisecond)
	}
	for range 10 {
		l.after(time.Second)
		ask(false)
	}
	one, two := l.after(500*time.Millisecond).open(crook), l.open(crook)
	for range 300 {
		l.after(time.Second)
		ask(true)
	}
	l.after(500*time.Millisecond).close(one, crook)
	l.close(two, crook)
	for range 10 {
		l.after(time.Second)
		ask(false)
	}
	return l
}

func TestSuspects(t *testing.T) {
	for prefix, addresses := range map[string]int{
		"203.0.113.9/32": 1, "203.0.113.0/24": 1, "203.0.0.0/16": 1, "::ffff:203.0.113.9/128": 1,
	} {
		l := siege(Options{})
		l.suspect(prefix, time.Hour)
		rep := l.report(t, "www")
		if len(rep.Suspects) != 1 {
			t.Errorf("%s: %+v", prefix, rep.Suspects)
			continue
		}
		a := rep.Suspects[0]
		if a.Addresses != addresses || a.Policy != "p" || !a.Alone || a.Averted.Averted != rep.Diagnosis.Together.Averted {
			t.Errorf("%s: %+v", prefix, a)
		}
		if a.Blame < 299.99 || a.Blame > 300.01 || a.Averted.Averted.Median != 300 || rep.Verdict() != loss.Attack {
			t.Errorf("%s: blame %v, averted %v, %v", prefix, a.Blame, a.Averted.Averted, rep.Verdict())
		}
	}
	l := siege(Options{})
	l.suspect("2001:db8::/64", time.Hour)
	l.r.Suspect(Suspect{})
	if rep := l.report(t, "www"); len(rep.Suspects) != 0 || len(rep.Idle) != 1 || rep.Verdict() == loss.Attack {
		t.Errorf("%+v, idle %+v, %v", rep.Suspects, rep.Idle, rep.Verdict())
	}
}

// TestHalfOfAnAddress has suspects that are wider and narrower than the half
// of an IPv6 address that is a source.
func TestHalfOfAnAddress(t *testing.T) {
	for prefix, want := range map[string]int{
		"2001:db8:1:2::/64": 1, "2001:db8:1:2::9/128": 1, "2001:db8:1::/48": 2, "2001:db8:1:2::/63": 2, "2001:db8:1:4::/64": 0, "::/0": 3,
	} {
		l := newLogger(Options{}, 3)
		for _, ip := range []string{"2001:db8:1:2::7", "2001:db8:1:3::7", "2001:db8:2::7"} {
			l.open(ip)
		}
		l.after(time.Second).refuse(anna, 1)
		l.suspect(prefix, 0)
		rep := l.report(t, "www")
		got := 0
		for _, a := range append(rep.Suspects, rep.Idle...) {
			got += a.Addresses
		}
		if got != want {
			t.Errorf("%s covers %d of the sources, want %d", prefix, got, want)
		}
	}
}

// TestIdle has a suspect that held a thread while nobody was refused, one that
// never came, and one that is refused only: none is suggested, and what they
// are refused counts.
func TestIdle(t *testing.T) {
	l := siege(Options{})
	l.suspect(crook+"/32", time.Hour)
	l.suspect("198.51.100.3/32", time.Hour)
	l.suspect("192.0.2.99/32", time.Hour)
	l.suspect("198.51.100.100/32", time.Hour)
	rep := l.report(t, "www")
	if len(rep.Suspects) != 1 || rep.Suspects[0].Source.String() != crook+"/32" || len(rep.Idle) != 3 {
		t.Errorf("suspects %+v, idle %+v", rep.Suspects, rep.Idle)
	}
	if rep.Diagnosis.Others != 300 {
		t.Errorf("%d refusals count, want 300", rep.Diagnosis.Others)
	}
}

// TestUselessBan has a suspect that holds a thread of three while two others
// who are no suspects keep the pool full anyway: it comes and goes by turns
// with those that wait, and a ban of it lets in somebody who stays as long.
func TestUselessBan(t *testing.T) {
	l := newLogger(Options{}, 1)
	// One thread, always taken: the suspect has it for one second of a hundred.
	for i := range 300 {
		who := "198.51.100.1"
		if i%100 == 50 {
			who = crook
		}
		id := l.open(who)
		l.after(900 * time.Millisecond)
		if who != crook || i == 50 {
			l.refuse("198.51.100.2", 1)
		}
		l.after(100*time.Millisecond).close(id, who)
	}
	l.suspect(crook+"/32", time.Hour)
	rep := l.report(t, "www")
	if rep.Verdict() == loss.Attack {
		t.Errorf("%v: %+v", rep.Verdict(), rep.Suspects)
	}
}

// TestPolicyIsTimed wants the bans to avert what comes after their decision,
// and before they end.
func TestPolicyIsTimed(t *testing.T) {
	for name, c := range map[string]struct {
		after, until time.Duration
		want         int64
	}{
		"never":         {time.Minute, 0, 0},
		"after all":     {320 * time.Second, time.Hour, 0},
		"the last half": {161 * time.Second, time.Hour, 150},
		"a ban that ends leaves the pool free, for who held it is gone": {161 * time.Second, time.Second, 150},
	} {
		l := siege(Options{})
		end := l.now
		l.now = epoch.Add(c.after)
		l.suspect(crook+"/32", c.until)
		l.now = end
		rep := l.report(t, "www")
		if rep.Policy.Averted.Median != c.want {
			t.Errorf("%s: averts %v, want %d", name, rep.Policy.Averted, c.want)
		}
		if rep.Diagnosis.Together.Averted.Median != 300 {
			t.Errorf("%s: averts %v in all", name, rep.Diagnosis.Together.Averted)
		}
		if len(rep.Notes) > 0 {
			t.Errorf("%s: notes %q", name, rep.Notes)
		}
	}
}

// TestBanForServices has a ban for services that the suspect does not use, and
// one that is for all of them.
func TestBanForServices(t *testing.T) {
	for name, c := range map[string]struct {
		services [][]string
		want     int64
	}{
		"all":             {[][]string{nil}, 300},
		"that one":        {[][]string{{"imap", "www"}}, 300},
		"another":         {[][]string{{"imap"}}, 0},
		"unknown":         {[][]string{{"nntp"}}, 0},
		"one after other": {[][]string{{"imap"}, {"www"}}, 300},
		"another and all": {[][]string{{"imap"}, nil}, 300},
	} {
		l := siege(Options{})
		l.write(connlog.Event{Kind: connlog.Open, Service: "imap", Conn: 9999, ClientIP: netip.MustParseAddr(anna)})
		for _, services := range c.services {
			l.r.Suspect(Suspect{Source: netip.MustParsePrefix(crook + "/32"), Policy: "p", At: epoch, Until: epoch.Add(time.Hour), Services: services})
		}
		rep := l.report(t, "www")
		together, policy := rep.Diagnosis.Together.Averted.Median, rep.Policy.Averted.Median
		if together != c.want || policy != c.want {
			t.Errorf("%s: %d averted, by the policy %d, want %d", name, together, policy, c.want)
		}
	}
}

// TestServicesOfSeveral has an address and its net suspected, for a service
// each: both are what its ban is for, unless one is for all.
func TestServicesOfSeveral(t *testing.T) {
	c := &scene{services: map[string]uint16{"imap": 3, "www": 4}}
	about := func(services ...string) *group {
		return &group{members: []uint32{7}, bans: []suspicion{{Suspect: Suspect{Services: services}}}}
	}
	if got := c.limits([]*group{about("imap"), about("www", "www")})[7]; !slices.Contains(got, 3) || !slices.Contains(got, 4) {
		t.Errorf("services %v", got)
	}
	for _, groups := range [][]*group{{about(), about("www")}, {about("www"), about()}, {about("www"), about(), about("imap")}} {
		if got := c.limits(groups); len(got) > 0 {
			t.Errorf("a ban for all is for services %v", got)
		}
	}
}

// TestSuspectsOfTheStretch has decisions before, in and after a stretch.
func TestSuspectsOfTheStretch(t *testing.T) {
	for name, c := range map[string]struct {
		at, lasts time.Duration
		want      int
	}{
		"an hour before":           {-time.Hour, 10 * time.Minute, 0},
		"in force":                 {-time.Hour, 3 * time.Hour, 1},
		"in force at the margin":   {-time.Hour, time.Hour - 45*time.Second, 1},
		"meanwhile":                {time.Minute, time.Hour, 1},
		"a suggestion meanwhile":   {time.Minute, 0, 1},
		"a suggestion before":      {-5 * time.Minute, 0, 0},
		"in the minute after":      {6 * time.Minute, time.Hour, 1},
		"with the stretch of next": {3 * time.Hour, time.Hour, 0},
	} {
		l := siege(Options{})
		end := l.now
		l.now = epoch.Add(c.at)
		l.suspect(crook+"/32", c.lasts)
		l.now = end
		l.after(3*time.Hour).refuse(anna, 1)
		rep, err := l.r.Report(l.r.Stretches()[0], loss.Question{})
		if err != nil || len(rep.Suspects) != c.want {
			t.Errorf("%s: %d suspects, want %d, %v", name, len(rep.Suspects), c.want, err)
		}
	}
}

// TestAloneIsOutermost has a net that is suspected, and addresses in it with
// most of its blame: what is tried alone is the net, and the next one.
func TestAloneIsOutermost(t *testing.T) {
	l := newLogger(Options{}, 4)
	ids := []uint64{l.open(crook), l.open(crook), l.open("203.0.113.10"), l.open(ben)}
	for range 30 {
		l.after(time.Second).refuse(anna, 1)
	}
	for i, who := range []string{crook, crook, "203.0.113.10", ben} {
		l.close(ids[i], who)
	}
	for _, s := range []string{crook + "/32", "203.0.113.10/32", "203.0.113.0/24", ben + "/32"} {
		l.suspect(s, time.Hour)
	}
	s, _ := l.r.Whole("www", time.Time{}, time.Time{})
	rep, err := l.r.Report(s, loss.Question{Singles: 2})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range rep.Suspects {
		outermost := a.Source.Bits() == 24 || a.Source.Addr().String() == ben
		if a.Alone != outermost || outermost && a.Averted.Averted.Median == 0 {
			t.Errorf("%v: alone is %v, averts %v", a.Source, a.Alone, a.Averted.Averted)
		}
	}
	if len(rep.Suspects) != 4 {
		t.Errorf("%d suspects, want 4", len(rep.Suspects))
	}
}

// TestOutlivedBan has a source that comes again after its ban has ended, which
// with the ban in force would have been banned again.
func TestOutlivedBan(t *testing.T) {
	l := siege(Options{})
	end := l.now
	l.now = epoch.Add(5 * time.Second)
	l.suspect(crook+"/32", 3*time.Second)
	l.now = end
	rep := l.report(t, "www")
	if len(rep.Notes) != 1 || !strings.HasPrefix(rep.Notes[0], "Suspects that came again after their bans had ended: 1.") {
		t.Errorf("notes %q", rep.Notes)
	}
}

// TestLeadIn has the holding times of who was served before the stretch, and
// its refusals not counted.
func TestLeadIn(t *testing.T) {
	l := siege(Options{})
	s, ok := l.r.Whole("www", epoch.Add(100*time.Second), epoch.Add(200*time.Second))
	if !ok {
		t.Fatal("nothing is known")
	}
	l.now = epoch.Add(150 * time.Second)
	l.suspect(crook+"/32", time.Hour)
	rep, err := l.r.Report(s, loss.Question{})
	if err != nil {
		t.Fatal(err)
	}
	if rep.Refused != 100 || rep.Diagnosis.Recorded != 100 || rep.Arrivals != 100 || rep.Diagnosis.Together.Averted.Median != 100 {
		t.Errorf("%d refused, %d recorded, %d arrivals, %v averted", rep.Refused, rep.Diagnosis.Recorded, rep.Arrivals, rep.Diagnosis.Together.Averted)
	}
	if rep.Diagnosis.Together.Guessed > 0 {
		t.Error("holding times are guessed, and were there")
	}
	rep, err = New(Options{}).Report(s, loss.Question{})
	if err == nil {
		t.Errorf("another log gives %+v", rep)
	}
}

func TestWorstAndLast(t *testing.T) {
	l := siege(Options{})
	l.suspect(crook+"/32", time.Hour)
	sick := l.report(t, "www")
	l.write(connlog.Event{Kind: connlog.Open, Service: "imap", Conn: 9999, ClientIP: netip.MustParseAddr(anna)})
	well := l.report(t, "imap")
	if Worst(well, sick) != sick || Worst(sick, well) != sick || Worst(well) != well {
		t.Error("the worst is not the worst")
	}
	last, ok := l.r.Last()
	if !ok || last.Pool != "www" || last.Refused != 300 {
		t.Errorf("%+v", last)
	}
	l.after(time.Hour).write(connlog.Event{Kind: connlog.Refuse, Service: "imap", ClientIP: netip.MustParseAddr(anna), Reason: connlog.RefuseBusy})
	if last, _ := l.r.Last(); last.Pool != "imap" || len(l.r.Stretches()) != 2 {
		t.Errorf("%+v", last)
	}
	rep, err := l.r.Report(last, loss.Question{})
	if err != nil || strings.Join(rep.Assumptions, "") == "" {
		t.Errorf("%+v, %v", rep, err)
	}
}
