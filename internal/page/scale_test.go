package page

import (
	"fmt"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // a zone whose clock is set twice a year, on every machine
)

func TestAxisIsRound(t *testing.T) {
	for _, test := range []struct {
		most  float64
		steps int
		want  axis
	}{
		{0, 5, axis{1, 1}}, {.3, 5, axis{1, 1}}, {1, 5, axis{1, 1}}, {3, 5, axis{3, 1}}, {7, 5, axis{8, 2}},
		{20, 5, axis{20, 5}}, {100, 5, axis{100, 20}}, {101, 5, axis{150, 50}}, {987, 5, axis{1000, 200}},
		{1, 2, axis{1, 1}}, {25, 2, axis{40, 20}}, {80000, 2, axis{100000, 50000}},
	} {
		if got := axisFor(test.most, test.steps); got != test.want {
			t.Errorf("axis for %v in %d steps: %v, want %v", test.most, test.steps, got, test.want)
		}
	}
	for most := .5; most < 1e7; most *= 1.07 {
		a := axisFor(most, 5)
		if marks := a.marks(); a.Top < most || len(marks) > 6 || len(marks) < 2 || a.Top > 2.5*max(most, 1) {
			t.Errorf("axis for %v: to %v with %d ticks", most, a.Top, len(marks))
		}
	}
}

// TestTimesAreRound wants ticks at round times of the zone's own clock.
func TestTimesAreRound(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, from string
		span       time.Duration
		most       int
		want       string
	}{
		{"seconds", "2026-03-14 22:59:58", 9 * time.Second, 9, "22:59:58(14 Mar 2026) 22:59:59 23:00:00 23:00:01 23:00:02 23:00:03 23:00:04 23:00:05 23:00:06 23:00:07"},
		{"an hour", "2026-03-14 22:43:10", time.Hour, 4, "22:45(14 Mar 2026) 23:00 23:15 23:30"},
		{"past midnight", "2026-03-14 22:43:10", 4 * time.Hour, 4, "23:00(14 Mar 2026) 00:00(15 Mar 2026) 01:00 02:00"},
		{"the clock is set forward", "2026-03-29 00:30:00", 4 * time.Hour, 4, "01:00(29 Mar 2026) 03:00 04:00 05:00"},
		{"days", "2026-12-30 10:00:00", 3 * 24 * time.Hour, 4, "31 Dec(2026) 1 Jan(2027) 2 Jan"},
		{"weeks", "2026-03-01 10:00:00", 40 * 24 * time.Hour, 4, "2 Mar(2026) 12 Mar 22 Mar 1 Apr"},
		{"a moment", "2026-03-01 10:00:00", 300 * time.Millisecond, 4, "10:00:00(1 Mar 2026)"},
		{"no time", "2026-03-01 10:00:00", 0, 4, ""},
	} {
		from, err := time.ParseInLocation(time.DateTime, test.from, berlin)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, m := range timeMarks(from, from.Add(test.span), berlin, test.most) {
			if m.Date != "" {
				m.Label += "(" + m.Date + ")"
			}
			got = append(got, m.Label)
		}
		if text := strings.Join(got, " "); text != test.want {
			t.Errorf("%s: %s\nwant %s", test.name, text, test.want)
		}
	}
}

// TestTimesAreFew wants some ticks for any span, and never more than asked for.
func TestTimesAreFew(t *testing.T) {
	from := time.Date(2026, 3, 14, 22, 43, 10, 0, time.UTC)
	for span := 2 * time.Second; span < 40*365*day; span += span / 4 {
		marks := timeMarks(from, from.Add(span), time.UTC, 9)
		if len(marks) == 0 || len(marks) > 10 {
			t.Errorf("%v: %d ticks", span, len(marks))
		}
		for _, m := range marks {
			if at := float64At(t, m.At); at < 0 || at > 1 {
				t.Errorf("%v: a tick at %s", span, m.At)
			}
		}
	}
	if got := fmt.Sprint(timeMarks(from, from.Add(time.Minute), time.UTC, 4)[0].At); got != "8.33%" {
		t.Errorf("the tick at 22:43:15 stands at %s, want 8.33%%", got)
	}
}
