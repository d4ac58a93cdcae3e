package app

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"overstay/connlog"
	"overstay/detector"
)

// decided makes decisions about a few sources and nets, in order of time.
func decided(r *rand.Rand, n int) []detector.Decision {
	all := make([]detector.Decision, n)
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	for i := range all {
		at = at.Add(time.Duration(r.IntN(5)) * time.Second)
		source := netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(r.IntN(6))}), []int{24, 30, 31, 32, 32}[r.IntN(5)]).Masked()
		if r.IntN(4) == 0 {
			source = netip.PrefixFrom(netip.MustParseAddr("2001:db8::"), []int{32, 48, 64}[r.IntN(3)])
		}
		all[i] = detector.Decision{ID: fmt.Sprint(i), Source: source, At: at, Duration: time.Duration(1+r.IntN(30)) * time.Second}
	}
	return all
}

// TestMatchIsTheSlowOne compares with looking at every pair there is.
func TestMatchIsTheSlowOne(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 2))
		before, after := decided(r, r.IntN(40)), decided(r, r.IntN(40))
		taken := make([]bool, len(after))
		for i, got := range pairsOf(before, after) {
			want := -1
			for k := range after {
				if want < 0 && !taken[k] && after[k].Source == before[i].Source && overlap(&before[i], &after[k]) {
					want = k
				}
			}
			if got != want {
				t.Fatalf("seed %d: the like of %d is %d, want %d", seed, i, got, want)
			}
			if want >= 0 {
				taken[want] = true
			}
		}
		nets := netsOf(after)
		for i := range before {
			want := slices.IndexFunc(after, func(o detector.Decision) bool {
				return o.Source != connlog.AddressLevel.Source(o.Source.Addr()) && covers(o.Source, before[i].Source) && overlap(&o, &before[i])
			})
			if got := nets.covering(&before[i]); (want < 0) != (got == nil) || got != nil && got != &after[want] {
				t.Fatalf("seed %d: %v lies in %v, want %d", seed, before[i], got, want)
			}
		}
	}
}

// TestManyDecisions has as many as are kept. If each were compared with each,
// this would take minutes.
func TestManyDecisions(t *testing.T) {
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	var before, after []detector.Decision
	for i := range maxDecisions {
		at = at.Add(time.Second)
		addr := netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)})
		before = append(before, detector.Decision{Source: netip.PrefixFrom(addr, 32), At: at, Duration: time.Second / 2})
		after = append(after,
			detector.Decision{Source: netip.PrefixFrom(addr, 24).Masked(), At: at.Add(time.Second / 2), Duration: time.Second / 4},
			detector.Decision{Source: netip.PrefixFrom(before[0].Source.Addr(), 32), At: at.Add(time.Second / 2), Duration: time.Second / 4})
	}
	var d PolicyDiff
	d.match(before, after)
	if len(d.OnlyOld) != maxDecisions || len(d.OnlyNew) != 2*maxDecisions || d.OnlyOld[0].Within != nil {
		t.Errorf("%d and %d are alone", len(d.OnlyOld), len(d.OnlyNew))
	}
}
