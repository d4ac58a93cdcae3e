package loss

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// slowly replays a change event by event, with a plain list of those that hold
// a thread, and finds who is the same client by looking back each time. It
// asks the system only whose times a client gets.
func slowly(s *System, rec Recording, within time.Duration, c Change, seed uint64) Outcome {
	arrivals := slices.Clone(rec.Arrivals)
	slices.SortStableFunc(arrivals, func(a, b Arrival) int { return int(a.At - b.At) })
	threads := c.Threads
	if threads == 0 {
		threads = rec.Threads
	}
	out := Outcome{BySource: make([]uint64, rec.Sources)}
	var holding []time.Duration
	done := map[int]bool{} // by the first try
	for j, a := range arrivals {
		if a.At >= 0 && (j == 0 || arrivals[j-1].At < 0) {
			out = Outcome{BySource: make([]uint64, rec.Sources)}
		}
		n := uint64(1)
		if a.Refused {
			n = uint64(max(a.Count, 1))
		}
		cut := time.Duration(math.MaxInt64)
		for _, b := range c.Bans {
			if b.Source == a.Source && a.At < b.Until && b.From < b.Until {
				cut = min(cut, b.From)
			}
		}
		if slices.Contains(c.Without, a.Source) || cut <= a.At {
			out.LeftOut += n
			continue
		}
		first, chained := firstTry(arrivals, j, within)
		if chained && done[first] {
			out.Spared += n
			continue
		}
		holding = slices.DeleteFunc(holding, func(end time.Duration) bool { return end <= a.At })
		clients := n
		if chained {
			clients = 1
		}
		for k := range clients {
			if len(holding) >= threads {
				left := n - k
				out.Refused += left
				out.BySource[a.Source] += left
				if !s.suspect[a.Source] {
					out.Others += left
				}
				n = k
				break
			}
			like := uint32(j)
			if a.Refused {
				like = s.pick(uint32(j), k, seed).like
			}
			hold := defaultUnknown
			if like != nobody {
				if hold = arrivals[like].Hold; c.Waiting == NoWait {
					hold -= arrivals[like].Wait
				}
			}
			if hold > 0 {
				holding = append(holding, min(cut, a.At+hold))
			}
			out.Served++
			done[first] = true
		}
		if chained && n > 1 {
			out.Spared += n - 1
		}
		out.Peak = max(out.Peak, len(holding))
	}
	if n := len(arrivals); n > 0 && arrivals[n-1].At < 0 {
		return Outcome{BySource: make([]uint64, rec.Sources)}
	}
	return out
}

// firstTry looks for the first try of the client of arrival j. It is false for
// who is one of several clients of its source, and for who was served at once.
func firstTry(all []Arrival, j int, within time.Duration) (int, bool) {
	if within < 0 || crowdedSlowly(all, all[j].Source) {
		return j, false
	}
	limit := wishSlowly(all, all[j].Source, all[j].Service)
	first, tried := -1, -1
	for i := 0; i <= j; i++ {
		if all[i].Source != all[j].Source {
			continue
		}
		// Where the one before was served, or of another service, or too long
		// ago, or the first too long ago, this one is the first.
		again := first >= 0 && all[tried].Refused && all[i].Service == all[tried].Service &&
			all[i].At-all[tried].At <= within && all[i].At-all[first].At <= limit
		if !again {
			first = i
		}
		tried = i
	}
	return first, first != j || all[j].Refused
}

// wishSlowly is how long after it was served a source comes again, or, if that
// was never seen, half of the sources of its service do.
func wishSlowly(all []Arrival, src uint32, service uint16) time.Duration {
	mean := func(src uint32) (gap time.Duration, service int) {
		var sum time.Duration
		n, served := 0, -1
		service = -1
		for i, a := range all {
			if a.Source != src {
				continue
			}
			if served >= 0 && all[served].Service == a.Service {
				sum += a.At - all[served].At
				n++
			}
			if served = -1; !a.Refused {
				served, service = i, int(a.Service)
			}
		}
		if n == 0 {
			return math.MaxInt64, service
		}
		return sum / time.Duration(n), service
	}
	if own, _ := mean(src); own < math.MaxInt64 {
		return own
	}
	var gaps []time.Duration
	for other := range uint32(len(all) + 2) {
		if gap, of := mean(other); of == int(service) && !crowdedSlowly(all, other) {
			gaps = append(gaps, gap)
		}
	}
	if len(gaps) == 0 {
		return math.MaxInt64
	}
	slices.Sort(gaps)
	return gaps[(len(gaps)-1)/2]
}

func crowdedSlowly(all []Arrival, src uint32) bool {
	for i, a := range all {
		if a.Source != src || a.Refused {
			continue
		}
		for _, b := range all[i+1:] {
			if b.Source == src && b.At < a.At+a.Hold {
				return true
			}
		}
	}
	return false
}

// banned are bans of all kinds: of suspects and others, of some again and
// again, overlapping, backwards, of nobody.
func banned(r *rand.Rand, rec Recording) []TimedBan {
	bans := make([]TimedBan, r.IntN(12))
	for i := range bans {
		from := time.Duration(r.IntN(80)-10) * time.Second / 2
		bans[i] = TimedBan{Source: uint32(r.IntN(rec.Sources + 1)), From: from, Until: from + time.Duration(r.IntN(40)-2)*time.Second/2}
	}
	return bans
}

func TestReplayIsTheSlowOne(t *testing.T) {
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 1))
		rec := random(r, 1+r.IntN(80))
		within := []time.Duration{-1, 0, 2 * time.Second}[r.IntN(3)]
		var suspects []uint32
		for range r.IntN(4) {
			suspects = append(suspects, uint32(r.IntN(rec.Sources)))
		}
		s := mustNew(t, rec, Options{Suspects: suspects, RetryWithin: within})
		if within == 0 {
			within = defaultRetry
		}
		p := newPlayer(s)
		for _, c := range []Change{{}, {Without: suspects}, {Waiting: NoWait}, {Threads: 1}, {Threads: 1 + r.IntN(20)}, {Threads: Unlimited},
			{Without: []uint32{0, uint32(rec.Sources / 2), math.MaxUint32}, Threads: 3},
			{Without: suspects, Waiting: NoWait, Threads: 2},
			{Bans: banned(r, rec)}, {Bans: banned(r, rec), Without: suspects, Waiting: NoWait, Threads: 4}} {
			got := s.Run(c, seed)
			want := slowly(s, rec, within, c, seed)
			if got.Served != want.Served || got.Refused != want.Refused || got.Spared != want.Spared || got.LeftOut != want.LeftOut ||
				got.Others != want.Others || !slices.Equal(got.BySource, want.BySource) {
				t.Fatalf("seed %d, %+v:\ngot  %+v\nwant %+v", seed, c, got, want)
			}
			if sum := got.Served + got.Refused + got.Spared + got.LeftOut; sum != s.offered {
				t.Fatalf("seed %d, %+v: %d arrivals of %d", seed, c, sum, s.offered)
			}
			if again := p.play(c, seed, unbounded); again.Served != got.Served || again.Refused != got.Refused {
				t.Fatalf("seed %d, %+v: %+v, and when played after another change %+v", seed, c, got, again)
			}
			if limit := c.Threads; limit > 0 && got.Peak > limit {
				t.Fatalf("seed %d: %d threads of %d held", seed, got.Peak, limit)
			}
		}
	}
}
