package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"time"

	"overstay/connlog"
)

// Logs are finished files of a connection log: plain, gzip or zstd. They are
// read in the order of time, however they are named.
type Logs struct {
	Paths []string
	// Stdin is read where the only path is "-".
	Stdin  io.Reader
	Logger *slog.Logger
}

// FromStdin is the path that stands for the standard input.
const FromStdin = "-"

// LogsRead is what the reading of logs came to.
type LogsRead struct {
	Files     int    `json:"files"`
	Lines     uint64 `json:"lines"`
	Malformed uint64 `json:"malformed"`       // lines that are no event
	Newer     uint64 `json:"newer,omitempty"` // lines of a later version, not read
	// The earliest and the latest time in it. A clock that was set may make them
	// others than those of the first line and the last.
	From time.Time `json:"from,omitzero"`
	To   time.Time `json:"to,omitzero"`
	// Unreadable says of the files that could not be read, or not to their end.
	Unreadable []string `json:"unreadable,omitempty"`

	err error // of those files
}

// spans takes in the time of an event.
func (r *LogsRead) spans(t time.Time) {
	if r.From.IsZero() || t.Before(r.From) {
		r.From = t
	}
	if t.After(r.To) {
		r.To = t
	}
}

// Err joins what was wrong with files that could not be read, or not to their
// end. What the others told is true without them.
func (r *LogsRead) Err() error { return r.err }

// NoEventsError is a log in which there is nothing to read.
type NoEventsError struct {
	Lines uint64 // none of which is an event
	Newer bool   // they are of a later version
}

func (e *NoEventsError) Error() string {
	switch {
	case e.Newer:
		return "the log is of a newer version of overstay"
	case e.Lines == 0:
		return "the log is empty"
	case e.Lines == 1:
		return "not a connection log: its one line is no event"
	}
	return fmt.Sprintf("not a connection log: none of its %d lines is an event", e.Lines)
}

// ErrStdinAlone is the error of naming files beside the standard input, whose
// place in time is not known before it is read.
var ErrStdinAlone = errors.New("standard input (-) cannot be read together with files")

// read hands over every event of the logs. A file that cannot be read is said
// in the result and ends nothing; the error is that of a log without events.
func (l Logs) read(ctx context.Context, event func(*connlog.Event)) (LogsRead, error) {
	if l.Logger == nil {
		l.Logger = slog.New(slog.DiscardHandler)
	}
	r := reading{ctx: ctx, logger: l.Logger, event: event}
	if slices.Contains(l.Paths, FromStdin) {
		if len(l.Paths) > 1 {
			return r.LogsRead, ErrStdinAlone
		}
		r.Files++
		r.through("standard input", connlog.NewReader(l.Stdin))
	} else {
		for _, path := range r.inOrder(l.Paths) {
			r.file(path)
		}
	}
	switch {
	case ctx.Err() != nil:
		return r.LogsRead, ctx.Err()
	case r.events > 0:
		return r.LogsRead, nil
	case r.err != nil:
		return r.LogsRead, r.err
	}
	return r.LogsRead, &NoEventsError{Lines: r.Lines, Newer: r.Newer > 0}
}

// reading is one pass over logs.
type reading struct {
	LogsRead
	ctx    context.Context
	logger *slog.Logger
	event  func(*connlog.Event)
	events uint64
}

// inOrder sorts files by the time of their first event; one that has none goes
// first, which is of no matter.
func (r *reading) inOrder(paths []string) []string {
	if len(paths) < 2 {
		return paths
	}
	type file struct {
		path  string
		begin time.Time
	}
	files := make([]file, 0, len(paths))
	for _, path := range paths {
		files = append(files, file{path, firstTime(path)})
	}
	slices.SortStableFunc(files, func(a, b file) int { return a.begin.Compare(b.begin) })
	sorted := make([]string, 0, len(files))
	for _, f := range files {
		sorted = append(sorted, f.path)
	}
	return sorted
}

// firstLines is how many lines are looked at for the time a file begins.
const firstLines = 1000

// firstTime is the time of the first event in a file, zero if there is none.
// What is wrong with the file is said when it is read.
func firstTime(path string) time.Time {
	if regular(path) != nil {
		return time.Time{}
	}
	reader, err := connlog.OpenReader(path)
	if err != nil {
		return time.Time{}
	}
	defer func() { _ = reader.Close() }() // Nothing was written.
	seen := 0
	for e, err := range reader.Events() {
		if err == nil {
			return e.Time
		}
		if seen++; seen >= firstLines {
			break
		}
	}
	return time.Time{}
}

// regular refuses what would be read for ever, or not at all.
func regular(path string) error {
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		err = &fs.PathError{Op: "read", Path: path, Err: errNotAFile}
	}
	return err
}

func (r *reading) file(path string) {
	if r.ctx.Err() != nil {
		return
	}
	r.Files++
	err := regular(path)
	if err == nil {
		var reader *connlog.Reader
		if reader, err = connlog.OpenReader(path); err == nil {
			defer func() { _ = reader.Close() }() // Nothing was written.
			r.through(path, reader)
			return
		}
	}
	r.failed(path, fmt.Errorf("connection log: %w", err))
}

// checkEvery is how many lines are read between two looks whether to go on.
const checkEvery = 4096

// through reads one file to its end.
func (r *reading) through(path string, reader *connlog.Reader) {
	newer := false
	var seen uint64
	for e, err := range reader.Events() {
		if seen++; seen%checkEvery == 0 && r.ctx.Err() != nil {
			break
		}
		if err != nil {
			r.skipped(path, err)
			continue
		}
		if e.Kind == connlog.Start {
			if newer = e.Schema > connlog.SchemaVersion; newer {
				r.logger.Error("connection log of a newer version: not read", "path", path, "schema", e.Schema, "known", connlog.SchemaVersion)
			}
		}
		if newer {
			r.Newer++
			continue
		}
		r.events++
		r.spans(e.Time)
		r.event(e)
	}
	lines, malformed := reader.Count()
	r.Lines += lines
	r.Malformed += malformed
}

// skipped says what is wrong with a line, for the first few of each file, or
// with the file.
func (r *reading) skipped(path string, err error) {
	if line, ok := errors.AsType[*connlog.LineError](err); ok {
		r.logger.Debug("malformed line skipped", "path", path, "line", line.Line, "error", line.Err)
		return
	}
	r.failed(path, fmt.Errorf("connection log: %s: %w", path, err))
}

func (r *reading) failed(path string, err error) {
	r.Unreadable = append(r.Unreadable, path)
	r.err = errors.Join(r.err, err)
}
