package proxy

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strconv"
)

// signature begins a header of version 2.
const signature = "\r\n\r\n\x00\r\nQUIT\n"

// Bytes of a header of version 2, as the specification of the PROXY protocol
// (section 2.2) has them.
const (
	version2Proxy = 0x21 // version 2, on behalf of somebody
	version2Local = 0x20 // version 2, for itself
	tcpOver4      = 0x11
	tcpOver6      = 0x21
)

// appendHeader appends a header that tells who the client is, and where it
// connected to. Addresses of two families are both told as IPv6.
func appendHeader(b []byte, version int, from, to netip.AddrPort) []byte {
	if !to.IsValid() || !from.IsValid() {
		return appendUnknown(b, version)
	}
	source, target := from.Addr().Unmap().WithZone(""), to.Addr().Unmap().WithZone("")
	if source.Is4() != target.Is4() {
		source, target = netip.AddrFrom16(source.As16()), netip.AddrFrom16(target.As16())
	}
	if version == 1 {
		return appendVersion1(b, source, target, from.Port(), to.Port())
	}
	addresses := append(source.AsSlice(), target.AsSlice()...)
	family := byte(tcpOver6)
	if source.Is4() {
		family = tcpOver4
	}
	b = append(b, signature...)
	b = append(b, version2Proxy, family)
	b = binary.BigEndian.AppendUint16(b, uint16(len(addresses)+4))
	b = append(b, addresses...)
	b = binary.BigEndian.AppendUint16(b, from.Port())
	return binary.BigEndian.AppendUint16(b, to.Port())
}

func appendVersion1(b []byte, source, target netip.Addr, from, to uint16) []byte {
	family := "TCP6"
	if source.Is4() {
		family = "TCP4"
	}
	b = append(b, "PROXY "+family+" "...)
	b = append(source.AppendTo(b), ' ')
	b = append(target.AppendTo(b), ' ')
	b = append(strconv.AppendUint(b, uint64(from), 10), ' ')
	b = strconv.AppendUint(b, uint64(to), 10)
	return append(b, "\r\n"...)
}

// appendUnknown appends a header of a connection whose ends have no names.
func appendUnknown(b []byte, version int) []byte {
	if version == 1 {
		return append(b, "PROXY UNKNOWN\r\n"...)
	}
	return append(append(b, signature...), version2Local, 0, 0, 0)
}

// addrPort returns an address that is one of TCP; else the result is invalid.
func addrPort(a net.Addr) netip.AddrPort {
	if a == nil {
		return netip.AddrPort{}
	}
	if tcp, ok := a.(*net.TCPAddr); ok {
		return tcp.AddrPort()
	}
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.AddrPort{}
	}
	return ap
}
