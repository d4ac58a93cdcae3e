package bulk_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"testing"
	"time"

	"overstay/connlog"
	"overstay/connlog/bulk"
	"overstay/connlog/formats"
)

// sorted is a parser of another server's log whose events come out in order.
type sorted struct {
	parser *formats.Parser
	order  *formats.Order
	emit   func(*connlog.Event)
}

func newSorted(f formats.Format) *sorted {
	s := &sorted{parser: f.NewParser(formats.Options{Now: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)})}
	s.order = formats.NewOrder(formats.OrderOptions{Window: 20 * time.Second}, func(e *connlog.Event) { s.emit(e) })
	return s
}

func (s *sorted) Parse(line []byte, emit func(*connlog.Event)) error {
	s.emit = emit
	return s.parser.Parse(line, s.order.Add)
}

// finish gives what was still waiting for its place.
func (s *sorted) finish(emit func(*connlog.Event)) {
	s.emit = emit
	s.order.Flush()
}

// rotatedProxy is the log of an HAProxy in three files, the newest first.
func rotatedProxy() (files [3][]byte) {
	begin := time.Date(2026, 11, 23, 14, 0, 0, 0, time.UTC)
	var text []byte
	for i := range 1500 {
		at := begin.Add(time.Duration(i) * 10 * time.Millisecond)
		text = fmt.Appendf(text, "%s lb1 haproxy[1697]: 192.0.2.%d:%d [%s] web~ app/one 0/0/1/12/%d 200 20318 - - ---- 121/121/12/3/0 0/0 \"GET /%d HTTP/1.1\"\n",
			at.Format("Jan _2 15:04:05"), i%200+3, 1024+i, at.Add(-time.Duration(i%7)*time.Second).Format("02/Jan/2006:15:04:05.000"), i%7*1000+14, i)
	}
	third := len(text) / 3
	for i := range 2 {
		end := third + bytes.IndexByte(text[third:], '\n') + 1
		files[2-i], text = text[:end], text[end:]
	}
	files[0] = text
	return files
}

// TestOtherServersLogs reads a rotated set of a foreign format, whose state
// goes from file to file, as one loop over all of its lines would.
func TestOtherServersLogs(t *testing.T) {
	files := rotatedProxy()
	var want []connlog.Event
	proxy, ok := formats.ByName("haproxy")
	if !ok {
		t.Fatal("there is no such format")
	}
	slow := newSorted(proxy)
	keep := func(e *connlog.Event) { want = append(want, kept(e)) }
	for i := range files {
		for line := range bytes.Lines(files[2-i]) {
			if err := slow.Parse(line, keep); err != nil {
				t.Fatal(err)
			}
		}
	}
	slow.finish(keep)
	for _, workers := range []int{1, 3} {
		var parser *sorted // of the whole set
		o := bulk.Options{Workers: workers, ChunkBytes: 3000, Format: func(name string, head []byte) (bulk.Format, error) {
			f, ok := formats.Detect(head)
			if !ok {
				return bulk.Format{}, fmt.Errorf("%s: no known format", name)
			}
			return bulk.Format{
				Name: f.Name, InOrder: true,
				Skips:  func(err error) bool { return errors.Is(err, formats.ErrSkip) },
				Begins: func(head []byte) time.Time { return firstOf(f, head) },
				New: func() bulk.Parser {
					if parser == nil {
						parser = newSorted(f)
					}
					return parser
				},
			}, nil
		}}
		var inputs []bulk.Input
		for i, file := range files {
			inputs = append(inputs, bulk.Input{Name: fmt.Sprint(i), From: io.Reader(bytes.NewReader(file))})
		}
		got := readAll(t, t.Context(), inputs, o)
		parser.finish(func(e *connlog.Event) { got.events = append(got.events, kept(e)) })
		if len(got.errs) > 0 || got.files[0].Name != "2" || got.files[0].Format != "haproxy" || got.files[0].Malformed > 0 {
			t.Fatalf("%v, %+v", got.errs, got.files)
		}
		if len(got.events) != len(want) || len(want) < 4500 {
			t.Fatalf("%d events, want %d", len(got.events), len(want))
		}
		for i := range want {
			if g, w := got.events[i], want[i]; !reflect.DeepEqual(g, w) {
				t.Fatalf("event %d:\n got %+v\nwant %+v", i, g, w)
			}
		}
	}
}

// firstOf is the time of the first event of a head.
func firstOf(f formats.Format, head []byte) (first time.Time) {
	p := newSorted(f)
	emit := func(e *connlog.Event) {
		if first.IsZero() {
			first = e.Time
		}
	}
	for line := range bytes.Lines(head) {
		_ = p.Parse(line, emit) // What is malformed is said when it is read.
	}
	p.finish(emit)
	return first
}
