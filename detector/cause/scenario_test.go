package cause

import (
	"os"
	"slices"
	"testing"
	"time"

	"overstay/detector/loss"
	"overstay/internal/traffic"
)

// record plays a scenario into a recorder, and accuses those that are guilty.
func record(t testing.TB, s *traffic.Scenario, seed uint64) *Recorder {
	t.Helper()
	sim := s.Simulation(seed)
	events, err := sim.Events()
	if err != nil {
		t.Fatal(err)
	}
	r := New(Options{})
	var last time.Time
	for e := range events {
		r.Observe(e)
		last = e.Time
	}
	for _, p := range slices.Concat(s.Truth.Attackers, s.Truth.Shared) {
		r.Suspect(Suspect{Source: p, Policy: "truth", At: last, Until: last.Add(time.Hour)})
	}
	return r
}

// worst is the report on the whole log, of the pool that refused most.
func worst(t testing.TB, r *Recorder, q loss.Question) *Report {
	t.Helper()
	var all []*Report
	for _, pool := range r.Pools() {
		s, ok := r.Whole(pool, time.Time{}, time.Time{})
		if !ok {
			t.Fatalf("nothing is known of pool %s", pool)
		}
		rep, err := r.Report(s, q)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, rep)
	}
	return Worst(all...)
}

// TestScenariosGetTheirVerdict takes the true attackers as suspects. With
// OVERSTAY_SEEDS=20 it does so for as many seeds.
func TestScenariosGetTheirVerdict(t *testing.T) {
	seeds := uint64(1)
	if os.Getenv("OVERSTAY_SEEDS") != "" {
		seeds = 20
	}
	for i, s := range traffic.Scenarios() {
		if slow && i%8 != 1 {
			continue
		}
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			for seed := range seeds {
				r := record(t, &s, seed+1)
				rep := worst(t, r, loss.Question{Seed: seed, Seeds: 3, Singles: 2})
				d := rep.Diagnosis
				t.Logf("%d: %v also %v; tried %d refused %d/%v ban %v nowait %v threads %v, idle %d %v", seed+1, d.Finding.Verdict, d.Finding.Also, d.Finding.Grounds.Tried, d.Recorded,
					d.Refused, d.Finding.Grounds.Ban, d.Finding.Grounds.NoWait, d.Finding.Grounds.Threads, len(rep.Idle), rep.Notes)
				if got := rep.Verdict().String(); got != string(s.Truth.Verdict) {
					t.Errorf("seed %d: %s, want %s", seed+1, got, s.Truth.Verdict)
				}
			}
		})
	}
}
