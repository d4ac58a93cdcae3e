package app

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"
)

// kept returns logs for several passes: what comes from a pipe is kept in a
// file, so that it can be read more than once, and with again what comes from
// the standard input. forget lets go of that.
func (l Logs) kept(again bool) (_ Logs, forget func(), err error) {
	l.memory, l.spools = &memory{}, map[string]*spool{}
	forget = func() {
		for _, s := range l.spools {
			s.close()
		}
	}
	for _, path := range l.Paths {
		var s *spool
		switch {
		case path == FromStdin && again:
			s, err = newSpool(l.Stdin)
		case path != FromStdin && isPipe(path):
			s, err = openSpool(path)
		}
		if err != nil {
			forget()
			return l, nil, err
		}
		if s != nil {
			l.spools[path] = s
		}
	}
	return l, forget, nil
}

// onlyOnce reports whether the logs can be read once only.
func (l Logs) onlyOnce() bool {
	return l.spools[FromStdin] == nil && slices.Contains(l.Paths, FromStdin)
}

// spool is a stream that can be read again: what is read of it the first time
// is kept.
type spool struct {
	in   io.Reader
	pipe io.Closer // in, if it was opened for this
	file *os.File
	full bool // file has all of it
}

func newSpool(in io.Reader) (*spool, error) {
	file, err := os.CreateTemp("", "overstay-*.log")
	if err != nil {
		return nil, fmt.Errorf("keep what is read: %w", err)
	}
	// Without its name it is gone with the process, whatever ends that.
	if err := os.Remove(file.Name()); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &spool{in: in, file: file}, nil
}

// openSpool returns nil for a pipe that cannot be opened.
func openSpool(path string) (*spool, error) {
	pipe, err := openPipe(path)
	if err != nil {
		return nil, nil // Whoever reads the logs comes upon it, and says so of this one.
	}
	s, err := newSpool(pipe)
	if err != nil {
		return nil, errors.Join(err, pipe.Close())
	}
	s.pipe = pipe
	return s, nil
}

// close lets go of it. It is of no use any more, so nothing can be lost.
func (s *spool) close() {
	_ = s.file.Close()
	if s.pipe != nil {
		_ = s.pipe.Close()
	}
}

// next returns the stream from its beginning.
func (s *spool) next() (io.Reader, error) {
	if !s.full {
		s.full = true
		return s, nil
	}
	_, err := s.file.Seek(0, io.SeekStart)
	return struct{ io.Reader }{s.file}, err // A file of this kind has no deadline to set.
}

// Read reads it for the first time.
func (s *spool) Read(b []byte) (int, error) {
	n, err := s.in.Read(b)
	if _, failed := s.file.Write(b[:n]); failed != nil {
		return n, fmt.Errorf("keep what was read: %w", failed)
	}
	return n, err
}

// SetReadDeadline ends a read that waits, if the stream can do that.
func (s *spool) SetReadDeadline(t time.Time) error {
	if in, ok := s.in.(interface{ SetReadDeadline(time.Time) error }); ok {
		return in.SetReadDeadline(t)
	}
	return os.ErrNoDeadline
}
