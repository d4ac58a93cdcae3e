package detector

import (
	"math/rand/v2"
	"testing"
	"time"

	"overstay/connlog"
)

// TestProvenHours draws proofs of many nets over some days, and holds the table
// to a map: it may be late, never early.
func TestProvenHours(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 8))
	var p provenHours
	last := make(map[uint64]int64)
	now, wrong, asked := int64(1772442000)*micros, 0, 0
	for range 200_000 {
		if r.IntN(2000) == 0 {
			now += r.Int64N(8 * hour)
		}
		now += r.Int64N(2 * micros)
		key := uint64(r.IntN(20_000)) << 9
		if r.IntN(2) == 0 {
			p.note(key, now)
			last[key] = hourOf(now)
		}
		key = uint64(r.IntN(40_000)) << 9 // half of them are never proven
		h, ok := p.last(key, now)
		want, known := last[key]
		known = known && hourOf(now)-want <= dayHours
		switch {
		case known && (!ok || h < want):
			t.Fatalf("net %d was proven in the hour %d, the table has %d, %v", key, want, h, ok)
		case ok && !known, ok && h > want:
			wrong++
		}
		asked++
	}
	if wrong > asked/200 {
		t.Errorf("%d of %d are taken for proven later than they were", wrong, asked)
	}
}

// TestProvenHoursForget is a clock that stands still for as long as it takes an
// hour to look like another one, before the year 1970 and after.
func TestProvenHoursForget(t *testing.T) {
	for _, then := range []int64{1772442000 * micros, -1000 * day} {
		for _, c := range []struct {
			passed int64
			known  bool
		}{
			{0, true}, {dayHours * hour, true}, {(dayHours + 1) * hour, false},
			{254 * hour, false}, {255 * hour, false}, {256 * hour, false}, {100_000 * day, false},
		} {
			var p provenHours
			p.note(7, then)
			for ago := range int64(10) { // others keep it busy
				p.note(8, then+c.passed-c.passed*ago/10)
			}
			if _, ok := p.last(7, then+c.passed); ok != c.known {
				t.Errorf("%d hours later it is known: %v", c.passed/hour, ok)
			}
		}
	}
	if n := 1 << provenBits; n > 1<<20 {
		t.Errorf("%d bytes", n)
	}
}

// TestProvenFromTheMiddle trusts a net whose only proof the log tells of is
// that of a connection it has not seen to open, or not to prove itself, or that
// of one in the head of a file.
func TestProvenFromTheMiddle(t *testing.T) {
	for _, how := range []string{"unknown", "known", "named"} {
		w := watchNets(t, full())
		id := w.sit("203.0.113.5", 1)[0]
		w.open[id].proven = true // the line of it is lost
		switch how {
		case "unknown":
			w.d = mustNew(t, Options{Policies: []Policy{full()}})
		}
		w.seq++
		if how == "named" {
			w.head()
			w.open[id].proven = false
		}
		w.close(id, connlog.EndClient)
		w.sit("203.0.113.10", 3)
		w.sit("203.0.113.20", 3)
		w.idle(5 * time.Second)
		w.about(t)
	}
}
