package server

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/pires/go-proxyproto"
)

// What a header of the PROXY protocol may be long.
const (
	maxV1Bytes     = 107 // with its line end
	v2PrefixBytes  = 16
	maxV2Bytes     = v2PrefixBytes + 4096 // what the library takes
	v2CommandIndex = 12
	v2FamilyIndex  = 13
)

// The two bytes of a v2 header that say: forwarded, by a way without
// addresses. The library takes them for wrong.
const (
	v2Proxy  = 0x21
	v2Unspec = 0x00
)

// errHeader is the error for what is no header of the PROXY protocol.
var errHeader = errors.New("server: no valid PROXY header")

// readHeader reads a header and makes its client the connection's. If it tells
// of none, as for a proxy's own connections, that is the peer. What came
// behind it in the same segment is kept.
func (k *kept) readHeader(peer netip.AddrPort) (netip.AddrPort, error) {
	var first [512]byte // Enough for all but long extensions, which nobody looks at.
	b, used := first[:], 0
	for {
		n, err := k.Conn.Read(b[used:])
		used += n
		end, wrong := headerEnd(b[:used])
		switch {
		case wrong != nil:
			return netip.AddrPort{}, wrong
		case end > len(b):
			b = append(make([]byte, 0, end), b[:used]...)[:end]
		case end > 0 && end <= used:
			k.keep(bytes.Clone(b[end:used]))
			return k.meet(b[:end], peer)
		}
		if err != nil && (used == 0 || isTimeout(err)) {
			return netip.AddrPort{}, err
		}
		if err != nil {
			return netip.AddrPort{}, fmt.Errorf("%w: %d bytes, then %w", errHeader, used, err)
		}
	}
}

// meet takes in a whole header.
func (k *kept) meet(header []byte, peer netip.AddrPort) (netip.AddrPort, error) {
	client, err := parseHeader(header)
	if err != nil {
		return netip.AddrPort{}, err
	}
	if !client.IsValid() {
		return peer, nil
	}
	k.remote = net.TCPAddrFromAddrPort(client)
	return client, nil
}

// headerEnd returns how long the header is that b begins with, 0 if more of it
// is needed to tell.
func headerEnd(b []byte) (int, error) {
	v1, v2 := []byte("PROXY "), proxyproto.SIGV2
	switch {
	case begins(b, v1):
		if i := bytes.IndexByte(b[:min(len(b), maxV1Bytes)], '\n'); i >= 0 {
			return i + 1, nil
		}
		if len(b) >= maxV1Bytes {
			return 0, fmt.Errorf("%w: no end of the line", errHeader)
		}
		return 0, nil
	case begins(b, v2):
		if len(b) < v2PrefixBytes {
			return 0, nil
		}
		end := v2PrefixBytes + int(binary.BigEndian.Uint16(b[v2PrefixBytes-2:]))
		if end > maxV2Bytes {
			return 0, fmt.Errorf("%w: it has %d bytes", errHeader, end)
		}
		return end, nil
	}
	return 0, errHeader
}

// begins tells whether b begins with signature, as far as it goes.
func begins(b, signature []byte) bool {
	return bytes.HasPrefix(signature, b[:min(len(b), len(signature))])
}

// parseHeader returns the client that a whole header tells of, unmapped, or
// none.
func parseHeader(b []byte) (netip.AddrPort, error) {
	if len(b) > v2FamilyIndex && b[0] == proxyproto.SIGV2[0] && b[v2CommandIndex] == v2Proxy && b[v2FamilyIndex] == v2Unspec {
		return netip.AddrPort{}, nil
	}
	h, err := proxyproto.Read(bufio.NewReaderSize(bytes.NewReader(b), maxV1Bytes))
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("%w: %w", errHeader, err)
	}
	source, ok := h.SourceAddr.(*net.TCPAddr)
	if !ok || h.Command.IsLocal() {
		return netip.AddrPort{}, nil
	}
	ap := source.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()), nil
}
