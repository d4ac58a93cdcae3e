package connlog

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ErrPosition is the error of text that is not a position.
var ErrPosition = errors.New("connlog: malformed position")

// Position is a place in the log, after a line. It can be kept across
// restarts, in any text format, and finds its place again when the file has
// been renamed or compressed since. The zero value is no place.
type Position struct {
	Device, Inode uint64
	Fingerprint   Fingerprint
	Offset        int64 // in the file, or in what its compression holds
}

// Fingerprint tells files apart that had the same inode one after the other,
// and knows a file again that was compressed or copied. It is made from the
// first line, up to 4096 bytes of it. The zero value is that of a file that
// has no line yet.
type Fingerprint [8]byte

// maxFirstLineBytes bounds what is looked at of a file's first line.
const maxFirstLineBytes = 4096

// fingerprintOf returns the fingerprint of a file that begins with head, which
// holds maxFirstLineBytes if the file does.
func fingerprintOf(head []byte) Fingerprint {
	end := bytes.IndexByte(head, '\n')
	if end < 0 {
		if len(head) < maxFirstLineBytes {
			return Fingerprint{}
		}
		end = maxFirstLineBytes
	}
	sum := sha256.Sum256(head[:end])
	return Fingerprint(sum[:8])
}

// timeOf returns the time of a line, or of the beginning of one, or zero.
func timeOf(line []byte) time.Time {
	var p Parser
	var e Event
	if err := p.Parse(line, &e); err == nil {
		return e.Time
	}
	const key = `{"time":"`
	if rest, ok := bytes.CutPrefix(line, []byte(key)); ok && len(rest) > timestampLen {
		if t, ok := p.clock.written(rest[:timestampLen]); ok {
			return t
		}
	}
	return time.Time{}
}

// IsZero reports whether p is no place.
func (p Position) IsZero() bool { return p == Position{} }

// String returns the text form: device, inode, fingerprint and offset with
// colons between them; empty for the zero value.
func (p Position) String() string {
	if p.IsZero() {
		return ""
	}
	return fmt.Sprintf("%d:%d:%x:%d", p.Device, p.Inode, p.Fingerprint[:], p.Offset)
}

// MarshalText returns String.
func (p Position) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads what MarshalText wrote. The error is ErrPosition.
func (p *Position) UnmarshalText(text []byte) error {
	*p = Position{}
	if len(text) == 0 {
		return nil
	}
	parts := strings.Split(string(text[:min(len(text), 100)]), ":")
	if len(parts) != 4 || len(parts[2]) != 2*len(p.Fingerprint) {
		return ErrPosition
	}
	var q Position
	var errs [4]error
	q.Device, errs[0] = strconv.ParseUint(parts[0], 10, 64)
	q.Inode, errs[1] = strconv.ParseUint(parts[1], 10, 64)
	_, errs[2] = hex.Decode(q.Fingerprint[:], []byte(parts[2]))
	offset, err := strconv.ParseUint(parts[3], 10, 63)
	q.Offset, errs[3] = int64(offset), err
	if errors.Join(errs[:]...) != nil {
		return ErrPosition
	}
	*p = q
	return nil
}
