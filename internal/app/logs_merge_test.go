package app_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"overstay/connlog"
	"overstay/detector/occupancy"
	"overstay/internal/app"
)

// farmed is a connection to one of several servers.
type farmed struct {
	from, to time.Time
	ip       netip.Addr
}

// farm makes connections to servers that work at the same time, each from then
// until then. No two things happen in one millisecond.
func farm(rng *rand.Rand, taken map[time.Time]bool, from, to time.Time, apart time.Duration) (all []farmed) {
	free := func(t time.Time) time.Time {
		for t = t.Truncate(time.Millisecond); taken[t]; {
			t = t.Add(time.Millisecond)
		}
		taken[t] = true
		return t
	}
	for t := from; t.Before(to); t = t.Add(time.Duration(rng.Int64N(int64(2 * apart)))) {
		s := farmed{from: free(t), ip: netip.AddrFrom4([4]byte{192, 0, 2, byte(rng.IntN(200))})}
		held := time.Duration(rng.Int64N(int64(time.Second)))
		if rng.IntN(8000) == 0 { // A holder, now here and now there.
			s.ip, held = netip.MustParseAddr("203.0.113.9"), 10*time.Minute
		}
		s.to = free(s.from.Add(held + time.Millisecond))
		all = append(all, s)
	}
	return all
}

// balanced is what HAProxy writes of connections: a line at the end of each.
func balanced(all []farmed) (lines [][]byte) {
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b farmed) int { return a.to.Compare(b.to) })
	for _, s := range all {
		lines = append(lines, fmt.Appendf(nil, "%s:4000 [%s] raw t/n2 1/0/%d 255 -- 1/1/0/0/0 0/0\n",
			s.ip, s.from.Format("02/Jan/2006:15:04:05.000"), s.to.Sub(s.from).Milliseconds()))
	}
	return lines
}

// written is the connection log of one server that served all of them.
func written(all []farmed) []byte {
	var events []connlog.Event
	for i, s := range all {
		e := connlog.Event{Kind: connlog.Open, Time: s.from, Service: "raw", Conn: uint64(i + 1), ClientIP: s.ip}
		events = append(events, e)
		e.Kind, e.Time, e.Held, e.End = connlog.Close, s.to, s.to.Sub(s.from), connlog.EndClient
		events = append(events, e)
	}
	slices.SortFunc(events, func(a, b connlog.Event) int { return a.Time.Compare(b.Time) })
	log := append(connlog.Append(nil, &connlog.Event{Kind: connlog.Start, Time: events[0].Time, Boot: "one", Seq: 1, Schema: 1}), '\n')
	for i := range events {
		events[i].Boot, events[i].Seq = "one", uint64(i+2)
		log = append(connlog.Append(log, &events[i]), '\n')
	}
	return log
}

