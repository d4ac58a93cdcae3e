package app_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"overstay/internal/app"
)

// table is a table of sessions without any outcome, in which one client takes
// most of the threads.
func table() []byte {
	var text bytes.Buffer
	text.WriteString("ip,begin,end\n")
	for i := range 600 {
		from := newYear.Add(time.Duration(i) * time.Second)
		fmt.Fprintf(&text, "192.0.2.%d,%s,%s\n", i%200, from.Format(time.RFC3339), from.Add(2*time.Second).Format(time.RFC3339))
		if i%5 == 0 {
			fmt.Fprintf(&text, "203.0.113.9,%s,%s\n", from.Format(time.RFC3339), from.Add(5*time.Minute).Format(time.RFC3339))
		}
	}
	return text.Bytes()
}

// unprovenOnly goes by what such a table does not tell, holding by what it does.
const (
	unprovenOnly = `
[[policy]]
name = "unproven-only"
when = "unproven.open >= 10 && unproven.mean_age >= 5"
action = "suggest"
duration = "30m"
`
	holding = `
[[policy]]
name = "holding"
when = "open >= 0.2 * pool.threads"
action = "suggest"
duration = "30m"
`
)

// TestLogsWithoutOutcomes wants no decision from a policy that asks who has
// proven himself of a log that does not tell, in any command, and that said; and
// all others.
func TestLogsWithoutOutcomes(t *testing.T) {
	cfg := configOf(t, "[detector]\ndefault_policies = true\n"+unprovenOnly+holding)
	none := configOf(t, "[detector]\ndefault_policies = false\n")
	format := app.LogFormat{Threads: app.Threads{Each: 50}}
	mapped := format
	mapped.Name = "csv"
	if err := mapped.Map(map[string]string{"address": "ip", "begin": "begin", "end": "end"}); err != nil {
		t.Fatal(err)
	}
	log := writeFile(t, "sessions.csv", table())
	var converted bytes.Buffer
	if _, err := app.Convert(t.Context(), app.Logs{Paths: []string{log}, Format: mapped}, &converted); err != nil {
		t.Fatal(err)
	}
	for what, logs := range map[string]app.Logs{
		"table":             {Paths: []string{log}, Format: mapped},
		"standard input":    {Paths: []string{app.FromStdin}, Stdin: bytes.NewReader(table()), Format: mapped},
		"converted":         {Paths: []string{writeFile(t, "conn.log", converted.Bytes())}},
		"beside a full one": {Paths: []string{writeFile(t, "later.log", bytes.Join(scenarioLog(t, "slow-holder", newYear.Add(time.Hour))[:200], nil)), writeFile(t, "conn.log", converted.Bytes())}},
	} {
		check := func(by string, read app.LogsRead, policies []string) {
			t.Helper()
			if !slices.Equal(slices.Compact(policies), []string{"holding"}) {
				t.Errorf("%s, %s: decisions by %v", what, by, policies)
			}
			if len(read.LeftOut) != 12 || slices.Contains(read.LeftOut, "holding") || !strings.Contains(read.Gives.Note, "not applied: thread-hogging, ") {
				t.Errorf("%s, %s: left out are %v; %q", what, by, read.LeftOut, read.Gives.Note)
			}
		}
		a, err := app.Analyze(t.Context(), cfg, app.AnalyzeOptions{Logs: logs, Decide: true, Question: few})
		if err != nil {
			t.Fatal(err)
		}
		var by []string
		for _, d := range a.Decisions {
			by = append(by, d.Policy)
		}
		check("analyze", a.Read, by)
		if !slices.Equal(a.Policies, []string{"holding"}) {
			t.Errorf("%s: applied are %v", what, a.Policies)
		}
		if logs.Stdin != nil {
			continue
		}
		d, err := app.DiffPolicies(t.Context(), none, cfg, logs, few)
		if err != nil {
			t.Fatal(err)
		}
		by = nil
		for _, u := range d.OnlyNew {
			by = append(by, u.Decision.Policy)
		}
		check("policy diff", d.Read, by)
		w, err := app.ExplainWhy(t.Context(), cfg, app.WhyOptions{Logs: logs, Question: few})
		if err != nil {
			t.Fatal(err)
		}
		check("why", w.Read, []string{"holding"})
	}

	told := analyze(t, configOf(t, unprovenOnly), writeFile(t, "full.log", bytes.Join(scenarioLog(t, "slow-holder", newYear), nil)))
	if len(told.Read.LeftOut) > 0 || len(told.Policies) != 12 || told.Read.Gives.Note != "everything, at the moment it happens" {
		t.Errorf("of a log that tells all: left out are %v, applied %v; %q", told.Read.LeftOut, told.Policies, told.Read.Gives.Note)
	}
}
