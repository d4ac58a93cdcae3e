package app_test

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"overstay/internal/app"
)

// configOf reads a configuration file with this text.
func configOf(t *testing.T, text string) *app.Config {
	t.Helper()
	path := filepath.Join(t.TempDir(), "overstay.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := app.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// grabbing bans who holds ten threads that did nothing yet.
const grabbing = `
[detector]
default_policies = false
[[policy]]
name = "grabbing"
when = "unproven.open >= 10"
action = "ban"
duration = "30m"
`

// sitting bans who sits on a thread and does nothing.
const sitting = `
[detector]
default_policies = false
[[policy]]
name = "sitting"
when = "unproven.mean_age >= 5"
action = "ban"
duration = "2d"
`

func diff(t *testing.T, before, after *app.Config, path string) *app.PolicyDiff {
	t.Helper()
	d, err := app.DiffPolicies(t.Context(), before, after, app.Logs{Paths: []string{path}}, few)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDiffPolicies(t *testing.T) {
	log := writeFile(t, "log", bytes.Join(scenarioLog(t, "slow-holder", newYear), nil))
	old := configOf(t, grabbing)
	same := diff(t, old, configOf(t, grabbing), log)
	if !same.Equal() || same.Same != 1 || len(same.Pools) != 1 || asJSON(t, same.Pools[0].Old) != asJSON(t, same.Pools[0].New) {
		t.Errorf("the same policies: %s", asJSON(t, same))
	}

	none := configOf(t, "[detector]\ndefault_policies = false\n")
	gone := diff(t, old, none, log)
	if gone.Equal() || len(gone.OnlyOld) != 1 || len(gone.OnlyNew)+len(gone.Changed)+gone.Same != 0 {
		t.Errorf("without any: %s", asJSON(t, gone))
	}
	if p := gone.Pools[0]; p.Old.Policy.Averted.Median <= 0 || p.New.Policy.Averted.Median != 0 || p.Refused == 0 {
		t.Errorf("without any, averted: %s", asJSON(t, gone.Pools))
	}
	if back := diff(t, none, old, log); len(back.OnlyNew) != 1 || len(back.OnlyOld) != 0 {
		t.Errorf("the other way round: %s", asJSON(t, back))
	}

	for _, c := range []struct {
		name, from, to string
		want           []string
	}{
		{"action", `action = "ban"`, `action = "suggest"`, []string{"action"}},
		{"duration", `"30m"`, `"20m"`, []string{"duration"}},
		{"name", `name = "grabbing"`, `name = "taking"`, []string{"policy"}},
		{"later", `action`, "for = \"5s\"\naction", []string{"at"}},
		{"services", `action`, "services = [\"smtp\"]\naction", []string{"services"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := bytes.Replace([]byte(grabbing), []byte(c.from), []byte(c.to), 1)
			d := diff(t, old, configOf(t, string(text)), log)
			if len(d.Changed) != 1 || !slices.Equal(d.Changed[0].What, c.want) || len(d.OnlyOld)+len(d.OnlyNew)+d.Same != 0 {
				t.Fatalf("%s", asJSON(t, d))
			}
			if at := d.Changed[0].New.At.Sub(d.Changed[0].Old.At); c.name == "later" && (at < 4*time.Second || at > 6*time.Second) {
				t.Errorf("%v later", at)
			}
		})
	}
}

// TestDiffOfOneWhoReturns pairs each of several bans of a source with its own.
func TestDiffOfOneWhoReturns(t *testing.T) {
	log := writeFile(t, "log", bytes.Join(scenarioLog(t, "returning-offender", newYear), nil))
	short := strings.Replace(grabbing, `"30m"`, `"1m"`, 1)
	old := configOf(t, short)
	same := diff(t, old, configOf(t, short), log)
	if same.Same < 3 || !same.Equal() {
		t.Fatalf("%d the same: %s", same.Same, asJSON(t, same))
	}
	later := diff(t, old, configOf(t, strings.Replace(short, "action", "for = \"5s\"\naction", 1)), log)
	if len(later.Changed) < same.Same-1 || later.Same != 0 {
		t.Errorf("%d changed, %d the same", len(later.Changed), later.Same)
	}
	for _, c := range later.Changed {
		if d := c.New.At.Sub(c.Old.At); d < 0 || d > time.Minute {
			t.Errorf("the ban of %v is paired with that of %v", c.Old.At, c.New.At)
		}
	}
	// A policy that lets the first time pass has nothing beside the first ban.
	patient := diff(t, old, configOf(t, strings.Replace(short, `>= 10"`, `>= 10 && thread_seconds >= 4000"`, 1)), log)
	if len(patient.OnlyOld) != 1 || len(patient.OnlyNew) != 0 || patient.OnlyOld[0].Decision.At.After(newYear.Add(2*time.Minute)) {
		t.Errorf("%d only old, %d only new, %d changed", len(patient.OnlyOld), len(patient.OnlyNew), len(patient.Changed))
	}
}

// TestDiffTellsOfNets wants decisions about addresses beside that of the net
// that takes their place.
func TestDiffTellsOfNets(t *testing.T) {
	log := writeFile(t, "log", bytes.Join(scenarioLog(t, "net-of-holders", newYear), nil))
	one := configOf(t, sitting)
	net := configOf(t, `
[detector]
default_policies = false
[[policy]]
name = "sitting-together"
level = "net"
when = "net.unproven.members >= 20 && net.unproven.mean_age >= 5"
action = "ban"
duration = "30m"
`)
	d := diff(t, one, net, log)
	if len(d.OnlyOld) < 100 || len(d.OnlyNew) == 0 {
		t.Fatalf("%d only old, %d only new", len(d.OnlyOld), len(d.OnlyNew))
	}
	within := 0
	for _, u := range d.OnlyOld {
		if u.Within == nil {
			continue
		}
		within++
		if !u.Within.Source.Contains(u.Decision.Source.Addr()) {
			t.Fatalf("%v is not in %v", u.Decision.Source, u.Within.Source)
		}
	}
	if within < len(d.OnlyOld)/2 {
		t.Errorf("only %d of %d are told to be in a net that is banned", within, len(d.OnlyOld))
	}
	attackers := netip.MustParsePrefix("203.0.113.0/24")
	for _, u := range d.OnlyNew {
		if !attackers.Overlaps(u.Decision.Source) {
			t.Errorf("banned %v", u.Decision.Source)
		}
	}
}
