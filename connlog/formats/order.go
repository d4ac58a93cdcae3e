package formats

import (
	"time"

	"overstay/connlog"
)

// OrderOptions bound an Order.
type OrderOptions struct {
	// Window is how far an event may lie before the latest one and still find
	// its place, 15 minutes if zero.
	Window time.Duration
	// Max is the number of events that wait, 65,536 if zero; each takes some
	// 500 bytes.
	Max int
}

// Order puts events into the order of time, in bounded memory: it keeps them
// until none that is before them can come, as far as Window and Max allow.
// Events of one time stay in the order in which they came.
//
// One that comes too late for its place is moved to the time that was reached,
// and counted. An opening that is moved becomes one that is carried over, with
// the time that it has held its thread already, so no thread time is lost.
type Order struct {
	window  int64
	max     int
	emit    func(*connlog.Event)
	queue   waiting
	store   []connlog.Event
	free    []int32
	count   uint64
	latest  int64 // of all that came
	reached int64 // of all that went
	begun   bool
	late    uint64
}

// NewOrder returns an empty Order that gives events to emit. An event is valid
// until emit returns.
func NewOrder(o OrderOptions, emit func(*connlog.Event)) *Order {
	if o.Window <= 0 {
		o.Window = 15 * time.Minute
	}
	if o.Max <= 0 {
		o.Max = 65_536
	}
	return &Order{window: o.Window.Microseconds(), max: o.Max, emit: emit}
}

// Add takes in an event; it is copied. Those that were waiting for it go out.
func (o *Order) Add(e *connlog.Event) {
	at := e.Time.UnixMicro()
	if !o.begun || at > o.latest {
		o.latest = at
	}
	place := int32(len(o.store))
	if n := len(o.free); n > 0 {
		place, o.free = o.free[n-1], o.free[:n-1]
		o.store[place] = *e
	} else {
		o.store = append(o.store, *e)
	}
	if o.begun && at < o.reached {
		o.late++
		o.move(&o.store[place], at)
		at = o.reached
	}
	o.queue.push(waiter{at: at, count: o.count, place: place})
	o.count++
	for len(o.queue) > o.max || len(o.queue) > 0 && o.queue[0].at < o.latest-o.window {
		o.next()
	}
}

// move brings an event that is late to the time that was reached.
func (o *Order) move(e *connlog.Event, at int64) {
	e.Time = time.UnixMicro(o.reached).UTC()
	if e.Kind == connlog.Open {
		e.Held += between(at, o.reached)
	}
}

// next lets the first event go.
func (o *Order) next() {
	w := o.queue.pop()
	o.reached, o.begun = w.at, true
	o.emit(&o.store[w.place])
	o.store[w.place] = connlog.Event{}
	o.free = append(o.free, w.place)
}

// Flush lets all events go that wait.
func (o *Order) Flush() {
	for len(o.queue) > 0 {
		o.next()
	}
}

// Late is the number of events that were moved.
func (o *Order) Late() uint64 { return o.late }

// waiter is the place of an event that waits.
type waiter struct {
	at    int64
	count uint64
	place int32
}

func (w waiter) before(v waiter) bool {
	return w.at < v.at || w.at == v.at && w.count < v.count
}

// waiting is a heap, the first to go at its head.
type waiting []waiter

func (w *waiting) push(v waiter) {
	*w = append(*w, v)
	q := *w
	i := len(q) - 1
	for i > 0 && v.before(q[(i-1)/2]) {
		q[i] = q[(i-1)/2]
		i = (i - 1) / 2
	}
	q[i] = v
}

func (w *waiting) pop() waiter {
	q := *w
	first, last := q[0], q[len(q)-1]
	q = q[:len(q)-1]
	*w = q
	if len(q) == 0 {
		return first
	}
	i := 0
	for {
		child := 2*i + 1
		if child >= len(q) {
			break
		}
		if child+1 < len(q) && q[child+1].before(q[child]) {
			child++
		}
		if last.before(q[child]) {
			break
		}
		q[i] = q[child]
		i = child
	}
	q[i] = last
	return first
}
