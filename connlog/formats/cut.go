package formats

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/bits"
	"net/netip"
	"unsafe"
)

// cutLine returns the first line of b and what follows it. whole says that it
// has its end.
func cutLine(b []byte) (line, rest []byte, whole bool) {
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		return b, nil, false
	}
	line, rest = b[:i], b[i+1:]
	if i > 0 && line[i-1] == '\r' {
		line = line[:i-1]
	}
	return line, rest, true
}

// cutByte splits b at the first c. The words of a log are short, so the first
// eight bytes are looked at together: a byte that is c is the lowest one from
// whose zero a one is borrowed.
func cutByte(b []byte, c byte) (before, after []byte, ok bool) {
	const ones = 0x0101010101010101
	if len(b) >= 8 {
		x := binary.LittleEndian.Uint64(b) ^ ones*uint64(c)
		if found := (x - ones) &^ x & (0x80 * ones); found != 0 {
			i := bits.TrailingZeros64(found) / 8
			return b[:i], b[i+1:], true
		}
	}
	if i := bytes.IndexByte(b, c); i >= 0 {
		return b[:i], b[i+1:], true
	}
	return b, nil, false
}

// cutLast splits b at the last sep.
func cutLast(b []byte, sep string) (before, after []byte, ok bool) {
	if i := bytes.LastIndex(b, borrow(sep)); i >= 0 {
		return b[:i], b[i+len(sep):], true
	}
	return b, nil, false
}

// cut splits b at the first sep.
func cut(b []byte, sep string) (before, after []byte, ok bool) {
	return bytes.Cut(b, borrow(sep))
}

// after returns what follows a beginning.
func after(b []byte, begin string) ([]byte, bool) {
	if len(b) >= len(begin) && string(b[:len(begin)]) == begin {
		return b[len(begin):], true
	}
	return b, false
}

func contains(b []byte, s string) bool { return bytes.Contains(b, borrow(s)) }

func endsWith(b []byte, s string) bool {
	return len(b) >= len(s) && string(b[len(b)-len(s):]) == s
}

// borrow is a string as bytes that are only read.
func borrow(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

// number reads all of b as a decimal number; ok is false if it is none, or
// more than an int64 can hold.
func number(b []byte) (n int64, ok bool) {
	if len(b) == 0 || len(b) > 18 {
		return 0, false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// signed is number with a sign before it.
func signed(b []byte) (n int64, ok bool) {
	if len(b) > 0 && b[0] == '-' {
		n, ok = number(b[1:])
		return -n, ok
	}
	if len(b) > 0 && b[0] == '+' {
		b = b[1:]
	}
	return number(b)
}

// decimal reads 12.345 as a number of millionths. More digits than six are
// cut off.
func decimal(b []byte) (millionths int64, ok bool) {
	whole, part, dotted := cutByte(b, '.')
	n, ok := number(whole)
	if !ok || n > math.MaxInt64/2_000_000 || dotted && len(part) == 0 {
		return 0, false
	}
	micros, scale := int64(0), int64(100_000)
	for _, c := range part {
		if c < '0' || c > '9' {
			return 0, false
		}
		micros += int64(c-'0') * scale
		scale /= 10
	}
	return n*1_000_000 + micros, true
}

// port reads a port number; 0 if it is none.
func port(b []byte) uint16 {
	if n, ok := number(b); ok && n <= math.MaxUint16 {
		return uint16(n)
	}
	return 0
}

// address reads all of b as an address without a zone. A mapped one counts as
// IPv4.
func address(b []byte) (netip.Addr, bool) {
	if addr, n := ipv4(b); n > 0 {
		return addr, n == len(b)
	}
	if len(b) < 2 || len(b) > len("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255") {
		return netip.Addr{}, false
	}
	for _, c := range b {
		// ParseAddr keeps the text of a zone, and nobody's log has one.
		if c == '%' {
			return netip.Addr{}, false
		}
	}
	addr, err := netip.ParseAddr(unsafe.String(unsafe.SliceData(b), len(b)))
	return addr.Unmap(), err == nil
}

// ipv4 reads the dotted address at the beginning of b, in half the time of
// package netip; n is its length, 0 if there is none.
func ipv4(b []byte) (addr netip.Addr, n int) {
	var ip [4]byte
	i := 0
	for part := range ip {
		if part > 0 {
			if i >= len(b) || b[i] != '.' {
				return addr, 0
			}
			i++
		}
		begin, value := i, uint(0)
		for ; i < len(b) && i < begin+3 && b[i]-'0' <= 9; i++ {
			value = value*10 + uint(b[i]-'0')
		}
		if i == begin || value > 255 || b[begin] == '0' && i > begin+1 {
			return addr, 0
		}
		ip[part] = byte(value)
	}
	return netip.AddrFrom4(ip), i
}

// addressPort reads all of b as address:port, where an IPv6 address may stand
// without brackets, as HAProxy writes it.
func addressPort(b []byte) (netip.Addr, uint16, bool) {
	i := bytes.LastIndexByte(b, ':')
	if i < 0 {
		return netip.Addr{}, 0, false
	}
	host, service := b[:i], b[i+1:]
	if n := len(host); n > 1 && host[0] == '[' && host[n-1] == ']' {
		host = host[1 : n-1]
	}
	n, ok := number(service)
	if !ok || n > math.MaxUint16 {
		return netip.Addr{}, 0, false
	}
	addr, ok := address(host)
	return addr, uint16(n), ok
}

// words keeps one copy of texts that come again. It forgets all when it is
// full, so that a flood of names costs memory only up to a limit.
type words struct {
	known map[string]string
	last  string
}

const (
	maxWords   = 4096
	maxWordLen = 512 // what is longer is cut
)

func (w *words) of(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if string(b) == w.last {
		return w.last
	}
	b = b[:min(len(b), maxWordLen)]
	s, ok := w.known[string(b)]
	if !ok {
		if w.known == nil || len(w.known) >= maxWords {
			w.known = make(map[string]string)
		}
		s = string(bytes.ToValidUTF8(b, []byte("\uFFFD")))
		w.known[string(b)] = s
	}
	w.last = s
	return s
}
