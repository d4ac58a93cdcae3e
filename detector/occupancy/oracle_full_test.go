package occupancy_test

import (
	"cmp"
	"slices"
	"time"

	"overstay/detector/occupancy"
)

// full joins what is not a minute apart.
func (s *story) full() (all []occupancy.Full) {
	for pool := range threads {
		moments := slices.Concat(s.points[pool], s.spans[pool])
		slices.SortStableFunc(moments, func(a, b moment) int { return cmp.Or(a.from.Compare(b.from), a.to.Compare(b.to)) })
		var one *occupancy.Full
		for _, m := range moments {
			if one != nil && m.from.Sub(one.To) <= time.Minute {
				if m.to.After(one.To) {
					one.To = m.to
				}
				one.Refused += m.refused
				continue
			}
			all = append(all, occupancy.Full{From: m.from, To: m.to, Service: pool, Refused: m.refused})
			one = &all[len(all)-1]
		}
	}
	slices.SortFunc(all, func(a, b occupancy.Full) int {
		return cmp.Or(a.From.Compare(b.From), cmp.Compare(a.Service, b.Service))
	})
	return all
}
