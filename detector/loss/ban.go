package loss

import (
	"cmp"
	"math"
	"slices"
	"sort"
)

// bans are the timed bans of a replay, by source and then by time, with no two
// of a source that overlap.
type bans struct {
	list []ban
	of   []span // by source; only while there are any
	ask  mark   // who is to be asked about
}

type ban struct {
	source      uint32
	from, until int64
}

// span is a part of bans.list.
type span struct{ first, end uint32 }

// set takes in the bans of a change, in any order.
func (b *bans) set(s *System, timed []TimedBan) {
	for _, old := range b.list {
		b.of[old.source] = span{}
	}
	b.list, b.ask = b.list[:0], 0
	for _, t := range timed {
		if int64(t.Source) < int64(s.sources) && t.From < t.Until {
			b.list = append(b.list, ban{source: t.Source, from: int64(t.From), until: int64(t.Until)})
		}
	}
	if len(b.list) == 0 {
		return
	}
	if b.of == nil {
		b.of = make([]span, s.sources)
	}
	b.join()
	for i, ban := range b.list {
		of := &b.of[ban.source]
		if of.end == 0 {
			of.first = uint32(i)
		}
		of.end = uint32(i + 1)
		if b.ask |= ofSuspect; !s.suspect[ban.source] {
			b.ask |= arrived
		}
	}
}

// join sorts the bans, and makes one of those that overlap.
func (b *bans) join() {
	slices.SortFunc(b.list, func(x, y ban) int {
		return cmp.Or(cmp.Compare(x.source, y.source), cmp.Compare(x.from, y.from))
	})
	joined := b.list[:1]
	for _, next := range b.list[1:] {
		if last := &joined[len(joined)-1]; last.source == next.source && next.from <= last.until {
			last.until = max(last.until, next.until)
		} else {
			joined = append(joined, next)
		}
	}
	b.list = joined
}

// next is when the first ban begins that is not over at a time, for who comes
// then: at once, if it is banned, or else when it will be cut off.
func (b *bans) next(m mark, at int64) int64 {
	of := b.of[m&sourceOf]
	list := b.list[of.first:of.end]
	i := sort.Search(len(list), func(i int) bool { return list[i].until > at })
	if i == len(list) {
		return math.MaxInt64
	}
	return list[i].from
}
