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
// asks the system only whose times a client gets, how many scanners there are,
// and when who is served comes again.
func slowly(s *System, rec Recording, tries []firstOf, c Change, seed uint64) Outcome {
	arrivals := s.arrivals
	threads := c.Threads
	if threads == 0 {
		threads = rec.Threads
	}
	out := Outcome{BySource: make([]uint64, rec.Sources)}
	var holding []time.Duration
	var scans *slowScans
	if s.scanners != nil && c.Waiting == AsRecorded {
		scans = &slowScans{free: make([]time.Duration, s.scanners.scanners), usual: usualWaits(arrivals, s.scanners.scanners)}
		for i := range scans.free {
			scans.free[i] = math.MinInt64
		}
	}
	done := map[int]bool{} // by the first try
	index := -1            // of those in the record
	before := map[uint32]int{}
	for j, a := range arrivals {
		if a.At >= 0 && (j == 0 || arrivals[j-1].At < 0) {
			out = Outcome{BySource: make([]uint64, rec.Sources)}
		}
		n := uint64(1)
		if a.Refused {
			n = uint64(max(a.Count, 1))
		}
		first, chained := -1, false
		if a.again {
			if !done[before[a.Source]] {
				continue
			}
			out.Added++
		} else {
			index++
			first, chained = tries[index].try, tries[index].chained
			before[a.Source] = first
		}
		cut := time.Duration(math.MaxInt64)
		for _, b := range c.Bans {
			for _, t := range b.Times {
				if slices.Contains(b.Sources, a.Source) && a.At < t.Until && t.From < t.Until {
					cut = min(cut, t.From)
				}
			}
		}
		if slices.Contains(c.Without, a.Source) || cut <= a.At {
			out.LeftOut += n
			continue
		}
		if chained && done[first] {
			out.Spared += n
			continue
		}
		holding = append(holding, scans.run(arrivals, a.At)...)
		holding = slices.DeleteFunc(holding, func(end time.Duration) bool { return end <= a.At })
		clients := n
		if chained {
			clients = 1
		}
		for k := range clients {
			if len(holding)+scans.len() >= threads {
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
			switch {
			case scans != nil && like != nobody && arrivals[like].Scan > 0 && cut > a.At+arrivals[like].Before:
				scans.asking = append(scans.asking, slowScan{at: a.At + arrivals[like].Before, cut: cut, like: int(like), recorded: !a.Refused})
			case hold > 0:
				holding = append(holding, min(cut, a.At+hold))
			}
			out.Served++
			if !a.again {
				done[first] = true
			}
		}
		if chained && n > 1 {
			out.Spared += n - 1
		}
		out.Peak = max(out.Peak, len(holding)+scans.len())
	}
	if n := len(arrivals); n > 0 && arrivals[n-1].At < 0 {
		return Outcome{BySource: make([]uint64, rec.Sources)}
	}
	return out
}

// firstOf is the first try of an arrival's client; see firstTry.
type firstOf struct {
	try     int
	chained bool
}

func firstTries(s *System, within time.Duration) []firstOf {
	recorded := slices.DeleteFunc(slices.Clone(s.arrivals), func(a Arrival) bool { return a.again })
	all := make([]firstOf, len(recorded))
	for j := range all {
		all[j].try, all[j].chained = firstTry(recorded, j, within)
	}
	return all
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

// offered is how many arrivals of a recording count.
func offered(rec Recording) (n uint64) {
	for _, a := range rec.Arrivals {
		switch {
		case a.At < 0:
		case a.Refused:
			n += uint64(max(a.Count, 1))
		default:
			n++
		}
	}
	return n
}

// slowScans are the scanners, with the messages that are on their way to them.
type slowScans struct {
	asking []slowScan
	free   []time.Duration // when each scanner is
	usual  map[int]time.Duration
}

type slowScan struct {
	at, cut  time.Duration
	like     int
	recorded bool
}

func (q *slowScans) len() int {
	if q == nil {
		return 0
	}
	return len(q.asking)
}

// run scans what asked up to a time, and returns when the connections end.
func (q *slowScans) run(all []Arrival, now time.Duration) (ends []time.Duration) {
	if q == nil {
		return nil
	}
	slices.SortStableFunc(q.asking, func(a, b slowScan) int { return int(a.at - b.at) })
	for len(q.asking) > 0 && q.asking[0].at <= now {
		m := q.asking[0]
		q.asking = q.asking[1:]
		a := all[m.like]
		scanner := slices.Index(q.free, slices.Min(q.free))
		begin := max(m.at, q.free[scanner])
		q.free[scanner] = begin + a.Scan
		wait := begin - m.at
		if m.recorded {
			wait = max(a.Wait+wait-q.usual[m.like], 0)
		}
		ends = append(ends, min(m.cut, m.at+wait+a.Hold-a.Before-a.Wait))
	}
	return ends
}

// usualWaits are what the recorded messages wait in a queue of them alone.
func usualWaits(all []Arrival, scanners int) map[int]time.Duration {
	var jobs []int
	for i, a := range all {
		if !a.Refused && a.Scan > 0 {
			jobs = append(jobs, i)
		}
	}
	slices.SortStableFunc(jobs, func(i, j int) int { return int(all[i].At + all[i].Before - all[j].At - all[j].Before) })
	waits := map[int]time.Duration{}
	free := make([]time.Duration, scanners)
	for i := range free {
		free[i] = math.MinInt64
	}
	for _, i := range jobs {
		at := all[i].At + all[i].Before
		scanner := slices.Index(free, slices.Min(free))
		begin := max(at, free[scanner])
		free[scanner] = begin + all[i].Scan
		waits[i] = begin - at
	}
	return waits
}

// banned are bans of all kinds: of suspects and others, of some again and
// again, overlapping, backwards, of nobody.
func banned(r *rand.Rand, rec Recording) []TimedBan {
	bans := make([]TimedBan, r.IntN(6))
	for i := range bans {
		for range r.IntN(4) {
			bans[i].Sources = append(bans[i].Sources, uint32(r.IntN(rec.Sources+1)))
		}
		for range r.IntN(4) {
			from := time.Duration(r.IntN(80)-10) * time.Second / 2
			bans[i].Times = append(bans[i].Times, Times{From: from, Until: from + time.Duration(r.IntN(40)-2)*time.Second/2})
		}
	}
	return bans
}

func TestReplayIsTheSlowOne(t *testing.T) {
	var added uint64
	coupled := 0
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
		tries := firstTries(s, within)
		if s.scanners != nil {
			coupled++
		}
		for _, c := range []Change{{}, {Without: suspects}, {Waiting: NoWait}, {Threads: 1}, {Threads: 1 + r.IntN(20)}, {Threads: Unlimited},
			{Without: []uint32{0, uint32(rec.Sources / 2), math.MaxUint32}, Threads: 3},
			{Without: suspects, Waiting: NoWait, Threads: 2},
			{Bans: banned(r, rec)}, {Bans: banned(r, rec), Without: suspects, Waiting: NoWait, Threads: 4}} {
			got := s.Run(c, seed)
			added += got.Added
			want := slowly(s, rec, tries, c, seed)
			if got.Served != want.Served || got.Refused != want.Refused || got.Spared != want.Spared || got.Added != want.Added || got.LeftOut != want.LeftOut ||
				got.Others != want.Others || !slices.Equal(got.BySource, want.BySource) {
				t.Fatalf("seed %d, %+v:\ngot  %+v\nwant %+v", seed, c, got, want)
			}
			if sum := got.Served + got.Refused + got.Spared + got.LeftOut - got.Added; sum != offered(rec) {
				t.Fatalf("seed %d, %+v: %d arrivals of %d", seed, c, sum, offered(rec))
			}
			if again := p.play(c, seed, unbounded); again.Served != got.Served || again.Refused != got.Refused {
				t.Fatalf("seed %d, %+v: %+v, and when played after another change %+v", seed, c, got, again)
			}
			if limit := c.Threads; limit > 0 && got.Peak > limit {
				t.Fatalf("seed %d: %d threads of %d held", seed, got.Peak, limit)
			}
		}
	}
	if added == 0 || coupled < 100 {
		t.Errorf("%d arrivals were added, %d recordings have scanners that matter", added, coupled)
	}
}
