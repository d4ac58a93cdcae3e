package app_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"overstay/banlist"
	"overstay/connlog"
	"overstay/detector/cause"
	"overstay/detector/loss"
	"overstay/internal/app"
)

func TestMoments(t *testing.T) {
	end := time.Date(2026, 3, 4, 10, 30, 0, 0, time.Local)
	for text, want := range map[string]time.Time{
		"2026-03-04T08:00:00Z":      time.Date(2026, 3, 4, 8, 0, 0, 0, time.UTC),
		"2026-03-04T08:00:00+02:00": time.Date(2026, 3, 4, 6, 0, 0, 0, time.UTC),
		"2026-03-04T08:00:00":       time.Date(2026, 3, 4, 8, 0, 0, 0, time.Local),
		"2026-03-04 08:00":          time.Date(2026, 3, 4, 8, 0, 0, 0, time.Local),
		"2026-03-04":                time.Date(2026, 3, 4, 0, 0, 0, 0, time.Local),
		"09:15":                     time.Date(2026, 3, 4, 9, 15, 0, 0, time.Local),
		"09:15:30":                  time.Date(2026, 3, 4, 9, 15, 30, 0, time.Local),
		"23:00":                     time.Date(2026, 3, 3, 23, 0, 0, 0, time.Local), // the last one there was
		"2h":                        end.Add(-2 * time.Hour),
		"1d":                        end.Add(-24 * time.Hour),
	} {
		m, err := app.ParseMoment(text)
		if err != nil || !m.At(end).Equal(want) || m.IsZero() {
			t.Errorf("%s: %v, %v, want %v", text, m.At(end), err, want)
		}
	}
	for _, c := range []struct {
		from, to string
		want     time.Time
	}{
		{"", "10:00", time.Date(2026, 3, 4, 10, 0, 0, 0, time.Local)},
		{"", "11:00", time.Date(2026, 3, 4, 11, 0, 0, 0, time.Local)}, // a little after the end
		{"", "23:00", time.Date(2026, 3, 3, 23, 0, 0, 0, time.Local)},
		{"10:00", "11:00", time.Date(2026, 3, 4, 11, 0, 0, 0, time.Local)},
		{"23:00", "01:00", time.Date(2026, 3, 4, 1, 0, 0, 0, time.Local)},
		{"2026-03-01 22:00", "22:30", time.Date(2026, 3, 1, 22, 30, 0, 0, time.Local)},
		{"10:00", "5m", end.Add(-5 * time.Minute)},
	} {
		from := app.Moment{}
		if c.from != "" {
			from = momentOf(t, c.from)
		}
		if got := momentOf(t, c.to).AtEnd(from, end); !got.Equal(c.want) {
			t.Errorf("from %s to %s: %v, want %v", c.from, c.to, got, c.want)
		}
	}
	for _, text := range []string{"", "soon", "25:00", "-2h", "2026-13-01", "12", "1\x1b[2J"} {
		if m, err := app.ParseMoment(text); err == nil {
			t.Errorf("%q is taken for %v", text, m.At(end))
		}
	}
}

