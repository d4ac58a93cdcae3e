package app_test

import (
	"bytes"
	"net/netip"
	"testing"

	"overstay/internal/app"
)

// TestWhyNamesWhoIsNoSuspect wants the attacker named where nothing makes it a
// suspect: because it is allowed, or because no policy finds it.
func TestWhyNamesWhoIsNoSuspect(t *testing.T) {
	log := writeFile(t, "log", bytes.Join(scenarioLog(t, "slow-holder", newYear), nil))
	attacker := netip.MustParsePrefix("203.0.113.9/32")
	allowing := state(t)
	allowing.List.Allow = []app.Source{app.Source(attacker)}
	missing := configOf(t, "[detector]\ndefault_policies = false\n[[policy]]\nname = \"never\"\nwhen = \"open >= 10000\"\naction = \"ban\"\n")
	missing.State = t.TempDir()
	check := func(all []app.Unaccused, allowed bool) {
		t.Helper()
		if len(all) != 1 || all[0].Source != attacker || all[0].Share < 0.9 || all[0].Allowed.IsValid() != allowed {
			t.Errorf("named %+v", all)
		}
	}
	for _, c := range []struct {
		cfg     *app.Config
		allowed bool
	}{{allowing, true}, {missing, false}} {
		w, err := whyOf(t, c.cfg, log, app.WhyOptions{})
		if err != nil {
			t.Fatal(err)
		}
		check(w.Unaccused, c.allowed)
	}
	w, err := whyOf(t, state(t), log, app.WhyOptions{})
	if err != nil || len(w.Unaccused) != 0 {
		t.Errorf("named beside the suspect: %+v, %v", w.Unaccused, err)
	}
	a, err := app.Analyze(t.Context(), missing, app.AnalyzeOptions{Logs: app.Logs{Paths: []string{log}}, Question: few})
	if err != nil {
		t.Fatal(err)
	}
	check(a.Unaccused, false)
}

// TestWhyOfOneAllowedOrInANet wants the configuration's allow list to count
// without a list, and the effect of the ban of a net beside that of an address
// in it.
func TestWhyOfOneAllowedOrInANet(t *testing.T) {
	log := writeFile(t, "log", bytes.Join(scenarioLog(t, "net-of-holders", newYear), nil))
	net := netip.MustParsePrefix("203.0.113.0/24")
	cfg := state(t)
	cfg.List.Allow = []app.Source{app.Source(net)}
	w, err := whyOf(t, state(t), log, app.WhyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var address netip.Prefix
	for _, a := range w.Reports[0].Suspects {
		if a.Source.IsSingleIP() {
			address = a.Source
		}
	}
	r, err := app.ExplainSource(t.Context(), cfg, address, app.WhyOptions{Logs: app.Logs{Paths: []string{log}}, Question: few})
	if err != nil {
		t.Fatal(err)
	}
	if r.Allowed == nil || r.Allowed.Prefix != net {
		t.Errorf("allowed as %+v", r.Allowed)
	}
	if r.NetEffect == nil || !r.Net.Contains(address.Addr()) || r.Net == address {
		t.Fatalf("in the net %v", r.Net)
	}
	one, all := r.Effect.Diagnosis.Together.Averted.Median, r.NetEffect.Diagnosis.Together.Averted.Median
	if all <= 0 || all < 2*one {
		t.Errorf("a ban of %v averts %d, one of %v %d", address, one, r.Net, all)
	}
}
