package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"overstay/banlist"
	"overstay/connlog/formats"
	"overstay/detector"
	"overstay/detector/occupancy"
	"overstay/internal/app"
)

// hostile is text that moves the cursor, sets the window's title, begins a line
// of its own, and turns the direction of writing.
const hostile = "x\x1b[2J\x1b]0;title\x07\r\nforged\u009b1A\u202e\x7f\xff\tend"

// TestNothingHostileReachesTheTerminal shows hostile text in all places where
// it may stand.
func TestNothingHostileReachesTheTerminal(t *testing.T) {
	evidence, err := json.Marshal(detector.Evidence{Policy: hostile, Condition: hostile, Pool: hostile, Open: 3, Lines: []string{hostile}})
	if err != nil {
		t.Fatal(err)
	}
	p := netip.MustParsePrefix("203.0.113.9/32")
	ban := banlist.Ban{
		ID: hostile, Prefix: p, Services: []string{hostile}, State: hostile,
		Reason: hostile, Origin: hostile, Evidence: evidence, Duration: time.Hour,
	}
	bare := ban
	bare.Evidence = nil
	bans := []banlist.Ban{ban, bare}
	lineError := &banlist.LineError{Line: 1, Err: errors.New(hostile)}

	for name, show := range map[string]func(u *ui) error{
		"bans":        func(u *ui) error { return u.bans(bans) },
		"banned":      func(u *ui) error { return u.changed("banned", bans, nil) },
		"lifted":      func(u *ui) error { u.stillBanned(p, &ban); return nil },
		"suggestions": func(u *ui) error { return u.suggestions(bans) },
		"evidence":    func(u *ui) error { return u.evidence(bans) },
		"checked":     func(u *ui) error { return u.checked(p.Addr(), banlist.Answer{Blocked: true, Ban: &ban}) },
		"history": func(u *ui) error {
			return u.history([]banlist.Transition{{ID: hostile, Prefix: p, From: hostile, To: hostile, By: hostile, Reason: hostile}})
		},
		"allowances": func(u *ui) error { return u.allowances([]banlist.Allowance{{Prefix: p, Note: hostile, By: hostile}}) },
		"imported": func(u *ui) error {
			return u.imported(banlist.ImportResult{Skipped: 1, Errors: []*banlist.LineError{lineError}})
		},
		"top": func(u *ui) error {
			u.top(topView{Pools: []poolView{{Pool: hostile}}, Sources: []rankView{{Source: hostile}}})
			return nil
		},
		"why":    func(u *ui) error { return u.why(fixedWhy(hostile, 3), 5, time.Now()) },
		"source": func(u *ui) error { return u.whySource(fixedSource(hostile), 5, time.Now()) },
		"analysis": func(u *ui) error {
			return u.analysis(&app.Analysis{Policies: []string{hostile}, Decisions: fixedSource(hostile).Decisions, Pools: fixedWhy(hostile, 3).Reports, Occupancy: &occupancy.Report{
				Services: []occupancy.Service{{Service: hostile, Pool: hostile, Busy: 1}, {Service: hostile}}, Full: []occupancy.Full{{Service: hostile}},
			}, Unsized: []string{hostile}, Read: app.LogsRead{Gives: formats.Gives{Note: hostile}}}, analysisShown{most: 5})
		},
		"diff": func(u *ui) error {
			d := fixedSource(hostile).Decisions[0]
			return u.policyDiff(&app.PolicyDiff{
				OnlyOld: []app.Unmatched{{Decision: d, Within: &d}}, Changed: []app.Changed{{Old: d, New: d, What: []string{"policy", "services"}}},
				Pools: []app.PoolDiff{{Pool: hostile, Refused: 3, Old: fixedWhy(hostile, 1).Reports[0], New: fixedWhy(hostile, 1).Reports[0]}},
			}, 5)
		},
		"nets": func(u *ui) error { u.nets([]rankView{{Source: hostile}}); return nil },
		"decided": func(u *ui) error {
			u.decided(app.Decided{Decision: detector.Decision{
				Policy: hostile, Source: p, Evidence: detector.Evidence{Pool: hostile, Open: 1},
			}})
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			if err := show(&ui{out: &out, err: &out}); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(out.String(), "forged") {
				t.Errorf("it does not show the text at all: %q", out.String())
			}
			for line := range strings.Lines(out.String()) {
				line = strings.TrimSuffix(line, "\n")
				if strings.HasPrefix(strings.TrimSpace(line), "forged") || strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsGraphic(r) }) {
					t.Errorf("%q", line)
				}
			}
		})
	}
}

