package loss

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
	"time"
)

// TestErlangBIsTheSum compares the recursion with the formula as it was
// written, in numbers that are long enough for it.
func TestErlangBIsTheSum(t *testing.T) {
	for _, n := range []int{0, 1, 2, 5, 20, 100, 300} {
		for _, a := range []float64{0.001, 0.5, 1, 7, 20, 95, 400} {
			term, sum := big.NewFloat(1).SetPrec(200), big.NewFloat(1).SetPrec(200)
			for i := 1; i <= n; i++ {
				term.Mul(term, big.NewFloat(a))
				term.Quo(term, big.NewFloat(float64(i)))
				sum.Add(sum, term)
			}
			want, _ := term.Quo(term, sum).Float64()
			if got := ErlangB(n, a); math.Abs(got-want) > 1e-12*want {
				t.Errorf("B(%d, %v) is %v, want %v", n, a, got, want)
			}
		}
	}
}

// TestErlangTable holds the functions to values that the tables of telephone
// engineers print: the load in erlangs that n lines carry at a loss of 1 %.
func TestErlangTable(t *testing.T) {
	for n, a := range map[int]float64{1: 0.0101, 2: 0.153, 5: 1.36, 10: 4.46, 20: 12.0, 50: 37.9, 100: 84.1} {
		if b := ErlangB(n, a); math.Abs(b-0.01) > 0.0003 {
			t.Errorf("B(%d, %v) is %v, want 0.01", n, a, b)
		}
		if got, ok := ErlangThreads(a*0.99, 0.01); got != n || !ok {
			t.Errorf("%v erlangs need %d threads, want %d", a, got, n)
		}
	}
}

func TestErlangTakesAnyNumber(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, n := range []int{-1, 0, 1, 1000} {
		for _, a := range []float64{nan, inf, -inf, -1, 0, 1e-300, 1e300} {
			if b := ErlangB(n, a); !(b >= 0 && b <= 1) {
				t.Errorf("B(%d, %v) is %v", n, a, b)
			}
		}
	}
	for _, a := range []float64{nan, inf, -1, 0, 1e300} {
		for _, target := range []float64{nan, -1, 0, 0.001, 2} {
			if n, _ := ErlangThreads(a, target); n < 0 || n > MaxArrivals {
				t.Errorf("%v erlangs at %v: %d threads", a, target, n)
			}
		}
	}
}

// holdings are distributions of holding times with a mean of one second.
var holdings = map[string]func(*rand.Rand) float64{
	"exponential": func(r *rand.Rand) float64 { return r.ExpFloat64() },
	"constant":    func(*rand.Rand) float64 { return 1 },
	"uniform":     func(r *rand.Rand) float64 { return 2 * r.Float64() },
	"two kinds": func(r *rand.Rand) float64 { // squared coefficient of variation 9
		if r.IntN(10) == 0 {
			return 5.5 * r.ExpFloat64()
		}
		return 0.5 * r.ExpFloat64()
	},
}

// TestReplayIsErlangB replays clients that come at random. What is refused is
// what the formula says, whatever the holding times are like, within four
// standard errors over independent stretches.
func TestReplayIsErlangB(t *testing.T) {
	const stretches, clients = 12, 10_000
	for name, hold := range holdings {
		for _, pool := range []struct {
			threads int
			load    float64
		}{{1, 0.5}, {10, 8}, {50, 45}} {
			var sum, squares float64
			for k := range uint64(stretches) {
				r := rand.New(rand.NewPCG(k, uint64(pool.threads)))
				s := mustNew(t, Recording{Threads: pool.threads, Sources: clients,
					Arrivals: poisson(r, clients, pool.load, func() float64 { return hold(r) })}, Options{})
				x := float64(s.Run(Change{}, 1).Refused) / clients
				sum += x
				squares += x * x
			}
			mean := sum / stretches
			spread := math.Sqrt((squares/stretches - mean*mean) / (stretches - 1))
			want := ErlangB(pool.threads, pool.load)
			if math.Abs(mean-want) > 4*spread+0.02*want {
				t.Errorf("%s, %d threads, %v erlangs: refuses %.5f, formula %.5f, standard error %.5f",
					name, pool.threads, pool.load, mean, want, spread)
			}
		}
	}
}

