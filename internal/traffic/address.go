package traffic

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"overstay/connlog"
)

// Addresses returns n addresses that count as different sources, from first
// on: IPv4 addresses in sequence, IPv6 addresses one in each /64 in sequence.
// Past the last address there is, it returns fewer.
func Addresses(first netip.Addr, n int) []netip.Addr {
	addrs := make([]netip.Addr, 0, max(n, 0))
	for a := first; len(addrs) < n && a.IsValid(); a = nextSource(a) {
		addrs = append(addrs, a)
	}
	return addrs
}

// nextSource returns the address of the next source, or the zero Addr.
func nextSource(a netip.Addr) netip.Addr {
	if a.Is4() {
		return a.Next()
	}
	b := a.As16()
	net := binary.BigEndian.Uint64(b[:8]) + 1
	if net == 0 {
		return netip.Addr{}
	}
	binary.BigEndian.PutUint64(b[:8], net)
	return netip.AddrFrom16(b)
}

// Attackers returns the sources of all groups that are attackers, at
// connlog.AddressLevel, sorted, each once.
func Attackers(groups []Group) []netip.Prefix {
	var sources []netip.Prefix
	for i := range groups {
		if !groups[i].Attacker {
			continue
		}
		for _, a := range groups[i].Sources {
			sources = append(sources, connlog.AddressLevel.Source(a))
		}
	}
	slices.SortFunc(sources, func(a, b netip.Prefix) int {
		return a.Addr().Compare(b.Addr())
	})
	return slices.Compact(sources)
}
