package cause

import (
	"encoding/json"
	"maps"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"time"

	"overstay/connlog"
	"overstay/detector/loss"
	"overstay/internal/traffic"
)

// scenario returns the one of that name.
func scenario(t testing.TB, name string) *traffic.Scenario {
	t.Helper()
	all := traffic.Scenarios()
	i := slices.IndexFunc(all, func(s traffic.Scenario) bool { return s.Name == name })
	if i < 0 {
		t.Fatalf("there is no scenario %s", name)
	}
	return &all[i]
}

// eventsOf plays a scenario into a slice.
func eventsOf(t testing.TB, s *traffic.Scenario, seed uint64) []connlog.Event {
	t.Helper()
	sim := s.Simulation(seed)
	events, err := sim.Events()
	if err != nil {
		t.Fatal(err)
	}
	var all []connlog.Event
	for e := range events {
		c := *e
		c.Services = slices.Clone(e.Services)
		all = append(all, c)
	}
	return all
}

// slowly gathers the arrivals of a pool of its own from a log that has neither
// gaps nor steps of the clock, by looking for each opening's end.
func slowly(events []connlog.Event, pool string) (all []loss.Arrival) {
	at := func(e *connlog.Event) time.Duration { return e.Time.Sub(events[0].Time) }
	last := &events[len(events)-1]
	for i := range events {
		e := &events[i]
		if e.Service != pool {
			continue
		}
		switch {
		case e.Kind == connlog.Refuse && e.Reason == connlog.RefuseBusy:
			all = append(all, loss.Arrival{At: at(e), Refused: true, Count: uint32(max(e.Count, 1))})
		case e.Kind == connlog.Open:
			a := loss.Arrival{At: at(e), Hold: at(last) + time.Microsecond - at(e)}
			for j := i + 1; j < len(events); j++ {
				x := &events[j]
				if x.Boot != e.Boot {
					a.Hold = at(&events[j-1]) + time.Microsecond - at(e)
					break
				}
				if x.Kind == connlog.Close && x.Conn == e.Conn {
					a.Hold = at(x) - at(e)
					a.Wait = x.Stages[connlog.StageScanWait].Truncate(stageUnit * time.Microsecond)
					break
				}
			}
			all = append(all, a)
		}
	}
	return all
}

func TestArrivalsAreTheSlowOnes(t *testing.T) {
	for _, name := range []string{"crash", "scanner-stalls"} {
		events := eventsOf(t, scenario(t, name), 3)
		r := New(Options{})
		for i := range events {
			r.Observe(&events[i])
		}
		pool := r.Pools()[0]
		s, _ := r.Whole(pool, time.Time{}, time.Time{})
		c, err := r.scene(s)
		if err != nil {
			t.Fatal(err)
		}
		want := slowly(events, pool)
		if len(c.arrivals) != len(want) {
			t.Fatalf("%s: %d arrivals, want %d", name, len(c.arrivals), len(want))
		}
		for i, got := range c.arrivals {
			if w := want[i]; got.At != w.At || got.Hold != w.Hold || got.Refused != w.Refused || got.Count != w.Count || got.Wait != w.Wait {
				t.Fatalf("%s: arrival %d is %+v, want %+v", name, i, got, w)
			}
		}
	}
}

// TestBlameIsTheSlowOne charges every holder at every refusal.
func TestBlameIsTheSlowOne(t *testing.T) {
	r := record(t, scenario(t, "slow-post"), 2)
	s, _ := r.Whole("www", time.Time{}, time.Time{})
	c, err := r.scene(s)
	if err != nil {
		t.Fatal(err)
	}
	const some = 8000
	c.arrivals, c.busy = c.arrivals[:some], c.busy[:some]
	groups := c.accuse(r.suspects)
	c.sweep(groups)
	suspect := map[uint32]*group{}
	for _, g := range groups {
		for _, m := range g.members {
			suspect[m] = g
		}
	}
	want := map[*group]float64{}
	for i, a := range c.arrivals {
		if !a.Refused || suspect[a.Source] != nil {
			continue
		}
		for _, h := range c.arrivals[:i] {
			if g := suspect[h.Source]; g != nil && !h.Refused && h.At+h.Hold > a.At {
				want[g] += float64(a.Count) / float64(max(c.busy[i], 1))
			}
		}
	}
	if len(want) != 16 {
		t.Fatalf("%d suspects with blame", len(want))
	}
	for g, w := range want {
		if d := g.Blame - w; d > 1e-6 || d < -1e-6 {
			t.Errorf("%v has blame %v, want %v", g.Source, g.Blame, w)
		}
	}
}

