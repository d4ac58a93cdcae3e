package bulk

import (
	"context"
	"errors"
	"io"
	"os"
	"sync/atomic"
	"time"
)

// stream is an input that was opened: its text from the beginning.
type stream struct {
	name string
	kind Compression
	text io.Reader
	head []byte // of the text, read already and not yet given out
	err  error  // that came behind head
	end  []func()
}

// open opens an input. The end of ctx ends a read of it that waits.
func open(ctx context.Context, in Input, done *atomic.Int64) (s *stream, err error) {
	s = &stream{name: in.Name}
	defer func() {
		if err != nil {
			s.close()
			s.text = nil
		}
	}()
	stored := in.From
	if stored == nil {
		f, err := os.Open(in.Name)
		if err != nil {
			return s, bare(err)
		}
		s.end = append(s.end, func() { _ = f.Close() }) // Nothing was written.
		s.whenOver(ctx, func() { _ = f.Close() })
		stored = f
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			stored = &sized{f, info.Size()}
		}
	} else if d, ok := stored.(interface{ SetReadDeadline(time.Time) error }); ok {
		s.whenOver(ctx, func() { _ = d.SetReadDeadline(time.Unix(1, 0)) }) // One that has none says so, and is waited for.
	}
	text, kind, end, err := textOf(&counted{stored, done})
	s.text, s.kind = text, kind
	if err != nil {
		return s, bare(err)
	}
	s.end = append(s.end, end)
	return s, nil
}

// Head returns how the text of a file begins, up to HeadBytes of it.
func Head(ctx context.Context, name string) ([]byte, error) {
	s, err := open(ctx, Input{Name: name}, new(atomic.Int64))
	if err != nil {
		return nil, err
	}
	defer s.close()
	return s.peek(), nil
}

// bare is an error of a file without the file's name, which is said around it.
func bare(err error) error {
	if path, ok := errors.AsType[*os.PathError](err); ok {
		return path.Err
	}
	return err
}

// whenOver calls f when ctx ends before the stream is closed, and has close
// wait for it.
func (s *stream) whenOver(ctx context.Context, f func()) {
	called := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(called)
		f()
	})
	s.end = append(s.end, func() {
		if !stop() {
			<-called
		}
	})
}

// close ends what open began, the last first.
func (s *stream) close() {
	for i := len(s.end) - 1; i >= 0; i-- {
		s.end[i]()
	}
	s.end = nil
}

// peek returns the first bytes of the text, up to HeadBytes, which Read will
// give out again.
func (s *stream) peek() []byte {
	if s.head == nil {
		head := make([]byte, HeadBytes)
		n, err := readAll(s.text, head)
		s.head, s.err = head[:n], err
	}
	return s.head
}

// Read gives out the text.
func (s *stream) Read(b []byte) (int, error) {
	if len(s.head) > 0 {
		n := copy(b, s.head)
		s.head = s.head[n:]
		return n, nil
	}
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.text.Read(b)
	s.err = err // What has ended is not asked again.
	return n, err
}

// readAll fills b, and returns an error if there is no more.
func readAll(r io.Reader, b []byte) (n int, err error) {
	for idle := 0; n < len(b); idle++ {
		m, err := r.Read(b[n:])
		if n += m; err != nil {
			return n, err
		}
		if m > 0 {
			idle = 0
		} else if idle > 100 {
			return n, io.ErrNoProgress
		}
	}
	return n, nil
}

// sized is a file that has so many bytes left, or more if it is written to.
type sized struct {
	r    io.Reader
	left int64
}

// Read makes an early end an error: somebody emptied the file, to begin a new
// one, and the rest of it is elsewhere.
func (s *sized) Read(b []byte) (int, error) {
	n, err := s.r.Read(b)
	if s.left -= int64(n); s.left > 0 && errors.Is(err, io.EOF) {
		err = ErrShorter
	}
	return n, err
}

// counted adds up what is read.
type counted struct {
	r    io.Reader
	done *atomic.Int64
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.done.Add(int64(n))
	return n, err
}
