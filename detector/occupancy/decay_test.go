package occupancy

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestPassing compares with package math.
func TestPassing(t *testing.T) {
	p := newPassing()
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200_000 {
		d := int64(math.Exp(rng.Float64() * math.Log(1e11)))
		want := -math.Expm1(-float64(d) / tau)
		if got := p.of(d); math.Abs(got-want) > 1e-12*want {
			t.Fatalf("%d microseconds: %v, want %v", d, got, want)
		}
	}
	for _, d := range []int64{0, 1, math.MaxInt64, tau / decays, tau/decays + 1, tau} {
		if got, want := p.of(d), -math.Expm1(-float64(d)/tau); math.Abs(got-want) > 1e-12*want {
			t.Errorf("%d microseconds: %v, want %v", d, got, want)
		}
	}
}

func BenchmarkPassing(b *testing.B) {
	p := newPassing()
	d, sum := int64(1), 0.0
	for b.Loop() {
		if d *= 3; d > 1e9 {
			d = d%1000 + 1
		}
		sum += p.of(d)
	}
	if sum == 0 {
		b.Fatal("nothing passed")
	}
}
