package app

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"time"

	"overstay/connlog"
	"overstay/connlog/bulk"
	"overstay/connlog/formats"
)

// head is what the beginning of a file tells of it, before it is read.
type head struct {
	input    bulk.Input
	place    int       // among the files, in their order
	begins   time.Time // when the first line that tells something was written
	yearless bool      // its year was taken, not read
	native   bool
	text     string        // the first line, of a connection log,
	first    connlog.Event // and what it tells
}

var errLooked = errors.New("only its beginning is asked for")

// heads returns the files in the order in which they begin.
func (d *dialects) heads(ctx context.Context, inputs []bulk.Input) ([]head, error) {
	if len(inputs) < 2 { // It is read in any case.
		all := make([]head, len(inputs))
		for i := range inputs {
			all[i].input = inputs[i]
		}
		return all, nil
	}
	found := make(map[string]*head, len(inputs))
	asked := make([]bulk.Input, len(inputs))
	for i, in := range inputs {
		if in.From != nil {
			in.From = &replayed{in: in.From}
		}
		found[in.Name], asked[i] = &head{input: in}, in
	}
	// The reader asks once to put the files in order, and again to read them.
	looked := map[string]bool{}
	r := bulk.NewReader(asked, bulk.Options{Workers: 1, Format: func(name string, text []byte) (bulk.Format, error) {
		if looked[name] {
			return bulk.Format{}, errLooked
		}
		looked[name] = true
		h := found[name]
		d.look(h, text)
		return bulk.Format{Begins: func([]byte) time.Time { return h.begins }, Yearless: h.yearless}, nil
	}})
	for _, err := range r.Batches(ctx) {
		if _, ok := errors.AsType[*bulk.FileError](err); err != nil && !ok {
			return nil, err
		}
	}
	all := make([]head, 0, len(inputs))
	for _, f := range r.Files() {
		h := *found[f.Name]
		h.place = len(all)
		if from, ok := h.input.From.(*replayed); ok {
			from.again()
		}
		all = append(all, h)
	}
	overNewYear(all)
	return all, nil
}

// look reads a beginning.
func (d *dialects) look(h *head, text []byte) {
	format, ok := d.only, d.isOnly
	if !ok {
		if format, ok = detect(text); !ok {
			return
		}
	}
	d.met(format, text) // What all files can tell together is asked for before the last is begun.
	h.native = format.Name == bulk.Native
	h.begins = begins(format, text, d.options, h)
	if next := d.options; next.Year != 0 {
		next.Year++
		h.yearless = !begins(format, text, next, nil).Equal(h.begins)
	}
}

// begins returns when the first line of a beginning that tells something was
// written: the end of a connection, where a line tells all of it. The line and
// what it tells are put down in h, if that is not nil.
func begins(format formats.Format, text []byte, o formats.Options, h *head) (at time.Time) {
	p := format.NewParser(o)
	for line := range bytes.Lines(text) {
		_ = p.Parse(line, func(e *connlog.Event) { // What is malformed is said later.
			if e.Time.After(at) {
				at = e.Time
			}
			if h != nil {
				h.text, h.first = string(line), *e
				h.first.Services = nil
			}
		})
		if !at.IsZero() {
			break
		}
	}
	return at
}

// overNewYear gives files without years that of their place: one that is far
// before the file in front of it is of the next year.
func overNewYear(all []head) {
	const half = 183 * 24 * time.Hour
	for i := 1; i < len(all); i++ {
		if h, before := &all[i], all[i-1].begins; h.yearless && before.Sub(h.begins) > half {
			h.begins = h.begins.AddDate(1, 0, 0)
		}
	}
}

// goesOn reports whether a connection log may be of the same server as another
// one that began before it and had so many events: of another one are a host of
// another name, and what was made of another log.
func (h *head) goesOn(before *head, events uint64) bool {
	switch {
	case h.native != before.native:
		return false
	case h.text == before.text: // a copy, whose lines are known
		return true
	case h.first.Boot == before.first.Boot:
		return h.first.Seq >= before.first.Seq+events
	case strings.HasPrefix(h.first.Version, converted+" ") || strings.HasPrefix(before.first.Version, converted+" "):
		return false
	}
	return h.first.Host == "" || before.first.Host == "" || h.first.Host == before.first.Host
}

// replayed keeps what is read of a stream, until it is read again.
type replayed struct {
	in   io.Reader
	kept bytes.Buffer
	full bool
}

// again goes back to the beginning.
func (r *replayed) again() {
	r.full = true
	_ = r.SetReadDeadline(time.Time{}) // If it has none, none was set.
}

func (r *replayed) Read(b []byte) (int, error) {
	if r.full && r.kept.Len() > 0 {
		return r.kept.Read(b)
	}
	n, err := r.in.Read(b)
	if !r.full {
		_, _ = r.kept.Write(b[:n]) // It never fails.
	}
	return n, err
}

// SetReadDeadline ends a read that waits, if the stream can do that.
func (r *replayed) SetReadDeadline(t time.Time) error {
	if in, ok := r.in.(interface{ SetReadDeadline(time.Time) error }); ok {
		return in.SetReadDeadline(t)
	}
	return os.ErrNoDeadline
}
