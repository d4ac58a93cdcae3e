package banlist

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// ParseForm reads one of the forms in which people and old mail servers write
// sets of addresses, and returns the prefixes that cover exactly the set:
//
//	192.0.2.1  2001:db8::1                an address
//	192.0.2.0/24  2001:db8::/32           a prefix
//	192.0.2.*  192.0.*  192.*             IPv4 networks
//	192.0.2.10-20                         a range in the last part
//	192.0.2.10-198.51.100.3               a full range, also of IPv6
//
// A range gives at most 62 prefixes for IPv4 and 254 for IPv6. Errors wrap
// ErrInvalid.
func ParseForm(s string) ([]netip.Prefix, error) {
	switch {
	case strings.Contains(s, "*"):
		p, ok := parseStars(s)
		if !ok {
			return nil, fmt.Errorf("%w: %q; a star stands for whole parts at the end, as in 192.0.2.*", ErrInvalid, s)
		}
		return []netip.Prefix{p}, nil
	case strings.Contains(s, "-"):
		return parseRange(s)
	}
	p, err := ParsePrefix(s)
	if err != nil {
		return nil, err
	}
	return []netip.Prefix{p}, nil
}

// parseStars reads one to three numbers and then stars, which stand for the
// parts that follow: 192.0.* is 192.0.*.*.
func parseStars(s string) (netip.Prefix, bool) {
	parts := strings.Split(s, ".")
	if len(parts) < 2 || len(parts) > 4 {
		return netip.Prefix{}, false
	}
	var a [4]byte
	n := 0
	for ; n < len(parts) && parts[n] != "*"; n++ {
		v, ok := parseOctet(parts[n])
		if !ok {
			return netip.Prefix{}, false
		}
		a[n] = v
	}
	for _, rest := range parts[n:] {
		if rest != "*" {
			return netip.Prefix{}, false
		}
	}
	if n == 0 || n == 4 {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(netip.AddrFrom4(a), 8*n), true
}

// parseOctet reads 0 to 255, without leading zeros: some programs take those
// for octal.
func parseOctet(s string) (byte, bool) {
	v, err := strconv.ParseUint(s, 10, 8)
	if err != nil || strconv.FormatUint(v, 10) != s {
		return 0, false
	}
	return byte(v), true
}

// parseRange reads the two range forms.
func parseRange(s string) ([]netip.Prefix, error) {
	bad := func(why string) error { return fmt.Errorf("%w: %q; %s", ErrInvalid, s, why) }
	left, right, _ := strings.Cut(s, "-")
	lo, err := netip.ParseAddr(strings.TrimSpace(left))
	if err != nil {
		return nil, bad("a range begins with an address")
	}
	lo = lo.Unmap().WithZone("")
	right = strings.TrimSpace(right)
	var hi netip.Addr
	if last, ok := parseOctet(right); ok && lo.Is4() {
		a := lo.As4()
		a[3] = last
		hi = netip.AddrFrom4(a)
	} else if hi, err = netip.ParseAddr(right); err != nil {
		return nil, bad("a range ends with an address, or with a number for the last part")
	}
	hi = hi.Unmap().WithZone("")
	if hi.BitLen() != lo.BitLen() {
		return nil, bad("its ends are of two families")
	}
	if hi.Less(lo) {
		return nil, bad("it ends before it begins")
	}
	return coverRange(lo, hi), nil
}

// coverRange returns the fewest prefixes that cover lo to hi exactly: each
// time the widest that begins at lo and does not go past hi.
func coverRange(lo, hi netip.Addr) []netip.Prefix {
	var out []netip.Prefix
	for {
		best := netip.PrefixFrom(lo, lo.BitLen())
		for bits := lo.BitLen() - 1; bits >= 0; bits-- {
			p := netip.PrefixFrom(lo, bits)
			if p.Masked().Addr() != lo || hi.Less(lastAddr(p)) {
				break
			}
			best = p
		}
		out = append(out, best)
		last := lastAddr(best)
		if last == hi {
			return out
		}
		lo = last.Next()
	}
}

// lastAddr returns the greatest address of a prefix.
func lastAddr(p netip.Prefix) netip.Addr {
	a := p.Addr().AsSlice()
	for bit := p.Bits(); bit < len(a)*8; bit++ {
		a[bit/8] |= 0x80 >> (bit % 8)
	}
	last, _ := netip.AddrFromSlice(a) // The length is right.
	return last
}
