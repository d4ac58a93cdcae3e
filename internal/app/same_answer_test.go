package app_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"overstay/connlog/formats"
	"overstay/detector"
	"overstay/internal/app"
)

// sharedLogs are logs of other people. They are no part of this repository.
const sharedLogs = "../../../shared/data"

// samples calls f with a log of each format, as the documentation has them, with
// those of testdata, and with other people's.
func samples(t *testing.T, f func(t *testing.T, path string)) {
	t.Helper()
	text, err := os.ReadFile("../../docs/formats.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, section := range strings.Split(string(text), "\n### ")[1:] {
		name, body, _ := strings.Cut(section, "\n")
		_, block, _ := strings.Cut(body, "\n```\n")
		block, _, ok := strings.Cut(block, "```")
		if !ok {
			t.Fatalf("%s has no lines", name)
		}
		t.Run(name, func(t *testing.T) { f(t, writeFile(t, name+".log", []byte(block))) })
	}
	paths, err := filepath.Glob("../../testdata/logs/*")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no logs in testdata: %v", err)
	}
	if err := filepath.WalkDir(sharedLogs, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			paths = append(paths, path)
		}
		return err
	}); err != nil {
		t.Logf("without other people's logs, which are no part of the repository: %v", err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) { f(t, path) })
	}
}

// TestNamedAsFound wants the answer of a log whose format is named to be that of
// one whose content tells it.
func TestNamedAsFound(t *testing.T) {
	met := map[string]bool{}
	samples(t, func(t *testing.T, path string) {
		ask := func(name string) (*app.Analysis, error) {
			return app.Analyze(t.Context(), app.Default(), app.AnalyzeOptions{
				Logs: app.Logs{Paths: []string{path}, Format: app.LogFormat{Name: name, Threads: app.Threads{Each: 3}}}, Decide: true, Question: few,
			})
		}
		found, err := ask(app.AutoFormat)
		if err != nil {
			t.Skip(err)
		}
		name := found.Read.Each[0].Format
		met[name] = true
		named, err := ask(name)
		if err != nil {
			t.Fatal(err)
		}
		a, b := fmt.Sprintf("%+v", found.Read), fmt.Sprintf("%+v", named.Read)
		if a != b {
			t.Errorf("as %s, read:\n%s\nwant\n%s", name, b, a)
		}
		if a, b := asJSON(t, found), asJSON(t, named); a != b {
			t.Errorf("as %s:\n%s\nwant\n%s", name, b, a)
		}
	})
	if all := len(formats.All()); !t.Failed() && len(met) < all-2 { // Two lines do not tell each from a kind that takes them, too.
		t.Errorf("%d of %d formats were met: %v", len(met), all, met)
	}
}

// eager decides wherever it can, by what logs tell.
const eager = `
[detector]
default_policies = false
bans_per_minute = 1000
[[policy]]
name = "came"
when = "opens >= 1"
action = "ban"
duration = "1m"
[[policy]]
name = "holds"
when = "open >= 0.3 * pool.threads && load1 > 0"
action = "suggest"
duration = "10m"
[[policy]]
name = "idles"
when = "unproven.open >= 1 && unproven.oldest >= 1"
action = "ban"
duration = "5m"
[[policy]]
name = "fails"
when = "fails >= 1 || refused >= 1"
action = "ban"
duration = "2m"
`

// TestConvertedIsJudgedAlike wants of a converted log the decisions that are
// made on the log that it was made of.
func TestConvertedIsJudgedAlike(t *testing.T) {
	cfg, none := configOf(t, eager), configOf(t, "[detector]\ndefault_policies = false\n")
	decided, by := 0, map[string]bool{}
	judge := func(t *testing.T, logs app.Logs) (analyzed, compared []string, leftOut []string) {
		t.Helper()
		a, err := app.Analyze(t.Context(), cfg, app.AnalyzeOptions{Logs: logs, Decide: true, Question: few})
		if err != nil {
			t.Fatal(err)
		}
		text := func(d *detector.Decision) string {
			return fmt.Sprintf("%s %s %s %s %v %s %d of %d held, %d of these", d.At.UTC(), d.Source, d.Policy, d.Action, d.Duration, d.Evidence.Pool, d.Evidence.Busy, d.Evidence.Threads, d.Evidence.Open)
		}
		for i := range a.Decisions {
			analyzed = append(analyzed, text(&a.Decisions[i]))
			by[a.Decisions[i].Policy] = true
		}
		diff, err := app.DiffPolicies(t.Context(), none, cfg, logs, few)
		if err != nil {
			t.Fatal(err)
		}
		for i := range diff.OnlyNew {
			compared = append(compared, text(&diff.OnlyNew[i].Decision))
		}
		return analyzed, compared, a.Read.LeftOut
	}
	samples(t, func(t *testing.T, path string) {
		logs := app.Logs{Paths: []string{path}, Format: app.LogFormat{Threads: app.Threads{Each: 3}}}
		var out bytes.Buffer
		if _, err := app.Convert(t.Context(), logs, &out); err != nil {
			t.Skip(err)
		}
		want, wantDiff, wantLeft := judge(t, logs)
		logs.Paths = []string{writeFile(t, "converted.log", out.Bytes())}
		got, gotDiff, gotLeft := judge(t, logs)
		decided += len(want)
		for what, two := range map[string][2][]string{"analyze": {want, got}, "policy diff": {wantDiff, gotDiff}, "left out": {wantLeft, gotLeft}} {
			if a, b := strings.Join(two[0], "\n"), strings.Join(two[1], "\n"); a != b {
				t.Errorf("%s: %s", what, firstDifference(a, b))
			}
		}
		if a, b := strings.Join(want, "\n"), strings.Join(wantDiff, "\n"); a != b {
			t.Errorf("analyze and policy diff: %s", firstDifference(a, b))
		}
	})
	if !t.Failed() && (decided < 50 || len(by) != 4) {
		t.Errorf("%d decisions by %v: there is not much to compare", decided, by)
	}
}
