package app

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"overstay/connlog"
	"overstay/connlog/bulk"
	"overstay/connlog/formats"
)

// Files that one after the other are a log are read one after the other. Those
// of one time, as the logs of several servers are, are read side by side: of
// each there is one batch, and that which begins first is next. The events of
// such logs are put into the order of time in any case.

// merge reads files.
type merge struct {
	logs     *Logs
	options  bulk.Options // of their readers
	dialects *dialects
	take     func(place int, b *bulk.Batch)
	failed   func(*bulk.FileError)

	pending []head    // files that were not begun, in their order
	active  []*strand // those that are being read
	idle    []*chain  // of those that were, the latest last
	readers []*bulk.Reader
	files   []func() []*bulk.File
	total   int64
	last    *strand   // that was begun
	reached time.Time // by all
}

const (
	// beside is by how much a file must begin before the present time to be one
	// of the same time.
	beside = 5 * time.Second
	// maxBeside are read at the same time at most.
	maxBeside = 64
)

// strand is a file that is being read.
type strand struct {
	head
	next  func() (*bulk.Batch, error, bool)
	stop  func()
	chain *chain
	batch *bulk.Batch // the next one
	file  *bulk.File
	// When the first line of the batch was written, and its last event.
	at, until time.Time
}

// chain is a log in several files: a connection may begin in one of them, and
// end in the next.
type chain struct {
	name    string
	parsers map[string]*formats.Parser // by format
}

// run reads all files. The error is that of ctx.
func (m *merge) run(ctx context.Context, inputs []bulk.Input) (err error) {
	m.total = sizes64(inputs)
	if m.pending, err = m.dialects.heads(ctx, inputs); err != nil {
		return err
	}
	defer func() {
		for _, s := range m.active {
			s.stop()
		}
	}()
	for {
		for len(m.pending) > 0 && m.due(&m.pending[0]) {
			h := m.pending[0]
			m.pending = m.pending[1:]
			if err := m.begin(ctx, h); err != nil {
				return err
			}
		}
		if len(m.active) == 0 {
			return ctx.Err()
		}
		s := m.earliest()
		if s.until.After(m.reached) {
			m.reached = s.until
		}
		m.take(s.place, s.batch)
		if err := m.advance(s); err != nil {
			return err
		}
	}
}

// due reports whether a file is to be begun. A connection log is of one server,
// so nothing is read beside it.
func (m *merge) due(h *head) bool {
	if len(m.active) == 0 {
		return true
	}
	if h.native || m.active[0].native || len(m.active) >= maxBeside {
		return false
	}
	return h.begins.Add(beside).Before(m.earliest().at)
}

// earliest is the one whose batch is next.
func (m *merge) earliest() *strand {
	return slices.MinFunc(m.active, func(a, b *strand) int { return a.at.Compare(b.at) })
}

// begin begins with a file.
func (m *merge) begin(ctx context.Context, h head) error {
	if err := m.refused(&h); err != nil {
		m.failed(err)
		m.files = append(m.files, func() []*bulk.File { return []*bulk.File{{Name: h.input.Name, Err: err.Err}} })
		return nil
	}
	o := m.options
	if len(m.active) > 0 {
		o.Workers = 1 // The others have some as well.
	}
	s := &strand{head: h, chain: m.chainOf(h.input.Name)}
	o.Format = func(_ string, text []byte) (bulk.Format, error) { return m.dialects.of(s.place, s.chain, text) }
	r := bulk.NewReader([]bulk.Input{h.input}, o)
	s.next, s.stop = iter.Pull2(r.Batches(ctx))
	m.readers, m.files = append(m.readers, r), append(m.files, r.Files)
	m.active, m.last = append(m.active, s), s
	return m.advance(s)
}

// refused says why a file cannot be added up with those before it.
func (m *merge) refused(h *head) *bulk.FileError {
	if m.last == nil || !h.native && !m.last.native || h.begins.IsZero() || !h.begins.Add(beside).Before(m.reached) {
		return nil
	}
	if m.last.file != nil && h.goesOn(&m.last.head, m.last.file.Events) {
		return nil
	}
	return &bulk.FileError{Name: h.input.Name, Err: &OverlapError{Other: m.last.input.Name, Until: m.reached, From: h.begins}}
}

