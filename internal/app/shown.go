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

// toBeShown picks the sources that a timeline tells apart: those that held
// most. Of addresses that only together held much it is their net.
func toBeShown(r *occupancy.Report) []netip.Prefix {
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
	for _, h := range all[:min(len(all), mostShown)] {
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
