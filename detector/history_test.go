package detector

import (
	"math"
	"net/netip"
	"testing"
	"time"

	"overstay/connlog"
)

// TestHistory reckons the figures of a source with bans at some minutes, each
// for ten.
func TestHistory(t *testing.T) {
	r := new(record)
	for i, minute := range []int64{0, 15, 200, 261, 1000} {
		at := minute * 60 * micros
		r.remember(past{id: string(rune('a' + i)), at: at, until: at + 600*micros})
	}
	for _, c := range []struct {
		minute        int64
		bans, returns int
		since         float64
	}{
		{0, 0, 0, math.Inf(1)}, // the ban of this moment is none of before
		{5, 1, 0, 0},           // it stands
		{12, 1, 0, 120},
		{60, 2, 1, 35 * 60},
		{205, 3, 1, 0},
		{300, 4, 2, 29 * 60}, // 51 minutes after the end of the one before
		{1100, 5, 2, 90 * 60},
	} {
		if h := r.history(c.minute * 60 * micros); h.bans != c.bans || h.returns != c.returns || h.since != c.since {
			t.Errorf("after %d minutes: %+v, want %+v", c.minute, h, c)
		}
	}
	if h := (*record)(nil).history(5); h.bans != 0 || h.returns != 0 || !math.IsInf(h.since, 1) {
		t.Errorf("of nobody: %+v", h)
	}
}

// TestHistoryInConditions acts on one that comes back after each ban, whether
// the detector saw those itself or the list had them.
func TestHistoryInConditions(t *testing.T) {
	back := Policy{Name: "back", When: "open >= 1 && history.returns >= 2 && history.since < 3600", Action: Suggest, Duration: time.Hour}
	first := Policy{Name: "first", When: "open >= 3", Action: Ban, Duration: time.Minute}
	var earlier []Past
	for _, fresh := range []bool{true, false} {
		w := watch1(t, Options{Policies: []Policy{back, first}, Earlier: earlier})
		if !fresh {
			w.at(20 * time.Minute)
			w.connect(ip(1))
			w.expect(t, "suggest 20m0s for 1h0m0s")
			continue
		}
		for range 3 {
			ids := []uint64{w.connect(ip(1)), w.connect(ip(1)), w.connect(ip(1))}
			for _, id := range ids {
				w.close(id, connlog.EndBanned)
			}
			w.wait(5 * time.Minute)
		}
		for _, dec := range w.decided {
			earlier = append(earlier, Past{ID: dec.ID, Source: dec.Source, At: dec.At, Until: dec.At.Add(dec.Duration)})
		}
		w.expect(t, "ban 0s for 1m0s", "ban 5m0s for 1m0s", "ban 10m0s for 1m0s")
		w.connect(ip(1))
		got := w.decided[0].Evidence
		w.expect(t, "suggest 15m0s for 1h0m0s")
		if got.HistoryBans != 3 || got.HistoryReturns != 2 {
			t.Errorf("%+v", got)
		}
	}
}

// TestTargets cuts prefixes, of both families.
func TestTargets(t *testing.T) {
	for _, c := range []struct{ from, bits, want string }{
		{"203.0.113.201/32", "120", "203.0.113.0/24"}, {"203.0.113.201/32", "125", "203.0.113.200/29"},
		{"203.0.113.201/32", "128", "203.0.113.201/32"}, {"203.0.113.201/32", "96", "0.0.0.0/0"},
		{"2001:db8:5:ff::/64", "48", "2001:db8:5::/48"}, {"2001:db8:5:ff::/64", "61", "2001:db8:5:f8::/61"},
	} {
		bits := uint8(0)
		for _, digit := range c.bits {
			bits = bits*10 + uint8(digit-'0')
		}
		got := targetOf(netip.MustParsePrefix(c.from)).within(bits)
		if got.prefix().String() != c.want || !got.covers(targetOf(netip.MustParsePrefix(c.from)).addr) {
			t.Errorf("%s within %s: %v, want %s", c.from, c.bits, got.prefix(), c.want)
		}
	}
}

// TestScanWait is an average of those who waited that fades when nobody does.
func TestScanWait(t *testing.T) {
	w := watch1(t, Options{})
	wait := func() float64 {
		w.refuse(ip(9), connlog.RefuseBanned)
		p := w.d.pools.byName["www"]
		p.advance(w.d.now)
		return p.scans.wait()
	}
	scan := func(waited time.Duration) {
		id := w.connect(ip(1))
		o := w.open[id]
		w.drop(id)
		e := connlog.Event{Kind: connlog.Close, Service: o.service, Conn: id, ClientIP: o.ip}
		e.Stages[connlog.StageScanWait] = waited
		w.write(e)
	}
	scan(0) // did not scan
	if got := wait(); got != 0 {
		t.Errorf("nobody waited for %v", got)
	}
	scan(4 * time.Second)
	if got := wait(); got != 4 {
		t.Errorf("one waited 4 s: %v", got)
	}
	scan(8 * time.Second)
	scan(-time.Second)
	if got := wait(); got != 6 {
		t.Errorf("one 4 s and one 8 s: %v", got)
	}
	w.wait(2 * time.Minute)
	if got, want := wait(), 12*math.Exp(-2); math.Abs(got-want) > 1e-9 {
		t.Errorf("two minutes later: %v, want %v", got, want)
	}
	// One of a connection that is not known counts as well.
	e := connlog.Event{Kind: connlog.Close, Service: "www", Conn: 99, ClientIP: ip(1)}
	e.Stages[connlog.StageScanWait] = 10 * time.Second
	w.write(e)
	if got := wait(); got < 8 || got > 10 {
		t.Errorf("one waited 10 s, two minutes after the others: %v", got)
	}
}
