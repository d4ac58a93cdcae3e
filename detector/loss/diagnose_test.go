package loss

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"testing"
	"time"
)

// site is a stretch of traffic at one pool whose truth is known. What it
// refuses it refuses because the pool was full: record plays it once.
type site struct {
	threads  int
	arrivals []Arrival
	sources  int
	suspects []uint32
	r        *rand.Rand
}

func newSite(threads int, seed uint64) *site {
	return &site{threads: threads, r: rand.New(rand.NewPCG(seed, 21))}
}

// crowd adds real users, each a source of its own, lambda a second for the
// given time.
func (s *site) crowd(lambda float64, d time.Duration, hold func() (hold, wait, scan float64)) {
	for at := s.r.ExpFloat64() / lambda; at < d.Seconds(); at += s.r.ExpFloat64() / lambda {
		h, w, sc := hold()
		s.arrivals = append(s.arrivals, Arrival{At: seconds(at), Hold: seconds(h), Wait: seconds(w), Scan: seconds(sc), Source: uint32(s.sources)})
		s.sources++
	}
}

// holder adds a suspect that holds n threads.
func (s *site) holder(n int, from, d time.Duration) {
	for range n {
		s.arrivals = append(s.arrivals, Arrival{At: from, Hold: d, Source: uint32(s.sources)})
	}
	s.suspects = append(s.suspects, uint32(s.sources))
	s.sources++
}

func (s *site) short() (hold, wait, scan float64) { return s.r.ExpFloat64(), 0, 0 }

// record lets the pool refuse, and makes a system of what a log then has.
func (s *site) record(t testing.TB) *System {
	t.Helper()
	all := slices.Clone(s.arrivals)
	slices.SortStableFunc(all, func(a, b Arrival) int { return int(a.At - b.At) })
	var ends heap
	for i := range all {
		a := &all[i]
		for len(ends) > 0 && ends[0] <= int64(a.At) {
			ends.pop()
		}
		if len(ends) < s.threads {
			ends.push(int64(a.At + a.Hold))
			continue
		}
		*a = Arrival{At: a.At, Source: a.Source, Refused: true}
	}
	return mustNew(t, Recording{Threads: s.threads, Sources: s.sources, Arrivals: all}, Options{Suspects: s.suspects})
}

// stretch is how long a site is looked at.
const stretch = 12 * time.Minute

const hour = time.Hour

// sites are stretches with their truth.
var sites = map[string]struct {
	build func(s *site)
	want  Verdict
}{
	"quiet":            {func(s *site) { s.crowd(5, stretch, s.short) }, Healthy},
	"nobody":           {func(*site) {}, Healthy},
	"one slow holder":  {func(s *site) { s.crowd(5, stretch, s.short); s.holder(16, 2*time.Minute, hour) }, Attack},
	"a thread each":    {func(s *site) { s.crowd(5, stretch, s.short); each(18, func() { s.holder(1, 4*time.Minute, hour) }) }, Attack},
	"rush hour":        {func(s *site) { s.crowd(24, stretch, s.short) }, Undersized},
	"scanner stalls":   {func(s *site) { s.crowd(5, stretch, s.stalled) }, Scanner},
	"harmless suspect": {func(s *site) { s.crowd(24, stretch, s.short); s.holder(0, 0, hour) }, Undersized},
	"harmed by all": {func(s *site) {
		s.crowd(14, stretch, func() (float64, float64, float64) { h := s.r.ExpFloat64(); return h + 0.7, 0.5, 0.2 })
		s.holder(5, 0, hour)
	}, Mixed},
}

func each(n int, do func()) {
	for range n {
		do()
	}
}

// stalled waits seven seconds of eight for the scanner.
func (s *site) stalled() (hold, wait, scan float64) {
	x := s.r.ExpFloat64()
	return 8 * x, 7 * x, x / 2
}

func TestVerdicts(t *testing.T) {
	for name, site := range sites {
		for seed := range uint64(2) {
			s := newSite(20, seed)
			site.build(s)
			d := s.record(t).Diagnose(Question{Seed: seed})
			if d.Finding.Verdict != site.want {
				t.Errorf("%s, seed %d: %v, want %v: %+v", name, seed, d.Finding.Verdict, site.want, d.Finding)
			}
			if d.Refused.Min != int64(d.Others) || d.Refused.Max != int64(d.Others) {
				t.Errorf("%s, seed %d: the replay refuses %+v, the record %d", name, seed, d.Refused, d.Others)
			}
		}
	}
}

