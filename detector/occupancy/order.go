package occupancy

import (
	"math"
	"math/bits"
	"slices"

	"overstay/connlog"
)

// DefaultWaiting is the number of events that wait for their place in an Order.
const DefaultWaiting = 1 << 17

// Order puts notes into the order of time, in bounded memory. A log that tells
// of a connection when it is over gives openings that lie before the lines
// above; events of one time stay in the order in which they came.
//
// One that comes too late for its place is moved to the time that was reached,
// and counted. An opening that is moved becomes one that is carried over, with
// the time that it has held its thread already, so no thread time is lost; that
// it may have been part of a peak before is part of the peak's range.
//
// What comes out depends on the events and their order, not on how they are
// divided into notes. It is for one goroutine.
type Order struct {
	most int
	take func(*Notes)

	store   row[note] // of those that wait
	free    []int32
	waiting []waiter // sorted
	fresh   []waiter // in the order in which they came
	room    []waiter
	names   names
	lists   [][]connlog.Service
	reached int64 // of all that went
	late    uint64
	out     Notes
}

// waiter is an event that waits.
type waiter struct {
	at    int64
	place int32
	opens bool // the opening that a close stands for
}

// NewOrder returns an empty Order that gives notes to take, which are valid
// until it returns. From waiting to twice as many events wait; DefaultWaiting
// if it is not positive. Each takes some hundred bytes.
func NewOrder(waiting int, take func(*Notes)) *Order {
	if waiting <= 0 {
		waiting = DefaultWaiting
	}
	return &Order{most: min(waiting, 1<<28), take: take, reached: math.MinInt64}
}

// Add takes in notes. They are copied.
func (o *Order) Add(n *Notes) {
	for i := range n.all {
		place, one := o.seat()
		*one = n.all[i]
		one.service = o.names.of(n.names.texts[one.service])
		one.boot = o.names.of(n.names.texts[one.boot])
		if one.kind == connlog.Start || one.kind == connlog.Beat {
			o.lists = append(o.lists, n.lists[one.extra])
			one.extra = int64(len(o.lists) - 1)
		}
		if one.marks&opensToo != 0 {
			at := one.at - one.extra
			if at < o.reached {
				o.late++
				at = o.reached
			}
			o.wait(waiter{at, place, true})
		}
		if one.at < o.reached {
			o.late += one.events()
			if one.kind == connlog.Open {
				one.extra += o.reached - one.at
				one.marks |= isMoved
			}
			one.at = o.reached
		}
		o.wait(waiter{one.at, place, false})
	}
}

// wait lets one wait, and others go for it if too many do.
func (o *Order) wait(w waiter) {
	if o.fresh = append(o.fresh, w); len(o.fresh) == o.most {
		o.sort()
		o.release(len(o.waiting) - o.most)
	}
}

// seat returns a place in the store and what is there.
func (o *Order) seat() (int32, *note) {
	if n := len(o.free); n > 0 {
		place := o.free[n-1]
		o.free = o.free[:n-1]
		return place, o.store.at(place)
	}
	return o.store.add()
}

// Flush lets all events go that wait. What comes after it is in order with them
// again, or late.
func (o *Order) Flush() {
	o.sort()
	o.release(len(o.waiting))
	o.lists = nil
}

// Late is the number of events that were moved.
func (o *Order) Late() uint64 { return o.late }

// sort puts the fresh ones among the others, which came before them.
func (o *Order) sort() {
	o.room = sortByTime(o.fresh, o.room)
	old := o.waiting
	all := slices.Grow(o.room[:0], len(old)+len(o.fresh))
	i, j := 0, 0
	for i < len(old) && j < len(o.fresh) {
		if old[i].at <= o.fresh[j].at {
			all = append(all, old[i])
			i++
		} else {
			all = append(all, o.fresh[j])
			j++
		}
	}
	all = append(append(all, old[i:]...), o.fresh[j:]...)
	o.waiting, o.room, o.fresh = all, old[:0], o.fresh[:0]
}

// opening makes a close the opening that it stands for, which is told at a time.
func (n *note) opening(at int64) {
	from := n.at - n.extra
	n.kind, n.at, n.extra, n.busy = connlog.Open, at, at-from, 0
	if n.marks &= hasAddress | isIPv4; n.extra > 0 {
		n.marks |= isMoved
	}
}

// events is for how many of those that come together the note stands.
func (n *note) events() uint64 {
	switch {
	case n.marks&endProves == 0:
		return 1
	case n.marks&isProven == 0:
		return 1 + uint64(n.busy)
	}
	return 2 + uint64(n.busy)
}

// atOnce is the number of notes that are given away together: they stay in the
// memory that is near.
const atOnce = 512

// release lets the first n go.
func (o *Order) release(n int) {
	for begin := 0; begin < n; begin += atOnce {
		o.out.Reset()
		o.out.names.texts = o.names.texts
		for _, w := range o.waiting[begin:min(begin+atOnce, n)] {
			o.out.all = append(o.out.all, *o.store.at(w.place))
			one := &o.out.all[len(o.out.all)-1]
			if w.opens {
				one.opening(w.at)
				continue // Its close will come.
			}
			if one.kind == connlog.Start || one.kind == connlog.Beat {
				list := o.lists[one.extra]
				o.lists[one.extra] = nil
				one.extra = int64(len(o.out.lists))
				o.out.lists = append(o.out.lists, list)
			}
			o.free = append(o.free, w.place)
		}
		o.reached = o.out.all[len(o.out.all)-1].at
		o.take(&o.out)
	}
	o.waiting = append(o.waiting[:0], o.waiting[max(n, 0):]...)
}

// sortByTime sorts, and leaves those of one time in their order. Room may be
// used, and is returned.
func sortByTime(all, room []waiter) []waiter {
	least, most := int64(math.MaxInt64), int64(math.MinInt64)
	sorted := true
	for i := range all {
		at := all[i].at
		sorted = sorted && at >= most
		least, most = min(least, at), max(most, at)
	}
	if sorted {
		return room
	}
	room = slices.Grow(room[:0], len(all))[:len(all)]
	from, to := all, room
	const digit = 11
	for shift := 0; shift < bits.Len64(uint64(most-least)); shift += digit {
		var counts [1 << digit]int32
		for i := range from {
			counts[uint64(from[i].at-least)>>shift&(1<<digit-1)]++
		}
		sum := int32(0)
		for i, n := range counts {
			counts[i] = sum
			sum += n
		}
		for i := range from {
			c := &counts[uint64(from[i].at-least)>>shift&(1<<digit-1)]
			to[*c] = from[i]
			*c++
		}
		from, to = to, from
	}
	if &from[0] != &all[0] {
		copy(all, from)
	}
	return room
}
