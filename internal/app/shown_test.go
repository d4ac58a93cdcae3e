package app

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"overstay/detector/occupancy"
)

// TestToBeShown wants a net in place of its addresses where none of these alone
// held much of it, and those that were found before all.
func TestToBeShown(t *testing.T) {
	holder := func(source string, members int, seconds int) occupancy.Holder {
		return occupancy.Holder{Source: netip.MustParsePrefix(source), Members: members, ThreadTime: time.Duration(seconds) * time.Second}
	}
	of200 := holder("198.51.100.0/24", 200, 100)
	ranking := []occupancy.Holder{holder("203.0.113.9/32", 1, 90)}
	var few []netip.Prefix // of the ranking, as many as there is room for
	for i := range 12 {
		ranking = append(ranking, holder(fmt.Sprintf("198.51.100.%d/32", i), 1, 3))
		if i < mostShown-1 {
			few = append(few, ranking[i+1].Source)
		}
	}
	one, crowd := parsed("203.0.113.9/32"), parsed("198.51.100.0/24")
	crowdNets, mixedNets := []occupancy.Holder{of200, holder("203.0.113.0/24", 30, 95)}, []occupancy.Holder{holder("203.0.113.0/24", 30, 300), of200}
	many := parsed("192.0.2.1/32", "192.0.2.22/32", "192.0.2.3/32", "192.0.2.4/32", "192.0.2.5/32", "192.0.2.6/32", "192.0.2.7/32", "192.0.2.8/32", "203.0.113.9/32")
	for name, test := range map[string]struct {
		nets            []occupancy.Holder
		found           []netip.Prefix
		apart, together []netip.Prefix
	}{
		"a crowd":                    {crowdNets, nil, slices.Concat(crowd, one), nil},
		"a few addresses":            {[]occupancy.Holder{holder("198.51.100.0/24", 3, 30)}, nil, slices.Concat(one, few), nil},
		"one address that held most": {mixedNets, nil, slices.Concat(crowd, one), nil},
		"one that was found":         {crowdNets, one, slices.Concat(one, crowd), nil},
		"one of a crowd was found":   {crowdNets, few[:1], slices.Concat(few[:1], one), nil},
		"two that were found":        {crowdNets, slices.Concat(few[:1], one), slices.Concat(one, few[:1]), nil},
		"many that were found":       {crowdNets, many, crowd, many},
	} {
		apart, together := toBeShown(&occupancy.Report{Ranking: ranking, Nets: test.nets}, test.found)
		if !slices.Equal(apart, test.apart) || !slices.Equal(together, test.together) {
			t.Errorf("%s: %v apart and %v together, want %v and %v", name, apart, together, test.apart, test.together)
		}
	}
}

func parsed(all ...string) (prefixes []netip.Prefix) {
	for _, s := range all {
		prefixes = append(prefixes, netip.MustParsePrefix(s))
	}
	return prefixes
}
