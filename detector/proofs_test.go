package detector

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"overstay/connlog"
)

// TestProofsOfAPool holds what is usual against a plain count of who took how
// long, each weighed as an average over one minute does.
func TestProofsOfAPool(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 1))
	var q proofs
	type took struct {
		at      int64
		seconds float64
	}
	var all []took
	now := int64(0)
	for range 400 {
		step := int64(r.ExpFloat64() * 5 * micros)
		if r.IntN(50) == 0 {
			step *= 20
		}
		now += step
		k := decayOver(step)
		q.fade(&k)
		q.count()
		s := 0.2 * math.Exp(2*r.NormFloat64())
		q.add(s, now)
		all = append(all, took{now, min(s, longProof)})

		weight := func(p took) float64 { return math.Exp(-float64(now-p.at) / 60 / micros) }
		sum := 0.0
		for _, p := range all {
			sum += weight(p)
		}
		slowest := slices.SortedFunc(slices.Values(all), func(a, b took) int {
			if a.seconds > b.seconds {
				return -1
			}
			return 1
		})
		slow := max(slowPart*sum, min(slowSources, sum/2))
		// Two may weigh just as much; then either will do.
		near := func(got, slow float64) bool {
			i := 0
			for slow -= weight(slowest[0]); slow > 0; slow -= weight(slowest[i]) {
				i++
			}
			want := max(slowest[i].seconds, tookFirst)
			return got >= 0.9*want && got <= 1.1*want
		}
		if got := q.slow(); !near(got, slow*(1-1e-9)) && !near(got, slow*(1+1e-9)) {
			t.Fatalf("seed %d: %v seconds for the slowest %v of %v", seed, got, slow, sum)
		}
	}
}

func TestProofsFade(t *testing.T) {
	var q proofs
	if q.slow() != 0 {
		t.Errorf("%v seconds for no proof", q.slow())
	}
	for range 3 {
		q.count()
		q.add(2, 0)
	}
	for _, c := range []struct {
		after time.Duration
		want  float64
	}{{0, 2}, {15 * time.Minute, 2}, {time.Hour, 0}} {
		k := decayOver(c.after.Microseconds())
		q.fade(&k)
		if got := q.slow(); got < 0.9*c.want || got > 1.1*c.want {
			t.Errorf("after %v: %v, want %v", c.after, got, c.want)
		}
	}
	if q.m1 > 1e-9 {
		t.Errorf("%v a minute", q.m1)
	}
}

// TestNobodyAloneSaysWhatIsUsual: not one who proves a connection each minute
// as late as it can, nor one who does it each second, among many or few.
func TestNobodyAloneSaysWhatIsUsual(t *testing.T) {
	for _, c := range []struct {
		every  int // of the late one, in seconds
		others int
	}{{60, 60}, {1, 60}, {60, 8}, {1, 8}} {
		w := watch1(t, Options{})
		w.threads = 200
		p := w.d.pools.of("www", w.d.now)
		most := 0.0
		for i := range 600 {
			for k := range 3 {
				id := w.connect(unrelated((3*i + k) % c.others))
				w.wait(100 * time.Millisecond)
				w.prove(id)
				w.close(id, connlog.EndClient)
			}
			if i%c.every == 0 && i > 0 {
				late := w.connect(ip(1))
				w.d.open[late].opened = w.d.now - 29*micros
				w.prove(late)
				w.close(late, connlog.EndClient)
			}
			w.wait(time.Second)
			if i >= 60 {
				most = max(most, p.proofs.slow())
			}
		}
		if most > 0.15 || most == 0 {
			t.Errorf("%+v: %v seconds are usual, want 0.1", c, most)
		}
	}
}
