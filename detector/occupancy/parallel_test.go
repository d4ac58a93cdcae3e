package occupancy_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"overstay/connlog"
	"overstay/connlog/bulk"
	"overstay/detector/occupancy"
)

var sameSource = cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })

// TestAnyCoresAndCuts wants the same report, to the bit, from one event after
// the other, from any number of workers, and from files that are cut anywhere.
func TestAnyCoresAndCuts(t *testing.T) {
	for seed := range uint64(6) {
		g := newGenerator(seed, true)
		events := g.log(2000)
		var log []byte
		var lines []int // where each begins
		for i := range events {
			lines = append(lines, len(log))
			log = append(connlog.Append(log, &events[i]), '\n')
		}
		want := foldOf(events, occupancy.Options{}).Report(occupancy.ByBlame, 0)
		for workers := 1; workers <= 4; workers++ {
			t.Run(fmt.Sprintf("seed=%d/workers=%d", seed, workers), func(t *testing.T) {
				a, b := lines[g.rng.IntN(len(lines))], lines[g.rng.IntN(len(lines))]
				a, b = min(a, b), max(a, b)
				inputs := []bulk.Input{
					{Name: "c", From: bytes.NewReader(log[b:])}, {Name: "b", From: bytes.NewReader(log[a:b])}, {Name: "a", From: bytes.NewReader(log[:a])},
				}
				o := bulk.Options{Workers: workers, ChunkBytes: 1 << g.rng.IntN(18)}
				got := readAll(t, inputs, o, occupancy.Options{}).Report(occupancy.ByBlame, 0)
				if d := cmp.Diff(want, got, sameSource); d != "" {
					t.Errorf("cut at %d and %d, chunks of %d: %s", a, b, o.ChunkBytes, d)
				}
			})
		}
	}
}
