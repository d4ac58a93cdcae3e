package guard

import (
	"net/netip"

	"overstay/connlog"
)

// maxPieces bounds what a net is cut into.
const maxPieces = 64

// Spare returns what is left of the net p without the sources that these hosts
// are in, as few prefixes as possible, in order; nothing is left of a source.
// A source is an address, or whatever level makes of it. A net that would fall
// into more than 64 pieces is spared as a whole.
func (h Hosts) Spare(p netip.Prefix, level connlog.Level) []netip.Prefix {
	pieces, ok := h.spare(nil, p.Masked(), level)
	if !ok {
		return nil
	}
	return pieces
}

// spare appends what is left of p, and says whether that is few enough.
func (h Hosts) spare(pieces []netip.Prefix, p netip.Prefix, level connlog.Level) ([]netip.Prefix, bool) {
	if _, ok := h.Within(p); !ok {
		return append(pieces, p), len(pieces) < maxPieces
	}
	source := level.V6
	if p.Addr().Is4() {
		source = level.V4
	}
	if p.Bits() >= source || h.covers(p) {
		return pieces, true
	}
	low, high := halves(p)
	pieces, ok := h.spare(pieces, low, level)
	if !ok {
		return nil, false
	}
	return h.spare(pieces, high, level)
}

// covers says whether all of p is one of the hosts.
func (h Hosts) covers(p netip.Prefix) bool {
	for _, host := range h {
		if host.Prefix.Bits() <= p.Bits() && host.Prefix.Contains(p.Addr()) {
			return true
		}
	}
	return false
}

// halves cuts a prefix into two.
func halves(p netip.Prefix) (low, high netip.Prefix) {
	low = netip.PrefixFrom(p.Addr(), p.Bits()+1)
	bytes := p.Addr().AsSlice()
	bytes[p.Bits()/8] |= 0x80 >> (p.Bits() % 8)
	other, _ := netip.AddrFromSlice(bytes)
	return low, netip.PrefixFrom(other, p.Bits()+1)
}
