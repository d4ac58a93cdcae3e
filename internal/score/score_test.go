package score

import (
	"bytes"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"overstay/connlog"
	"overstay/detector"
	"overstay/internal/traffic"
)

var update = flag.Bool("update", false, "write the golden table anew")

// missed is what is known not to be as it ought, by scenario. Nothing else may
// join it, and what has gone is to be taken out.
var missed = map[string][]string{}

// quick are the scenarios that are played under the race detector.
var quick = []string{"slow-post", "insider-behind-nat"}

func defaults() Options {
	return Options{Policies: detector.DefaultPolicies()}
}

// TestDefaultPolicies plays every scenario with one seed. The table over twenty,
// of which it is the first, is made by make scenarios.
func TestDefaultPolicies(t *testing.T) {
	scenarios := traffic.Scenarios()
	if slow {
		scenarios = slices.DeleteFunc(scenarios, func(s traffic.Scenario) bool { return !slices.Contains(quick, s.Name) })
	}
	rows, err := All(scenarios, defaults(), 1)
	if err != nil {
		t.Fatal(err)
	}
	for i := range rows {
		if got, want := rows[i].Faults(), missed[rows[i].Scenario]; !slices.Equal(got, want) {
			t.Errorf("%s: %v, known is %v", rows[i].Scenario, got, want)
		}
	}
	var table bytes.Buffer
	if err := Write(&table, rows); err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "one.txt")
	if *update {
		if slow {
			t.Fatal("not with the race detector, which plays a part of it")
		}
		if err := os.WriteFile(golden, table.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	known := strings.Split(string(want), "\n")
	for line := range strings.Lines(table.String()) {
		if !slices.Contains(known, strings.TrimSuffix(line, "\n")) {
			t.Errorf("not in %s; -update writes it anew:\n%s", golden, line)
		}
	}
	if lines := strings.Count(table.String(), "\n"); !slow && lines != len(known)-1 {
		t.Errorf("%d lines, %s has %d", lines, golden, len(known)-1)
	}
}

func scenario(t *testing.T, name string) *traffic.Scenario {
	t.Helper()
	for _, s := range traffic.Scenarios() {
		if s.Name == name {
			return &s
		}
	}
	t.Fatalf("no scenario %s", name)
	return nil
}

// A score that praises whatever it is shown is worth nothing: a detector that
// never acts misses everybody, and one that bans who comes harms everybody.
func TestBadDetectorsScoreBadly(t *testing.T) {
	holder := scenario(t, "slow-post")
	blind, err := Play(holder, Options{}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if blind.Owed != 16 || blind.Found != 0 || blind.After != blind.Before || blind.Before == 0 || blind.Decided != 0 {
		t.Errorf("blind: %+v", blind)
	}
	if faults := strings.Join(blind.Faults(), "; "); !strings.Contains(faults, "16 of 16 attackers missed") ||
		!strings.Contains(faults, "found to be undersized in 1 of 1") {
		t.Errorf("blind: %s", faults)
	}

	mad := detector.Policy{Name: "mad", When: "open >= 1", Action: detector.Ban, Duration: time.Hour}
	harm, err := Play(holder, Options{Policies: []detector.Policy{mad}, BansPerMinute: 10_000}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if len(harm.Harmed) != 200 || harm.Stopped != 16 || harm.Wrong < 5*harm.Right {
		t.Errorf("mad: %d harmed, %d stopped, %d decisions right, %d wrong", len(harm.Harmed), harm.Stopped, harm.Right, harm.Wrong)
	}
	mad.Action = detector.Suggest
	strays, err := Play(holder, Options{Policies: []detector.Policy{mad}}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if len(strays.Harmed) != 0 || strays.Found != 16 || strays.Stopped != 0 || strays.Strayed["mad"] < 200 || strays.After != strays.Before {
		t.Errorf("suggesting: %+v", strays)
	}
}

func TestAllAddsUp(t *testing.T) {
	scenarios := []traffic.Scenario{*scenario(t, "slow-post"), *scenario(t, "guessing-fast")}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(3))
	rows, err := All(scenarios, defaults(), 4, 5)
	if err != nil {
		t.Fatal(err)
	}
	var whole, parts bytes.Buffer
	for i := range rows {
		r, err := Play(&scenarios[i], defaults(), 4, 5)
		if err != nil {
			t.Fatal(err)
		}
		if err := Write(&whole, rows[i:i+1]); err != nil {
			t.Fatal(err)
		}
		if err := Write(&parts, []Row{r}); err != nil {
			t.Fatal(err)
		}
	}
	if whole.String() != parts.String() {
		t.Errorf("together\n%s, one by one\n%s", &whole, &parts)
	}
}

// Blame is of the threads that were held at the refusals of innocents, and of
// no others.
func TestBooks(t *testing.T) {
	villain, user := netip.MustParseAddr("203.0.113.9"), netip.MustParseAddr("192.0.2.9")
	b := newBooks(&traffic.Truth{
		Attackers: []netip.Prefix{netip.PrefixFrom(villain, 32)},
		Innocents: []netip.Prefix{netip.PrefixFrom(user, 32)},
	})
	busy := func(who netip.Addr, service string, held int, count uint64) *connlog.Event {
		return &connlog.Event{Kind: connlog.Refuse, Reason: connlog.RefuseBusy, ClientIP: who, Service: service, Busy: held, Count: count}
	}
	open := func(conn uint64, who netip.Addr) *connlog.Event {
		return &connlog.Event{Kind: connlog.Open, Conn: conn, ClientIP: who, Service: "www"}
	}
	for _, e := range []*connlog.Event{
		busy(user, "www", 4, 1), // before it came
		open(1, villain), open(2, villain), open(3, user),
		busy(user, "www", 4, 1),    // 2/4
		busy(user, "smtp", 4, 1),   // another pool
		busy(villain, "www", 4, 1), // its own
		{Kind: connlog.Close, Conn: 2},
		busy(user, "www", 4, 0), // 1/4
		busy(user, "www", 8, 3), // 3/8
		{Kind: connlog.Start},
		busy(user, "www", 4, 1), // the server forgot it
	} {
		b.enter(e)
	}
	if b.refused != 8 || b.attempts != 9 {
		t.Errorf("%d of %d refused", b.refused, b.attempts)
	}
	if got := b.owed[netip.PrefixFrom(villain, 32)]; got != 2./4+1./4+3./8 {
		t.Errorf("blame %v", got)
	}
	if costly := b.close(); !costly[netip.PrefixFrom(villain, 32)] || len(costly) != 1 {
		t.Errorf("owed %v", costly)
	}
}
