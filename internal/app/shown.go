package app

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"overstay/detector/occupancy"
)

// mostShown is how many sources a timeline tells apart.
const mostShown = 8

// mostRanked is how many are looked at to find these.
const mostRanked = 100

// A net stands for its addresses where there are so many of them that none
// held more than a part of what the net did.
const (
	crowdMembers = 4
	crowdPart    = 4
)

// show begins a timeline of whom the policies found, and of those who held most.
func (s *study) show() *occupancy.Timeline {
	r, threads := s.Occupancy, s.logs.Format.Threads
	s.Shown, s.Together = toBeShown(s.fold.Report(occupancy.ByThreadTime, mostRanked), s.found())
	return occupancy.NewTimeline(occupancy.TimelineOptions{
		From: r.From, To: r.To, Buckets: s.options.Buckets, Sources: s.Shown, Together: s.Together,
		Service: s.options.Service, Threads: threads.Each, ThreadsOf: threads.Of,
	})
}

// found are the sources that the policies decided about, without those that lie
// in another one.
func (s *study) found() []netip.Prefix {
	if s.inquiry == nil {
		return nil
	}
	all, sizes := map[netip.Prefix]bool{}, map[int]bool{}
	for i := range s.inquiry.decisions {
		if d := &s.inquiry.decisions[i]; s.wanted(d) {
			all[d.Source], sizes[d.Source.Bits()] = true, true
		}
	}
	var sources []netip.Prefix
	for source := range all {
		inside := false
		for bits := range sizes {
			if bits < source.Bits() {
				net, err := source.Addr().Prefix(bits)
				inside = inside || err == nil && all[net]
			}
		}
		if !inside {
			sources = append(sources, source)
		}
	}
	slices.SortFunc(sources, netip.Prefix.Compare)
	return sources
}

// toBeShown picks the sources that a timeline tells apart: those that were found
// and then those that held most, the largest first. Of addresses that only
// together held much it is their net. Those that were found are one where they
// would be too many.
func toBeShown(r *occupancy.Report, found []netip.Prefix) (apart, together []netip.Prefix) {
	if len(found) > mostShown {
		together, found = found, nil
	}
	held := map[netip.Prefix]time.Duration{}
	for _, h := range slices.Concat(r.Ranking, r.Nets) {
		held[h.Source] = h.ThreadTime
	}
	slices.SortStableFunc(found, func(a, b netip.Prefix) int { return cmp.Compare(held[b], held[a]) })
	known := slices.Concat(found, together)
	for _, source := range largest(r) {
		if !slices.ContainsFunc(known, func(p netip.Prefix) bool { return covers(p, source) || covers(source, p) }) {
			apart = append(apart, source)
		}
	}
	return append(found, apart[:min(len(apart), mostShown-len(found))]...), together
}

// largest are the sources that held most, crowds as the nets they are in.
func largest(r *occupancy.Report) []netip.Prefix {
	var all []occupancy.Holder
	for _, net := range r.Nets {
		if net.Members >= crowdMembers && largestIn(net.Source, r.Ranking) < net.ThreadTime/crowdPart {
			all = append(all, net)
		}
	}
	nets := all
	for _, h := range r.Ranking {
		if !slices.ContainsFunc(nets, func(net occupancy.Holder) bool { return covers(net.Source, h.Source) }) {
			all = append(all, h)
		}
	}
	slices.SortStableFunc(all, func(a, b occupancy.Holder) int { return cmp.Compare(b.ThreadTime, a.ThreadTime) })
	var sources []netip.Prefix
	for _, h := range all {
		sources = append(sources, h.Source)
	}
	return sources
}

// largestIn is what the one in a net that held most held, as far as the
// ranking tells: those that are not in it held less than all that are.
func largestIn(net netip.Prefix, ranking []occupancy.Holder) time.Duration {
	for _, h := range ranking {
		if covers(net, h.Source) {
			return h.ThreadTime
		}
	}
	return 0
}
