package app

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"
)

// kept returns logs for several passes. With again, what comes from the standard
// input is kept in a file, so that it can be read more than once. forget lets go
// of that.
func (l Logs) kept(again bool) (_ Logs, forget func(), err error) {
	l.memory = &memory{}
	if !again || !slices.Contains(l.Paths, FromStdin) {
		return l, func() {}, nil
	}
	file, err := os.CreateTemp("", "overstay-*.log")
	if err != nil {
		return l, nil, fmt.Errorf("keep standard input: %w", err)
	}
	// Without its name it is gone with the process, whatever ends that.
	if err := os.Remove(file.Name()); err != nil {
		return l, nil, errors.Join(err, file.Close())
	}
	l.spool = &spool{in: l.Stdin, file: file}
	return l, func() { _ = file.Close() }, nil // It is of no use any more.
}

// onlyOnce reports whether the logs can be read once only.
func (l Logs) onlyOnce() bool { return l.spool == nil && slices.Contains(l.Paths, FromStdin) }

// spool is a stream that can be read again: what is read of it the first time
// is kept.
type spool struct {
	in   io.Reader
	file *os.File
	full bool // file has all of it
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
