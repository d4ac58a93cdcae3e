package traffic

import (
	"math/bits"
	"time"
)

// histogram counts durations in buckets a sixteenth of their size wide, so it
// takes a fixed amount of memory however long a run is.
type histogram struct {
	counts [60 * 16]uint64 // as far as a Duration goes
	total  uint64
	max    time.Duration
}

// bucket returns where d is counted. Below 16 ns each value has its own.
func bucket(d time.Duration) int {
	v := uint64(max(d, 0))
	if v < 16 {
		return int(v)
	}
	shift := bits.Len64(v) - 5 // leaves the leading bit and four more
	return shift*16 + int(v>>shift)
}

// upper returns the largest duration that is counted in a bucket.
func upper(bucket int) time.Duration {
	if bucket < 32 {
		return time.Duration(bucket)
	}
	shift := bucket/16 - 1
	return time.Duration(uint64(bucket%16+17)<<shift - 1)
}

func (h *histogram) add(d time.Duration) {
	h.counts[bucket(d)]++
	h.total++
	h.max = max(h.max, d)
}

// quantile returns a duration that a share q of all does not exceed, at most a
// sixteenth too long. It is 0 when nothing was added.
func (h *histogram) quantile(q float64) time.Duration {
	rank := uint64(q * float64(h.total))
	var seen uint64
	for b, n := range h.counts {
		if seen += n; n > 0 && (seen > rank || seen == h.total) {
			return min(upper(b), h.max)
		}
	}
	return 0
}
