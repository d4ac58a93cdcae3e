package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"overstay/banlist"
	"overstay/connlog"
	"overstay/detector"
	"overstay/detector/cause"
	"overstay/detector/loss"
	"overstay/detector/occupancy"
	"overstay/internal/app"
)

// newYear is when all is over in these tests.
var newYear = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// fixedWhy is an answer made by hand: an attack by many of one net, while
// messages waited for the scanner too. name stands for every text in it.
func fixedWhy(name string, suspects int) *app.Why {
	spread := func(n int64) loss.Spread { return loss.Spread{Min: n - 10, Median: n, Max: n + 10} }
	r := &cause.Report{
		Stretch: cause.Stretch{Pool: name, From: newYear, To: newYear.Add(9 * time.Minute), Refused: 1500},
		Threads: 50, Arrivals: 2000,
		Policy: loss.Averted{Averted: spread(900)},
		Diagnosis: loss.Diagnosis{
			Question: loss.Question{Seeds: 20, Target: 1e-3, MaxWait: time.Second, Late: 1e-2},
			Threads:  50, Recorded: 1500, Others: 1000, Refused: spread(1000),
			Together: loss.Averted{Averted: spread(950)}, NoWait: loss.Averted{Averted: spread(300)},
			Needed:   loss.Need{Threads: spread(60), Erlang: 55, Lambda: 2.5, W: 12, Peak: 70},
			Waited:   loss.Waits{Jobs: 40, Mean: 2 * time.Second, Max: 9 * time.Second, Over: 25},
			Scanners: loss.Waits{Scanners: 3},
			Finding: loss.Finding{Verdict: loss.Attack, Also: []loss.Verdict{loss.Scanner}, Grounds: loss.Grounds{
				Tried: 1400, Refused: spread(1000), Ban: spread(950), NoWait: spread(300), Both: spread(970), Threads: spread(120),
				Left: loss.Spread{Min: 0, Median: 30, Max: 40}, Target: 1e-3,
			}},
		},
		Assumptions: []string{"Clients come when they came."},
		Notes:       []string{"Notes of " + name + "."},
	}
	for i := range suspects {
		r.Suspects = append(r.Suspects, cause.Accused{
			Source: netip.PrefixFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}), 32), Policy: name,
			Blame: 100 / float64(i+1), Alone: i < 5, Averted: loss.Averted{Averted: spread(int64(200 - i))},
		})
	}
	if suspects > 1 {
		net := cause.Accused{Source: netip.MustParsePrefix("203.0.113.0/29"), Policy: name, Blame: 300,
			Loudest: netip.MustParsePrefix("203.0.113.0/32"), LoudestBlame: 280, Alone: true, Averted: loss.Averted{Averted: spread(800)}}
		r.Suspects = append([]cause.Accused{net}, r.Suspects...)
	}
	r.Idle = []cause.Accused{{Source: netip.MustParsePrefix("198.51.100.7/32"), Policy: name}}
	return &app.Why{
		Read: app.LogsRead{Files: 2, Lines: 5000, Malformed: 3, From: newYear, To: newYear.Add(time.Hour)},
		From: newYear, To: newYear.Add(time.Hour), Reports: []*cause.Report{r},
		Earlier: []cause.Stretch{{Pool: name, From: newYear.Add(-time.Hour), To: newYear.Add(-time.Minute), Refused: 7}},
		Allowed: []netip.Prefix{netip.MustParsePrefix("192.0.2.7/32")},
		Unaccused: []app.Unaccused{
			{Pool: name, Source: netip.MustParsePrefix("192.0.2.7/32"), Blame: 400, Share: 0.4, Allowed: netip.MustParsePrefix("192.0.2.0/24")},
			{Pool: name, Source: netip.MustParsePrefix("192.0.2.8/32"), Blame: 300, Share: 0.3},
		},
		Waiting: 2,
	}
}

