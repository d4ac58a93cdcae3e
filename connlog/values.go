package connlog

import (
	"math"
	"net/netip"
	"strings"
	"time"
	"unsafe"
)

// The functions here read the value of a key at an index of a line into its
// field and return the index after it, or bad if it is not of the type. Null
// sets the field to zero.

func isNull(b []byte, i int) bool { return i < len(b) && b[i] == 'n' }

func number[N int | int64 | uint16 | uint64](b []byte, i int, to *N, limit uint64) int {
	if isNull(b, i) {
		*to = 0
		return skipWord(b, i, "null")
	}
	n, next := readUint(b, i, limit)
	*to = N(n)
	return next
}

func duration(b []byte, i int, to *time.Duration) int {
	us, next := readUint(b, i, math.MaxInt64/1000)
	if next == bad && isNull(b, i) {
		next = skipWord(b, i, "null")
	}
	*to = time.Duration(us) * time.Microsecond
	return next
}

func truth(b []byte, i int, to *bool) int {
	*to = false
	if i < len(b) {
		switch b[i] {
		case 't':
			*to = true
			return skipWord(b, i, "true")
		case 'f':
			return skipWord(b, i, "false")
		case 'n':
			return skipWord(b, i, "null")
		}
	}
	return bad
}

func (p *Parser) text(b []byte, i int, to *string, in *interner) int {
	if isNull(b, i) {
		*to = ""
		return skipWord(b, i, "null")
	}
	text, _, next := readString(b, i, &p.buf)
	*to = in.string(text)
	return next
}

// again is text for a string that nearly every line repeats; last is that of
// the line before.
func (p *Parser) again(b []byte, i int, to, last *string) int {
	n := len(*last)
	if n > 0 && len(b)-i >= n+2 && b[i] == '"' && b[i+n+1] == '"' && string(b[i+1:i+n+1]) == *last {
		*to = *last
		return i + n + 2
	}
	if isNull(b, i) {
		*to = ""
		return skipWord(b, i, "null")
	}
	text, plain, next := readString(b, i, &p.buf)
	*to = p.names.string(text)
	if plain {
		*last = *to
	}
	return next
}

func (p *Parser) kind(b []byte, i int, to *Kind) int {
	if isNull(b, i) {
		*to = Unknown
		return skipWord(b, i, "null")
	}
	text, _, next := readString(b, i, &p.buf)
	*to = kindOf(text)
	return next
}

func (p *Parser) time(b []byte, i int, to *time.Time) int {
	if isNull(b, i) {
		*to = time.Time{}
		return skipWord(b, i, "null")
	}
	if end := i + 1 + timestampLen; end < len(b) && b[i] == '"' && b[end] == '"' {
		if t, ok := p.clock.written(b[i+1 : end]); ok {
			*to = t
			return end + 1
		}
	}
	text, _, next := readString(b, i, &p.buf)
	if next == bad {
		return bad
	}
	t, ok := p.clock.read(text)
	if !ok {
		return bad
	}
	*to = t
	return next
}

func (p *Parser) addr(b []byte, i int, to *netip.Addr) int {
	if addr, next := readIPv4(b, i); next != bad {
		*to = addr
		return next
	}
	if addr, next := readIPv6(b, i); next != bad {
		*to = addr.Unmap()
		return next
	}
	*to = netip.Addr{}
	if isNull(b, i) {
		return skipWord(b, i, "null")
	}
	text, _, next := readString(b, i, &p.buf)
	if next == bad || len(text) == 0 {
		return next
	}
	addr, err := netip.ParseAddr(borrow(text))
	if err != nil {
		return bad
	}
	*to = addr.Unmap()
	return next
}

// borrow returns b as a string for a callee that does not keep it. A zone
// would be kept, so an address that has one is copied.
func borrow(b []byte) string {
	for _, c := range b {
		if c == '%' {
			return strings.Clone(string(b))
		}
	}
	return unsafe.String(unsafe.SliceData(b), len(b))
}
