package app

import (
	"net/netip"
	"slices"
	"time"

	"overstay/connlog"
	"overstay/detector"
)

// Two sets of policies may make a hundred thousand decisions each on one log,
// so here nothing compares every one of the one with every one of the other.

// pairsOf says of each decision before which one after is its like: about the
// same source, and the earliest that overlaps it and is nobody else's. It is -1
// for those that have none.
func pairsOf(before, after []detector.Decision) []int {
	rest := bySource(after)
	pairs := make([]int, len(before))
	for source, mine := range bySource(before) {
		others := rest[source]
		for _, i := range mine {
			// What has ended by now overlaps none of the later ones either.
			for len(others) > 0 && !ends(&after[others[0]]).After(before[i].At) {
				others = others[1:]
			}
			if pairs[i] = -1; len(others) > 0 && overlap(&before[i], &after[others[0]]) {
				pairs[i], others = others[0], others[1:]
			}
		}
	}
	return pairs
}

// bySource returns the places of the decisions about each source, the earliest
// first.
func bySource(decisions []detector.Decision) map[netip.Prefix][]int {
	of := make(map[netip.Prefix][]int)
	for i := range decisions {
		of[decisions[i].Source] = append(of[decisions[i].Source], i)
	}
	for _, places := range of {
		slices.SortStableFunc(places, func(i, k int) int { return decisions[i].At.Compare(decisions[k].At) })
	}
	return of
}

func ends(d *detector.Decision) time.Time { return d.At.Add(d.Duration) }

// within finds for each decision the first of the other set that covers it.
func within(alone []Unmatched, others []detector.Decision) {
	nets := netsOf(others)
	for i := range alone {
		alone[i].Within = nets.covering(&alone[i].Decision)
	}
}

// netBans are decisions about nets, to be found by what lies in these.
type netBans struct {
	decisions []detector.Decision
	lengths   []int // that the nets have
	of        map[netip.Prefix]netTimes
}

// netTimes are the decisions about one net.
type netTimes struct {
	places []int       // the earliest first
	until  []time.Time // the latest end of those up to each
}

func netsOf(decisions []detector.Decision) *netBans {
	n := &netBans{decisions: decisions, of: make(map[netip.Prefix]netTimes)}
	for source, places := range bySource(decisions) {
		if source == connlog.AddressLevel.Source(source.Addr()) {
			continue
		}
		if !slices.Contains(n.lengths, source.Bits()) {
			n.lengths = append(n.lengths, source.Bits())
		}
		t := netTimes{places: places, until: make([]time.Time, len(places))}
		var last time.Time
		for i, k := range places {
			if end := ends(&decisions[k]); end.After(last) {
				last = end
			}
			t.until[i] = last
		}
		n.of[source] = t
	}
	return n
}

// covering is the first of the decisions about a net that d lies in, and that
// overlaps it in time; nil if there is none.
func (n *netBans) covering(d *detector.Decision) *detector.Decision {
	first := -1
	for _, bits := range n.lengths {
		if bits > d.Source.Bits() {
			continue
		}
		net, err := d.Source.Addr().Prefix(bits)
		if err != nil {
			continue
		}
		if k := n.of[net].overlapping(n.decisions, d); k >= 0 && (first < 0 || k < first) {
			first = k
		}
	}
	if first < 0 {
		return nil
	}
	return &n.decisions[first]
}

// overlapping is the place of the earliest that overlaps d, -1 if none does.
// Up to the one before it all have ended when d begins.
func (t netTimes) overlapping(decisions []detector.Decision, d *detector.Decision) int {
	i, _ := slices.BinarySearchFunc(t.until, d.At, func(until, at time.Time) int {
		if until.After(at) {
			return 1
		}
		return -1
	})
	if i == len(t.places) || !overlap(&decisions[t.places[i]], d) {
		return -1
	}
	return t.places[i]
}