// TestLogsOfSeveralServers wants of logs that overlap in time what is in one log
// of the same connections.
func TestLogsOfSeveralServers(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	taken := map[time.Time]bool{}
	at := func(minutes int) time.Time { return newYear.Add(time.Duration(minutes) * time.Minute) }
	a := farm(rng, taken, at(20), at(40), 15*time.Millisecond)
	b := farm(rng, taken, at(0), at(80), 50*time.Millisecond)
	c := farm(rng, taken, at(90), at(92), 50*time.Millisecond) // After them.
	d := farm(rng, taken, at(25), at(35), time.Second)
	everything := slices.Concat(a, b, c, d)
	folder := t.TempDir()
	file := func(name string, lines [][]byte) string {
		path := filepath.Join(folder, name)
		if err := writeAt(path, bytes.Join(lines, nil)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	first := balanced(a)
	paths := []string{
		file("a.log", first[len(first)/3:]), file("a.log.1", first[:len(first)/3]),
		file("later.log", balanced(c)), file("b.log", balanced(b)), file("d.log", balanced(d)),
	}
	cfg := configOf(t, strings.Replace(many, ">= 5", ">= 4", 1))
	analyzed := func(workers int, decide bool, paths ...string) *app.Analysis {
		t.Helper()
		o := app.AnalyzeOptions{
			Logs:   app.Logs{Paths: paths, Workers: workers, Format: app.LogFormat{Threads: app.Threads{Each: 66}}},
			Decide: decide, Question: few,
		}
		r, err := app.Analyze(t.Context(), cfg, o)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Read.Err(); err != nil || r.Read.Late > 0 {
			t.Errorf("%d events are late, %v", r.Read.Late, err)
		}
		return r
	}
	want := analyzed(0, true, file("all.log", [][]byte{written(everything)}))
	if len(want.Occupancy.Full) < 2 || len(want.Decisions) < 3 {
		t.Fatalf("%d stretches, %d decisions: there is not much to compare, peak %+v", len(want.Occupancy.Full), len(want.Decisions), want.Occupancy.Peak)
	}
	summary := func(r *app.Analysis) string {
		var text strings.Builder
		o := r.Occupancy
		fmt.Fprintf(&text, "%v to %v, %d connections of %d sources, held %v, peak %+v\n", o.From, o.To, o.Connections, o.Sources, o.ThreadTime, o.Peak)
		for _, f := range o.Full {
			fmt.Fprintf(&text, "full %v to %v\n", f.From, f.To)
		}
		ranking := slices.Clone(o.Ranking)
		slices.SortFunc(ranking, func(a, b occupancy.Holder) int { return cmp.Compare(a.Source.String(), b.Source.String()) })
		for _, h := range ranking {
			fmt.Fprintf(&text, "%s %d %v %+v %v %v\n", h.Source, h.Connections, h.ThreadTime, h.Peak, h.First, h.Last)
		}
		for _, d := range r.Decisions {
			fmt.Fprintf(&text, "%s %s %s %v\n", d.At, d.Source, d.Policy, d.Duration)
		}
		return text.String()
	}
	all := summary(want)
	if got := summary(analyzed(0, true, paths...)); got != all {
		t.Errorf("several files: %s", firstDifference(all, got))
	}
	want.Decisions = nil
	all = summary(want)
	for workers := range 3 {
		if got := summary(analyzed(workers+1, false, paths...)); got != all {
			t.Errorf("%d workers: %s", workers+1, firstDifference(all, got))
		}
	}
	var out bytes.Buffer
	read, err := app.Convert(t.Context(), app.Logs{Paths: paths}, &out)
	if err != nil || read.Late > 0 {
		t.Errorf("convert: %d events are late, %v", read.Late, err)
	}
	if got := summary(analyzed(0, false, file("converted.log", [][]byte{out.Bytes()}))); got != all {
		t.Errorf("converted: %s", firstDifference(all, got))
	}
	checkPlaces(t, out.Bytes())
}

// checkPlaces wants each event of a converted log to be told by the line of the
// file that it names.
func checkPlaces(t *testing.T, log []byte) {
	t.Helper()
	lines := map[string][]string{}
	wrong, places := 0, 0
	for line := range bytes.Lines(log) {
		var e struct {
			IP   string `json:"client_ip"`
			Line int    `json:"line"`
			File string `json:"file"`
		}
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatal(err)
		}
		if e.File == "" {
			continue // the first line
		}
		if lines[e.File] == nil {
			text, err := os.ReadFile(e.File)
			if err != nil {
				t.Fatal(err)
			}
			lines[e.File] = strings.Split(string(text), "\n")
		}
		places++
		if !strings.HasPrefix(lines[e.File][e.Line-1], e.IP+":") {
			wrong++
		}
	}
	if wrong > 0 || places == 0 || len(lines) != 5 {
		t.Errorf("of %d events %d name a line of another client; they are of %d files", places, wrong, len(lines))
	}
}

func firstDifference(want, got string) string {
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Sprintf("line %d of %d and %d:\n%s\nwant\n%s", i, len(b), len(a), b[i], a[i])
		}
	}
	return fmt.Sprintf("%d lines, want %d", len(b), len(a))
}
