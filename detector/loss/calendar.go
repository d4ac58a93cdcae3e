package loss

import (
	"math/bits"
	"sort"
)

// calendar says before which arrival each recorded connection ends. Nothing
// happens between two arrivals that an arrival could see, so that is all of
// the order that a replay needs, and no heap is.
type calendar []uint32

func newCalendar(s *System, w Waiting) calendar {
	c := make(calendar, len(s.at))
	for i, m := range s.marks {
		if m&refused == 0 {
			c[i] = uint32(max(s.days.at(s.at[i]+s.hold(uint32(i), w)), i+1))
		}
	}
	return c
}

// days finds arrivals by their time. The time from the first to the last is
// parted into some two times as many days as there are arrivals, so that many
// have none, and it is known with which arrival each begins.
type days struct {
	times []int64  // of the arrivals
	first []uint32 // arrival of each day, and of the one after the last
	shift int      // a day is so long, as a power of two
}

func newDays(times []int64) days {
	d := days{times: times}
	if len(times) == 0 {
		return d
	}
	span := uint64(times[len(times)-1] - times[0])
	d.shift = max(bits.Len64(span)-bits.Len(uint(len(times)))-1, 0)
	d.first = make([]uint32, span>>d.shift+2)
	day := 0
	for i, t := range times {
		for ; day <= d.of(t); day++ {
			d.first[day] = uint32(i)
		}
	}
	d.first[day] = uint32(len(times))
	return d
}

// of is the day of a time that is not before the first.
func (d *days) of(t int64) int { return int(uint64(t-d.times[0]) >> d.shift) }

// at is the first arrival at a time or later, which is not before the first.
func (d *days) at(t int64) int {
	day := d.of(t)
	if day+1 >= len(d.first) {
		return len(d.times)
	}
	low, high := int(d.first[day]), int(d.first[day+1])
	if high-low > 8 {
		return low + sort.Search(high-low, func(k int) bool { return d.times[low+k] >= t })
	}
	for low < high && d.times[low] < t {
		low++
	}
	return low
}
