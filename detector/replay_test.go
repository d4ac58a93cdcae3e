package detector

import (
	"encoding/json"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"overstay/connlog"
)

// eventful is a log with bans, suggestions, evictions, a crash and returns in
// it, and the decisions that were made live.
func eventful(t *testing.T, seed uint64) ([]connlog.Event, []Decision) {
	t.Helper()
	w := newWorld(t, 40, eventfulOptions().Policies, seed)
	w.forget = false
	w.client(ip(1), 100*time.Millisecond, new(tally))
	w.client(ip(2), 100*time.Millisecond, new(tally))
	w.run(3 * time.Second)
	for i := range 4 {
		w.sitter(ip(300+i), 11, 20*time.Second)
	}
	w.every(300*time.Millisecond, func() { w.visit(ip(310), 1, false, time.Second) })
	w.run(15 * time.Second)
	w.crash("boot2")
	for i := range 30 {
		w.sitter(ip(320+i), 2, time.Minute)
	}
	w.sitter(ip(300), 20, 20*time.Second)
	w.run(25 * time.Second)
	if len(w.decided) < 5 {
		t.Fatalf("seed %d: only %d decisions", seed, len(w.decided))
	}
	if !slices.ContainsFunc(w.decided, func(dec Decision) bool { return dec.Policy == "counted" }) {
		t.Fatalf("seed %d: no decision by long counts and blame", seed)
	}
	if !slices.ContainsFunc(w.decided, func(dec Decision) bool { return dec.Policy == "nets" && dec.Evidence.EarlierBans > 0 }) {
		t.Fatalf("seed %d: no decision about a net that returned", seed)
	}
	return w.events, w.decided
}

// crash starts the server again; what its clients wait for never comes.
func (w *world) crash(boot string) {
	w.queue = nil
	w.every(5*time.Second, w.beat)
	w.restart(boot)
}

// text is a list of decisions to the byte.
func text(t *testing.T, decs []Decision) string {
	t.Helper()
	var b strings.Builder
	for _, dec := range decs {
		line, err := json.Marshal(dec)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(line)
		b.WriteByte('\n')
	}
	return b.String()
}

// policies of eventful.
func eventfulOptions() Options {
	policies := DefaultPolicies()
	policies[3].Action = Suggest
	// First, because who is banned already is not suggested any more.
	policies = slices.Insert(policies, 0, Policy{Name: "counted", Action: Suggest, Duration: time.Second,
		When: "opens_1h >= 2 && opens_24h >= 2 && blame >= 0.2 && blame1 >= 0.1"})
	policies = append(policies, Policy{Name: "nets", Level: LevelNet, Action: Ban, Duration: 4 * time.Second, Averts: true,
		When: "net.unproven.others >= 4 && net.unproven.load1 > net.proven && net.blame >= 0.1", Escalate: Escalate{Factor: 1.5}})
	return Options{Policies: policies}
}

func replay(t *testing.T, o Options, events []connlog.Event) []Decision {
	t.Helper()
	d := mustNew(t, o)
	var out []Decision
	for i := range events {
		out = append(out, d.Observe(&events[i])...)
	}
	return out
}

func TestReplayIsLive(t *testing.T) {
	for seed := range uint64(3) {
		events, live := eventful(t, seed)
		want := text(t, live)
		for _, procs := range []int{1, 2, 4} {
			before := runtime.GOMAXPROCS(procs)
			got := text(t, replay(t, eventfulOptions(), events))
			runtime.GOMAXPROCS(before)
			if got != want {
				t.Fatalf("seed %d, GOMAXPROCS %d:\n%s\nlive:\n%s", seed, procs, got, want)
			}
		}
	}
}

// TestReplayWithItsOwnHistory is a restart: the log is read again from its
// beginning, and the list already has the bans that it led to. Whatever the
// restart point, the decisions are the same, durations included.
func TestReplayWithItsOwnHistory(t *testing.T) {
	events, live := eventful(t, 1)
	o := eventfulOptions()
	for _, dec := range live {
		if dec.Action == Ban {
			o.Earlier = append(o.Earlier, Past{ID: dec.ID, Source: dec.Source, At: dec.At, Until: dec.At.Add(dec.Duration)})
		}
	}
	if got, want := text(t, replay(t, o, events)), text(t, live); got != want {
		t.Fatalf("replay:\n%s\nlive:\n%s", got, want)
	}
}

// TestRestartAnywhere stops a detector at some line and starts another, which
// has the bans that the first one made and reads the log again.
func TestRestartAnywhere(t *testing.T) {
	events, live := eventful(t, 0)
	want := text(t, live)
	r := rand.New(rand.NewPCG(9, 10))
	rounds := 12
	if testing.Short() || raceEnabled {
		rounds = 3
	}
	for range rounds {
		stop := r.IntN(len(events))
		o := eventfulOptions()
		for _, dec := range replay(t, o, events[:stop]) {
			if dec.Action == Ban {
				o.Earlier = append(o.Earlier, Past{ID: dec.ID, Source: dec.Source, At: dec.At, Until: dec.At.Add(dec.Duration)})
			}
		}
		if got := text(t, replay(t, o, events)); got != want {
			t.Fatalf("stopped before line %d:\n%s\nlive:\n%s", stop, got, want)
		}
	}
}

