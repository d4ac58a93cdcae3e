package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"overstay/connlog/formats"
	"overstay/detector"
	"overstay/detector/loss"
	"overstay/detector/occupancy"
)

// TestTopSharesTheScreen wants nets on a small screen, and no empty lines
// where there are few of them.
func TestTopSharesTheScreen(t *testing.T) {
	view := func(sources, nets int) topView {
		return topView{Pools: make([]poolView, 2), Sources: make([]rankView, sources), Nets: make([]rankView, nets)}
	}
	for _, c := range []struct{ sources, nets, wantSources, wantNets int }{
		{20, 20, 12, 6}, {20, 2, 16, 2}, {3, 20, 3, 15}, {20, 0, 20, 0},
	} {
		v := view(c.sources, c.nets).fitting(24)
		if len(v.Sources) != c.wantSources || len(v.Nets) != c.wantNets {
			t.Errorf("%+v: %d sources, %d nets", c, len(v.Sources), len(v.Nets))
		}
	}
}

// TestNumbersThatSayNothing wants words in their place.
func TestNumbersThatSayNothing(t *testing.T) {
	for s, want := range map[loss.Spread]string{
		{Min: -5, Median: 900, Max: 1000}: "900", {Min: -9, Median: 3, Max: 20}: "none", {Min: -9, Median: -3, Max: 0}: "none", {}: "none",
	} {
		if got := avertedNumber(s); got != want {
			t.Errorf("%+v: %s, want %s", s, got, want)
		}
	}
	for seconds, want := range map[float64]string{0.04: "40 ms", 0.0996: "99.6 ms", 0: "0.0s", 2: "2.0s"} {
		if got := briefText(seconds); got != want {
			t.Errorf("%v: %s, want %s", seconds, got, want)
		}
	}
	if text := spanText(newYear, newYear.AddDate(5000, 0, 0)); !strings.Contains(text, "(over ten years)") {
		t.Error(text)
	}
	if text := agoText(newYear.AddDate(-500, 0, 0), newYear.Add(time.Hour)); text != "over ten years ago" {
		t.Error(text)
	}
}

// TestPercentagesOfTheReplay wants it said what they are of.
func TestPercentagesOfTheReplay(t *testing.T) {
	w := fixedWhy("www", 3)
	w.Reports[0].Diagnosis.Others = 990
	var out strings.Builder
	if err := (&ui{out: &out, err: &out}).why(w, 5, newYear); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(strings.Join(strings.Fields(out.String()), " "), "of the 1000 that the replay refuses with nothing changed") {
		t.Error(out.String())
	}
}

// TestNarrowedIsSaidOfNets wants it said of decisions about nets alone.
func TestNarrowedIsSaidOfNets(t *testing.T) {
	e := fixedEvidence("www")
	narrower := func(line string) bool { return strings.Contains(line, "narrower") }
	if !slices.ContainsFunc(evidenceWords(e), narrower) {
		t.Error("not said of a net")
	}
	e.Level = detector.LevelAddress
	if slices.ContainsFunc(evidenceWords(e), narrower) {
		t.Error("said of an address")
	}
}

// TestFiguresWithoutNoise wants what was meant by a sum of parts.
func TestFiguresWithoutNoise(t *testing.T) {
	third := 1.0 / 3
	h := occupancy.Holder{Share: third, Load: .1 + .2, Blame: .1 + .7 + .2, ThreadTime: 1234567 * time.Microsecond}
	v := viewHolders([]occupancy.Holder{h}, levelAddress, formats.Gives{Durations: true})[0]
	for _, c := range []struct {
		got  float64
		want string
	}{{*v.Share, "0.333333"}, {*v.Load, "0.3"}, {v.Blame, "1"}, {*v.ThreadSeconds, "1.234567"}} {
		if text := decimalText(&c.got); text != c.want {
			t.Errorf("%s, want %s", text, c.want)
		}
	}
}

// TestRankingOnANarrowTerminal leaves out what can be done without, and never
// what is ranked by.
func TestRankingOnANarrowTerminal(t *testing.T) {
	head := []string{"ADDRESS", " HELD", " SHARE", " CONNS", " PEAK", " BLAME"}
	rows := [][]string{{"203.0.113.9", "7h25m", "98 %", "450", "50", "17098"}} // 11+5+5+5+4+5 and 10 blanks
	for _, c := range []struct {
		keep    occupancy.By
		columns int
		want    string
	}{
		{occupancy.ByThreadTime, 45, ""}, {occupancy.ByThreadTime, 44, "PEAK"}, {occupancy.ByThreadTime, 38, "PEAK CONNS"},
		{occupancy.ByPeak, 44, "CONNS"}, {occupancy.ByThreadTime, 1, "PEAK CONNS SHARE"},
	} {
		left, cells, out := narrowed(head, rows, headOf(c.keep), c.columns)
		if got := strings.Join(out, " "); got != c.want || len(left)+len(out) != len(head) || len(cells[0]) != len(left) {
			t.Errorf("%s in %d columns: without %q, want %q", c.keep, c.columns, got, c.want)
		}
	}
	if len(rows[0]) != len(head) {
		t.Error("the rows themselves were cut")
	}
}
