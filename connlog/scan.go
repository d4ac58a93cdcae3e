package connlog

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// The functions here read JSON at an index of a line and return the index
// after what they read, or bad. What they accept is what encoding/json
// accepts, but for the depth of nesting.

// maxDepth bounds how deep objects and arrays may nest, the line's own object
// included. The schema needs three.
const maxDepth = 64

const bad = -1

func skipSpace(b []byte, i int) int {
	for i < len(b) && b[i] <= ' ' && (b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r') {
		i++
	}
	return i
}

// skipValue reads any value whose containers have depth others around them.
func skipValue(b []byte, i, depth int) int {
	var objects uint64 // one bit for each container that is open: 1 for an object
	open := 0
	for {
		i = skipSpace(b, i)
		if i >= len(b) {
			return bad
		}
		begins := false // a container, so no value has ended yet
		switch c := b[i]; c {
		case '{', '[':
			if open++; depth+open > maxDepth {
				return bad
			}
			objects <<= 1
			if c == '{' {
				objects |= 1
			}
			begins = true
			i = skipSpace(b, i+1)
		default:
			if i = skipScalar(b, i); i == bad {
				return bad
			}
		}
		// After a value come the ends of containers, then the next value.
		for {
			if open == 0 {
				return i
			}
			if i = skipSpace(b, i); i >= len(b) {
				return bad
			}
			inObject := objects&1 == 1
			if c := b[i]; c == '}' && inObject || c == ']' && !inObject {
				i++
				open--
				objects >>= 1
				begins = false
				continue
			}
			if !begins {
				if b[i] != ',' {
					return bad
				}
				i++
			}
			if inObject {
				if i = skipKey(b, i); i == bad {
					return bad
				}
			}
			break
		}
	}
}

// skipKey reads a key and its colon.
func skipKey(b []byte, i int) int {
	if i = skipSpace(b, i); i >= len(b) || b[i] != '"' {
		return bad
	}
	if i = skipString(b, i); i == bad {
		return bad
	}
	if i = skipSpace(b, i); i >= len(b) || b[i] != ':' {
		return bad
	}
	return i + 1
}

// skipScalar reads a string, a number, true, false or null.
func skipScalar(b []byte, i int) int {
	switch b[i] {
	case '"':
		return skipString(b, i)
	case 't':
		return skipWord(b, i, "true")
	case 'f':
		return skipWord(b, i, "false")
	case 'n':
		return skipWord(b, i, "null")
	}
	return skipNumber(b, i)
}

func skipWord(b []byte, i int, word string) int {
	if len(b)-i < len(word) || string(b[i:i+len(word)]) != word {
		return bad
	}
	return i + len(word)
}

func skipNumber(b []byte, i int) int {
	if i < len(b) && b[i] == '-' {
		i++
	}
	if i < len(b) && b[i] == '0' {
		i++
	} else if i = skipDigits(b, i); i == bad {
		return bad
	}
	if i < len(b) && b[i] == '.' {
		if i = skipDigits(b, i+1); i == bad {
			return bad
		}
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		return skipDigits(b, i)
	}
	return i
}

// skipDigits reads one digit or more.
func skipDigits(b []byte, i int) int {
	from := i
	for i < len(b) && b[i]-'0' <= 9 {
		i++
	}
	if i == from {
		return bad
	}
	return i
}

// skipString reads a string; b[i] is its first quote.
func skipString(b []byte, i int) int {
	i++
	for {
		i = skipPlain(b, i)
		if i >= len(b) || b[i] < ' ' {
			return bad
		}
		switch b[i] {
		case '"':
			return i + 1
		case '\\':
			if i = skipEscape(b, i); i == bad {
				return bad
			}
		default: // not ASCII: any byte will do here
			i++
		}
	}
}

// skipPlain returns the index of the next byte that needs a look: a quote, a
// backslash, a control character or one that is not ASCII.
func skipPlain(b []byte, i int) int {
	for ; i+8 <= len(b); i += 8 {
		if m := notPlain(binary.LittleEndian.Uint64(b[i:])); m != 0 {
			return i + firstByte(m)
		}
	}
	for i < len(b) && b[i] >= ' ' && b[i] < utf8.RuneSelf && b[i] != '"' && b[i] != '\\' {
		i++
	}
	return i
}

// Eight bytes are looked at as one word. In the masks that tell bytes apart the
// high bit of each byte counts.
const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// notPlain marks the bytes of w that skipPlain stops at. A borrow may mark
// others too, but only above the first one.
func notPlain(w uint64) uint64 {
	// With bit 1 turned over, the quote is 0x20 and the first that is not plain
	// no more: 0x20 and 0x21 have become 0x22 and 0x23.
	quoteOrControl := (w ^ ones*2) - ones*0x21
	backslash := (w ^ ones*'\\') - ones
	return (w | quoteOrControl | backslash) & highs
}

