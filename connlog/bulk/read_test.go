package bulk_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"overstay/connlog"
	"overstay/connlog/bulk"
)

// told is all that a reading tells, in its order.
type told struct {
	events    []connlog.Event
	places    []string // file and line of each event
	malformed []string
	files     []bulk.File
	errs      []error
}

// readAll reads inputs and keeps copies of everything.
func readAll(t testing.TB, ctx context.Context, inputs []bulk.Input, o bulk.Options) (got told) { //nolint:revive // t comes first in tests
	t.Helper()
	r := bulk.NewReader(inputs, o)
	for b, err := range r.Batches(ctx) {
		if err != nil {
			got.errs = append(got.errs, err)
			continue
		}
		for i := range b.Events {
			got.events = append(got.events, kept(&b.Events[i]))
			got.places = append(got.places, fmt.Sprintf("%s:%d", b.File.Name, b.Line(i)))
		}
		for _, m := range b.Malformed {
			got.malformed = append(got.malformed, fmt.Sprintf("%s:%v", b.File.Name, m))
		}
	}
	for _, f := range r.Files() {
		got.files = append(got.files, *f)
	}
	return got
}

// kept is a copy that stays valid.
func kept(e *connlog.Event) connlog.Event {
	c := *e
	c.Services = append([]connlog.Service(nil), e.Services...)
	return c
}

// slowly is what a log tells as the sequential reader reads it.
func slowly(t testing.TB, name string, text []byte, limit int) (want told) {
	t.Helper()
	r := connlog.NewReader(bytes.NewReader(text))
	r.MaxLineBytes = limit
	for e, err := range r.Events() {
		lines, _ := r.Count()
		if line, ok := errors.AsType[*connlog.LineError](err); ok {
			if len(want.malformed) < 10 {
				want.malformed = append(want.malformed, fmt.Sprintf("%s:%v", name, line))
			}
			continue
		}
		if err != nil {
			want.errs = append(want.errs, err)
			continue
		}
		want.events = append(want.events, kept(e))
		want.places = append(want.places, fmt.Sprintf("%s:%d", name, lines))
	}
	return want
}

// same fails the test where two readings differ.
func same(t testing.TB, got, want told) {
	t.Helper()
	for i := range min(len(got.events), len(want.events)) {
		if g, w := got.events[i], want.events[i]; !reflect.DeepEqual(g, w) {
			t.Fatalf("event %d:\n got %+v\nwant %+v", i, g, w)
		}
		if got.places[i] != want.places[i] {
			t.Fatalf("event %d stands at %s, not %s", i, got.places[i], want.places[i])
		}
	}
	if len(got.events) != len(want.events) {
		t.Fatalf("%d events, not %d", len(got.events), len(want.events))
	}
	if !slices.Equal(got.malformed, want.malformed) {
		t.Fatalf("malformed:\n got %q\nwant %q", got.malformed, want.malformed)
	}
	if fmt.Sprint(got.errs) != fmt.Sprint(want.errs) {
		t.Fatalf("errors:\n got %v\nwant %v", got.errs, want.errs)
	}
}

func text(name string, b []byte) []bulk.Input {
	return []bulk.Input{{Name: name, From: bytes.NewReader(b)}}
}

// TestAnyCutting wants of every way to read a log what the sequential reader
// makes of it.
func TestAnyCutting(t *testing.T) {
	log := newGenerator(7, 40, true).log(60_000)
	log = append(log, `{"time":"2027-01-01T00:00:00Z","event":"later"}`...) // no newline
	for _, limit := range []int{connlog.DefaultMaxLineBytes, 180, 30} {
		want := slowly(t, "log", log, limit)
		for _, workers := range []int{1, 2, 5} {
			for _, chunk := range []int{1, 2, 3, 61, 190, 1000, 4096, 59_999, 1 << 20} {
				t.Run(fmt.Sprintf("limit=%d/workers=%d/chunk=%d", limit, workers, chunk), func(t *testing.T) {
					got := readAll(t, t.Context(), text("log", log),
						bulk.Options{Workers: workers, ChunkBytes: chunk, MaxLineBytes: limit})
					same(t, got, want)
					f := got.files[0]
					if n := uint64(bytes.Count(log, []byte("\n")) + 1); f.Lines != n || f.Events != uint64(len(want.events)) || f.Lines != f.Events+f.Malformed {
						t.Errorf("%+v, want %d lines", f, n)
					}
					if f.Text != uint64(len(log)) {
						t.Errorf("%d bytes, not %d", f.Text, len(log))
					}
				})
			}
		}
	}
}
