package loss

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// FuzzDiagnose takes anything for arrivals and questions.
func FuzzDiagnose(f *testing.F) {
	f.Add(int64(0), int64(1), int64(0), int64(5), uint32(3), uint8(7), 0.001)
	f.Add(int64(math.MinInt64), int64(math.MaxInt64), int64(-1), int64(math.MaxInt64), uint32(9), uint8(255), math.NaN())
	f.Add(int64(math.MaxInt64), int64(math.MinInt64), int64(math.MaxInt64), int64(math.MinInt64), uint32(0), uint8(1), math.Inf(1))
	f.Fuzz(func(t *testing.T, at, hold, wait, scan int64, count uint32, bits uint8, target float64) {
		at2, hold2 := time.Duration(at), time.Duration(hold)
		rec := Recording{Threads: 1 + int(bits>>6), Sources: 4, Length: time.Duration(scan), Arrivals: []Arrival{
			{At: at2, Hold: hold2, Wait: time.Duration(wait), Scan: time.Duration(scan), Before: time.Duration(at)},
			{At: at2 / 2, Refused: true, Count: count % 100, Source: 1},
			{At: -at2, Hold: time.Duration(wait), Source: 2, Refused: bits&1 > 0},
			{At: at2 + 1, Hold: time.Duration(scan), Source: 3, Service: uint16(count), Refused: bits&2 > 0},
			{At: at2, Hold: hold2, Source: 1, Scan: hold2, Refused: bits&4 > 0},
		}}
		s := mustNew(t, rec, Options{Suspects: []uint32{uint32(bits>>3) % 4}, RetryWithin: time.Duration(hold)})
		d := s.Diagnose(Question{Target: target, Late: target, MaxWait: time.Duration(wait), Singles: int(bits), Seeds: 2})
		if math.IsNaN(d.Needed.Lambda) || math.IsNaN(d.Needed.W) || d.Needed.Threads.Min < 1 || d.Scanners.Max < 0 || d.Waited.Max < 0 {
			t.Errorf("%+v", d)
		}
		out := s.Run(Change{Without: []uint32{0, 77}, Waiting: Waiting(bits)}, 1)
		if out.Served+out.Refused+out.Spared+out.LeftOut-out.Added != offered(rec) {
			t.Errorf("%+v of %d", out, offered(rec))
		}
	})
}

// TestReplayAllocatesNothing holds for every replay but the first of a player.
func TestReplayAllocatesNothing(t *testing.T) {
	s := mustNew(t, random(rand.New(rand.NewPCG(1, 1)), 2000), Options{})
	p := newPlayer(s)
	p.play(Change{Threads: Unlimited}, 1, unbounded)
	if n := testing.AllocsPerRun(10, func() { p.play(Change{Threads: Unlimited}, 1, unbounded) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