// TestPredictionIsTrue compares what a replay says of a ban with what happens
// when the same clients come and the banned one does not: the real holding
// times of the refused are known here, as they never are.
func TestPredictionIsTrue(t *testing.T) {
	const rounds, seeds = 20, 20
	inside := 0
	for round := range uint64(rounds) {
		s := newSite(20, round)
		s.crowd(14, stretch, s.short)
		truth := *s
		s.holder(9, 0, 8*time.Minute)
		system := s.record(t)
		_, before := system.refusals()
		_, want := truth.record(t).refusals()
		left := make([]int64, seeds)
		for k := range left {
			left[k] = int64(system.Run(Change{Without: s.suspects}, uint64(k)).Others)
		}
		says := spreadOf(left)
		if int64(want) >= says.Min && int64(want) <= says.Max {
			inside++
		}
		if d := math.Abs(float64(says.Median - int64(want))); d > 0.06*float64(before-want) {
			t.Errorf("round %d: says that of %d refusals %+v are left, it is %d", round, before, says, want)
		}
	}
	t.Logf("%d of %d true numbers lie within the spread", inside, rounds)
	if inside < rounds*3/4 {
		t.Errorf("%d of %d true numbers lie within the spread", inside, rounds)
	}
}

func TestNoSuspectAvertsNothing(t *testing.T) {
	for seed := range uint64(50) {
		s := mustNew(t, random(rand.New(rand.NewPCG(seed, 8)), 100), Options{})
		d := s.Diagnose(Question{Seed: seed})
		if d.Together.Averted != (Spread{}) || len(d.Alone) != 0 || d.Finding.Verdict == Attack {
			t.Fatalf("seed %d: %+v %+v %v", seed, d.Together, d.Alone, d.Finding.Verdict)
		}
	}
}

// TestAloneAndTogether has two holders of which either leaves enough room: to
// ban any one of them averts all, and so do both.
func TestAloneAndTogether(t *testing.T) {
	s := newSite(20, 3)
	s.crowd(2, stretch, s.short)
	s.holder(10, 5*time.Minute, hour)
	s.holder(10, 5*time.Minute, hour)
	d := s.record(t).Diagnose(Question{})
	if d.Refused.Median == 0 || d.Together.Averted != d.Refused {
		t.Errorf("of %+v both avert %+v", d.Refused, d.Together.Averted)
	}
	if len(d.Alone) != 2 {
		t.Fatalf("%d bans one by one, want 2", len(d.Alone))
	}
	for _, a := range d.Alone {
		if a.Averted.Median < d.Refused.Median*99/100 {
			t.Errorf("%v averts %+v of %+v", a.Change.Without, a.Averted, d.Refused)
		}
	}
	if d := s.record(t).Diagnose(Question{Singles: 1}); len(d.Alone) != 1 {
		t.Errorf("%d bans one by one, want 1", len(d.Alone))
	}
}

// TestRefusalsOfSuspectsAreNoHarm has a flood that is refused only itself.
func TestRefusalsOfSuspectsAreNoHarm(t *testing.T) {
	rec := Recording{Threads: 1, Sources: 2, Arrivals: []Arrival{{Hold: time.Second}, {At: 1, Source: 1, Refused: true, Count: 1000}}}
	d := mustNew(t, rec, Options{Suspects: []uint32{1}}).Diagnose(Question{})
	if d.Recorded != 1000 || d.Others != 0 || d.Finding.Verdict != Healthy {
		t.Errorf("%d refusals, %d of others, %v", d.Recorded, d.Others, d.Finding.Verdict)
	}
}

// TestOneAnswer asks the same on one processor and on several.
func TestOneAnswer(t *testing.T) {
	s := newSite(20, 9)
	s.crowd(8, 5*time.Minute, s.stalled)
	s.holder(5, 0, hour)
	s.holder(2, 0, hour)
	system := s.record(t)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	var want string
	for _, n := range []int{1, 2, 7} {
		runtime.GOMAXPROCS(n)
		got := fmt.Sprintf("%+v", system.Diagnose(Question{Seed: 5}))
		if want == "" {
			want = got
		}
		if got != want {
			t.Fatalf("on %d processors:\n%s\nbefore:\n%s", n, got, want)
		}
	}
	if d := system.Diagnose(Question{Seed: 5}); d.Together.Left.Min == d.Together.Left.Max {
		t.Errorf("all seeds draw the same: %+v", d.Together)
	}
	other := system.Run(Change{Without: s.suspects}, 6)
	if reflect.DeepEqual(other, system.Run(Change{Without: s.suspects}, 7)) {
		t.Error("another seed draws the same")
	}
}

