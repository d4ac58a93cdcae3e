package app

import (
	"net"
	"net/netip"
)

// ownAddresses returns the addresses of this machine's interfaces, the
// loopback ones included: what a policy must never ban.
func ownAddresses() ([]netip.Addr, error) {
	found, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var own []netip.Addr
	for _, a := range found {
		p, err := netip.ParsePrefix(a.String())
		if err != nil {
			continue // An address of a family that is not IP.
		}
		own = append(own, p.Addr().Unmap().WithZone(""))
	}
	return own, nil
}

// holdsAny says whether source contains one of addrs.
func holdsAny(source netip.Prefix, addrs []netip.Addr) bool {
	for _, a := range addrs {
		if source.Contains(a) {
			return true
		}
	}
	return false
}

// trusted returns the peers that tell who their clients are.
func (c *Config) trusted() []netip.Prefix {
	var all []netip.Prefix
	for _, s := range c.Services {
		all = append(all, prefixes(s.ProxyFrom)...)
	}
	return all
}