// OverlapError is a file that is of the same time as another one, and that
// cannot be added up with it, because one of the two is a connection log: that
// has the pools and the connections of one server. Such a file is left out.
type OverlapError struct {
	Other string // the other file
	Until time.Time
	From  time.Time // of this one
}

func (e *OverlapError) Error() string {
	return fmt.Sprintf("left out: it begins at %s and %s goes on until %s, so they are of two servers, or out of order; read it apart",
		e.From.Format(time.DateTime), e.Other, e.Until.Format(time.DateTime))
}

// advance takes the next batch of a file.
func (m *merge) advance(s *strand) error {
	for {
		b, err, ok := s.next()
		if !ok {
			s.stop()
			m.active = slices.DeleteFunc(m.active, func(a *strand) bool { return a == s })
			m.idle = append(m.idle, s.chain)
			return nil
		}
		if file, is := errors.AsType[*bulk.FileError](err); is {
			m.failed(file)
			continue
		}
		if err != nil {
			return err
		}
		s.batch, s.file = b, b.File
		if from, until, ok := spanOf(b); ok {
			s.at, s.until = from, until
		}
		return nil
	}
}

// spanOf is when the first of a batch's lines was written, and the last event of
// them; ok is false if they tell nothing. A line that tells of a connection in
// full was written when that ended.
func spanOf(b *bulk.Batch) (from, until time.Time, ok bool) {
	if d, ok := b.Digest.(*digest); ok {
		written, to := d.span()
		return time.UnixMicro(written).UTC(), time.UnixMicro(to).UTC(), to != math.MinInt64
	}
	if len(b.Events) == 0 {
		return from, until, false
	}
	i := max(slices.IndexFunc(b.Events, func(e connlog.Event) bool { return e.Kind != connlog.Open }), 0)
	return b.Events[i].Time, b.Events[len(b.Events)-1].Time, true
}

// chainOf is the log that a file goes on with: one of that name, else the one
// that ended last and that no other file goes on with by its name.
func (m *merge) chainOf(path string) *chain {
	name := chainName(path)
	i := slices.IndexFunc(m.idle, func(c *chain) bool { return c.name == name })
	for n := len(m.idle) - 1; i < 0 && n >= 0; n-- {
		if !slices.ContainsFunc(m.pending, func(h head) bool { return chainName(h.input.Name) == m.idle[n].name }) {
			i = n
		}
	}
	if i < 0 {
		return &chain{name: name, parsers: map[string]*formats.Parser{}}
	}
	c := m.idle[i]
	m.idle = slices.Delete(m.idle, i, i+1)
	c.name = name
	return c
}

// chainName is what the files of a rotated log have in common: their names up
// to the first dot, without the date there.
func chainName(path string) string {
	name, _, _ := strings.Cut(filepath.Base(path), ".")
	if plain := strings.TrimRight(name, "-_0123456789"); len(name)-len(plain) >= len("-20260101") {
		name = plain
	}
	return filepath.Join(filepath.Dir(path), name)
}

// progress is how much was read, in bytes as they are stored, and of how much.
func (m *merge) progress() (done, total int64) {
	for _, r := range m.readers {
		n, _ := r.Progress()
		done += n
	}
	return done, m.total
}

// read is what became of the files, in the order of reading.
func (m *merge) read() (all []*bulk.File) {
	for _, files := range m.files {
		all = append(all, files()...)
	}
	return all
}

// sizes64 is how many bytes there are to read, 0 if that is not known.
func sizes64(inputs []bulk.Input) (total int64) {
	for _, in := range inputs {
		if in.From != nil {
			return 0
		}
		if info, err := os.Stat(in.Name); err == nil && info.Mode().IsRegular() {
			total += info.Size()
		} else if err == nil {
			return 0
		}
	}
	return total
}