// TestRetries has one client that tries five times and is served at the sixth:
// with a thread more, it is served at the first, as long as it was, and comes
// no more.
func TestRetries(t *testing.T) {
	rec := Recording{Threads: 1, Sources: 2, Arrivals: []Arrival{{Hold: 50 * time.Second}}}
	for i := range 6 {
		rec.Arrivals = append(rec.Arrivals, Arrival{At: time.Duration(1+10*i) * time.Second, Source: 1, Refused: i < 5, Hold: 7 * time.Second})
	}
	for within, want := range map[time.Duration]Outcome{
		0:               {Served: 2, Spared: 5, Drawn: 1},
		5 * time.Second: {Served: 7, Drawn: 5},
		-1:              {Served: 7, Drawn: 5},
	} {
		got := mustNew(t, rec, Options{RetryWithin: within}).Run(Change{Threads: 2}, 1)
		if got.Served != want.Served || got.Spared != want.Spared || got.Drawn != want.Drawn || got.Refused != 0 {
			t.Errorf("retries within %v: %+v, want %+v", within, got, want)
		}
	}
}

// TestWishes has a source that asks for something each ten seconds while it is
// served. When it is refused for a minute, it still wants six things, however
// often it tries: that is what it is served with a thread more.
func TestWishes(t *testing.T) {
	rec := Recording{Threads: 1, Sources: 2}
	for i := range 10 {
		rec.Arrivals = append(rec.Arrivals, Arrival{At: time.Duration(10*i-100) * time.Second, Hold: time.Second})
	}
	rec.Arrivals = append(rec.Arrivals, Arrival{At: -1, Source: 1, Hold: time.Hour})
	for i := range 15 {
		rec.Arrivals = append(rec.Arrivals, Arrival{At: time.Duration(4*i) * time.Second, Refused: true})
	}
	for within, want := range map[time.Duration]uint64{0: 5, -1: 15, time.Second: 15} {
		s := mustNew(t, rec, Options{Suspects: []uint32{1}, RetryWithin: within})
		if got := s.Run(Change{Without: s.suspects}, 1); got.Served != want || got.Refused != 0 {
			t.Errorf("retries within %v: %d served and %d refused, want %d", within, got.Served, got.Refused, want)
		}
	}
}

// TestRetriesHoldAsLongAsInTheEnd wants the client that is served at once to
// take the time that it took in the end, not that of another of its service.
func TestRetriesHoldAsLongAsInTheEnd(t *testing.T) {
	rec := Recording{Threads: 1, Sources: 2, Arrivals: []Arrival{
		{Hold: 50 * time.Second, Source: 1}, {At: time.Second, Refused: true}, {At: 55 * time.Second, Hold: 7 * time.Second},
		{At: 150 * time.Second, Hold: 9 * time.Second},
	}}
	s := mustNew(t, rec, Options{})
	for seed := range uint64(20) {
		if got := s.pick(1, 0, seed); got.like != 2 {
			t.Fatalf("seed %d: the times of arrival %d, want 2", seed, got.like)
		}
	}
}

// TestStrangersDrawFromStrangers has a stranger refused while a suspect holds
// the pool for an hour: with the suspect gone it holds for a second.
func TestStrangersDrawFromStrangers(t *testing.T) {
	rec := Recording{Threads: 1, Sources: 4, Arrivals: []Arrival{
		{Hold: time.Second}, {At: 2 * time.Second, Hold: hour, Source: 1},
		{At: 10 * time.Second, Source: 2, Refused: true}, {At: 12 * time.Second, Source: 3, Refused: true},
	}}
	s := mustNew(t, rec, Options{Suspects: []uint32{1}})
	for seed := range uint64(20) {
		if out := s.Run(Change{Without: []uint32{1}}, seed); out.Refused != 0 {
			t.Fatalf("seed %d: %+v", seed, out)
		}
	}
}