// TestOutputThatCannotBeWritten is not taken for success.
func TestOutputThatCannotBeWritten(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("needs /dev/full")
	}
	defer func() { _ = full.Close() }()
	state := t.TempDir()
	for _, command := range []string{
		"ban 203.0.113.9", "bans", "bans --json", "bans --all", "history", "allow 192.0.2.1", "allow", "export", "export --json",
		"unban 203.0.113.9", "version", "config example", "help",
	} {
		var stderr strings.Builder
		arguments := append(strings.Fields(command), "--state", state)
		code := run(t.Context(), arguments, strings.NewReader(""), full, &stderr)
		if code != exitFailed || strings.Count(stderr.String(), "no space left") != 1 {
			t.Errorf("%s: exit code %d: %s", command, code, &stderr)
		}
	}
	if code := run(t.Context(), []string{"ban", "203.0.113.9", "--state", state}, strings.NewReader(""), &strings.Builder{}, full); code != exitDone {
		t.Errorf("standard error is no result, but the exit code is %d", code)
	}
	// What check finds is said by its exit code too.
	if code := run(t.Context(), []string{"check", "203.0.113.9", "--state", state}, strings.NewReader(""), full, &strings.Builder{}); code != exitFound {
		t.Errorf("check: exit code %d", code)
	}
}

func TestExitCodeOfAConfigurationThatCannotBeRead(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing.toml")
	for _, command := range []string{"config check " + missing, "serve --config " + missing} {
		if code, _, stderr := session(t.Context(), strings.Fields(command)...); code != exitUsage || !strings.Contains(stderr, "missing.toml") {
			t.Errorf("%s: exit code %d: %s", command, code, stderr)
		}
	}
}

// TestSettledHalfWay says which suggestions were settled before one failed.
func TestSettledHalfWay(t *testing.T) {
	state := t.TempDir()
	path := filepath.Join(state, "bans.db")
	list, err := banlist.Open(t.Context(), path, banlist.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range []string{"192.0.2.1/32", "192.0.2.2/32"} {
		b := banlist.Ban{ID: string(rune('a' + i)), Prefix: netip.MustParsePrefix(p), State: banlist.Suggested, Origin: "policy:x", Decided: time.Now(), Duration: time.Hour}
		if _, err := list.Decide(t.Context(), []banlist.Ban{b}); err != nil {
			t.Fatal(err)
		}
	}
	if err := list.Close(); err != nil {
		t.Fatal(err)
	}
	failure := errors.New("no more")
	var out strings.Builder
	g := &global{ui: ui{out: &out, err: &out}, state: state}
	approve := func(ctx context.Context) error {
		done := 0
		return settle(ctx, g, []string{"all"}, "banned", func(list *banlist.List, b *banlist.Ban) (banlist.Ban, error) {
			if done++; done > 1 {
				return banlist.Ban{}, failure
			}
			return list.Approve(ctx, b.ID, banlist.Act{By: "operator:test"})
		})
	}
	if err := approve(t.Context()); !errors.Is(err, failure) || !strings.Contains(out.String(), "192.0.2.1") || strings.Contains(out.String(), "192.0.2.2") {
		t.Errorf("%v: %s", err, &out)
	}
}
