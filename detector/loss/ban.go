package loss

import (
	"cmp"
	"math"
	"slices"
	"sort"
)

// bans are the timed bans of a replay. Those of many sources have their times
// once, however many there are of both.
type bans struct {
	times [][]span // of each ban, in order, no two of which overlap
	first []uint32 // by source, and at the end: its first in of
	of    []uint32 // places in times
	ask   mark     // who is to be asked about
}

// span is a time that a ban lasts.
type span struct{ from, until int64 }

// set takes in the bans of a change, in any order.
func (b *bans) set(s *System, timed []TimedBan) {
	b.times, b.ask = b.times[:0], 0
	if len(timed) == 0 {
		return
	}
	if b.first == nil {
		b.first = make([]uint32, s.sources+1)
	}
	clear(b.first)
	var all uint32
	for i := range timed {
		b.times = append(b.times, joined(timed[i].Times))
		for _, src := range timed[i].Sources {
			if int64(src) >= int64(s.sources) {
				continue
			}
			all++
			b.first[src]++
			if b.ask |= ofSuspect; !s.suspect[src] {
				b.ask |= arrived
			}
		}
	}
	var end uint32
	for src, n := range b.first {
		end += n
		b.first[src] = end
	}
	b.of = slices.Grow(b.of[:0], int(all))[:all]
	for i := range timed {
		for _, src := range timed[i].Sources {
			if int64(src) < int64(s.sources) {
				b.first[src]--
				b.of[b.first[src]] = uint32(i)
			}
		}
	}
}

// joined sorts times, and makes one of those that overlap.
func joined(times []Times) []span {
	spans := make([]span, 0, len(times))
	for _, t := range times {
		if t.From < t.Until {
			spans = append(spans, span{int64(t.From), int64(t.Until)})
		}
	}
	slices.SortFunc(spans, func(x, y span) int { return cmp.Compare(x.from, y.from) })
	n := 0
	for _, next := range spans {
		if n > 0 && next.from <= spans[n-1].until {
			spans[n-1].until = max(spans[n-1].until, next.until)
		} else {
			spans[n] = next
			n++
		}
	}
	return spans[:n]
}

// next is when the first ban begins that is not over at a time, for who comes
// then: at once, if it is banned, or else when it will be cut off.
func (b *bans) next(m mark, at int64) int64 {
	src := m & sourceOf
	from := int64(math.MaxInt64)
	for _, n := range b.of[b.first[src]:b.first[src+1]] {
		spans := b.times[n]
		i := sort.Search(len(spans), func(i int) bool { return spans[i].until > at })
		if i < len(spans) {
			from = min(from, spans[i].from)
		}
	}
	return from
}
