package occupancy_test

import (
	"math"
	"net/netip"
	"testing"

	"overstay/detector/occupancy"
)

// TestTimelineTogether wants what is shown as one to be the sum of what it is
// apart, and the rest as it is.
func TestTimelineTogether(t *testing.T) {
	first := []netip.Prefix{netip.MustParsePrefix("198.51.100.0/32")}
	group := []netip.Prefix{netip.MustParsePrefix("198.51.100.0/30"), netip.MustParsePrefix("198.51.100.4/32"), netip.MustParsePrefix("2001:db8::/34")}
	held := 0.0
	for seed := range uint64(4) {
		events := newGenerator(seed, true).log(700)
		apart := timelineOf(events, occupancy.TimelineOptions{Sources: append(first[:1:1], group...)})
		as1 := timelineOf(events, occupancy.TimelineOptions{Sources: first, Together: group})
		if len(apart) != len(as1) || len(apart) == 0 {
			t.Fatalf("seed %d: %d buckets, want %d", seed, len(as1), len(apart))
		}
		for i := range apart {
			a, b := apart[i].Held, as1[i].Held
			if len(b) != 3 {
				t.Fatalf("seed %d: %d numbers in a bucket, want 3", seed, len(b))
			}
			for k, want := range []float64{a[0], a[1] + a[2] + a[3], a[4]} {
				if math.Abs(b[k]-want) > 1e-9 {
					t.Errorf("seed %d, bucket %d: number %d is %v, want %v", seed, i, k, b[k], want)
				}
			}
			held += b[1]
		}
	}
	if held == 0 {
		t.Error("nobody of those together held anything: this test says nothing")
	}
}
