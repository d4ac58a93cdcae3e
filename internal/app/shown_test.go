package app

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"overstay/detector/occupancy"
)

// TestToBeShown wants a net in place of its addresses where none of these alone
// held much of it.
func TestToBeShown(t *testing.T) {
	holder := func(source string, members int, seconds int) occupancy.Holder {
		return occupancy.Holder{Source: netip.MustParsePrefix(source), Members: members, ThreadTime: time.Duration(seconds) * time.Second}
	}
	one, crowd := holder("203.0.113.9/32", 1, 90), holder("198.51.100.0/24", 200, 100)
	var ranking []occupancy.Holder
	ranking = append(ranking, one)
	for i := range 12 {
		ranking = append(ranking, holder(fmt.Sprintf("198.51.100.%d/32", i), 1, 3))
	}
	for name, test := range map[string]struct {
		nets []occupancy.Holder
		want string
	}{
		"a crowd":                    {[]occupancy.Holder{crowd, holder("203.0.113.0/24", 30, 95)}, "[198.51.100.0/24 203.0.113.9/32]"},
		"a few addresses":            {[]occupancy.Holder{holder("198.51.100.0/24", 3, 30)}, "[203.0.113.9/32 198.51.100.0/32 198.51.100.1/32 198.51.100.2/32 198.51.100.3/32 198.51.100.4/32 198.51.100.5/32 198.51.100.6/32]"},
		"one address that held most": {[]occupancy.Holder{holder("203.0.113.0/24", 30, 300), crowd}, "[198.51.100.0/24 203.0.113.9/32]"},
	} {
		if got := fmt.Sprint(toBeShown(&occupancy.Report{Ranking: ranking, Nets: test.nets})); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}
