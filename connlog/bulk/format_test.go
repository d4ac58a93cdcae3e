package bulk_test

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"overstay/connlog"
	"overstay/connlog/bulk"
)

var (
	errNothing = errors.New("nothing of interest")
	errNot     = errors.New("not of the format")
)

// counting is a format with state: an event for each line, numbered across all
// lines, and as many twins as the line says.
type counting struct{ conn uint64 }

func (c *counting) Parse(line []byte, emit func(*connlog.Event)) error {
	if len(line) == 0 {
		return errNothing
	}
	n, err := strconv.Atoi(string(line))
	if err != nil {
		return errNot
	}
	c.conn++
	e := connlog.Event{Kind: connlog.Open, Conn: c.conn, Services: services("a", n)}
	for range n {
		emit(&e)
		e.Services[0].Service = "the parser's own again"
		e.Services = services("a", n)
	}
	return nil
}

// placing numbers its events by where their lines stand.
type placing struct {
	counting
	at uint64
}

func (p *placing) Place(at uint64) { p.at = at }

func (p *placing) Parse(line []byte, emit func(*connlog.Event)) error {
	p.conn = p.at
	return p.counting.Parse(line, emit)
}

func numbers() []byte {
	var out bytes.Buffer
	for i := range 600 {
		switch {
		case i%7 == 0:
			out.WriteString("\n")
		case i%11 == 0:
			out.WriteString("what?\n")
		case i == 300:
			out.WriteString("2100\n") // more than a batch may have
		default:
			fmt.Fprintln(&out, i%4)
		}
	}
	return out.Bytes()
}

// TestForeign reads formats with and without state, alone and in one set, with
// the same result in any cutting.
func TestForeign(t *testing.T) {
	log := numbers()
	for _, inOrder := range []bool{true, false} {
		format := func(name string, head []byte) (bulk.Format, error) {
			if want := log[:min(len(log), bulk.HeadBytes)]; name != "native" && !bytes.Equal(head, want) {
				t.Errorf("the head of %s is %.20q", name, head)
			}
			f := bulk.Format{
				Name: "numbers", InOrder: inOrder, Skips: func(err error) bool { return errors.Is(err, errNothing) },
				New:    func() bulk.Parser { return &placing{} },
				Begins: func([]byte) time.Time { return time.Unix(1, 0) },
			}
			switch {
			case name == "native":
				return bulk.Format{}, nil
			case name == "unknown":
				return bulk.Format{}, errNot
			case inOrder:
				f.New = func() bulk.Parser { return &counting{} }
			}
			return f, nil
		}
		inputs := func() []bulk.Input {
			return []bulk.Input{
				{Name: "unknown", From: bytes.NewReader(log)}, {Name: "b", From: bytes.NewReader(log)},
				{Name: "native", From: strings.NewReader(twoLines)}, {Name: "a", From: bytes.NewReader(gzipped(t, log))},
			}
		}
		var want told
		for i, o := range []bulk.Options{
			{Workers: 1}, {Workers: 1, ChunkBytes: 1}, {Workers: 2, ChunkBytes: 100}, {Workers: 4, ChunkBytes: 100}, {Workers: 3, ChunkBytes: 3000},
		} {
			o.Format = format
			got := readAll(t, t.Context(), inputs(), o)
			if i == 0 {
				want = got
				checkNumbers(t, got, log, inOrder)
				continue
			}
			same(t, got, want)
			for j := range got.files {
				if got.files[j] != want.files[j] {
					t.Errorf("%+v, want %+v", got.files[j], want.files[j])
				}
			}
		}
	}
}

// checkNumbers compares what the inputs of TestForeign told with a plain loop.
func checkNumbers(t *testing.T, got told, log []byte, inOrder bool) {
	t.Helper()
	var want []string
	at := uint64(0)
	skipped, malformed := uint64(0), uint64(0)
	for _, name := range []string{"b", "a"} {
		conn, n := uint64(0), 0
		for line := range strings.Lines(string(log)) {
			place := at
			at += uint64(len(line))
			n++
			times, err := strconv.Atoi(strings.TrimSpace(line))
			if line == "\n" {
				skipped++
				continue
			} else if err != nil {
				malformed++
				continue
			}
			conn++
			number := conn
			if !inOrder {
				number = place + 1
			}
			for range times {
				want = append(want, fmt.Sprintf("%s:%d conn %d %v", name, n, number, services("a", times)))
			}
		}
	}
	events, places := got.events, got.places
	for i, w := range want {
		if g := fmt.Sprintf("%s conn %d %v", places[i], events[i].Conn, events[i].Services); g != w {
			t.Fatalf("event %d is %s, want %s", i, g, w)
		}
	}
	if rest := places[len(want):]; len(rest) != 2 || rest[0] != "native:1" {
		t.Errorf("more: %v", rest)
	}
	if len(got.errs) != 1 || !errors.Is(got.errs[0], errNot) || len(got.files) != 4 {
		t.Errorf("errors %v, files %+v", got.errs, got.files)
	}
	for _, f := range got.files {
		if f.Name == "a" && (f.Skipped*2 != skipped || f.Malformed*2 != malformed || f.Format != "numbers" || f.Lines != 600) {
			t.Errorf("%+v", f)
		}
	}
}
