package loss

import (
	"math"
	"testing"
)

// TestFewLooks searches for the threads that a pool needs where refusals fall
// as they do: steeply at first, then hardly. Each look is a replay of a million
// arrivals, so there must not be many.
func TestFewLooks(t *testing.T) {
	for _, want := range []int{1, 2, 3, 50, 227, 1000, 11484, 200_000} {
		for _, near := range []int{1, want, want + want/20, want - want/20, 10 * want} {
			// One in a thousand is met at want, and not with one less.
			over := func(n int) float64 {
				return 1e6*math.Exp(-math.Log(1000)*(float64(n)+0.5)/float64(want)) - 1000
			}
			n, looks := max(near, 1), 1
			b := between{step: max(near/64, 1)}
			for ; !b.narrow(n, over(n)); looks++ {
				if looks > 100 {
					t.Fatalf("%d from %d is not found", want, near)
				}
				n = b.next()
			}
			if b.high != want {
				t.Errorf("%d from %d: found %d", want, near, b.high)
			}
			most := 12
			if near < want-want/20 || near > want+want/20 {
				most = 45 // It has to get there first.
			}
			if looks > most {
				t.Errorf("%d from %d: %d looks, want at most %d", want, near, looks, most)
			}
		}
	}
}