// notDigit marks the bytes of w that are no digits, with the same reservation.
// digits has the values of those that are.
func notDigit(w uint64) (m, digits uint64) {
	digits = w ^ ones*'0'
	return (digits | (digits + ones*(0x80-10))) & highs, digits
}

// firstByte is the index of the first byte that is marked.
func firstByte(m uint64) int { return bits.TrailingZeros64(m) / 8 }

// skipEscape reads the escape that begins with the backslash at b[i].
func skipEscape(b []byte, i int) int {
	if i+1 >= len(b) {
		return bad
	}
	switch b[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2
	case 'u':
		if _, ok := hex4(b, i+2); ok {
			return i + 6
		}
	}
	return bad
}

func hex4(b []byte, i int) (r rune, ok bool) {
	if len(b)-i < 4 {
		return 0, false
	}
	for _, c := range b[i : i+4] {
		switch {
		case c-'0' <= 9:
			c -= '0'
		case c-'a' <= 5:
			c -= 'a' - 10
		case c-'A' <= 5:
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// readString reads the string whose first quote is at b[i]. The text is a part
// of b when plain is true, else it stands in *buf until the next call.
func readString(b []byte, i int, buf *[]byte) (text []byte, plain bool, next int) {
	if i >= len(b) || b[i] != '"' {
		return nil, false, bad
	}
	end, m := i+1, uint64(0)
	if end+8 <= len(b) { // most are short
		m = notPlain(binary.LittleEndian.Uint64(b[end:]))
	}
	if m != 0 {
		end += firstByte(m)
	} else {
		end = skipPlain(b, end)
	}
	if end < len(b) && b[end] == '"' {
		return b[i+1 : end], true, end + 1
	}
	next = skipString(b, i)
	if next == bad {
		return nil, false, bad
	}
	*buf = unescape((*buf)[:0], b[i+1:next-1])
	return *buf, false, next
}

// unescape appends the text of a string that skipString has accepted. Invalid
// UTF-8 and lone surrogates become U+FFFD.
func unescape(dst, b []byte) []byte {
	for i := 0; i < len(b); {
		plain := skipPlain(b, i)
		dst = append(dst, b[i:plain]...)
		if i = plain; i == len(b) {
			break
		}
		if b[i] != '\\' {
			r, size := utf8.DecodeRune(b[i:])
			dst = utf8.AppendRune(dst, r)
			i += size
			continue
		}
		c := b[i+1]
		i += 2
		switch c {
		case 'b':
			c = '\b'
		case 'f':
			c = '\f'
		case 'n':
			c = '\n'
		case 'r':
			c = '\r'
		case 't':
			c = '\t'
		case 'u':
			r, _ := hex4(b, i)
			i += 4
			if utf16.IsSurrogate(r) {
				low, size := surrogate(b, i)
				if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
					i += size
				}
			}
			dst = utf8.AppendRune(dst, r)
			continue
		}
		dst = append(dst, c)
	}
	return dst
}

// surrogate reads the \uXXXX at b[i], if there is one.
func surrogate(b []byte, i int) (r rune, size int) {
	if len(b)-i < 6 || b[i] != '\\' || b[i+1] != 'u' {
		return utf8.RuneError, 0
	}
	r, _ = hex4(b, i+2)
	return r, 6
}

// eightDigits is the number that eight values of digits make, the first in the
// lowest byte. Neighbours are joined to numbers of two, four and eight digits.
func eightDigits(d uint64) uint64 {
	d = (d*10 + d>>8) & 0x00ff00ff00ff00ff
	d = (d*100 + d>>16) & 0x0000ffff0000ffff
	return (d*10000 + d>>32) & 0xffffffff
}

// readUint reads a number without sign, fraction or exponent, at most limit.
func readUint(b []byte, i int, limit uint64) (n uint64, next int) {
	from := i
	if i+8 <= len(b) { // most have fewer digits, which are taken at once
		m, digits := notDigit(binary.LittleEndian.Uint64(b[i:]))
		count := firstByte(m)
		n = eightDigits(digits << (64 - 8*count))
		i += count
	}
	for i < len(b) && b[i]-'0' <= 9 {
		digit := uint64(b[i] - '0')
		if i-from >= 18 && n > (limit-min(digit, limit))/10 {
			return 0, bad
		}
		n = n*10 + digit
		i++
	}
	if i == from || b[from] == '0' && i > from+1 || n > limit {
		return 0, bad
	}
	if i < len(b) && (b[i] == '.' || b[i] == 'e' || b[i] == 'E') {
		return 0, bad
	}
	return n, i
}
