package app

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"maps"
	"slices"
	"strconv"

	"overstay/connlog"
	"overstay/connlog/formats"
)

// Convert writes finished logs of any kind as one connection log, in the order
// of time. Each line says from which line it came, and of several files from
// which; what reads a connection log skips that.
//
// What is a connection log already keeps its boots and numbers. The events of
// other logs are of one boot, whose name is made of the first of them, so the
// same log gives the same lines. A connection that is open at the end stays so.
func Convert(ctx context.Context, logs Logs, out io.Writer) (LogsRead, error) {
	logs, forget, err := logs.kept(false)
	if err != nil {
		return LogsRead{}, err
	}
	defer forget()
	gives, known, err := logs.ahead(ctx)
	if err != nil {
		return LogsRead{}, err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	w := &converting{out: bufio.NewWriterSize(out, convertBytes), threads: logs.Format.Threads, several: logs.several(), failed: stop}
	begin := func(g formats.Gives) {
		if w.gives = g; known {
			w.gives = gives
		}
	}
	read, err := logs.once(ctx, reader{number: 1, begin: begin, files: w.name, event: w.event})
	if failed := context.Cause(ctx); failed != nil && !errors.Is(failed, context.Canceled) {
		return read, failed
	}
	if err != nil {
		return read, err
	}
	if err := w.out.Flush(); err != nil {
		return read, fmt.Errorf("write the log: %w", err)
	}
	return read, nil
}

// ahead reads the logs once to learn what is to be told before its line, if
// they can be read again, and what all of them can tell.
func (l Logs) ahead(ctx context.Context) (gives formats.Gives, known bool, err error) {
	if l.onlyOnce() {
		return gives, false, nil
	}
	found := newLongest()
	quiet := l
	quiet.Logger = nil // All is said the second time.
	read, err := quiet.once(ctx, reader{number: 1, long: found})
	if known = err == nil; known { // What is wrong is said the second time, too.
		l.memory.learn(&read, found)
	}
	return read.Gives, known, ctx.Err()
}

// convertBytes are written at a time.
const convertBytes = 64 << 10

// converting writes the lines of a log.
type converting struct {
	out     *bufio.Writer
	threads Threads
	several bool // files
	gives   formats.Gives
	names   [][]byte // of the files, as JSON
	failed  func(error)

	boot string // of other servers' events; empty before the first one
	seq  uint64
	line []byte
}

// name takes down the name of a file.
func (w *converting) name(file int, name string) {
	for len(w.names) <= file {
		w.names = append(w.names, nil)
	}
	if w.names[file] == nil {
		w.names[file], _ = json.Marshal(name) // A string always has a form.
	}
}

// event writes an event.
func (w *converting) event(e *connlog.Event, at where) {
	if e.Boot != "" || e.Seq != 0 {
		w.write(e, at)
		return
	}
	if w.boot == "" {
		w.begin(e)
	}
	w.seq++
	e.Boot, e.Seq = w.boot, w.seq
	w.write(e, at)
}

// begin writes the head of the log: its first event is this.
func (w *converting) begin(first *connlog.Event) {
	sum := fnv.New64a()
	_, _ = sum.Write(connlog.Append(nil, first)) // It never fails.
	w.boot = fmt.Sprintf("%016x", sum.Sum64())
	w.seq++
	start := connlog.Event{Kind: connlog.Start, Time: first.Time, Boot: w.boot, Seq: w.seq, Schema: connlog.SchemaVersion, Version: convertedVersion(w.gives)}
	for _, service := range slices.Sorted(maps.Keys(w.threads.Of)) {
		start.Services = append(start.Services, connlog.Service{Service: service, Threads: w.threads.Of[service]})
	}
	w.line = append(connlog.Append(w.line[:0], &start), '\n')
	w.put()
}

func (w *converting) write(e *connlog.Event, at where) {
	w.line = connlog.Append(w.line[:0], e)
	w.line = append(w.line[:len(w.line)-1], `,"line":`...)
	w.line = strconv.AppendUint(w.line, at.line, 10)
	if w.several && at.file < len(w.names) {
		w.line = append(append(w.line, `,"file":`...), w.names[at.file]...)
	}
	w.line = append(w.line, '}', '\n')
	w.put()
}

func (w *converting) put() {
	if _, err := w.out.Write(w.line); err != nil {
		w.failed(fmt.Errorf("write the log: %w", err))
	}
}
