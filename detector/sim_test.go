package detector

import (
	"container/heap"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"overstay/connlog"
)

// world is a server with its clients and a detector whose bans it obeys: a
// discrete simulation, one event after the other, from one seed.
type world struct {
	*logger
	r       *rand.Rand
	d       *Detector
	queue   actions
	n       int // of actions, to break ties
	limit   int // of unproven connections of one source; 0: none
	banned  map[netip.Prefix]time.Time
	nets    []netip.Prefix // of the banned, those of more than an address
	decided []Decision
	ended   map[uint64]func() // what a client does when it is cut off
}

type action struct {
	at time.Time
	n  int
	do func()
}

type actions []action

func (a actions) Len() int { return len(a) }
func (a actions) Less(i, j int) bool {
	if !a[i].at.Equal(a[j].at) {
		return a[i].at.Before(a[j].at)
	}
	return a[i].n < a[j].n
}
func (a actions) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *actions) Push(x any)   { *a = append(*a, x.(action)) }
func (a *actions) Pop() any {
	last := len(*a) - 1
	x := (*a)[last]
	*a = (*a)[:last]
	return x
}

func newWorld(t testing.TB, threads int, policies []Policy, seed uint64) *world {
	w := &world{r: rand.New(rand.NewPCG(seed, 11)), d: mustNew(t, Options{Policies: policies}),
		banned: make(map[netip.Prefix]time.Time), ended: make(map[uint64]func())}
	w.logger = &logger{now: epoch, threads: threads, service: "www", onWrite: w.hear, forget: true}
	w.restart("boot1")
	w.every(5*time.Second, w.beat)
	return w
}

// hear lets the detector read the line, and obeys.
func (w *world) hear(e *connlog.Event) {
	for _, dec := range w.d.Observe(e) {
		w.decided = append(w.decided, dec)
		if dec.Action != Ban {
			continue
		}
		w.banned[dec.Source] = dec.At.Add(dec.Duration)
		if connlog.AddressLevel.Source(dec.Source.Addr()) != dec.Source {
			w.nets = append(w.nets, dec.Source)
		}
		// The server notices a moment later.
		w.after(2*time.Millisecond, func() { w.evict(dec.Source) })
	}
}

func (w *world) evict(src netip.Prefix) {
	for _, id := range slices.Sorted(maps.Keys(w.open)) {
		if src.Contains(w.open[id].ip) {
			w.cut(id, connlog.EndBanned)
		}
	}
}

// cut ends a connection from the server's side.
func (w *world) cut(id uint64, end connlog.End) {
	w.close(id, end)
	if f := w.ended[id]; f != nil {
		delete(w.ended, id)
		f()
	}
}

func (w *world) after(d time.Duration, do func()) {
	w.n++
	heap.Push(&w.queue, action{at: w.now.Add(d), n: w.n, do: do})
}

func (w *world) every(d time.Duration, do func()) {
	w.after(d, func() { do(); w.every(d, do) })
}

// about is a time around d, never the same twice.
func (w *world) about(d time.Duration) time.Duration {
	return d/2 + time.Duration(w.r.Int64N(int64(d)))
}

func (w *world) run(d time.Duration) {
	end := w.now.Add(d)
	for w.queue.Len() > 0 && !w.queue[0].at.After(end) {
		a := heap.Pop(&w.queue).(action)
		w.now = a.at
		a.do()
	}
	w.now = end
}

// arrive is the accept loop: 0 if the connection is turned away.
func (w *world) arrive(who netip.Addr) uint64 {
	if w.isBanned(who) {
		w.refuse(who, connlog.RefuseBanned)
		return 0
	}
	if w.limit > 0 && w.unprovenOf(who) >= w.limit {
		w.refuse(who, connlog.RefuseSessions)
		return 0
	}
	return w.connect(who)
}

// isBanned says so of an address and of the nets that it is in.
func (w *world) isBanned(who netip.Addr) bool {
	if until, ok := w.banned[connlog.AddressLevel.Source(who)]; ok && w.now.Before(until) {
		return true
	}
	return slices.ContainsFunc(w.nets, func(p netip.Prefix) bool {
		return p.Contains(who) && w.now.Before(w.banned[p])
	})
}

func (w *world) unprovenOf(who netip.Addr) (n int) {
	for _, o := range w.open {
		if o.ip == who && !o.proven {
			n++
		}
	}
	return n
}

// tally counts what the clients that are wanted got.
type tally struct{ tried, served int }

func (t tally) share() float64 { return float64(t.served) / float64(max(t.tried, 1)) }

// client is an ordinary one: it asks about every pause, and is done in a few
// milliseconds.
func (w *world) client(who netip.Addr, pause time.Duration, t *tally) {
	var again func()
	again = func() {
		t.tried++
		if id := w.arrive(who); id != 0 {
			t.served++
			w.after(w.about(4*time.Millisecond), func() {
				if w.open[id] == nil {
					return
				}
				w.prove(id)
				w.after(w.about(4*time.Millisecond), func() {
					if w.open[id] != nil {
						w.close(id, connlog.EndServer)
					}
				})
			})
		}
		w.after(w.about(pause), again)
	}
	w.after(w.about(pause), again)
}

// sitter opens n connections and says nothing in them. The server cuts each
// after the patience; it comes back a second later, as after a refusal.
func (w *world) sitter(who netip.Addr, n int, patience time.Duration) {
	var sit func()
	sit = func() {
		id := w.arrive(who)
		if id == 0 {
			w.after(w.about(time.Second), sit)
			return
		}
		w.ended[id] = func() { w.after(time.Second, sit) }
		w.after(patience, func() {
			if w.open[id] != nil {
				w.cut(id, connlog.EndTimeout)
			}
		})
	}
	for range n {
		w.after(w.about(100*time.Millisecond), sit)
	}
}

// visit is one connection that fails some logins, says something useful or
// not, and goes after held.
func (w *world) visit(who netip.Addr, badLogins int, useful bool, held time.Duration) {
	id := w.arrive(who)
	if id == 0 {
		return
	}
	for range badLogins {
		w.fail(id, connlog.FailLogin)
	}
	if useful {
		w.prove(id)
	}
	w.after(held, func() {
		if w.open[id] != nil {
			w.close(id, connlog.EndClient)
		}
	})
}

// bans of a source, in order.
func (w *world) bans(who netip.Addr) (out []Decision) {
	for _, dec := range w.decided {
		if dec.Action == Ban && dec.Source.Contains(who) {
			out = append(out, dec)
		}
	}
	return out
}
