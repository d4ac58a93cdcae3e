package app_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"overstay/detector"
	"overstay/detector/occupancy"
	"overstay/internal/app"
)

// longLog is a log that tells of connections when they end: many short ones,
// and five that began among the first and ended among the last.
func longLog() []byte {
	const short, apart = 50_000, 50 * time.Millisecond
	var log bytes.Buffer
	line := func(from time.Time, held time.Duration, ip string) {
		fmt.Fprintf(&log, "%s:4000 [%s] raw t/n2 1/0/%d 255 -- 1/1/0/0/0 0/0\n", ip, from.Format("02/Jan/2006:15:04:05.000"), held.Milliseconds())
	}
	for i := range short {
		line(newYear.Add(time.Duration(i)*apart), 10*time.Millisecond, "192.0.2.7")
	}
	for i := range 5 {
		line(newYear.Add(time.Duration(i+1)*time.Second), short*apart, "203.0.113.9")
	}
	return log.Bytes()
}

// TestLongConnectionsInALogOfEnds wants them where they began, however much came
// between, in all that reads the log.
func TestLongConnectionsInALogOfEnds(t *testing.T) {
	path := writeFile(t, "long.log", longLog())
	o := app.AnalyzeOptions{Logs: app.Logs{Paths: []string{path}, Format: app.LogFormat{Threads: app.Threads{Each: 5}}}, Decide: true, Question: few}
	a, err := app.Analyze(t.Context(), app.Default(), o)
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, read app.LogsRead, r *occupancy.Report) {
		t.Helper()
		top := r.Ranking[0]
		if read.Late != 0 || top.Peak.High != 5 || !top.First.Equal(newYear.Add(time.Second)) || r.Connections != 50_005 {
			t.Errorf("%s: %d events late; %s held at most %d, from %v on; %d connections", what, read.Late, top.Source, top.Peak.High, top.First, r.Connections)
		}
		if len(r.Full) == 0 || r.Full[0].From.After(newYear.Add(6*time.Second)) {
			t.Errorf("%s: it was full at %+v", what, r.Full)
		}
	}
	check("analyze", a.Read, a.Occupancy)

	var out bytes.Buffer
	read, err := app.Convert(t.Context(), o.Logs, &out)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(out.Bytes(), []byte(`"client_ip":"203.0.113.9","client_port":4000,"busy":1,"threads":5,"line":50001}`)) {
		t.Error("the beginning of a long connection does not say its line, or its port")
	}
	o.Logs.Paths = []string{writeFile(t, "converted.log", out.Bytes())}
	b, err := app.Analyze(t.Context(), app.Default(), o)
	if err != nil {
		t.Fatal(err)
	}
	check("convert", read, b.Occupancy)
}

// many bans who holds five threads.
const many = `
[detector]
default_policies = false
[[policy]]
name = "many"
when = "open >= 5"
action = "ban"
duration = "30m"
`

// TestLongConnectionsAreJudgedWhereTheyBegan wants of all that judges a log what
// analyze says of it.
func TestLongConnectionsAreJudgedWhereTheyBegan(t *testing.T) {
	logs := app.Logs{Paths: []string{writeFile(t, "long.log", longLog())}, Format: app.LogFormat{Threads: app.Threads{Each: 5}}}
	cfg := configOf(t, many)
	fifth, holder := newYear.Add(5*time.Second), netip.MustParsePrefix("203.0.113.9/32")
	check := func(what string, read app.LogsRead, decisions ...detector.Decision) {
		t.Helper()
		if read.Late != 0 || len(decisions) != 1 || !decisions[0].At.Equal(fifth) || decisions[0].Source != holder {
			t.Errorf("%s: %d events late; %d decisions: %s", what, read.Late, len(decisions), asJSON(t, decisions))
		}
	}
	a, err := app.Analyze(t.Context(), cfg, app.AnalyzeOptions{Logs: logs, Decide: true, Question: few})
	if err != nil {
		t.Fatal(err)
	}
	check("analyze", a.Read, a.Decisions...)

	d, err := app.DiffPolicies(t.Context(), cfg, configOf(t, "[detector]\ndefault_policies = false\n"), logs, few)
	if err != nil {
		t.Fatal(err)
	}
	var old []detector.Decision
	for _, u := range d.OnlyOld {
		old = append(old, u.Decision)
	}
	check("policy diff", d.Read, old...)

	r, err := app.ExplainSource(t.Context(), cfg, holder, app.WhyOptions{Logs: logs, Question: few})
	if err != nil {
		t.Fatal(err)
	}
	check("why ADDRESS", r.Read, r.Decisions...)
	if !r.Seen.First.Equal(newYear.Add(time.Second)) || r.Seen.Opened != 5 {
		t.Errorf("why ADDRESS: %d connections, the first at %v", r.Seen.Opened, r.Seen.First)
	}

	w, err := app.ExplainWhy(t.Context(), cfg, app.WhyOptions{Logs: logs, Question: few})
	if err != nil {
		t.Fatal(err)
	}
	check("why", w.Read, a.Decisions...)
	if len(w.Reports) != 1 || len(w.Reports[0].Idle) != 1 || !w.Reports[0].Idle[0].Since.Equal(fifth) {
		t.Errorf("why: %s", asJSON(t, w.Reports))
	}
}
