package loss

import (
	"testing"
	"time"
)

// TestManyBansOfMany bans a net of a hundred thousand sources ten thousand
// times, each time for longer than until the next. What is remembered must not
// be the product.
func TestManyBansOfMany(t *testing.T) {
	const sources, times = 100_000, 10_000
	ban := TimedBan{}
	rec := Recording{Threads: 1, Sources: sources + 1}
	for i := range sources {
		ban.Sources = append(ban.Sources, uint32(i))
	}
	for i := range times {
		at := time.Duration(i) * time.Second
		ban.Times = append(ban.Times, Times{From: at, Until: at + 2*time.Second})
		if i%100 == 0 {
			rec.Arrivals = append(rec.Arrivals, Arrival{At: at, Hold: time.Millisecond, Source: uint32(i)},
				Arrival{At: at, Hold: time.Millisecond, Source: sources, Refused: true})
		}
	}
	p := newPlayer(mustNew(t, rec, Options{}))
	out := p.play(Change{Bans: []TimedBan{ban}}, 1, unbounded)
	if out.LeftOut != times/100 || out.Refused != 0 {
		t.Errorf("%+v", out)
	}
	if len(p.bans.times) != 1 || len(p.bans.times[0]) != 1 || len(p.bans.of) != sources {
		t.Errorf("%d times of %d bans, for %d sources", len(p.bans.times[0]), len(p.bans.times), len(p.bans.of))
	}
}