// fixedSource is what could be known of a source, name in each text.
func fixedSource(name string) *app.SourceReport {
	p := netip.MustParsePrefix("203.0.113.9/32")
	evidence, _ := json.Marshal(fixedEvidence(name)) // Plain numbers and text.
	return &app.SourceReport{
		Source: p,
		Entries: []banlist.Ban{
			{ID: name, Prefix: netip.MustParsePrefix("203.0.113.0/24"), State: banlist.Active, Origin: name, Reason: name, Services: []string{name}, Evidence: evidence,
				Decided: newYear, Expires: newYear.Add(time.Hour), Duration: time.Hour},
			{ID: name, Prefix: p, State: banlist.Expired, Origin: name, Reason: name, Decided: newYear, Duration: time.Hour},
		},
		History: []banlist.Transition{
			{Prefix: p, To: banlist.Active, By: name, Time: newYear}, {Prefix: p, From: banlist.Active, To: banlist.Expired, Time: newYear.Add(time.Hour)},
			{Prefix: p, To: banlist.Active, By: name, Time: newYear.Add(time.Hour + 12*time.Second)},
		},
		Read: app.LogsRead{Files: 1, Lines: 9, From: newYear, To: newYear.Add(time.Hour)},
		Seen: app.Seen{
			First: newYear, Last: newYear.Add(time.Hour), Addresses: 1, Opened: 12, Proven: 1, Held: time.Minute,
			Fails:   map[connlog.What]uint64{connlog.FailLogin: 3, connlog.What(name): 1},
			Refused: map[connlog.Reason]uint64{connlog.RefuseBusy: 40, connlog.Reason(name): 2},
			Ended:   map[connlog.End]uint64{connlog.EndTimeout: 4, connlog.End(name): 1},
			Open:    []app.OpenConn{{Service: name, Client: p.Addr(), Since: newYear, Line: name}},
			Lines:   []string{name},
		},
		Ranks: []detector.Rank{{Source: p, Conns: 8, Load1: 7.5, Blame: 212, Share: 0.4}}, Place: 1, Sources: 70,
		Pools:     []detector.PoolState{{Name: name, Refusals: 940}},
		Decisions: []detector.Decision{{Policy: name, Action: detector.Ban, Source: p, At: newYear, Duration: time.Hour, Evidence: fixedEvidence(name)}},
		Effect:    fixedWhy(name, 1).Reports[0],
	}
}

// fixedEvidence is that of a net that was found, and narrowed.
func fixedEvidence(name string) detector.Evidence {
	return detector.Evidence{
		Policy: name, Condition: name, ForS: 3, EarlierBans: 2, HistoryBans: 3, HistoryReturns: 1, ScanWait: 2.5, Level: detector.LevelNet,
		Pool: name, Busy: 50, Threads: 50, Share: 0.82, PoolRefused: 120, Open: 41, OldestS: 60, Load1: 40, Load5: 30, Load15: 12,
		Unproven: 41, UnprovenMean: 45, UnprovenLoad1: 40, UnprovenLoad5: 30, UnprovenLoad15: 12, Opens: 20, Fails: 1,
		Refused: 3, Blame: 212.4, Blame1: 98.4, Boot: "b", Seq: 7, Lines: []string{name},
		Net: &detector.NetEvidence{
			Prefix: netip.MustParsePrefix("203.0.113.0/24"), Members: 41, Open: 41, Share: 0.82, UnprovenMembers: 40, Unproven: 41, Others: 39,
			Load1: 40, Load5: 30, Load15: 12, Within: 40, Part: 0.97,
		},
	}
}