func momentOf(t *testing.T, text string) app.Moment {
	t.Helper()
	m, err := app.ParseMoment(text)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// state is a configuration with its state in a folder of the test.
func state(t *testing.T) *app.Config {
	t.Helper()
	cfg := app.Default()
	cfg.State = t.TempDir()
	return cfg
}

// whyOf asks why of one file.
func whyOf(t *testing.T, cfg *app.Config, path string, o app.WhyOptions) (*app.Why, error) {
	t.Helper()
	o.Logs.Paths = []string{path}
	if o.Question.Seeds == 0 {
		o.Question = few
	}
	return app.ExplainWhy(t.Context(), cfg, o)
}

func TestWhy(t *testing.T) {
	for name, want := range map[string]loss.Verdict{
		"slow-holder": loss.Attack, "clock-steps": loss.Attack, "rush-hour": loss.Undersized, "scanner-slow": loss.Scanner, "ordinary-day": loss.Healthy,
	} {
		t.Run(name, func(t *testing.T) {
			log := writeFile(t, "log", bytes.Join(scenarioLog(t, name, newYear), nil))
			w, err := whyOf(t, state(t), log, app.WhyOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if w.Verdict() != want || w.Attack() != (want == loss.Attack) {
				t.Errorf("%v, attack %v, want %v", w.Verdict(), w.Attack(), want)
			}
		})
	}
}

// TestAttackIsACause looks for it in every pool, and among several causes.
func TestAttackIsACause(t *testing.T) {
	report := func(v loss.Verdict, also ...loss.Verdict) *cause.Report {
		return &cause.Report{Diagnosis: loss.Diagnosis{Finding: loss.Finding{Verdict: v, Also: also}}}
	}
	for _, c := range []struct {
		reports []*cause.Report
		want    bool
	}{
		{nil, false},
		{[]*cause.Report{report(loss.Healthy), report(loss.Undersized, loss.Attack)}, false}, // by the way only
		{[]*cause.Report{report(loss.Healthy), report(loss.Attack)}, true},
		{[]*cause.Report{report(loss.Mixed, loss.Scanner, loss.Attack)}, true},
		{[]*cause.Report{report(loss.Mixed, loss.Scanner)}, false},
	} {
		w := &app.Why{Reports: c.reports}
		if w.Attack() != c.want {
			t.Errorf("%s: %v", asJSON(t, c.reports), w.Attack())
		}
	}
}

// TestWhyWithoutPolicies has the built-in ones name the suspects.
func TestWhyWithoutPolicies(t *testing.T) {
	cfg := state(t)
	cfg.Detector.DefaultPolicies = false
	log := writeFile(t, "log", bytes.Join(scenarioLog(t, "slow-holder", newYear), nil))
	if w, err := whyOf(t, cfg, log, app.WhyOptions{}); err != nil || !w.Attack() {
		t.Errorf("%v", err)
	}
}

// TestWhyOfATime asks for a part of a log that is quiet at first and attacked
// from its first minute on.
func TestWhyOfATime(t *testing.T) {
	cfg := state(t)
	log := writeFile(t, "log", bytes.Join(scenarioLog(t, "slow-holder", newYear), nil))
	at := func(minute, second int) app.Moment {
		return momentOf(t, newYear.Add(time.Duration(minute)*time.Minute+time.Duration(second)*time.Second).Format(time.RFC3339))
	}
	quiet, err := whyOf(t, cfg, log, app.WhyOptions{To: at(0, 50)})
	if err != nil || quiet.Attack() || len(quiet.Reports) != 1 || quiet.Reports[0].Refused != 0 || quiet.Reports[0].Arrivals == 0 {
		t.Errorf("before the attack: %v, %s", err, asJSON(t, quiet))
	}
	bad, err := whyOf(t, cfg, log, app.WhyOptions{From: at(2, 0), To: at(3, 0)})
	if err != nil || !bad.Attack() || len(bad.Reports) != 1 {
		t.Fatalf("in it: %v, %s", err, asJSON(t, bad))
	}
	all, err := whyOf(t, cfg, log, app.WhyOptions{})
	if err != nil || bad.Reports[0].Refused == 0 || bad.Reports[0].Refused >= all.Reports[0].Refused/2 {
		t.Errorf("%d refused in a minute, %d in all", bad.Reports[0].Refused, all.Reports[0].Refused)
	}
	last, err := whyOf(t, cfg, log, app.WhyOptions{Last: time.Minute})
	if err != nil || !last.Attack() {
		t.Errorf("the last minute: %v", err)
	}

	var noPool *app.NoPoolError
	var outside *app.OutOfRangeError
	if _, err := whyOf(t, cfg, log, app.WhyOptions{Pool: "smtp"}); !errors.As(err, &noPool) || !strings.Contains(err.Error(), "www") {
		t.Errorf("a pool that there is not: %v", err)
	}
	if _, err := whyOf(t, cfg, log, app.WhyOptions{From: at(3, 0), To: at(2, 0)}); !errors.Is(err, app.ErrMomentOrder) {
		t.Errorf("backwards: %v", err)
	}
	if _, err := whyOf(t, cfg, log, app.WhyOptions{From: momentOf(t, "2026-02-01"), To: momentOf(t, "2026-02-02")}); !errors.As(err, &outside) || !outside.From.Equal(newYear) {
		t.Errorf("a time that the log does not have: %v", err)
	}
}

// TestWhySparesTheAllowed takes no suspect from the allow list, neither the
// list's nor the configuration's.
func TestWhySparesTheAllowed(t *testing.T) {
	log := writeFile(t, "log", bytes.Join(scenarioLog(t, "slow-holder", newYear), nil))
	attacker := netip.MustParsePrefix("203.0.113.9/32")
	listed, configured := state(t), state(t)
	list, err := banlist.Open(t.Context(), listed.Path(listed.List.Path), banlist.Options{Lazy: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := list.Allow(t.Context(), banlist.Allowance{Prefix: netip.MustParsePrefix("203.0.113.0/24"), By: "test"}); err != nil {
		t.Fatal(err)
	}
	if err := list.Close(); err != nil {
		t.Fatal(err)
	}
	configured.List.Allow = []app.Source{app.Source(attacker)}
	for name, cfg := range map[string]*app.Config{"list": listed, "configuration": configured} {
		w, err := whyOf(t, cfg, log, app.WhyOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if w.Attack() || !slices.Equal(w.Allowed, []netip.Prefix{attacker}) || len(w.Reports[0].Suspects) != 0 {
			t.Errorf("%s: attack %v, allowed %v", name, w.Attack(), w.Allowed)
		}
	}
}

// TestWhyWithADamagedList still explains the log, and says what it lacks.
func TestWhyWithADamagedList(t *testing.T) {
	cfg := state(t)
	if err := writeAt(cfg.Path(cfg.List.Path), []byte(strings.Repeat("damaged", 10_000))); err != nil {
		t.Fatal(err)
	}
	log := writeFile(t, "log", bytes.Join(scenarioLog(t, "slow-holder", newYear), nil))
	var said bytes.Buffer
	w, err := whyOf(t, cfg, log, app.WhyOptions{Logs: app.Logs{Logger: slog.New(slog.NewTextHandler(&said, nil))}})
	if err != nil || !w.Attack() || !strings.Contains(said.String(), "allow list not read") {
		t.Errorf("%v: %s", err, &said)
	}
}

// TestWhyReadsBack asks without a file: the log of the configuration, with its
// rotated files, up to its present end.
func TestWhyReadsBack(t *testing.T) {
	cfg := state(t)
	if _, err := app.ExplainWhy(t.Context(), cfg, app.WhyOptions{Question: few}); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("no log: %v", err)
	}
	lines := scenarioLog(t, "slow-holder", time.Now().UTC().Add(-11*time.Minute).Truncate(time.Second))
	path := cfg.Path(cfg.Log.Path)
	write := func(name string, lines [][]byte) {
		t.Helper()
		if err := writeAt(name, bytes.Join(lines, nil)); err != nil {
			t.Fatal(err)
		}
	}
	write(path+".1", lines[:len(lines)/2])
	write(path, lines[len(lines)/2:])
	w, err := app.ExplainWhy(t.Context(), cfg, app.WhyOptions{Question: few})
	if err != nil || !w.Attack() || w.Read.Lines != uint64(len(lines)) {
		t.Fatalf("%v: %d of %d lines", err, w.Read.Lines, len(lines))
	}
	r, err := app.ExplainSource(t.Context(), cfg, netip.MustParsePrefix("203.0.113.9/32"), app.WhyOptions{Question: few})
	if err != nil || r.Place != 1 || len(r.Decisions) == 0 || r.Effect == nil || r.Effect.Diagnosis.Together.Averted.Median <= 0 {
		t.Errorf("%v: %s", err, asJSON(t, r))
	}
	write(path, [][]byte{[]byte("garbage\n")})
	write(path+".1", nil)
	var none *app.NoEventsError
	if _, err := app.ExplainWhy(t.Context(), cfg, app.WhyOptions{Question: few}); !errors.As(err, &none) || none.Lines != 1 {
		t.Errorf("garbage: %v", err)
	}
	ended, stop := context.WithCancel(t.Context())
	stop()
	if _, err := app.ExplainWhy(ended, cfg, app.WhyOptions{Question: few}); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}

// TestWhoWasSeen counts what a log says of a source, of its whole /64 for IPv6,
// and takes no address for a source that is text of a client.
func TestWhoWasSeen(t *testing.T) {
	at := func(s int) time.Time { return newYear.Add(time.Duration(s) * time.Second) }
	one, two, other := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2"), netip.MustParseAddr("2001:db8:0:1::1")
	events := []connlog.Event{
		{Kind: connlog.Start, Schema: 1, Services: []connlog.Service{{Service: "smtp", Threads: 10}}},
		{Kind: connlog.Open, Service: "smtp", Conn: 1, ClientIP: one, Busy: 1, Threads: 10},
		{Kind: connlog.Proven, Service: "smtp", Conn: 1, ClientIP: one, By: connlog.ByLogin, User: "2001:db8:0:1::1"},
		{Kind: connlog.Open, Service: "smtp", Conn: 2, ClientIP: two, Busy: 2, Threads: 10},
		{Kind: connlog.Fail, Service: "smtp", Conn: 2, ClientIP: two, What: connlog.FailLogin, User: "203.0.113.7\x1b[2J"},
		{Kind: connlog.Close, Service: "smtp", Conn: 1, ClientIP: one, Held: 3 * time.Second, End: connlog.EndClient},
		{Kind: connlog.Refuse, Service: "smtp", ClientIP: two, Reason: connlog.RefuseBusy, Count: 5, Busy: 10, Threads: 10},
		{Kind: connlog.Refuse, Service: "smtp", ClientIP: other, Reason: connlog.RefuseBusy, Busy: 10, Threads: 10},
	}
	var log []byte
	for i := range events {
		events[i].Time, events[i].Boot, events[i].Seq = at(i), "boot", uint64(i+1)
		log = append(connlog.Append(log, &events[i]), '\n')
	}
	path := writeFile(t, "log", log)
	ask := func(prefix string) *app.SourceReport {
		t.Helper()
		r, err := app.ExplainSource(t.Context(), state(t), netip.MustParsePrefix(prefix), app.WhyOptions{
			Logs: app.Logs{Paths: []string{path}}, Question: few,
		})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	s := ask("2001:db8::/64").Seen
	if s.Addresses != 2 || s.Opened != 2 || s.Proven != 1 || s.Fails[connlog.FailLogin] != 1 || s.Refused[connlog.RefuseBusy] != 5 ||
		s.Ended[connlog.EndClient] != 1 || s.Held != 3*time.Second || len(s.Open) != 1 || s.Open[0].Client != two || s.Open[0].Line != "boot:4" ||
		!s.First.Equal(at(1)) || !s.Last.Equal(at(6)) || !slices.Equal(s.Lines, []string{"boot:3", "boot:4", "boot:5", "boot:6", "boot:7"}) {
		t.Errorf("%s", asJSON(t, s))
	}
	if s := ask("2001:db8::/48").Seen; s.Addresses != 3 || s.Refused[connlog.RefuseBusy] != 6 {
		t.Errorf("the net: %s", asJSON(t, s))
	}
	if r := ask("203.0.113.7/32"); !r.Seen.First.IsZero() || r.Place != 0 || len(r.Ranks) != 0 || r.Effect != nil {
		t.Errorf("a user's name is taken for a source: %s", asJSON(t, r))
	}
}

// TestSourceOnTheList tells the entries that concern a source, those in force
// first.
func TestSourceOnTheList(t *testing.T) {
	cfg := state(t)
	list, err := banlist.Open(t.Context(), cfg.Path(cfg.List.Path), banlist.Options{Lazy: true})
	if err != nil {
		t.Fatal(err)
	}
	ban := func(prefix string, length time.Duration) {
		t.Helper()
		if _, err := list.Add(t.Context(), banlist.Ban{Prefix: netip.MustParsePrefix(prefix), Origin: "operator:test", Duration: length}, banlist.AddOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	ban("203.0.113.9/32", time.Hour)
	if _, err := list.Lift(t.Context(), "203.0.113.9", banlist.Act{By: "operator:test"}); err != nil {
		t.Fatal(err)
	}
	ban("203.0.113.0/24", time.Hour)
	ban("198.51.100.1/32", 0)
	if err := list.Close(); err != nil {
		t.Fatal(err)
	}
	log := writeFile(t, "log", bytes.Join(scenarioLog(t, "slow-holder", newYear)[:200], nil))
	r, err := app.ExplainSource(t.Context(), cfg, netip.MustParsePrefix("203.0.113.9/32"), app.WhyOptions{Logs: app.Logs{Paths: []string{log}}, Question: few})
	if err != nil {
		t.Fatal(err)
	}
	if r.State() != banlist.Active || len(r.Entries) != 2 || r.Entries[0].Prefix.Bits() != 24 || r.Entries[1].State != banlist.Lifted || len(r.History) < 3 {
		t.Errorf("%s", asJSON(t, r))
	}
}
