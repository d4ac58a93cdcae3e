package main

import (
	"net/netip"

	"overstay/banlist"
	"overstay/connlog"
)

// parseSource reads what to ban. An address is the source that the detector
// ranks it as: one IPv6 host owns its whole /64, and a ban of a single address
// in it would be no hindrance. A prefix is what it says.
func parseSource(s string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(s); err == nil {
		return connlog.AddressLevel.Source(addr), nil
	}
	return banlist.ParsePrefix(s)
}
