package connlog

import (
	"encoding/binary"
	"net/netip"
)

// readIPv4 reads a dotted address with its quotes, in half the time of package
// netip. It leaves the end of a line to that one, so as to need no look at it.
func readIPv4(b []byte, i int) (addr netip.Addr, next int) {
	if len(b)-i < len(`"255.255.255.255"`) || b[i] != '"' {
		return addr, bad
	}
	var ip [4]byte
	for part := range ip {
		i++ // the quote, or a dot
		n := uint(b[i] - '0')
		if n > 9 {
			return addr, bad
		}
		i++
		for digits := 1; digits < 3 && n > 0 && b[i]-'0' <= 9; digits++ {
			n = n*10 + uint(b[i]-'0')
			i++
		}
		if n > 255 || part < 3 && b[i] != '.' {
			return addr, bad
		}
		ip[part] = byte(n)
	}
	if b[i] != '"' {
		return addr, bad
	}
	return netip.AddrFrom4(ip), i + 1
}

// readIPv6 reads an address of hexadecimal groups with its quotes, in a third
// of the time of package netip. One with a zone or a dotted end, the end of a
// line and everything that is wrong it leaves to that one.
func readIPv6(b []byte, i int) (addr netip.Addr, next int) {
	const longest = `"0000:0000:0000:0000:0000:0000:0000:0000"`
	if len(b)-i < len(longest)+4 || b[i] != '"' {
		return addr, bad
	}
	i++
	var groups [8]uint16
	n, gap := 0, -1
	if b[i] == ':' && b[i+1] == ':' {
		gap = 0
		i += 2
	}
	for b[i] != '"' {
		if n == len(groups) {
			return addr, bad
		}
		group, digits := uint(0), 0
		for ; digits < 4 && hexOf[b[i]] < 16; digits++ {
			group = group<<4 | uint(hexOf[b[i]])
			i++
		}
		if digits == 0 {
			return addr, bad
		}
		groups[n] = uint16(group)
		n++
		if b[i] == '"' {
			break
		}
		if b[i] != ':' || b[i+1] == '"' || b[i+1] == ':' && gap >= 0 {
			return addr, bad
		}
		if i++; b[i] == ':' {
			gap = n
			i++
		}
	}
	if gap < 0 && n < len(groups) || gap >= 0 && n == len(groups) {
		return addr, bad
	}
	var ip [16]byte
	at := 0
	for k := range n {
		if k == gap {
			at = len(groups) - n + gap
		}
		binary.BigEndian.PutUint16(ip[2*at:], groups[k])
		at++
	}
	return netip.AddrFrom16(ip), i + 1
}

// hexOf has the value of each hexadecimal digit, and more for what is none.
var hexOf = func() (values [256]byte) {
	for c := range values {
		values[c] = 0xff
	}
	for i := range byte(16) {
		values["0123456789abcdef"[i]] = i
		values["0123456789ABCDEF"[i]] = i
	}
	return values
}()
