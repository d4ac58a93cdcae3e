package detector

import "math"

// era is the stretch of time after whose beginning the sums of nets are
// scaled.
const era = tau15 * micros

// clock is the scale of the sums of nets at a time:
//
//	E = e^(t/tau), for tau = 1, 5 and 15 minutes
//
// with t since the beginning of an era of the log's time. It depends on the
// time alone, not on how often it was asked.
type clock struct {
	at  int64
	era int64
	e   scale

	second int64   // the whole second before at
	e15    float64 // E of 15 minutes then
}

// scale is one factor for each of the three averages.
type scale struct{ m1, m5, m15 float64 }

// scaleOf is e^(x/tau), where x is a part of 15 minutes.
func scaleOf(x float64) scale { return scaleOf15(math.Exp(x)) }

func scaleOf15(e15 float64) scale {
	e5 := e15 * e15 * e15
	e2 := e5 * e5
	return scale{m1: e2 * e2 * e5, m5: e5, m15: e15}
}

func newClock() clock { return clock{e: scaleOf(0), e15: 1} }

func (k *clock) reach(now int64) {
	if now == k.at {
		return
	}
	k.at = now
	passed := now - k.second
	if passed < 0 || passed >= micros {
		begin := floor(now, era)
		k.era = begin / era
		k.second = floor(now, micros)
		k.e15 = math.Exp(float64(k.second-begin) / era)
		passed = now - k.second
	}
	// Within a second four terms of the series are exact to the last bit.
	x := float64(passed) * (1.0 / era)
	k.e = scaleOf15(k.e15 * (1 + x*(1+x*(1.0/2)*(1+x*(1.0/3)*(1+x*(1.0/4))))))
}

// netSums are the loads, rates and blame of a net, written so that nothing has
// to be done for them while nothing happens in it. With n threads held now,
// which were taken and given back at the times t of a sum, the load is
//
//	L = n - (1/E) sum of +-E(t)
//
// which follows from the definition of the load by parts; a rate is a sum of
// E(t) over E; and blame is a rate of the shares of refusals. So to take a
// thread costs an addition for each, and the rest is done when they are read.
type netSums struct {
	era      int64 // whose scale the sums have
	all      scale // of the threads taken, less those of the threads given back
	unproven scale

	opens, fails, logins, proven, short float64
	logins15, proven15                  float64

	blame, blame1 float64
	paid          toll // the pool's, in this scale, when blame was last added up

	// The opening times of all connections there ever were, less the closing
	// times of those that ended, and the opening times of the unproven ones that
	// are open. They may wrap around; what is reckoned with them does not.
	times         int64
	unprovenTimes int64
}

// run brings the sums to the scale of the clock, and charges the n threads
// that have been held since the last time.
func (u *netSums) run(k *clock, t toll, n int) {
	if u.era != k.era {
		u.rescale(scaleOf(float64(u.era - k.era)))
		u.era = k.era
	}
	if t.all == u.paid.all {
		return
	}
	m1 := t.m1 * k.e.m1
	u.blame += float64(n) * (t.all - u.paid.all)
	u.blame1 = max(u.blame1+float64(n)*(m1-u.paid.m1), 0)
	u.paid = toll{all: t.all, m1: m1}
}

// rescale multiplies everything that fades.
func (u *netSums) rescale(by scale) {
	u.all.times(by)
	u.unproven.times(by)
	u.opens *= by.m1
	u.fails *= by.m1
	u.logins *= by.m1
	u.proven *= by.m1
	u.short *= by.m1
	u.blame1 *= by.m1
	u.paid.m1 *= by.m1
	u.logins15 *= by.m15
	u.proven15 *= by.m15
}

func (c *scale) times(by scale) {
	c.m1 *= by.m1
	c.m5 *= by.m5
	c.m15 *= by.m15
}

// add puts in f threads taken, or given back if it is negative.
func (c *scale) add(f float64, e *scale) {
	c.m1 += f * e.m1
	c.m5 += f * e.m5
	c.m15 += f * e.m15
}

// load is the load that a sum stands for with n threads held.
func (c *scale) load(n int32, k *clock) (l load) {
	f := float64(n)
	l.m1 = max(f-c.m1/k.e.m1, 0)
	l.m5 = max(f-c.m5/k.e.m5, 0)
	l.m15 = max(f-c.m15/k.e.m15, 0)
	return l
}

// carry puts in a load that a thread left before its net knew of it.
func (c *scale) carry(l load, k *clock) {
	c.m1 -= l.m1 * k.e.m1
	c.m5 -= l.m5 * k.e.m5
	c.m15 -= l.m15 * k.e.m15
}

// prove counts a connection that proved itself.
func (u *netSums) prove(k *clock) {
	u.proven += k.e.m1
	u.proven15 += per15 * k.e.m15
}

// failLogin counts a failed login.
func (u *netSums) failLogin(k *clock) {
	u.logins += k.e.m1
	u.logins15 += per15 * k.e.m15
}

// take and give count a connection in and out. The net is run up to now, and
// the holding has it already, or has it no more.
func (n *net) take(c *conn, h *holding, k *clock) {
	n.open++
	n.sums.all.add(1, &k.e)
	n.sums.times += c.opened
	if !c.proven {
		n.takeUnproven(c, h, k)
	}
}

func (n *net) takeUnproven(c *conn, h *holding, k *clock) {
	n.unproven++
	n.sums.unproven.add(1, &k.e)
	n.sums.unprovenTimes += c.opened
	switch own := int32(h.openUnproven); {
	case own > n.loud:
		n.loud, n.louds = own, 1
	case own == n.loud:
		n.louds++
	}
	if h.openUnproven == 1 {
		n.unprovenMembers++
	}
}

func (n *net) give(c *conn, h *holding, k *clock) {
	n.open--
	n.sums.all.add(-1, &k.e)
	n.sums.times -= k.at
	if !c.proven {
		n.giveUnproven(c, h, k)
	}
}

func (n *net) giveUnproven(c *conn, h *holding, k *clock) {
	n.unproven--
	n.sums.unproven.add(-1, &k.e)
	n.sums.unprovenTimes -= c.opened
	if int32(h.openUnproven)+1 == n.loud && n.louds > 0 {
		n.louds--
	}
	if h.openUnproven == 0 {
		n.unprovenMembers--
	}
}

// loudest is the most unproven threads that one member holds. Who lets go of
// a thread may have been the last one with as many; then it is looked up.
func (n *net) loudest() int32 {
	if n.unproven == 0 {
		return 0
	}
	if n.louds > 0 {
		return n.loud
	}
	n.loud = 0
	for h := n.first; h != nil; h = h.nextMember {
		switch own := int32(h.openUnproven); {
		case own > n.loud:
			n.loud, n.louds = own, 1
		case own == n.loud:
			n.louds++
		}
	}
	return n.loud
}

// others is the number of unproven threads that all but the loudest hold.
func (n *net) others() int { return int(n.unproven - n.loudest()) }

// meanAge is that of the unproven connections, in seconds; 0 if none.
func (n *net) meanAge(now int64) float64 {
	if n.unproven == 0 {
		return 0
	}
	return float64(int64(n.unproven)*now-n.sums.unprovenTimes) / micros / float64(n.unproven)
}

// threadSeconds is the thread time it has held in all, since it was known.
func (n *net) threadSeconds(now int64) float64 {
	return float64(int64(n.open)*now-n.sums.times) / micros
}