// TestWhyGolden holds the words of why to a file: -update writes it.
func TestWhyGolden(t *testing.T) {
	now := newYear.Add(3 * time.Hour)
	for file, show := range map[string]func(u *ui) error{
		"why.txt":        func(u *ui) error { return u.why(fixedWhy("www", 40), 5, now) },
		"why-source.txt": func(u *ui) error { return u.whySource(fixedSource("www"), 5, now) },
	} {
		var out strings.Builder
		if err := show(&ui{out: &out, err: &out}); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("../../testdata/golden", file)
		if *update {
			if err := os.WriteFile(path, []byte(out.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if out.String() != string(want) {
			t.Errorf("%s: got\n%s\nwant\n%s", file, &out, want)
		}
	}
}

// TestWhyAsJSON reads the answers back by the names that others rely on.
func TestWhyAsJSON(t *testing.T) {
	fields := func(show func(u *ui) error) map[string]any {
		t.Helper()
		var out strings.Builder
		if err := show(&ui{out: &out, err: &out, json: true}); err != nil {
			t.Fatal(err)
		}
		var v map[string]any
		if err := json.Unmarshal([]byte(out.String()), &v); err != nil {
			t.Fatal(err)
		}
		return v
	}
	for name, c := range map[string]struct {
		show func(u *ui) error
		keys string
	}{
		"why":    {func(u *ui) error { return u.why(fixedWhy("www", 3), 5, newYear) }, "verdict attack from to reports earlier allowed unaccused log"},
		"source": {func(u *ui) error { return u.whySource(fixedSource("www"), 5, newYear) }, "source state entries allowed guarded history log seen place sources ranks pools decisions effect"},
		"analysis": {func(u *ui) error {
			return u.printJSON(viewAnalysis(&app.Analysis{Occupancy: &occupancy.Report{}}, nil, false))
		},
			"files from to connections orphans open_at_end sources net_count thread_seconds peak services by ranking nets full suggestions verdict gives " +
				"log policies decisions pools unaccused"},
		"diff": {func(u *ui) error { return u.policyDiff(&app.PolicyDiff{}, 5) }, "log equal same only_old only_new changed pools"},
	} {
		v := fields(c.show)
		for _, key := range strings.Fields(c.keys) {
			if _, ok := v[key]; !ok {
				t.Errorf("%s: no %q", name, key)
			}
		}
		if len(v) != len(strings.Fields(c.keys)) {
			t.Errorf("%s: has %d keys, want %s", name, len(v), c.keys)
		}
	}
	why := fields(func(u *ui) error { return u.why(fixedWhy("www", 3), 5, newYear) })
	if why["verdict"] != "attack" || why["attack"] != true {
		t.Errorf("verdict %v, attack %v", why["verdict"], why["attack"])
	}
	report := why["reports"].([]any)[0].(map[string]any)
	for _, key := range []string{"pool", "from", "to", "refused", "threads", "arrivals", "suspects", "policy", "diagnosis", "assumptions"} {
		if _, ok := report[key]; !ok {
			t.Errorf("a report has no %q", key)
		}
	}
}

// TestLongListsDoNotFlood shows a thousand of everything in few lines.
func TestLongListsDoNotFlood(t *testing.T) {
	decision := detector.Decision{Policy: "p", Action: detector.Ban, Source: netip.MustParsePrefix("203.0.113.9/32"), At: newYear, Duration: time.Hour}
	var decisions []detector.Decision
	var alone []app.Unmatched
	var changed []app.Changed
	for range 1000 {
		decisions = append(decisions, decision)
		alone = append(alone, app.Unmatched{Decision: decision})
		changed = append(changed, app.Changed{Old: decision, New: decision, What: []string{"at"}})
	}
	source := fixedSource("www")
	for range 1000 {
		source.Ranks = append(source.Ranks, source.Ranks[0])
		source.Seen.Open = append(source.Seen.Open, source.Seen.Open[0])
		source.Entries = append(source.Entries, source.Entries[1])
	}
	why := fixedWhy("www", 200)
	for range 1000 {
		why.Earlier = append(why.Earlier, why.Earlier[0])
		why.Allowed = append(why.Allowed, why.Allowed[0])
	}
	for name, show := range map[string]func(u *ui, most int) error{
		"why":    func(u *ui, most int) error { return u.why(why, most, newYear) },
		"source": func(u *ui, most int) error { return u.whySource(source, most, newYear) },
		"analysis": func(u *ui, most int) error {
			return u.analysis(&app.Analysis{Decisions: decisions, Occupancy: &occupancy.Report{Full: make([]occupancy.Full, 1000)}}, analysisShown{most: most})
		},
		"diff": func(u *ui, most int) error {
			return u.policyDiff(&app.PolicyDiff{OnlyOld: alone, OnlyNew: alone, Changed: changed}, most)
		},
	} {
		var few, all strings.Builder
		if err := show(&ui{out: &few, err: &few}, 3); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(few.String(), "\n"); n > 100 || !strings.Contains(few.String(), " more") {
			t.Errorf("%s: %d lines", name, n)
		}
		if err := show(&ui{out: &all, err: &all}, 0); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(all.String(), "\n"); n < 200 {
			t.Errorf("%s: only %d lines of all", name, n)
		}
	}
}

func TestWrap(t *testing.T) {
	for _, c := range []struct {
		text    string
		columns int
		want    string
	}{
		{"", 20, ""},
		{"one two three four five", 10, "one two|three four|five"},
		{"one two", 20, "one two"},
		{"averyveryverylongword here", 10, "averyveryv|erylongwor|d here"},
		{"exactly te n", 10, "exactly te|n"},
		{"grün grün grün", 10, "grün grün|grün"},
	} {
		if got := strings.Join(wrap(c.text, c.columns), "|"); got != c.want {
			t.Errorf("%q in %d: %q, want %q", c.text, c.columns, got, c.want)
		}
	}
}

// TestWhyOnAHostileLog asks about a log in which clients and a forger put text
// and addresses wherever they can.
func TestWhyOnAHostileLog(t *testing.T) {
	const forged = "198.51.100.66"
	var log strings.Builder
	event := func(seq int, rest string) {
		fmt.Fprintf(&log, `{"time":%q,"boot":"b\u001b[2J","seq":%d,%s}`+"\n", newYear.Add(time.Duration(seq)*time.Second).Format(time.RFC3339Nano), seq, rest)
	}
	event(1, `"event":"start","schema":1,"services":[{"service":"w\u001b[2J\nww","threads":2}]`)
	log.WriteString("garbage\n\n{}\n\x00\x01\xff\xfe\n" + strings.Repeat("x", 3<<20) + "\n")
	for i := 2; i < 60; i += 3 {
		event(i, fmt.Sprintf(`"event":"open","service":"w\u001b[2J\nww","conn":%d,"client_ip":"203.0.113.9","busy":2,"threads":2`, i))
		event(i+1, fmt.Sprintf(`"event":"fail","service":"w\u001b[2J\nww","conn":%d,"client_ip":"203.0.113.9","what":"l\u001b[2J\nogin %s","user":"%s\u001b[2J\r\n"`, i, forged, forged))
		event(i+2, `"event":"refuse","service":"w\u001b[2J\nww","client_ip":"192.0.2.5","reason":"busy","busy":2,"threads":2`)
	}
	event(99, `"event":"refuse","service":"www","client_ip":"not `+forged+`","reason":"b\u001busy"`)
	folder := t.TempDir()
	path := filepath.Join(folder, "log")
	if err := os.WriteFile(path, []byte(log.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"why", "why 203.0.113.9", "why 203.0.113.0/24", "why " + forged, "analyze", "policy diff " + grabbing(t) + " " + grabbing(t), "top --once --nets"} {
		arguments := append(strings.Fields(command), path, "--state", folder)
		code, out, stderr := session(context.Background(), arguments...)
		if code != exitDone && code != exitFound {
			t.Errorf("%s: exit code %d: %s", command, code, stderr)
		}
		if strings.ContainsAny(out+stderr, "\x1b\x00\r") {
			t.Errorf("%s: %q", command, out+stderr)
		}
		for line := range strings.Lines(out) {
			if strings.Contains(line, forged) && !strings.Contains(command, forged) && !strings.Contains(line, "ogin "+forged) {
				t.Errorf("%s: a forged address is told of: %s", command, line)
			}
		}
		if strings.Contains(command, forged) && !strings.Contains(out, "does not name "+forged) {
			t.Errorf("%s: it is taken for a source:\n%s", command, out)
		}
	}
}

// grabbing is a file with one policy.
func grabbing(t *testing.T) string {
	return writeConfig(t, "[detector]\ndefault_policies = false\n[[policy]]\nname = \"grabbing\"\nwhen = \"unproven.open >= 2\"\naction = \"ban\"\n")
}
