package connlog

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// LineError says which line of a file an error is about. Reading goes on with
// the next line.
type LineError struct {
	Line uint64 // counted from 1
	Err  error  // *SyntaxError or *LongLineError
}

func (e *LineError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }

// Unwrap returns Err.
func (e *LineError) Unwrap() error { return e.Err }

// ErrCompressed is the error of a compressed file that is damaged or cut off.
// All lines before the damage have been read then.
var ErrCompressed = errors.New("connlog: compressed file is damaged or cut off")

// A Reader reads a finished log from its beginning to its end: plain text,
// gzip or zstd, whichever its first bytes say. Use Lines or Events, and once.
// A Reader must not be used by two goroutines at once.
type Reader struct {
	// MaxLineBytes bounds a line; a longer one is skipped and counted. Set it
	// before the first line is read. 0: DefaultMaxLineBytes.
	MaxLineBytes int

	in        io.Reader
	file      io.Closer // nil unless OpenReader opened it
	lines     uint64
	malformed uint64
}

// NewReader returns a Reader of r, which remains the caller's to close.
func NewReader(r io.Reader) *Reader { return &Reader{in: r} }

// OpenReader returns a Reader of a file. Close it.
func OpenReader(path string) (*Reader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read connection log: %w", err)
	}
	return &Reader{in: f, file: f}, nil
}

// Close closes the file that OpenReader opened.
func (r *Reader) Close() error {
	if r.file == nil {
		return nil
	}
	return r.file.Close()
}

// Count returns the number of lines read so far, and how many of them were
// malformed (Events only) or too long.
func (r *Reader) Count() (lines, malformed uint64) { return r.lines, r.malformed }

// Lines returns the lines, without newline, each valid until the next. A
// *LineError is about one line; any other error is the last thing returned.
// A last line without newline is a line too.
func (r *Reader) Lines() iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		in, done, err := decompress(r.in)
		if err != nil {
			yield(nil, err)
			return
		}
		defer done()
		limit := r.MaxLineBytes
		setDefault(&limit, DefaultMaxLineBytes)
		s := newLineScanner(in, 0, limit)
		for {
			line, err := s.next()
			if err != nil {
				if line, err = r.failed(s, err); errors.Is(err, io.EOF) {
					return
				}
				if _, ok := errors.AsType[*LineError](err); err != nil && !ok {
					yield(nil, err)
					return
				}
			} else {
				r.lines++
			}
			if !yield(line, err) {
				return
			}
		}
	}
}

// failed turns an error of the scanner into what Lines returns: the last line,
// if the file ends without a newline, or an error.
func (r *Reader) failed(s *lineScanner, err error) ([]byte, error) {
	if long, ok := errors.AsType[*LongLineError](err); ok {
		r.lines++
		r.malformed++
		return nil, &LineError{r.lines, long}
	}
	if !errors.Is(err, io.EOF) || s.partial() == 0 {
		return nil, err
	}
	r.lines++
	line, at := s.rest()
	if line == nil {
		r.malformed++
		return nil, &LineError{r.lines, &LongLineError{at, s.offset - at}}
	}
	return line, nil
}

// Events returns the events, each valid until the next: copy what is to be
// kept, Services with it. For a malformed line it returns a *LineError and no
// event, and goes on; any other error is the last thing returned.
func (r *Reader) Events() iter.Seq2[*Event, error] {
	return func(yield func(*Event, error) bool) {
		var p Parser
		var e Event
		for line, err := range r.Lines() {
			if err == nil {
				if err = p.Parse(line, &e); err != nil {
					r.malformed++
					err = &LineError{r.lines, err}
				}
			}
			event := &e
			if err != nil {
				event = nil
			}
			if !yield(event, err) {
				return
			}
		}
	}
}

// maxWindowBytes bounds the memory that a zstd file can ask for.
const maxWindowBytes = 128 << 20

// decompress looks at the first bytes of r and returns what they say r is.
func decompress(r io.Reader) (in io.Reader, done func(), err error) {
	head := make([]byte, 4)
	n, err := io.ReadFull(r, head)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return nil, nil, err
	}
	whole := &headed{head: head[:n], r: r}
	switch {
	case n >= 2 && head[0] == 0x1f && head[1] == 0x8b:
		z, err := gzip.NewReader(bufio.NewReaderSize(whole, 64<<10))
		if err != nil {
			return nil, nil, fmt.Errorf("%w: %w", ErrCompressed, err)
		}
		return &compressed{z}, func() { _ = z.Close() }, nil
	case n == 4 && (string(head) == "\x28\xb5\x2f\xfd" || head[0]&0xf0 == 0x50 && string(head[1:]) == "\x2a\x4d\x18"):
		z, err := zstd.NewReader(whole, zstd.WithDecoderConcurrency(1),
			zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindowBytes))
		if err != nil {
			return nil, nil, fmt.Errorf("%w: %w", ErrCompressed, err)
		}
		return &compressed{z}, z.Close, nil
	}
	return whole, func() {}, nil
}

// headed is r with the bytes in front that were read from it already.
type headed struct {
	head []byte
	r    io.Reader
}

func (h *headed) Read(b []byte) (int, error) {
	if len(h.head) > 0 {
		n := copy(b, h.head)
		h.head = h.head[n:]
		return n, nil
	}
	return h.r.Read(b)
}

// compressed marks the errors of a decompressor.
type compressed struct{ r io.Reader }

func (c *compressed) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("%w: %w", ErrCompressed, err)
	}
	return n, err
}
