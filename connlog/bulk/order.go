package bulk

import (
	"bytes"
	"cmp"
	"context"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"overstay/connlog"
)

// waiting is an input that is to be read, with what is known of it before.
type waiting struct {
	in       Input
	stream   *stream   // of what can be opened only once,
	err      error     // or that of opening it
	begins   time.Time // of its first event, zero if none was found
	modified time.Time
	yearless bool // the year of begins was taken, not read
}

// inOrder returns the inputs in the order in which they are to be read: that
// of their first events. Where these are of one time, the file that was written
// to first is first, then the one with the later name, as that of a file that
// was rotated before is. What has no event goes first, which is of no matter.
func (r *Reader) inOrder(ctx context.Context) []waiting {
	all := make([]waiting, 0, len(r.inputs))
	for _, in := range r.inputs {
		all = append(all, waiting{in: in})
	}
	total, sized := int64(0), true
	for i := range all {
		size, ok := all[i].look()
		total += size
		sized = sized && ok
	}
	if sized {
		r.total.Store(total)
	}
	if len(all) < 2 {
		return all
	}
	for i := range all {
		r.probe(ctx, &all[i])
	}
	overNewYear(all)
	slices.SortStableFunc(all, func(a, b waiting) int {
		return cmp.Or(a.begins.Compare(b.begins), a.modified.Compare(b.modified), compareNames(b.in.Name, a.in.Name))
	})
	return all
}

// look asks the file system about a file.
func (w *waiting) look() (size int64, sized bool) {
	if w.in.From != nil {
		return 0, false
	}
	info, err := os.Stat(w.in.Name)
	if err != nil || !info.Mode().IsRegular() {
		return 0, err != nil // A file that is not there has nothing to read.
	}
	w.modified = info.ModTime()
	return info.Size(), true
}

// probe finds the time of an input's first event. What is wrong with it is
// said when it is read.
func (r *Reader) probe(ctx context.Context, w *waiting) {
	if ctx.Err() != nil {
		return
	}
	again := !w.modified.IsZero() // a regular file
	done := &r.done
	if again {
		done = new(atomic.Int64)
	}
	s, err := open(ctx, w.in, done)
	if err == nil {
		head := s.peek()
		if format, err := r.options.formatOf(s); err == nil {
			w.begins, w.yearless = format.begins(head), format.Yearless
		}
	}
	if again {
		s.close()
		return
	}
	w.stream, w.err = s, err
}

// overNewYear puts files without years of which some begin more than half a
// year after the others into two years: those that seem to be the first are of
// the second one, from January on. It does not where they were written first.
func overNewYear(all []waiting) {
	const half = 183 * 24 * time.Hour
	const surely = time.Hour // Copies are written at about the same time.
	var files []*waiting
	for i := range all {
		if w := &all[i]; w.yearless && !w.begins.IsZero() {
			files = append(files, w)
		}
	}
	slices.SortStableFunc(files, func(a, b *waiting) int { return a.begins.Compare(b.begins) })
	for i := 1; i < len(files); i++ {
		if files[i].begins.Sub(files[i-1].begins) < half {
			continue
		}
		early, late := files[:i], files[i:]
		modified := func(a, b *waiting) int { return a.modified.Compare(b.modified) }
		if slices.MaxFunc(early, modified).modified.Add(surely).Before(slices.MinFunc(late, modified).modified) {
			return
		}
		for _, w := range early {
			w.begins = w.begins.AddDate(1, 0, 0)
		}
		return
	}
}

// begins returns the time of the first event in a head.
func (f *Format) begins(head []byte) (first time.Time) {
	if f.Begins != nil {
		return f.Begins(head)
	}
	var parse func(line []byte, emit func(*connlog.Event)) error
	if f.New != nil {
		parse = f.New().Parse
	} else {
		parse = parseNative
	}
	emit := func(e *connlog.Event) {
		if first.IsZero() {
			first = e.Time
		}
	}
	for line := range bytes.Lines(head) {
		if _ = parse(bytes.TrimSuffix(line, []byte("\n")), emit); !first.IsZero() { // What is malformed is said later.
			break
		}
	}
	return first
}

func parseNative(line []byte, emit func(*connlog.Event)) error {
	var p connlog.Parser
	var e connlog.Event
	err := p.Parse(line, &e)
	if err == nil {
		emit(&e)
	}
	return err
}

// compareNames compares names by the numbers in them, so that conn.log.2 is
// before conn.log.10.
func compareNames(a, b string) int {
	for len(a) > 0 && len(b) > 0 {
		if digits(a) > 0 && digits(b) > 0 {
			x, y := trimZeros(a[:digits(a)]), trimZeros(b[:digits(b)])
			if c := cmp.Or(cmp.Compare(len(x), len(y)), cmp.Compare(x, y)); c != 0 {
				return c
			}
			a, b = a[digits(a):], b[digits(b):]
			continue
		}
		if a[0] != b[0] {
			return cmp.Compare(a[0], b[0])
		}
		a, b = a[1:], b[1:]
	}
	return cmp.Compare(len(a), len(b))
}

// digits is how many digits s begins with.
func digits(s string) int {
	n := 0
	for n < len(s) && s[n]-'0' <= 9 {
		n++
	}
	return n
}

func trimZeros(s string) string {
	for len(s) > 1 && s[0] == '0' {
		s = s[1:]
	}
	return s
}
