package detector

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"overstay/connlog"
)

// longCounts are the counts of the first source, as its policies see them.
func longCounts(d *Detector, n int) map[string]float64 {
	return d.figuresOf(oracleKey{"www", connlog.AddressLevel.Source(ip(n)).String()})
}

// TestWindowsMove counts to the end of each window and beyond.
func TestWindowsMove(t *testing.T) {
	d, l := mustNew(t, Options{}), newLogger(1000)
	l.at(3 * time.Minute) // in the stretch from 9:00 to 9:10, and to 10:00 from 8:00
	for range 6 {
		id := l.connect(ip(1))
		l.fail(id, connlog.FailLogin)
		l.fail(id, connlog.FailCommand)
		l.proveBy(id, connlog.ByMessage)
		l.proveBy(id, connlog.ByMessage) // proves nothing new
		l.close(id, connlog.EndClient)
	}
	l.proveBy(l.connect(ip(1)), connlog.ByLogin)
	for _, step := range []struct {
		at                        time.Duration
		opens1h, opens24h, part1h float64
	}{
		{3 * time.Minute, 7, 7, 1},
		{time.Hour, 7, 7, 1},
		{time.Hour + 5*time.Minute, 3.5, 7, 0.5}, // half of 9:00 to 9:10 is within
		{time.Hour + 10*time.Minute, 0, 7, 0},
		{23 * time.Hour, 0, 7, 0}, // 8:00 the next day
		{24 * time.Hour, 0, 3.5, 0},
		{25 * time.Hour, 0, 0, 0},
		{1000 * time.Hour, 0, 0, 0},
	} {
		l.at(step.at)
		l.refuse(ip(9), connlog.RefuseBanned)
		observeAll(d, l)
		got := longCounts(d, 1)
		for name, want := range map[string]float64{
			"opens_1h": step.opens1h, "opens_24h": step.opens24h,
			"by_message_1h": 6 * step.part1h, "logins_failed_1h": 6 * step.part1h,
			"by_message_24h": 6 * step.opens24h / 7, "logins_failed_24h": 6 * step.opens24h / 7,
		} {
			if !agree(name, got[name], want) {
				t.Errorf("after %v: %s is %v, want %v", step.at, name, got[name], want)
			}
		}
	}
}

// TestWindowError holds the counts to the bound that docs/policies.md gives:
// off by less than what the stretch at the far edge holds.
func TestWindowError(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 5))
	var w window
	var at []int64
	now := epoch.UnixMicro()
	w.last = stretch(now)
	for range 20_000 {
		now += int64(r.ExpFloat64() * 20 * micros)
		if r.IntN(200) == 0 {
			now += int64(r.ExpFloat64() * 3600 * micros)
		}
		w.add(stretch(now), 1)
		at = append(at, now)
		if r.IntN(20) > 0 {
			continue
		}
		later := now + r.Int64N(3600*micros)
		for _, c := range []struct{ got, window, stretch float64 }{
			{w.hour(later), 3600, 600}, {w.day(later), 24 * 3600, 7200},
		} {
			var exact, edge float64
			begin := later - int64(c.window)*micros
			for i := len(at) - 1; i >= 0 && at[i] > begin-int64(c.stretch)*micros; i-- {
				if at[i] >= begin {
					exact++
				}
				if floor(at[i], int64(c.stretch)*micros) == floor(begin, int64(c.stretch)*micros) {
					edge++
				}
			}
			if diff := c.got - exact; diff > 1e-9 && diff >= edge || diff < -1e-9 && -diff >= edge {
				t.Fatalf("%v s: counted %v, there are %v, of which the edge may hide %v", c.window, c.got, exact, edge)
			}
		}
	}
}

// TestWindowStopsCounting is a flood that no counter holds.
func TestWindowStopsCounting(t *testing.T) {
	var w window
	now := epoch.UnixMicro()
	for range 70_000 {
		w.add(stretch(now), 1)
	}
	if w.hour(now) != 65_535 || w.day(now) != 65_535 {
		t.Errorf("%v and %v, want 65535", w.hour(now), w.day(now))
	}
	now += hourStretch
	w.add(stretch(now), 1)
	if w.hour(now) != 65_536 || w.day(now) != 65_535 {
		t.Errorf("ten minutes on: %v and %v", w.hour(now), w.day(now))
	}
}

