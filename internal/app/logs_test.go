package app_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"overstay/connlog"
	"overstay/connlog/bulk"
	"overstay/detector/occupancy"
	"overstay/internal/app"
)

var visitor = netip.MustParseAddr("192.0.2.9")

// TestLinesOfALaterVersion stand between those of this one, in the middle of a
// batch and over several. None of them counts, and all are counted.
func TestLinesOfALaterVersion(t *testing.T) {
	var log bytes.Buffer
	seq, conn := uint64(0), uint64(0)
	at := newYear
	line := func(e connlog.Event) {
		seq++
		at = at.Add(time.Millisecond)
		e.Time, e.Boot, e.Seq = at, "b", seq
		log.Write(append(connlog.Append(nil, &e), '\n'))
	}
	start := func(schema int) { line(connlog.Event{Kind: connlog.Start, Schema: schema, Continued: true}) }
	visits := func(n int) {
		for range n {
			conn++
			e := connlog.Event{Kind: connlog.Open, Service: "www", Conn: conn, ClientIP: visitor}
			line(e)
			e.Kind, e.Held, e.End = connlog.Close, time.Millisecond, connlog.EndClient
			line(e)
		}
	}
	start(connlog.SchemaVersion)
	visits(10)
	start(connlog.SchemaVersion + 1)
	visits(5000) // Many chunks.
	start(connlog.SchemaVersion)
	visits(20)
	start(connlog.SchemaVersion + 1)
	visits(3)
	path := writeFile(t, "versions.log", log.Bytes())
	for workers := 1; workers <= 4; workers++ {
		a, err := app.Analyze(t.Context(), app.Default(), app.AnalyzeOptions{Logs: app.Logs{Paths: []string{path}, Workers: workers}})
		if err != nil {
			t.Fatal(err)
		}
		if a.Occupancy.Connections != 30 || a.Read.Newer != 2*5003+2 {
			t.Errorf("%d workers: %d connections, %d lines of a later version; want 30 and %d", workers, a.Occupancy.Connections, a.Read.Newer, 2*5003+2)
		}
	}
}

// TestKindsOfLogsTogether reads a connection log and logs of two other servers
// in one run, in any order of naming: no connection is taken for another.
func TestKindsOfLogsTogether(t *testing.T) {
	dir := t.TempDir()
	files := map[string]string{
		"own.log":  "",
		"web.log":  "",
		"mail.log": "",
	}
	var own, web, mail strings.Builder
	for i := range 200 {
		at := newYear.Add(time.Duration(i) * time.Second)
		open := connlog.Event{Kind: connlog.Open, Time: at, Boot: "b", Seq: uint64(2*i + 1), Service: "imap", Conn: uint64(i + 1), ClientIP: visitor}
		own.Write(append(connlog.Append(nil, &open), '\n'))
		end := connlog.Event{Kind: connlog.Close, Time: at.Add(time.Millisecond), Boot: "b", Seq: uint64(2*i + 2), Service: "imap", Conn: uint64(i + 1), ClientIP: visitor, Held: time.Millisecond, End: connlog.EndClient}
		own.Write(append(connlog.Append(nil, &end), '\n'))
		later := at.Add(time.Hour)
		fmt.Fprintf(&web, "192.0.2.7:4000 [%s] raw t/n2 1/0/250 255 -- 1/1/0/0/0 0/0\n", later.Format("02/Jan/2006:15:04:05.000"))
		later = later.Add(time.Hour)
		fmt.Fprintf(&mail, "%s mx postfix/smtpd[%d]: connect from x[198.51.100.7]\n", later.Format(time.RFC3339), i)
		fmt.Fprintf(&mail, "%s mx postfix/smtpd[%d]: disconnect from x[198.51.100.7] quit=1 commands=1\n", later.Add(time.Second).Format(time.RFC3339), i)
	}
	files["own.log"], files["web.log"], files["mail.log"] = own.String(), web.String(), mail.String()
	var paths []string
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	slices.Sort(paths)
	for range 3 {
		paths = append(paths[1:], paths[0])
		a := analyze(t, app.Default(), paths...)
		var order []string
		for _, f := range a.Read.Each {
			order = append(order, f.Format)
		}
		if !slices.Equal(order, []string{bulk.Native, "haproxy", "postfix"}) {
			t.Errorf("read in the order %v", order)
		}
		r := a.Occupancy
		if r.Connections != 600 || r.ThreadTime != 200*(time.Millisecond+250*time.Millisecond+time.Second) || r.OpenAtEnd != 0 || r.Orphans != 0 {
			t.Errorf("%d connections, %v of thread time, %d open, %d orphans", r.Connections, r.ThreadTime, r.OpenAtEnd, r.Orphans)
		}
		if g := a.Gives(); !g.Durations || g.Clock != time.Second {
			t.Errorf("it gives %+v: as much as the coarsest of them", g)
		}
	}
}

