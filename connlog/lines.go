package connlog

import (
	"bytes"
	"fmt"
	"io"
)

// LongLineError tells of a line that was skipped because it is longer than the
// limit.
type LongLineError struct {
	Offset int64 // where it begins
	Bytes  int64 // its length
}

func (e *LongLineError) Error() string {
	return fmt.Sprintf("connlog: a line of %d bytes at offset %d was skipped", e.Bytes, e.Offset)
}

// DefaultMaxLineBytes is the longest line that is read unless an option says
// otherwise.
const DefaultMaxLineBytes = 1 << 20

const readBytes = 256 << 10

// lineScanner cuts what it reads into lines, in bounded memory. At the end of
// a file that grows it can be asked again.
type lineScanner struct {
	r       io.Reader
	limit   int   // of one line's bytes, without the newline
	offset  int64 // of the first byte that is not part of a returned line
	buf     []byte
	begin   int   // of the next line in buf
	end     int   // of what was read into buf
	looked  int   // there is no newline in buf before this
	skipped int64 // bytes of a line too long, let go already
	err     error // of r, to be returned when buf is used up
}

func newLineScanner(r io.Reader, offset int64, limit int) *lineScanner {
	return &lineScanner{r: r, offset: offset, limit: limit}
}

// next returns the next line, without its newline; it stays valid until the
// next call. The error is a *LongLineError for a line that is skipped, after
// which scanning goes on, or that of the reader; io.EOF may be followed by more.
func (s *lineScanner) next() ([]byte, error) {
	for {
		if i := bytes.IndexByte(s.buf[s.looked:s.end], '\n'); i >= 0 {
			line := s.buf[s.begin : s.looked+i]
			length := s.skipped + int64(len(line))
			at := s.offset
			s.offset += length + 1
			s.begin = s.looked + i + 1
			s.looked = s.begin
			s.skipped = 0
			if length > int64(s.limit) {
				return nil, &LongLineError{at, length}
			}
			return line, nil
		}
		s.looked = s.end
		if s.end-s.begin > s.limit { // let go what cannot become a line
			s.skipped += int64(s.end - s.begin)
			s.begin, s.looked, s.end = 0, 0, 0
		}
		if err := s.fill(); err != nil {
			return nil, err
		}
	}
}

// fill reads once.
func (s *lineScanner) fill() error {
	if s.err != nil {
		err := s.err
		s.err = nil
		return err
	}
	if s.begin > 0 {
		copy(s.buf, s.buf[s.begin:s.end])
		s.end -= s.begin
		s.looked -= s.begin
		s.begin = 0
	}
	if s.end == len(s.buf) {
		grown := make([]byte, max(readBytes, 2*len(s.buf)))
		copy(grown, s.buf[:s.end])
		s.buf = grown
	}
	for range 100 {
		n, err := s.r.Read(s.buf[s.end:])
		s.end += n
		if n > 0 {
			s.err = err
			return nil
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// partial returns the number of bytes read after the last newline.
func (s *lineScanner) partial() int64 { return s.skipped + int64(s.end-s.begin) }

// rest returns what was read after the last newline as if it were a line, or
// nil if that is too long, and the offset where it begins.
func (s *lineScanner) rest() (line []byte, at int64) {
	at = s.offset
	s.offset += s.partial()
	if s.skipped == 0 && s.end-s.begin <= s.limit {
		line = s.buf[s.begin:s.end]
	}
	s.begin, s.looked, s.skipped = s.end, s.end, 0
	return line, at
}