// TestAdvanceChangesNothing cuts the seconds between lines as a live follower
// may, and reads reports in between.
func TestAdvanceChangesNothing(t *testing.T) {
	events, live := eventful(t, 2)
	d := mustNew(t, eventfulOptions())
	r := rand.New(rand.NewPCG(3, 4))
	var got []Decision
	for i := range events {
		if i > 0 {
			if gap := events[i].Time.Sub(events[i-1].Time); gap > 0 {
				got = append(got, d.Advance(events[i-1].Time.Add(time.Duration(r.Int64N(int64(gap)))))...)
			}
		}
		d.Ranking(5)
		d.Nets(5)
		d.Pools()
		got = append(got, d.Observe(&events[i])...)
	}
	if g, w := text(t, got), text(t, live); g != w {
		t.Fatalf("with Advance:\n%s\nlive:\n%s", g, w)
	}
}

// TestRepeatsChangeNothing reads overlapping stretches, as after restarts of a
// reader, and old files once more.
func TestRepeatsChangeNothing(t *testing.T) {
	events, live := eventful(t, 0)
	d := mustNew(t, eventfulOptions())
	r := rand.New(rand.NewPCG(5, 6))
	var got []Decision
	repeated := uint64(0)
	for i := range events {
		got = append(got, d.Observe(&events[i])...)
		if i%200 == 0 {
			from := r.IntN(i + 1)
			for j := from; j <= i; j++ {
				got = append(got, d.Observe(&events[j])...)
			}
			repeated += uint64(i - from + 1)
		}
	}
	if g, w := text(t, got), text(t, live); g != w {
		t.Fatalf("with repeats:\n%s\nlive:\n%s", g, w)
	}
	if s := d.Stats(); s.Repeats+s.OldBoot != repeated || s.OldBoot == 0 {
		t.Errorf("%d repeats and %d of an old boot, want %d in all", s.Repeats, s.OldBoot, repeated)
	}
}

// TestCutAnywhere cuts the log into files at random lines, each with the
// head a server writes. The heads take numbers of their own, so the
// numbers in the decisions are translated back before comparing.
func TestCutAnywhere(t *testing.T) {
	events, live := eventful(t, 1)
	want := text(t, live)
	r := rand.New(rand.NewPCG(7, 8))
	rounds := 24
	if testing.Short() || raceEnabled {
		rounds = 4
	}
	for round := range rounds {
		// From a head before every fourth line to a few in all; a head before
		// every single one would be more heads than log.
		cut := func(int) bool { return r.IntN(4<<(round%8)) == 0 }
		files, origin := withHeads(events, cut)
		got := replay(t, eventfulOptions(), files)
		for i := range got {
			restore(&got[i], origin)
		}
		if g := text(t, got); g != want {
			t.Fatalf("round %d:\n%s\nin one piece:\n%s", round, g, want)
		}
	}
}

// withHeads puts a head before the lines where cut says so. origin maps boot
// and new number to the old one, for a head that of the line before it.
func withHeads(events []connlog.Event, cut func(i int) bool) (out []connlog.Event, origin map[string]uint64) {
	origin = make(map[string]uint64)
	open := make(map[uint64]connlog.Event)
	var order []uint64
	var boot string
	var seq uint64
	write := func(e connlog.Event, old uint64) {
		seq++
		e.Seq = seq
		origin[place(boot, seq)] = old
		out = append(out, e)
	}
	for i, e := range events {
		if e.Boot != boot {
			boot, seq, order = e.Boot, 0, nil
			clear(open)
		} else if cut(i) {
			last := events[i-1]
			write(connlog.Event{Kind: connlog.Start, Continued: true, Boot: boot, Time: last.Time}, last.Seq)
			for _, id := range order {
				if o, ok := open[id]; ok {
					o.Held = max(last.Time.Sub(o.Time), time.Microsecond)
					o.Time = last.Time
					o.Busy, o.Threads = 0, 0
					write(o, last.Seq)
				}
			}
		}
		write(e, e.Seq)
		switch e.Kind {
		case connlog.Open:
			open[e.Conn] = e
			order = append(order, e.Conn)
		case connlog.Proven:
			o := open[e.Conn]
			o.Proven = true
			open[e.Conn] = o
		case connlog.Close:
			delete(open, e.Conn)
		}
	}
	return out, origin
}

func place(boot string, seq uint64) string { return boot + ":" + strconv.FormatUint(seq, 10) }

// restore gives a decision the numbers of the uncut log.
func restore(dec *Decision, origin map[string]uint64) {
	ev := &dec.Evidence
	ev.Seq = origin[place(ev.Boot, ev.Seq)]
	for i, line := range ev.Lines {
		ev.Lines[i] = place(ev.Boot, origin[line])
	}
	dec.ID = identity(dec.Policy, dec.Source, ev.Boot, ev.Seq)
}
