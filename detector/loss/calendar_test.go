package loss

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestDaysFindTheFirst looks up times among arrivals that come evenly, at the
// same time, and in crowds with years between.
func TestDaysFindTheFirst(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 8))
		var times []int64
		at := -r.Int64N(1 << 40)
		for range 1 + r.IntN(300) {
			at += r.Int64N(1 << r.IntN(50))
			for range 1 + r.IntN(12) {
				times = append(times, at)
			}
		}
		d := newDays(times)
		for range 300 {
			want := times[0] + r.Int64N(1<<r.IntN(56))
			if r.IntN(3) == 0 {
				want = times[r.IntN(len(times))]
			}
			n, _ := slices.BinarySearch(times, want)
			if got := d.at(want); got != n {
				t.Fatalf("seed %d: %d is arrival %d of %d, want %d", seed, want, got, len(times), n)
			}
		}
	}
}