// TestNeededIsErlangs asks how many threads clients need that come at random:
// by replay as many as by the formula, but one or two.
func TestNeededIsErlangs(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	const clients = 100_000
	s := mustNew(t, Recording{Threads: 20, Sources: clients, Arrivals: poisson(r, clients, 30, r.ExpFloat64)}, Options{})
	n := s.Diagnose(Question{Target: 0.01}).Needed
	if math.Abs(n.Lambda-30) > 0.5 || math.Abs(n.W-1) > 0.02 {
		t.Errorf("%v clients a second for %v seconds, want 30 for 1", n.Lambda, n.W)
	}
	if want, _ := ErlangThreads(30, 0.01); n.Erlang < want-1 || n.Erlang > want+1 {
		t.Errorf("%d threads by the formula, want %d", n.Erlang, want)
	}
	if d := n.Threads.Median - int64(n.Erlang); d < -1 || d > 1 {
		t.Errorf("%d threads by replay, %d by the formula", n.Threads.Median, n.Erlang)
	}
}

// TestRateOfARush has a client each second for a minute, between two minutes
// without any.
func TestRateOfARush(t *testing.T) {
	rec := Recording{Threads: 1, Sources: 60, Length: 3 * time.Minute, RateFrom: time.Minute, RateUntil: 2 * time.Minute}
	for i := range uint32(60) {
		rec.Arrivals = append(rec.Arrivals, Arrival{At: time.Minute + time.Duration(i)*time.Second, Hold: 2 * time.Second, Source: i})
	}
	if n := mustNew(t, rec, Options{}).Diagnose(Question{}).Needed; n.Lambda != 1 || n.W != 2 {
		t.Errorf("%v clients a second for %v seconds, want 1 for 2", n.Lambda, n.W)
	}
	rec.RateUntil = 0
	if n := mustNew(t, rec, Options{}).Diagnose(Question{}).Needed; n.Lambda != 60.0/180 {
		t.Errorf("%v clients a second of all of it, want 1/3", n.Lambda)
	}
}

// TestThreadsIsTheFirstThatServes compares the search with trying each number.
func TestThreadsIsTheFirstThatServes(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 5))
		s := mustNew(t, random(r, 60), Options{})
		target := []float64{0, 0.05, 0.2}[r.IntN(3)]
		got := s.Threads(Change{}, target, seed)
		out := s.Run(Change{Threads: got}, seed)
		if !out.meets(target) {
			t.Fatalf("seed %d: %d threads refuse %d, target %v", seed, got, out.Refused, target)
		}
		if got == 1 {
			continue
		}
		if less := s.Run(Change{Threads: got - 1}, seed); less.meets(target) {
			t.Fatalf("seed %d: %d threads do, %d was found", seed, got-1, got)
		}
	}
}

// TestQueueIsErlangC sends messages that come at random to k scanners. The
// mean wait is C/(k-a) of the mean work, with C = B / (1 - a/k (1-B)).
func TestQueueIsErlangC(t *testing.T) {
	const jobs = 200_000
	for _, k := range []int{1, 2, 5} {
		a := 0.7 * float64(k)
		var sum float64
		const rounds = 5
		for round := range uint64(rounds) {
			r := rand.New(rand.NewPCG(round, uint64(k)))
			all := make([]Job, jobs)
			var at float64
			for i := range all {
				at += r.ExpFloat64() / a
				all[i] = Job{At: seconds(at), Work: seconds(r.ExpFloat64())}
			}
			sum += Queue(all, k, 0).Mean.Seconds()
		}
		b := ErlangB(k, a)
		want := b / (1 - a/float64(k)*(1-b)) / (float64(k) - a)
		if got := sum / rounds; math.Abs(got-want) > 0.04*want {
			t.Errorf("%d scanners: mean wait %.4f, want %.4f", k, got, want)
		}
	}
}

func TestScannersForIsTheLeast(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 6))
		jobs := make([]Job, 1+r.IntN(200))
		for i := range jobs {
			jobs[i] = Job{At: time.Duration(r.IntN(60)) * time.Second, Work: time.Duration(r.IntN(20)) * time.Second}
		}
		bound, late := time.Duration(r.IntN(8))*time.Second, r.Float64()/4
		got := ScannersFor(jobs, bound, late)
		jobs = tidy(jobs)
		want := 1
		for Queue(jobs, want, bound).Over > int(late*float64(len(jobs))) {
			want++
		}
		if got.Scanners != want {
			t.Fatalf("seed %d: %d scanners, want %d", seed, got.Scanners, want)
		}
	}
}
