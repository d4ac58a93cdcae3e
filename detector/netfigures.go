package detector

import "math"

// net is the net in view, or that of the source in view, run up to now. Of one
// that is not remembered it is a net in which nothing has happened.
func (v *view) net() *net {
	if v.n == nil {
		v.n = v.d.nets.known(v.s, v.p, v.now)
	}
	if v.n == nil {
		v.n = &v.d.nets.unknown
	}
	return v.n
}

// netLoad and the others are figures of the net in view.
func (v *view) netLoad() load {
	n := v.net()
	return n.sums.all.load(n.open, &v.d.nets.clock)
}

func (v *view) netUnprovenLoad() load {
	n := v.net()
	return n.sums.unproven.load(n.unproven, &v.d.nets.clock)
}

// netRate is what a sum of the net's comes to per minute, and netRate15 what
// one over 15 minutes does.
func (v *view) netRate(sum float64) float64   { return sum / v.d.nets.clock.e.m1 }
func (v *view) netRate15(sum float64) float64 { return sum / v.d.nets.clock.e.m15 }

// netProvenAge is in seconds; infinite if it is more than a day.
func (v *view) netProvenAge() float64 {
	n := v.net()
	key := n.key
	if v.s != nil {
		key = v.d.nets.keyOf(v.s.key.addr)
	}
	age := v.d.nets.provenAge(key, n.provenAt, v.now)
	if age >= day {
		return math.Inf(1)
	}
	return float64(age) / micros
}

// blame1 is that of what is in view.
func (v *view) blame1() float64 {
	if v.s == nil {
		return v.netRate(v.n.sums.blame1)
	}
	return float64(v.s.blame1)
}

// netOvertaken is overtaken for the net in view.
func (v *view) netOvertaken() float64 {
	n := v.net()
	if n.unproven == 0 {
		return 0
	}
	return v.p.passing.overtaken(n.meanAge(v.now), v.now)
}

// netFigures are about the net of a source, or the net that is judged.
func netFigures() []figure {
	return []figure{
		{Figure{"net.open", "connections", "threads of the pool the net holds now"},
			func(v *view) float64 { return float64(v.net().open) }},
		{Figure{"net.load1", "threads", "average of the threads it held, over 1 minute"},
			func(v *view) float64 { return v.netLoad().m1 }},
		{Figure{"net.load5", "threads", "the same over 5 minutes"},
			func(v *view) float64 { return v.netLoad().m5 }},
		{Figure{"net.load15", "threads", "the same over 15 minutes"},
			func(v *view) float64 { return v.netLoad().m15 }},
		{Figure{"net.members", "sources", "sources of the net that hold a thread now"},
			func(v *view) float64 { return float64(v.net().members) }},

		{Figure{"net.unproven.open", "connections", "threads it holds now with unproven connections"},
			func(v *view) float64 { return float64(v.net().unproven) }},
		{Figure{"net.unproven.load1", "threads", "average of the threads it held with unproven connections, over 1 minute"},
			func(v *view) float64 { return v.netUnprovenLoad().m1 }},
		{Figure{"net.unproven.load5", "threads", "the same over 5 minutes"},
			func(v *view) float64 { return v.netUnprovenLoad().m5 }},
		{Figure{"net.unproven.load15", "threads", "the same over 15 minutes"},
			func(v *view) float64 { return v.netUnprovenLoad().m15 }},
		{Figure{"net.unproven.members", "sources", "sources of the net that hold an unproven connection now"},
			func(v *view) float64 { return float64(v.net().unprovenMembers) }},
		{Figure{"net.unproven.others", "connections", "its open unproven connections without those of the source that has the most of them"},
			func(v *view) float64 { return float64(v.net().others()) }},
		{Figure{"net.unproven.mean_age", "seconds", "mean age of its open unproven connections, 0 if none"},
			func(v *view) float64 { return v.net().meanAge(v.now) }},
		{Figure{"net.unproven.overtaken", "seconds", "how much later than these, on average, the latest connections of the pool were opened that have proven themselves, of three sources; 0 if earlier"},
			(*view).netOvertaken},

		{Figure{"net.opens", "per minute", "connections its sources opened"},
			func(v *view) float64 { return v.netRate(v.net().sums.opens) }},
		{Figure{"net.fails", "per minute", "failures of any kind"},
			func(v *view) float64 { return v.netRate(v.net().sums.fails) }},
		{Figure{"net.logins_failed", "per minute", "failed logins"},
			func(v *view) float64 { return v.netRate(v.net().sums.logins) }},
		{Figure{"net.logins_failed15", "per minute", "failed logins, averaged over 15 minutes"},
			func(v *view) float64 { return v.netRate15(v.net().sums.logins15) }},
		{Figure{"net.proven", "per minute", "connections from it that proved themselves"},
			func(v *view) float64 { return v.netRate(v.net().sums.proven) }},
		{Figure{"net.proven15", "per minute", "the same, averaged over 15 minutes"},
			func(v *view) float64 { return v.netRate15(v.net().sums.proven15) }},
		{Figure{"net.short", "per minute", "connections from it that ended unproven within a second"},
			func(v *view) float64 { return v.netRate(v.net().sums.short) }},
		{Figure{"net.proven_age", "seconds", "time since an address of the net last proved itself, in any pool, infinite if not within a day"},
			(*view).netProvenAge},
		{Figure{"net.blame", "refusals", "busy refusals that its sources caused in all"},
			func(v *view) float64 { return v.net().sums.blame }},
		{Figure{"net.blame1", "per minute", "the same as a rate"},
			func(v *view) float64 { return v.netRate(v.net().sums.blame1) }},
	}
}