// TestStandardInputTellsTheSame as a file does, whether it is read once or kept
// to be read again.
func TestStandardInputTellsTheSame(t *testing.T) {
	text := bytes.Join(scenarioLog(t, "slow-holder", newYear)[:8000], nil)
	path := writeFile(t, "file.log", text)
	for name, o := range map[string]app.AnalyzeOptions{
		"once":    {},
		"kept":    {Buckets: 10},
		"bounded": {From: momentOf(t, "2m")},
	} {
		o.Question = few
		o.Logs = app.Logs{Paths: []string{path}}
		want, err := app.Analyze(t.Context(), app.Default(), o)
		if err != nil {
			t.Fatal(err)
		}
		if len(want.Decisions) == 0 {
			t.Fatal("nothing is decided on this log")
		}
		o.Logs = app.Logs{Paths: []string{app.FromStdin}, Stdin: bytes.NewReader(text)}
		got, err := app.Analyze(t.Context(), app.Default(), o)
		if err != nil {
			t.Fatal(err)
		}
		sameDecisions(t, name, want.Decisions, got.Decisions)
		for what, two := range map[string][2]any{
			"occupancy": {want.Occupancy, got.Occupancy}, "timeline": {want.Timeline, got.Timeline}, "pools": {want.Pools, got.Pools},
		} {
			if a, b := asJSON(t, two[0]), asJSON(t, two[1]); a != b {
				t.Errorf("%s: %s:\n%s\nwant\n%s", name, what, b, a)
			}
		}
	}
}

// TestAnalyzeIsTheSameForAnyWorkers and for files cut anywhere between lines.
func TestAnalyzeIsTheSameForAnyWorkers(t *testing.T) {
	lines := scenarioLog(t, "slow-holder", newYear)[:6000]
	whole := analyze(t, app.Default(), writeFile(t, "whole.log", bytes.Join(lines, nil)))
	want := asJSON(t, whole.Occupancy)
	for workers := 1; workers <= 4; workers++ {
		cut := 1000 * workers
		paths := []string{
			writeFile(t, "b.log", bytes.Join(lines[cut:], nil)), writeFile(t, "a.log", bytes.Join(lines[:cut], nil)),
		}
		a, err := app.Analyze(t.Context(), app.Default(), app.AnalyzeOptions{Logs: app.Logs{Paths: paths, Workers: workers}, Question: few})
		if err != nil {
			t.Fatal(err)
		}
		if got := asJSON(t, a.Occupancy); got != want {
			t.Errorf("%d workers:\n%s\nwant\n%s", workers, got, want)
		}
		sameDecisions(t, fmt.Sprint(workers, " workers"), whole.Decisions, a.Decisions)
	}
}

// TestRankedByWhatTheLogTells and by what is asked for.
func TestRankedByWhatTheLogTells(t *testing.T) {
	access := writeFile(t, "access.log", []byte(strings.Repeat(`198.51.100.7 - - [02/Jan/2026:03:04:05 +0000] "GET / HTTP/1.1" 200 512 "-" "x"`+"\n", 3)))
	auth := writeFile(t, "auth.log", []byte(strings.Repeat("2026-01-02T03:04:05Z host sshd[101]: Failed password for root from 198.51.100.7 port 4000 ssh2\n", 3)))
	for _, c := range []struct {
		path string
		by   occupancy.By
		why  app.Unexplained
	}{{access, occupancy.ByConnections, app.NoDurations}, {auth, occupancy.ByFails, app.NoOpenings}} {
		a := analyze(t, app.Default(), c.path)
		if a.By != c.by || a.Unexplained != c.why {
			t.Errorf("%s: by %s, %q; want by %s, %q", filepath.Base(c.path), a.By, a.Unexplained, c.by, c.why)
		}
	}
}