// TestFewIsAWindow counts the same events with few and with windows, until few
// has no room, over and over.
func TestFewIsAWindow(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 6))
	kinds := []windowKind{windowOpens, windowByMessage, windowLoginsFailed}
	ws := new(windows)
	now, most := epoch.UnixMicro(), 0
	for range 1000 {
		a, b := new(source), new(source)
		ws.of(b, windowOpens, stretch(now)) // never few
		events := 0
		for pace := math.Exp(-9*r.Float64()) * 7200 * micros; a.windows == 0 && events < 2000; events++ {
			kind := kinds[r.IntN(3)*r.IntN(2)]
			ws.count(a, kind, now)
			ws.count(b, kind, now)
			for range 2 {
				for _, k := range kinds {
					if got, want := ws.hour(a, k, now), ws.hour(b, k, now); !agree("hour", got, want) {
						t.Fatalf("after %d events: %v of kind %d in an hour, want %v", events, got, k, want)
					}
					if got, want := ws.day(a, k, now), ws.day(b, k, now); !agree("day", got, want) {
						t.Fatalf("after %d events: %v of kind %d in a day, want %v", events, got, k, want)
					}
				}
				now += int64(r.ExpFloat64() * pace)
				if r.IntN(150) == 0 {
					now += r.Int64N(30 * 3600 * micros) // past either edge
				}
			}
		}
		most = max(most, events)
	}
	if most < 50 {
		t.Errorf("few never counted more than %d", most)
	}
}

// TestWindowsAreGivenBack sweeps many sources that do much past a small memory:
// there are never more windows than for those remembered, and none is shared.
func TestWindowsAreGivenBack(t *testing.T) {
	const size = 200
	d, l := mustNew(t, Options{MaxSources: size}), newLogger(100_000)
	l.connect(ip(0))
	for i := range 6 * size {
		id := l.connect(ip(768 + i))
		for range 256 { // one more than few has room for
			l.fail(id, connlog.FailLogin)
		}
		l.proveBy(id, connlog.ByMessage)
		l.wait(time.Millisecond)
		l.close(id, connlog.EndClient)
		observeAll(d, l)
	}
	if got := longCounts(d, 0)["opens_24h"]; got != 1 {
		t.Errorf("the one that holds a thread all the time has opened %v", got)
	}
	ws := &d.table.windows
	if most := uint32(3 * (size + 2)); ws.made > most {
		t.Errorf("%d windows, want at most %d", ws.made, most)
	}
	seen := make(map[uint32]bool)
	walk := func(first uint32) (n int) {
		for i := first; i != 0; i = ws.at(i).next {
			if seen[i] {
				t.Fatalf("window %d is in two lists", i)
			}
			seen[i] = true
			n++
		}
		return n
	}
	for s := range d.table.index.all {
		if n := walk(s.windows); n != 3 && s.queue&^seenAgain != queueNone && s.key.addr != ip(0).As16() {
			t.Fatalf("%v has %d windows", s.key.address(), n)
		}
	}
	walk(ws.spare)
	if len(seen) != int(ws.made) {
		t.Errorf("%d windows are in a list, %d were made", len(seen), ws.made)
	}
}

// TestWindowsBeforeTime reads a log of 1970, and one from before.
func TestWindowsBeforeTime(t *testing.T) {
	for _, at := range []time.Time{time.Unix(0, 0), time.Unix(1, 0), time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)} {
		d, l := mustNew(t, Options{}), newLogger(10)
		l.events = nil
		l.now = at
		l.connect(ip(1))
		l.wait(time.Minute)
		l.connect(ip(1))
		observeAll(d, l)
		if c := longCounts(d, 1); c["opens_1h"] != 2 || c["opens_24h"] != 2 {
			t.Errorf("in %v: %v and %v, want 2", at, c["opens_1h"], c["opens_24h"])
		}
	}
}

// TestDailyCap is the example of docs/policies.md.
func TestDailyCap(t *testing.T) {
	p := Policy{Name: "daily-cap", When: "opens_24h > 100", Action: Ban, Duration: 24 * time.Hour}
	w := watch1(t, Options{Policies: []Policy{p}})
	visits := func(n int) {
		for range n {
			w.wait(5 * time.Minute)
			w.close(w.connect(ip(1)), connlog.EndClient)
		}
	}
	visits(100)
	w.expect(t)
	visits(1)
	w.expect(t, "ban 8h25m0s for 24h0m0s")
	// While it is banned it counts for nothing, and after that it may come
	// again as often.
	for range 100 {
		w.wait(15 * time.Minute)
		w.refuse(ip(1), connlog.RefuseBanned)
	}
	visits(100)
	w.expect(t)
	visits(1)
	w.expect(t, "ban 41h50m0s for 24h0m0s")
}

// TestLongCountsAfterReadingBack is a restart that reads only the last hours
// of the log again: the counts are those of these hours, never more.
func TestLongCountsAfterReadingBack(t *testing.T) {
	live, late, l := mustNew(t, Options{}), mustNew(t, Options{}), newLogger(10)
	for i := range 200 {
		l.wait(5 * time.Minute)
		l.close(l.connect(ip(1)), connlog.EndClient)
		for j := range l.events {
			live.Observe(&l.events[j])
			if i >= 200-72 { // six hours
				late.Observe(&l.events[j])
			}
		}
		l.events = nil
	}
	a, b := longCounts(live, 1), longCounts(late, 1)
	if a["opens_24h"] != 200 || b["opens_24h"] != 72 || a["opens_1h"] != b["opens_1h"] {
		t.Errorf("live %v in a day, %v in the last hour; read back %v and %v",
			a["opens_24h"], a["opens_1h"], b["opens_24h"], b["opens_1h"])
	}
}
