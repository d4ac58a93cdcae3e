package detector

import (
	"math"
	"testing"
)

// TestDecayIsExact compares with the exponential itself, from a microsecond to
// a year, and on both sides of where the series change.
func TestDecayIsExact(t *testing.T) {
	for d := 1.0; d < 3e13; d *= 1.003 {
		got := decayOver(int64(d))
		for minutes, part := range map[float64]float64{1: got.m1, 5: got.m5, 15: got.m15} {
			want := -math.Expm1(-float64(int64(d)) / (minutes * 60e6))
			if math.Abs(part-want) > 3e-15*want {
				t.Fatalf("%v microseconds over %v minutes: %v, want %v", int64(d), minutes, part, want)
			}
		}
	}
	if (decayOver(0) != decay{}) {
		t.Errorf("no time: %v", decayOver(0))
	}
}
