package formats

import (
	"fmt"
	"testing"

	"overstay/connlog"
)

// TestLinesThatStandForThemselves gives each line of such a log to a parser of
// its own, and wants the events that one parser of all of them gives.
func TestLinesThatStandForThemselves(t *testing.T) {
	for _, f := range All() {
		if !f.Alone() {
			continue
		}
		lines := benchLines(f.Name)
		lines = lines[:min(len(lines), 200)]
		if len(lines) == 0 {
			t.Errorf("%s has no lines to try it with", f.Name)
			continue
		}
		read := func(p func() *Parser) (events []string) {
			at, conns := uint64(0), map[uint64]uint64{}
			for _, line := range lines {
				q := p()
				q.Place(at)
				_ = q.Parse(line, func(e *connlog.Event) {
					if was, ok := conns[e.Conn]; ok && was != at && e.Conn > 0 && f.Name != "overstay" {
						t.Fatalf("%s: two lines are of connection %d", f.Name, e.Conn)
					}
					conns[e.Conn] = at
					events = append(events, fmt.Sprintf("%+v", *e))
				})
				at += uint64(len(line) + 1)
			}
			return events
		}
		one := f.NewParser(Options{Now: now(), FirstConn: 7})
		want := read(func() *Parser { return one })
		got := read(func() *Parser { return f.NewParser(Options{Now: now(), FirstConn: 7}) })
		if len(got) != len(want) || len(got) < 200 {
			t.Fatalf("%s: %d events, want %d", f.Name, len(got), len(want))
		}
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("%s: event %d:\n got %s\nwant %s", f.Name, i, got[i], want[i])
			}
		}
	}
}
