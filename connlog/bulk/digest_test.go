package bulk_test

import (
	"bytes"
	"testing"

	"overstay/connlog"
	"overstay/connlog/bulk"
)

// copies is a digest that keeps everything.
type copies struct{ text []byte }

func (c *copies) Reset() { c.text = c.text[:0] }

func (c *copies) Observe(e *connlog.Event) { c.text = append(connlog.Append(c.text, e), '\n') }

// TestDigest wants a digest to be given what the loop would have been given, of
// both kinds of parsers, and no event twice.
func TestDigest(t *testing.T) {
	log := newGenerator(5, 30, true).log(200_000)
	foreign := bulk.Format{Name: "foreign", New: func() bulk.Parser { return new(nativeParser) }}
	for name, format := range map[string]func(string, []byte) (bulk.Format, error){
		"native":  nil,
		"foreign": func(string, []byte) (bulk.Format, error) { return foreign, nil },
	} {
		for workers := 1; workers <= 4; workers++ {
			o := bulk.Options{Workers: workers, ChunkBytes: 1 << (4 * workers), Format: format}
			var want copies
			for batch, err := range bulk.NewReader(text("log", log), o).Batches(t.Context()) {
				if err != nil {
					t.Fatal(err)
				}
				for i := range batch.Events {
					want.Observe(&batch.Events[i])
				}
			}
			o.Digest = func() bulk.Digest { return new(copies) }
			var got []byte
			r := bulk.NewReader(text("log", log), o)
			for batch, err := range r.Batches(t.Context()) {
				if err != nil {
					t.Fatal(err)
				}
				if len(batch.Events) > 0 {
					t.Fatal("events beside a digest")
				}
				got = append(got, batch.Digest.(*copies).text...)
			}
			if !bytes.Equal(got, want.text) {
				t.Errorf("%s, %d workers: %d bytes of events, want %d", name, workers, len(got), len(want.text))
			}
			if n := r.Files()[0].Events; n != uint64(bytes.Count(got, []byte("\n"))) {
				t.Errorf("%s, %d workers: %d events counted", name, workers, n)
			}
		}
	}
}

// nativeParser reads the connection log as if it were another one.
type nativeParser struct {
	parser connlog.Parser
	event  connlog.Event
}

func (p *nativeParser) Parse(line []byte, emit func(*connlog.Event)) error {
	err := p.parser.Parse(line, &p.event)
	if err == nil {
		emit(&p.event)
	}
	return err
}
