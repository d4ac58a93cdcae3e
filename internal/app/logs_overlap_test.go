package app_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"overstay/detector/occupancy"
	"overstay/internal/app"
)

// TestConnectionLogsThatOverlap wants a connection log of another server, or
// lines that are out of order, to be left out and named, and what is of one
// server to be read on.
func TestConnectionLogsThatOverlap(t *testing.T) {
	lines := scenarioLog(t, "slow-holder", newYear)
	half := len(lines) / 2
	text := func(lines [][]byte, change ...string) []byte {
		return []byte(strings.NewReplacer(change...).Replace(string(bytes.Join(lines, nil))))
	}
	boot := `"boot":"` + bootOf(t, lines[0]) + `"`
	other := []string{`"host":"server.example.org"`, `"host":"other.example.org"`, boot, `"boot":"another"`}
	shifted := scenarioLog(t, "slow-holder", newYear.Add(30*time.Second))
	services := map[bool][][]byte{}
	for i, line := range lines {
		services[i%2 == 0] = append(services[i%2 == 0], line)
	}
	for _, c := range []struct {
		name     string
		first    []byte
		second   []byte
		left     bool // out, the second
		sameRest bool // the figures are those of the first alone
	}{
		{"of two servers", text(lines), text(shifted, other...), true, true},
		{"of two servers, one after the other", text(lines), text(scenarioLog(t, "slow-holder", newYear.Add(time.Hour)), other...), false, false},
		{"of one server, begun again with its clock set back", text(lines), text(shifted, boot, `"boot":"another"`), false, false},
		{"rotated", text(lines[:half]), text(lines[half:]), false, false},
		{"twice", text(lines), text(lines), false, true},
		{"lines of one log, in two", text(services[true]), text(services[false]), true, true},
		{"of another program", text(lines), balancedAt(newYear.Add(10 * time.Second)), true, true},
		{"of another program, which is first", balancedAt(newYear.Add(-30 * time.Second)), text(lines), true, true},
		{"of another program, before", balancedAt(newYear.Add(-time.Hour)), text(lines), false, false},
		{"converted ones", converted(t, balancedAt(newYear)), converted(t, balancedAt(newYear.Add(10*time.Second))), true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			first, second := writeFile(t, "first.log", c.first), writeFile(t, "second.log", c.second)
			a := analyze(t, app.Default(), second, first)
			var overlap *app.OverlapError
			if c.left != errors.As(a.Read.Err(), &overlap) || c.left != slices.Contains(a.Read.Unreadable, second) {
				t.Errorf("%v; not read: %v", a.Read.Err(), a.Read.Unreadable)
			}
			if i := slices.IndexFunc(a.Read.Each, func(f app.LogFile) bool { return f.Name == second }); i < 0 || c.left != (a.Read.Each[i].Err != nil) {
				t.Errorf("the files: %+v", a.Read.Each)
			}
			alone := analyze(t, app.Default(), first)
			sums := func(r *occupancy.Report) string {
				return fmt.Sprint(r.From, r.To, r.Connections, r.Sources, r.ThreadTime, r.OpenAtEnd, r.Full)
			}
			if same := sums(alone.Occupancy) == sums(a.Occupancy); same != c.sameRest {
				t.Errorf("the figures are those of the first alone: %t", same)
			}
		})
	}
}

func bootOf(t *testing.T, line []byte) string {
	t.Helper()
	_, rest, ok := strings.Cut(string(line), `"boot":"`)
	name, _, more := strings.Cut(rest, `"`)
	if !ok || !more {
		t.Fatalf("no boot in %s", line)
	}
	return name
}

// balancedAt is a minute of a balancer's log.
func balancedAt(from time.Time) []byte {
	var all []farmed
	for i := range 120 {
		at := from.Add(time.Duration(i) * 500 * time.Millisecond)
		all = append(all, farmed{from: at, to: at.Add(3 * time.Second), ip: netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})})
	}
	return bytes.Join(balanced(all), nil)
}

func converted(t *testing.T, log []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	if _, err := app.Convert(t.Context(), app.Logs{Paths: []string{writeFile(t, "log", log)}}, &out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestMailServersSideBySide wants processes of two servers that have the same
// numbers to be kept apart, and a connection that goes over the end of a file to
// be one.
func TestMailServersSideBySide(t *testing.T) {
	line := func(minute int, host, text string) string {
		return fmt.Sprintf("%s %s postfix/smtpd[7]: %s\n", newYear.Add(time.Duration(minute)*time.Minute).Format(time.RFC3339), host, text)
	}
	a1 := line(0, "mx1", "connect from a.example[192.0.2.1]") + line(1, "mx1", "disconnect from a.example[192.0.2.1]") + line(2, "mx1", "connect from b.example[192.0.2.2]")
	a2 := line(30, "mx1", "disconnect from b.example[192.0.2.2]") + line(31, "mx1", "connect from a.example[192.0.2.1]") + line(32, "mx1", "disconnect from a.example[192.0.2.1]")
	b := line(1, "mx2", "connect from c.example[192.0.2.3]") + line(20, "mx2", "disconnect from c.example[192.0.2.3]") + line(25, "mx2", "connect from d.example[192.0.2.4]") + line(50, "mx2", "disconnect from d.example[192.0.2.4]")
	folder := t.TempDir()
	var paths []string
	for name, text := range map[string]string{"mail.log": a2, "other.log": b, "mail.log.1": a1} {
		paths = append(paths, filepath.Join(folder, name))
		if err := writeAt(paths[len(paths)-1], []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	r := analyze(t, app.Default(), paths...)
	held := map[string]time.Duration{}
	for _, h := range r.Occupancy.Ranking {
		held[h.Source.String()] = h.ThreadTime
	}
	want := map[string]time.Duration{"192.0.2.1/32": 2 * time.Minute, "192.0.2.2/32": 28 * time.Minute, "192.0.2.3/32": 19 * time.Minute, "192.0.2.4/32": 25 * time.Minute}
	if fmt.Sprint(held) != fmt.Sprint(want) || r.Read.Orphans > 0 || r.Read.Late > 0 {
		t.Errorf("held %v, want %v; %d orphans, %d late", held, want, r.Read.Orphans, r.Read.Late)
	}
}
