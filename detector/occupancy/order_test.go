package occupancy_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"overstay/connlog"
	"overstay/connlog/formats"
	"overstay/detector/occupancy"
)

// told is a log of visits, each of which is told when it is over.
func told(seed uint64, n int) (events []connlog.Event) {
	rng := rand.New(rand.NewPCG(seed, 3))
	g := newGenerator(seed, false)
	var ends [][]connlog.Event
	for i := range n {
		from := g.now.Add(time.Duration(rng.Int64N(3e9)) * time.Microsecond)
		to := from.Add(time.Duration(rng.Int64N(90e6)) * time.Microsecond)
		service := []string{"www", "api"}[rng.IntN(2)]
		one := []connlog.Event{
			{Time: from, Kind: connlog.Open, Service: service, Conn: uint64(i + 1), ClientIP: g.source()},
			{Time: to, Kind: connlog.Proven, Service: service, Conn: uint64(i + 1)},
			{Time: to, Kind: connlog.Close, Service: service, Conn: uint64(i + 1), Held: to.Sub(from), Proven: true},
		}
		one[1].ClientIP, one[2].ClientIP = one[0].ClientIP, one[0].ClientIP
		ends = append(ends, one)
	}
	slices.SortStableFunc(ends, func(a, b []connlog.Event) int { return a[2].Time.Compare(b[2].Time) })
	return slices.Concat(ends...)
}

// TestOrder wants the same of events in notes, cut anywhere, as of the events
// themselves, if there is room for all that wait; and of too little room that
// it loses no thread time.
func TestOrder(t *testing.T) {
	for seed := range uint64(3) {
		events := told(seed, 400)
		plain := occupancy.New(occupancy.Options{})
		order := formats.NewOrder(formats.OrderOptions{Window: 1e18}, plain.Observe)
		for i := range events {
			order.Add(&events[i])
		}
		order.Flush()
		want := plain.Report(occupancy.ByLoad, 0)

		rng := rand.New(rand.NewPCG(seed, 4))
		var late uint64
		for _, waiting := range []int{0, 1200, 700, 50, 1} {
			var first *occupancy.Report
			for range 3 { // however it is cut
				fold := occupancy.New(occupancy.Options{})
				order := occupancy.NewOrder(waiting, fold.Take)
				for rest := events; len(rest) > 0; {
					var notes occupancy.Notes
					n := min(rng.IntN(200), len(rest))
					for i := range rest[:n] {
						notes.Observe(&rest[i])
					}
					order.Add(&notes)
					rest = rest[n:]
				}
				order.Flush()
				got := fold.Report(occupancy.ByLoad, 0)
				if d := cmp.Diff(want, got, sameSource); order.Late() == 0 && d != "" {
					t.Fatalf("seed %d, %d wait: %s", seed, waiting, d)
				}
				if first == nil {
					first = got
				}
				if d := cmp.Diff(first, got, sameSource); d != "" {
					t.Fatalf("seed %d, %d wait, cut otherwise: %s", seed, waiting, d)
				}
				if got.ThreadTime != want.ThreadTime || got.Connections != want.Connections || got.OpenAtEnd > 0 {
					t.Errorf("seed %d, %d wait: %v of %d, want %v of %d", seed, waiting, got.ThreadTime, got.Connections, want.ThreadTime, want.Connections)
				}
				if got.Peak.Low > want.Peak.Low || got.Peak.High < want.Peak.High {
					t.Errorf("seed %d, %d wait: the peak %+v is not within %+v", seed, waiting, want.Peak, got.Peak)
				}
				if waiting%1200 == 0 && order.Late() > 0 {
					t.Errorf("seed %d, %d wait: %d late", seed, waiting, order.Late())
				}
				late += order.Late()
			}
		}
		if late == 0 {
			t.Errorf("seed %d: none was late: this shows little", seed)
		}
	}
}
