package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"overstay/detector/loss"
	"overstay/internal/app"
)

// pageOf is the page of logs, and what it was made of.
func pageOf(t *testing.T, paths ...string) (*app.Analysis, string) {
	t.Helper()
	a, err := app.Analyze(t.Context(), app.Default(), app.AnalyzeOptions{
		Logs: app.Logs{Paths: paths, Format: app.LogFormat{Name: app.AutoFormat, Location: time.UTC, Now: time.Now()}},
		Top:  20, Buckets: 240, Question: loss.Question{Seed: 1, Seeds: 2, Singles: -1},
	})
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := (&ui{}).page(&text, a, nil); err != nil {
		t.Fatal(err)
	}
	return a, text.String()
}

// scenarioLog is the log of a scenario, as a file.
func scenarioLog(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name+".log")
	var text bytes.Buffer
	if err := writeScenario(&text, []string{name, "1"}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestPageTellsOfAnAttack wants the answer, the picture and the evidence of a
// log with an attack on its page, in this order.
func TestPageTellsOfAnAttack(t *testing.T) {
	a, text := pageOf(t, scenarioLog(t, "slow-holder"))
	rest := text
	worst := sourceText(a.Occupancy.Ranking[0].Source)
	for _, want := range []string{
		"<h1>Who held the threads: slow-holder.log</h1>", `<section class="verdict bad">`, "Banning " + worst,
		"Most at once", "<h2 id=\"chart1\">", `<span class="key k1">1</span>` + worst, `<path class="f1"`, `<path class="line limit"`,
		`<g class="mark"><text class="t1"`, ">Who held the threads</h2>", `<span class="key k1">1</span> ` + worst, decisionsTitle, fullTitle, filesTitle, notesTitle,
	} {
		_, after, found := strings.Cut(rest, want)
		if !found {
			t.Fatalf("the page has no %q, or not in its place", want)
		}
		rest = after
	}
}

// TestChartHasAllThatWasHeld adds the stack up: it is the thread time.
func TestChartHasAllThatWasHeld(t *testing.T) {
	a, _ := pageOf(t, scenarioLog(t, "slow-holder"))
	c, ok := pageChart(a)
	if !ok {
		t.Fatal("no chart")
	}
	sum, refused := 0.0, 0.0
	for _, s := range c.Stack {
		for _, v := range s.Values {
			sum += v
		}
	}
	for _, v := range c.Refused.Values {
		refused += v
	}
	step := c.To.Sub(c.From) / time.Duration(len(c.Refused.Values))
	if got, want := sum*step.Seconds(), a.Occupancy.ThreadTime.Seconds(); got < .999*want || got > 1.001*want {
		t.Errorf("the stack is of %.0f thread seconds, want %.0f", got, want)
	}
	want := 0.0
	for _, s := range a.Occupancy.Services {
		want += float64(s.Busy + s.Sessions + s.Banned)
	}
	if refused != want || want == 0 {
		t.Errorf("the bars are %.0f refusals, want %.0f", refused, want)
	}
}

// TestCrowdIsOneColour wants the addresses of a net that held the threads
// together in one colour, and their table before that of addresses.
func TestCrowdIsOneColour(t *testing.T) {
	_, text := pageOf(t, scenarioLog(t, "net-of-holders"))
	nets, addresses := strings.Index(text, ">Who held the threads, by net</h2>"), strings.Index(text, ">Who held the threads</h2>")
	if nets < 0 || addresses < nets {
		t.Errorf("the nets stand at %d of the page, the addresses at %d", nets, addresses)
	}
	if key := `<span class="key k1">1</span>203.0.113.0/24`; !strings.Contains(text, key) {
		t.Errorf("the page has no %q", key)
	}
}

// TestPageWithoutDurations wants no picture, no thread time and no colours of a
// log that does not tell how long a connection lasted, and that it says so.
func TestPageWithoutDurations(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	line := `203.0.113.%d - - [14/Mar/2026:22:40:0%d +0000] "GET / HTTP/1.1" 200 612 "-" "<script>alert(1)</script>"` + "\n"
	var text strings.Builder
	for i := range 9 {
		fmt.Fprintf(&text, line, 1+i%3, i)
	}
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	_, got := pageOf(t, path)
	for _, want := range []string{`<section class="verdict warn">`, "No verdict", "Who connected: access.log"} {
		if !strings.Contains(got, want) {
			t.Errorf("the page has no %q", want)
		}
	}
	for _, not := range []string{"<svg", "Thread time", `class="key`, "<script"} {
		if strings.Contains(got, not) {
			t.Errorf("the page has %q", not)
		}
	}
}

func TestCommandOfAnAdvice(t *testing.T) {
	a := &app.Analysis{}
	for _, test := range []struct{ name, advice, want string }{
		{"a b.log", "More: --suggest.", "overstay analyze --suggest 'a b.log'"},
		{app.StdinName, "More: --suggest.", "overstay analyze --suggest -"},
		{strings.Repeat("x", 500), "More: --suggest.", "overstay analyze --suggest LOG..."},
		{"a.log", "Buy threads.", ""},
	} {
		a.Read.Each = []app.LogFile{{Name: test.name}}
		if got := commandOf(test.advice, a, nil); got != test.want {
			t.Errorf("%s of %s: %q, want %q", test.advice, test.name, got, test.want)
		}
	}
}

func TestQuoted(t *testing.T) {
	for name, want := range map[string]string{
		"mail.log": "mail.log", "/var/log/mail.log-20260314.gz": "/var/log/mail.log-20260314.gz",
		"a b": "'a b'", "$(id)": "'$(id)'", "it's": `'it'\''s'`, "": "''", "-x": "'-x'",
	} {
		if got := quoted(name); got != want {
			t.Errorf("%q is written %s, want %s", name, got, want)
		}
	}
}

// TestManySuspectsAreOneColour wants attackers that have nothing in common but
// that policies found them in the first colour, and the rest in none.
func TestManySuspectsAreOneColour(t *testing.T) {
	a, text := pageOf(t, scenarioLog(t, "scattered-holders"))
	if len(a.Together) < 400 {
		t.Fatalf("%d are shown together", len(a.Together))
	}
	key := fmt.Sprintf(`<span class="key k1">1</span>the %d that the policies find`, len(a.Together))
	row := `<span class="key k1">1</span> ` + sourceText(a.Occupancy.Ranking[0].Source)
	for _, want := range []string{key, row} {
		if !strings.Contains(text, want) {
			t.Errorf("the page has no %q", want)
		}
	}
	c, _ := pageChart(a)
	ours, all := 0.0, 0.0
	for i, s := range c.Stack {
		for _, v := range s.Values {
			if all += v; i == 0 {
				ours += v
			}
		}
	}
	if ours < .9*all {
		t.Errorf("the first colour has %.0f %% of the picture", 100*ours/all)
	}
}

// TestCommandWithItsFlags gives again what the answer depends on, and nothing
// that says how it is shown.
func TestCommandWithItsFlags(t *testing.T) {
	o := &analyzeOptions{}
	flags := pflag.NewFlagSet("analyze", pflag.ContinueOnError)
	o.AddFlags(flags)
	err := flags.Parse([]string{"--tz", "Europe/Berlin", "--threads", "20", "--threads=imap=5", "--top=3", "--html", "x",
		"--format=csv", "--map=address=ip,begin=a b", "--suggest"})
	if err != nil {
		t.Fatal(err)
	}
	a := &app.Analysis{}
	a.Read.Each = []app.LogFile{{Name: "a.log"}}
	got := commandOf("More: --suggest.", a, givenFlags(flags))
	for _, want := range []string{" --tz=Europe/Berlin ", " --threads=20 --threads=imap=5 ", " --format=csv ", " --map='address=ip,begin=a b' "} {
		if !strings.Contains(got, want) {
			t.Errorf("%q has no %q", got, want)
		}
	}
	for _, not := range []string{"--top", "--html", "--suggest="} {
		if strings.Contains(got, not) {
			t.Errorf("%q has %q", got, not)
		}
	}
}
