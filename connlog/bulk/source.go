package bulk

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"sync/atomic"

	"overstay/connlog"
)

// input is a file that is being read. But for the parser, which belongs to
// whoever has the turn to parse, it does not change once it is open.
type input struct {
	file   *File // belongs to the loop over batches
	format Format
	parser Parser // of a format that is read in order
}

// source reads inputs one after the other and cuts them into chunks. It is for
// whoever has the turn to read.
type source struct {
	ctx     context.Context
	options *Options
	waiting []waiting
	done    *atomic.Int64

	stream *stream // nil between inputs
	in     *input
	carry  []byte // the line that the chunk before did not end
	at     uint64 // bytes of text before carry, in all inputs
	begin  uint64 // of these, what is before this input
}

// fill makes b the next chunk; false when there are no more.
func (s *source) fill(b *Batch) bool {
	if s.ctx.Err() != nil {
		return false
	}
	if s.stream == nil {
		if len(s.waiting) == 0 {
			return false
		}
		next := s.waiting[0]
		s.waiting = s.waiting[1:]
		err := s.open(next)
		b.begin(s.in)
		b.first = true
		if err != nil {
			s.failed(b, err)
			return true
		}
	} else {
		b.begin(s.in)
	}
	s.cut(b)
	return true
}

// open makes next the input that is read.
func (s *source) open(next waiting) (err error) {
	s.begin, s.carry = s.at, s.carry[:0]
	s.in = &input{file: &File{Name: next.in.Name}}
	s.stream, err = next.stream, next.err
	if s.stream == nil {
		s.stream, err = open(s.ctx, next.in, s.done)
	}
	s.in.file.Compression = s.stream.kind
	if err != nil {
		return err
	}
	if s.in.format, err = s.options.formatOf(s.stream); err != nil {
		return err
	}
	s.in.file.Format = s.in.format.Name
	return nil
}

// formatOf asks how a stream is to be read.
func (o *Options) formatOf(s *stream) (f Format, err error) {
	if o.Format != nil {
		f, err = o.Format(s.name, s.peek())
	}
	if f.New == nil {
		f.Name = Native
	}
	return f, err
}

// Native is the name of the connection log's own format.
const Native = "overstay"

// failed ends the input with an error.
func (s *source) failed(b *Batch, err error) {
	b.err = &FileError{Name: s.in.file.Name, Err: err}
	s.ended()
}

// ended is called when there is no more of an input.
func (s *source) ended() {
	s.stream.close()
	s.stream = nil
}

// cut reads a chunk of whole lines into b, longer than a chunk if a line is.
func (s *source) cut(b *Batch) {
	b.place, b.offset = s.at, s.at-s.begin
	buf := append(b.buf[:0], s.carry...)
	s.carry = s.carry[:0]
	want := max(s.options.ChunkBytes-len(buf), 1)
	for looked := 0; ; want = s.options.ChunkBytes {
		from := len(buf)
		buf = slices.Grow(buf, want)
		n, err := readAll(s.stream, buf[from:from+want])
		buf = buf[:from+n]
		end := len(buf)
		if !errors.Is(err, io.EOF) { // The last line of a file needs no newline.
			if end = bytes.LastIndexByte(buf[looked:], '\n') + 1; end > 0 {
				end += looked
			}
			looked = len(buf)
		}
		switch {
		case err != nil:
			s.take(b, buf, end)
			if errors.Is(err, io.EOF) {
				s.ended()
			} else {
				s.failed(b, bare(err))
			}
			return
		case end > 0:
			s.carry = append(s.carry, buf[end:]...)
			s.take(b, buf, end)
			return
		case len(buf) > s.options.MaxLineBytes:
			s.skip(b, buf)
			return
		}
	}
}

// take gives the first bytes of buf to b.
func (s *source) take(b *Batch, buf []byte, end int) {
	b.buf, b.rest = buf, buf[:end]
	s.at += uint64(end)
}

// skip reads on to the end of a line that is too long already. The place of
// the line is all that b has.
func (s *source) skip(b *Batch, buf []byte) {
	b.buf = buf
	b.long = &connlog.LongLineError{Offset: int64(b.offset), Bytes: int64(len(buf))}
	for s.ctx.Err() == nil {
		buf = buf[:min(cap(buf), s.options.ChunkBytes)]
		n, err := readAll(s.stream, buf)
		newline := bytes.IndexByte(buf[:n], '\n')
		if newline >= 0 {
			b.long.Bytes += int64(newline)
			s.at += uint64(b.long.Bytes) + 1
			s.carry = append(s.carry, buf[newline+1:n]...)
			return
		}
		b.long.Bytes += int64(n)
		switch {
		case errors.Is(err, io.EOF):
			s.at += uint64(b.long.Bytes)
			s.ended()
			return
		case err != nil:
			b.long = nil // A line that is cut off by damage is none.
			s.failed(b, bare(err))
			return
		}
	}
}

// close ends what was opened and not read to its end.
func (s *source) close() {
	if s.stream != nil {
		s.stream.close()
		s.stream = nil
	}
	for _, w := range s.waiting {
		if w.stream != nil {
			w.stream.close()
		}
	}
	s.waiting = nil
}