// reported is the report on all stretches of a log to the byte.
func reported(t *testing.T, events []connlog.Event, suspects []netip.Prefix) string {
	t.Helper()
	r := New(Options{})
	for i := range events {
		r.Observe(&events[i])
	}
	last := events[len(events)-1].Time
	for _, p := range suspects {
		r.Suspect(Suspect{Source: p, Policy: "truth", At: last.Add(-time.Minute), Until: last})
	}
	var all []*Report
	for _, s := range r.Stretches() {
		rep, err := r.Report(s, loss.Question{Seeds: 2, Singles: 2})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, rep)
	}
	text, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatal("nothing was refused")
	}
	return string(text)
}

// cut splits a log into files at random places: each begins with a head that
// names what is open, and may repeat lines of the one before.
func cut(r *rand.Rand, events []connlog.Event) (all []connlog.Event) {
	open := map[uint64]connlog.Event{}
	var boot string
	var seq uint64
	write := func(e connlog.Event) {
		seq++
		e.Seq = seq
		all = append(all, e)
	}
	for i, e := range events {
		if e.Boot != boot {
			boot, seq = e.Boot, 0
			clear(open)
		} else if r.IntN(2000) == 0 && !e.Time.Equal(events[i-1].Time) {
			now := events[i-1].Time
			write(connlog.Event{Kind: connlog.Start, Time: now, Boot: boot, Continued: true})
			for _, conn := range slices.Sorted(maps.Keys(open)) {
				o := open[conn]
				write(connlog.Event{Kind: connlog.Open, Time: now, Boot: boot, Service: o.Service, Conn: conn, ClientIP: o.ClientIP,
					Held: max(now.Sub(o.Time), time.Microsecond)})
			}
			again := len(all) - 1 - r.IntN(min(len(all), 40))
			all = append(all, all[again:]...)
		}
		switch e.Kind {
		case connlog.Open:
			open[e.Conn] = e
		case connlog.Close:
			delete(open, e.Conn)
		}
		write(e)
	}
	return all
}

// TestOneReport wants the same log to give the same report to the byte: on any
// number of processors, and from files that were cut differently.
func TestOneReport(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, name := range []string{"scanner-and-attack", "crash"} {
		s := scenario(t, name)
		events := eventsOf(t, s, 4)
		want := reported(t, events, s.Truth.Attackers)
		seed := rand.Uint64()
		for i, procs := range []int{1, 3} {
			runtime.GOMAXPROCS(procs)
			files := cut(rand.New(rand.NewPCG(seed, uint64(i))), events)
			if len(files) <= len(events) {
				t.Fatalf("seed %d: the log was not cut", seed)
			}
			if got := reported(t, files, s.Truth.Attackers); got != want {
				t.Errorf("%s, seed %d: cut, on %d processors:\n%s\nwant\n%s", name, seed, procs, got, want)
			}
			if got := reported(t, events, s.Truth.Attackers); got != want {
				t.Errorf("%s: on %d processors:\n%s\nwant\n%s", name, procs, got, want)
			}
		}
	}
}

// TestSnakes wants all keys of a report in lower case.
func TestSnakes(t *testing.T) {
	l := siege(Options{})
	l.suspect(crook+"/32", time.Hour)
	text, err := json.Marshal(l.report(t, "www"))
	if err != nil {
		t.Fatal(err)
	}
	var all any
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	keys := 0
	var walk func(x any)
	walk = func(x any) {
		switch x := x.(type) {
		case map[string]any:
			for k, v := range x {
				if keys++; !slices.ContainsFunc([]byte(k), func(b byte) bool { return b >= 'a' && b <= 'z' }) ||
					slices.ContainsFunc([]byte(k), func(b byte) bool { return b >= 'A' && b <= 'Z' }) {
					t.Errorf("key %q", k)
				}
				walk(v)
			}
		case []any:
			for _, v := range x {
				walk(v)
			}
		}
	}
	walk(all)
	if keys < 50 {
		t.Errorf("%d keys in %s", keys, text)
	}
}
