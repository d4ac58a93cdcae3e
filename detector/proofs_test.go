package detector

import (
	"math"
	"testing"
	"time"
)

// TestProofsOfAPool holds the time that proofs take against a plain mean over
// thread time with the weights that an average over one minute gives.
func TestProofsOfAPool(t *testing.T) {
	var q proofs
	if q.took() != 0 {
		t.Errorf("%v seconds for no proof", q.took())
	}
	took := []float64{1, 2, 30, 4, longProof}
	for i, s := range append(took[:4:4], 60) { // a minute counts as half of one
		if i > 0 {
			q.fade(decayOver(int64(20 * time.Second / time.Microsecond)))
		}
		q.add(s)
	}
	var sum, squares, weights, weights15 float64
	for i, s := range took {
		age := 20 * float64(len(took)-1-i)
		sum += s * math.Exp(-age/60)
		squares += s * s * math.Exp(-age/60)
		weights += math.Exp(-age / 60)
		weights15 += math.Exp(-age/900) / 15
	}
	for _, c := range []struct {
		name      string
		got, want float64
	}{{"proven", q.m1, weights}, {"proven15", q.m15, weights15}, {"prove_time", q.took(), squares / sum}} {
		if math.Abs(c.got-c.want) > 1e-9*c.want {
			t.Errorf("%s: %v, want %v", c.name, c.got, c.want)
		}
	}
	q.add(3600) // the clock has leapt
	if got := q.took(); math.Abs(got-squares/sum) > 1e-9 || q.m1 < weights+0.9 {
		t.Errorf("%v seconds after a leap of the clock, before it %v", got, squares/sum)
	}
	q.fade(decayOver(int64(15 * time.Minute / time.Microsecond)))
	if got := q.took(); math.Abs(got-squares/sum) > 1e-6 {
		t.Errorf("after a quarter of an hour without proofs they took %v, before %v", got, squares/sum)
	}
	q.fade(decayOver(int64(time.Hour / time.Microsecond)))
	if q.took() != 0 {
		t.Errorf("%v seconds, an hour after the last proof", q.took())
	}
}
