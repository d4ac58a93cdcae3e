package loss

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func mustNew(t testing.TB, r Recording, o Options) *System {
	t.Helper()
	s, err := New(r, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// poisson is n clients that come at random, lambda a second, each from a
// source of its own, with the holding times that hold draws.
func poisson(r *rand.Rand, n int, lambda float64, hold func() float64) []Arrival {
	all := make([]Arrival, n)
	var at float64
	for i := range all {
		at += r.ExpFloat64() / lambda
		all[i] = Arrival{At: seconds(at), Hold: seconds(hold()), Source: uint32(i)}
	}
	return all
}

func seconds(s float64) time.Duration { return time.Duration(math.Round(s * 1e9)) }

// random is a recording of everything that there is: sources that come often
// and seldom, retries, folded refusals, scans, times that fall together.
func random(r *rand.Rand, n int) Recording {
	rec := Recording{Threads: 1 + r.IntN(12), Sources: 1 + r.IntN(n+1)}
	// A coarse clock has much at the same time.
	unit := []time.Duration{time.Millisecond, time.Second / 2}[r.IntN(2)]
	step := 1 + r.IntN(int(3*time.Second/unit))
	at := -time.Duration(r.IntN(5)) * time.Second
	for range n {
		at += time.Duration(r.IntN(step)) * unit
		a := Arrival{At: at, Source: uint32(r.IntN(rec.Sources)), Service: uint16(r.IntN(3))}
		if r.IntN(3) == 0 {
			a.Refused = true
			a.Count = uint32(r.IntN(4))
		} else {
			a.Hold = time.Duration(r.IntN(20)) * time.Second / 2
			if r.IntN(2) == 0 {
				a.Wait, a.Scan, a.Before = a.Hold/2, a.Hold/4, a.Hold/8
			}
		}
		rec.Arrivals = append(rec.Arrivals, a)
	}
	if r.IntN(4) == 0 {
		r.Shuffle(n, func(i, j int) { rec.Arrivals[i], rec.Arrivals[j] = rec.Arrivals[j], rec.Arrivals[i] })
	}
	return rec
}