// TestDraw wants a refused arrival to get each time of its own source about as
// often as another, else those of its service, else those of its party.
func TestDraw(t *testing.T) {
	const n = 3000
	rec := Recording{Threads: 1, Sources: 5}
	add := func(a Arrival) int {
		a.At = time.Duration(len(rec.Arrivals))
		rec.Arrivals = append(rec.Arrivals, a)
		return len(rec.Arrivals) - 1
	}
	for i := range 3 {
		add(Arrival{Hold: time.Duration(10 + i)})
	}
	add(Arrival{Hold: 20, Source: 1, Service: 1})
	add(Arrival{Hold: 30, Source: 2})
	for want, a := range map[string]Arrival{
		"10 11 12":    {Source: 0, Service: 1},
		"20":          {Source: 3, Service: 1},
		"10 11 12 20": {Source: 3, Service: 7},
		"30":          {Source: 4, Service: 1},
	} {
		a.Refused = true
		i := add(a)
		s := mustNew(t, rec, Options{Suspects: []uint32{2, 4}, RetryWithin: -1})
		times := map[int64]int{}
		for seed := range uint64(n) {
			times[s.pick(uint32(i), 0, seed).hold[AsRecorded]]++
		}
		got := fmt.Sprint(slices.Sorted(maps.Keys(times)))
		if got != "["+want+"]" {
			t.Errorf("%+v draws from %s, want %s", a, got, want)
		}
		for hold, k := range times {
			if d := math.Abs(float64(k) - n/float64(len(times))); d > 5*math.Sqrt(n) {
				t.Errorf("%+v drew %d %d times of %d", a, hold, k, n)
			}
		}
	}
}

// TestNobodyWasServed has a pool that is full from the beginning to the end:
// what a stranger would have held is not what the holder does.
func TestNobodyWasServed(t *testing.T) {
	rec := Recording{Threads: 1, Sources: 12, Arrivals: []Arrival{{Hold: hour}}}
	for i := range 10 {
		rec.Arrivals = append(rec.Arrivals, Arrival{At: time.Duration(1+20*i) * time.Second, Source: uint32(1 + i), Refused: true})
	}
	d := mustNew(t, rec, Options{Suspects: []uint32{0}}).Diagnose(Question{})
	if d.Finding.Verdict != Attack || d.Together.Averted.Min != 10 || d.Together.Guessed != 10 {
		t.Errorf("%v, averts %+v", d.Finding.Verdict, d.Together)
	}
	d = mustNew(t, rec, Options{Suspects: []uint32{0}, Unknown: 30 * time.Second}).Diagnose(Question{})
	if d.Together.Averted.Median != 5 {
		t.Errorf("of clients that take half as long again as there is, %+v get in, want every other", d.Together.Averted)
	}
}

func TestScanners(t *testing.T) {
	// A message each second takes a scanner 3.5 seconds: four are needed.
	// While they wait, twenty threads do not do for all.
	rec := Recording{Threads: 20, Sources: 1000}
	for i := range 1000 {
		rec.Arrivals = append(rec.Arrivals, Arrival{At: time.Duration(i) * time.Second, Source: uint32(i),
			Before: time.Second, Wait: 20 * time.Second, Scan: 3500 * time.Millisecond, Hold: 25 * time.Second})
	}
	d := mustNew(t, rec, Options{}).Diagnose(Question{})
	if d.Scanners.Scanners != 4 || d.Scanners.Over != 0 || d.Scanners.Jobs != 1000 {
		t.Errorf("%+v, want 4 scanners", d.Scanners)
	}
	if d.Waited.Jobs != 1000 || d.Waited.Mean != 20*time.Second || d.Waited.Over != 1000 {
		t.Errorf("waited %+v", d.Waited)
	}
}

func TestSizesAreBounded(t *testing.T) {
	for name, c := range map[string]struct {
		rec  Recording
		o    Options
		want error
	}{
		"no threads":     {rec: Recording{}, want: ErrThreads},
		"source":         {rec: Recording{Threads: 1, Sources: 1, Arrivals: []Arrival{{Source: 1}}}, want: ErrSource},
		"suspect":        {rec: Recording{Threads: 1, Sources: 1}, o: Options{Suspects: []uint32{1}}, want: ErrSource},
		"sources":        {rec: Recording{Threads: 1, Sources: math.MaxInt}, want: ErrTooMany},
		"folded":         {rec: Recording{Threads: 1, Sources: 1, Arrivals: []Arrival{{Refused: true, Count: math.MaxUint32}}}, want: ErrTooMany},
		"fewer than one": {rec: Recording{Threads: 1, Sources: -1}},
	} {
		if _, err := New(c.rec, c.o); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}
