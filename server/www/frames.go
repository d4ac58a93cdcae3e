package www

import "encoding/binary"

// What is needed of the frames of HTTP/2 (RFC 9113, 4.1 and 6.8).
const (
	frameHead     = 9
	frameGoAway   = 7
	goAwayPayload = 8 // the last stream, and why
)

// frames reads along in what the library sends over HTTP/2.
type frames struct {
	head [frameHead + goAwayPayload]byte
	n    int // bytes of head that are there
	left int // bytes of the frame that are to be skipped
}

// complain tells whether b completes the library's goodbye to a client that
// does not keep to the protocol.
func (f *frames) complain(b []byte) bool {
	found := false
	for len(b) > 0 {
		if f.left > 0 {
			n := min(f.left, len(b))
			f.left -= n
			b = b[n:]
			continue
		}
		want := frameHead
		if f.n >= frameHead {
			want += goAwayPayload
		}
		n := copy(f.head[f.n:want], b)
		f.n += n
		b = b[n:]
		if f.n < want {
			break
		}
		size := int(f.head[0])<<16 | int(f.head[1])<<8 | int(f.head[2])
		goAway := f.head[3] == frameGoAway && size >= goAwayPayload
		switch {
		case want > frameHead:
			found = found || binary.BigEndian.Uint32(f.head[frameHead+4:]) != 0
			f.n, f.left = 0, size-goAwayPayload
		case !goAway:
			f.n, f.left = 0, size
		}
	}
	return found
}
