package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"overstay/connlog"
	"overstay/detector"
	"overstay/detector/loss"
	"overstay/internal/app"
	"overstay/internal/traffic"
)

// scenarioLog is the log of one of the traffic's scenarios, line by line, as if
// it began then.
func scenarioLog(t *testing.T, name string, begin time.Time) [][]byte {
	t.Helper()
	for _, s := range traffic.Scenarios() {
		if s.Name != name {
			continue
		}
		sim := s.Simulation(1)
		sim.Begin = begin
		events, err := sim.Events()
		if err != nil {
			t.Fatal(err)
		}
		var lines [][]byte
		for e := range events {
			lines = append(lines, append(connlog.Append(nil, e), '\n'))
		}
		return lines
	}
	t.Fatalf("no scenario %q", name)
	return nil
}

// newYear is a begin for logs where it is of no matter.
var newYear = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func writeFile(t *testing.T, name string, text []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := writeAt(path, text); err != nil {
		t.Fatal(err)
	}
	return path
}

func writeAt(path string, text []byte) error { return os.WriteFile(path, text, 0o600) }

// few replays are enough where the numbers are not looked at.
var few = loss.Question{Seed: 1, Seeds: 2, Singles: -1}

func analyze(t *testing.T, cfg *app.Config, paths ...string) *app.Analysis {
	t.Helper()
	a, err := app.Analyze(t.Context(), cfg, app.AnalyzeOptions{Logs: app.Logs{Paths: paths}, Question: few})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestAnalyzeDecidesAsDetect follows a log as a detector does that is put
// beside a server, and wants its decisions from analyze, to the byte.
func TestAnalyzeDecidesAsDetect(t *testing.T) {
	// Bans that last, so that none is over before it comes to the list.
	cfg := configOf(t, sitting)
	cfg.State = t.TempDir()
	lines := scenarioLog(t, "net-of-holders", time.Now().UTC().Add(-12*time.Minute).Truncate(time.Second))
	path := writeFile(t, "connections.log", bytes.Join(lines, nil))

	var live []detector.Decision
	ctx, stop := context.WithCancel(t.Context())
	err := app.Detect(ctx, cfg, path, app.DetectOptions{
		Decided: func(d app.Decided) { live = append(live, d.Decision) },
		Live:    func(detector.Stats) { stop() },
	})
	if err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if len(live) < 10 {
		t.Fatalf("only %d decisions to compare", len(live))
	}
	a := analyze(t, cfg, path)
	sameDecisions(t, "analyze", live, a.Decisions)
	if len(a.Pools) != 1 || a.Pools[0].Policy.Averted.Median <= 0 {
		t.Errorf("the bans avert nothing: %+v", a.Pools)
	}
}

// TestAnalyzeReadsFilesInAnyForm cuts a log in three, one plain, one gzip, one
// zstd, and names them in the wrong order.
func TestAnalyzeReadsFilesInAnyForm(t *testing.T) {
	lines := scenarioLog(t, "slow-holder", newYear)
	whole := analyze(t, app.Default(), writeFile(t, "whole.log", bytes.Join(lines, nil)))
	if len(whole.Decisions) == 0 {
		t.Fatal("nothing is decided on this log")
	}
	n := len(lines) / 3
	var gz, zst bytes.Buffer
	zipped := gzip.NewWriter(&gz)
	packed, err := zstd.NewWriter(&zst)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []error{
		write(zipped, lines[n:2*n]), zipped.Close(), write(packed, lines[2*n:]), packed.Close(),
	} {
		if step != nil {
			t.Fatal(step)
		}
	}
	parts := analyze(t, app.Default(),
		writeFile(t, "c.zst", zst.Bytes()), writeFile(t, "a", bytes.Join(lines[:n], nil)), writeFile(t, "b.gz", gz.Bytes()))
	if parts.Read.Files != 3 || parts.Read.Lines != whole.Read.Lines || !parts.Read.From.Equal(whole.Read.From) || !parts.Read.To.Equal(whole.Read.To) {
		t.Errorf("read %+v, want as much as of %+v", parts.Read, whole.Read)
	}
	sameDecisions(t, "in three files", whole.Decisions, parts.Decisions)
	if a, b := asJSON(t, whole.Pools), asJSON(t, parts.Pools); a != b {
		t.Errorf("in three files:\n%s\nwant\n%s", b, a)
	}

	stdin, err := app.Analyze(t.Context(), app.Default(), app.AnalyzeOptions{Logs: app.Logs{Paths: []string{app.FromStdin}, Stdin: bytes.NewReader(bytes.Join(lines, nil))}, Question: few})
	if err != nil {
		t.Fatal(err)
	}
	sameDecisions(t, "from standard input", whole.Decisions, stdin.Decisions)
}

func write(w interface{ Write([]byte) (int, error) }, lines [][]byte) error {
	_, err := w.Write(bytes.Join(lines, nil))
	return err
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestLogsThatCannotBeRead wants an error for each, unless another file has
// something to tell.
func TestLogsThatCannotBeRead(t *testing.T) {
	good := writeFile(t, "good.log", bytes.Join(scenarioLog(t, "slow-holder", newYear)[:100], nil))
	missing := filepath.Join(t.TempDir(), "missing.log")
	var gz bytes.Buffer
	zipped := gzip.NewWriter(&gz)
	if err := errors.Join(write(zipped, scenarioLog(t, "slow-holder", newYear)[:1000]), zipped.Close()); err != nil {
		t.Fatal(err)
	}
	newer := writeFile(t, "newer.log", []byte(`{"time":"2026-01-01T00:00:00.000000Z","event":"start","boot":"b","seq":1,"schema":99}`+"\n"))
	var none *app.NoEventsError
	for _, c := range []struct {
		name, path, says string
		want             func(error) bool
	}{
		{"missing", missing, "no such file", func(err error) bool { return errors.Is(err, fs.ErrNotExist) }},
		{"folder", t.TempDir(), "is a directory", func(err error) bool { return errors.Is(err, syscall.EISDIR) }},
		{"empty", writeFile(t, "empty", nil), "empty", func(err error) bool { return errors.As(err, &none) }},
		{"text", writeFile(t, "text", []byte("not a log\nat all\n")), "no log that is known", func(err error) bool { return errors.Is(err, app.ErrFormatUnknown) }},
		{"binary", writeFile(t, "binary", bytes.Repeat([]byte{0, 0xff, 0x1b, '{'}, 1<<18)), "tells of no connection", func(err error) bool { return errors.As(err, &none) }},
		{"newer", newer, "newer version", func(err error) bool { return errors.As(err, &none) && none.Newer }},
		{"cut off", writeFile(t, "cut.gz", gz.Bytes()[:20]), "damaged", func(err error) bool { return errors.Is(err, connlog.ErrCompressed) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := app.Analyze(t.Context(), app.Default(), app.AnalyzeOptions{Logs: app.Logs{Paths: []string{c.path}}, Question: few})
			if err == nil || !c.want(err) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("alone: %v", err)
			}
			a := analyze(t, app.Default(), c.path, good)
			if a.Read.Files != 2 || a.Read.From.IsZero() {
				t.Errorf("beside another: %+v", a.Read)
			}
			unreadable := slices.Contains([]string{"missing", "folder", "text", "cut off"}, c.name)
			if (a.Read.Err() != nil) != unreadable || (len(a.Read.Unreadable) > 0) != unreadable {
				t.Errorf("beside another: %v, %v", a.Read.Err(), a.Read.Unreadable)
			}
		})
	}
	_, err := app.Analyze(t.Context(), app.Default(), app.AnalyzeOptions{Logs: app.Logs{Paths: []string{good, app.FromStdin}, Stdin: strings.NewReader("")}, Question: few})
	if !errors.Is(err, app.ErrStdinAlone) {
		t.Errorf("standard input beside a file: %v", err)
	}
	ended, stop := context.WithCancel(t.Context())
	stop()
	if _, err := app.Analyze(ended, app.Default(), app.AnalyzeOptions{Logs: app.Logs{Paths: []string{good}}, Question: few}); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}
