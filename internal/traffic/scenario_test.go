package traffic

import (
	"slices"
	"testing"

	"overstay/connlog"
)

// count is how the innocents of a scenario fare.
type count struct{ attempts, refused uint64 }

func (c count) share() float64 { return float64(c.refused) / float64(max(c.attempts, 1)) }

// fare plays a simulation. Who shares an address with an attacker counts as an
// innocent, and so does the attacker: a log cannot tell them apart.
func fare(t *testing.T, truth *Truth, sim Simulation) count {
	t.Helper()
	events, err := sim.Events()
	if err != nil {
		t.Fatal(err)
	}
	var c count
	for e := range events {
		if e.Kind != connlog.Open && (e.Kind != connlog.Refuse || e.Reason != connlog.RefuseBusy) {
			continue
		}
		switch truth.Of(e.ClientIP) {
		case Stranger:
			t.Fatalf("%v is no part of the scenario", e.ClientIP)
		case Innocent, Insider:
			c.attempts += max(e.Count, 1)
			if e.Kind == connlog.Refuse {
				c.refused += max(e.Count, 1)
			}
		}
	}
	return c
}

// cures returns the simulation with each cause of refusals taken out alone.
func cures(s *Scenario, seed uint64) (ban, threads, scanner Simulation) {
	ban, threads, scanner = s.Simulation(seed), s.Simulation(seed), s.Simulation(seed)
	ban.Groups = slices.DeleteFunc(ban.Groups, func(g Group) bool { return g.Attacker })
	for i := range threads.Services {
		threads.Services[i].Threads *= 2
		scanner.Services[i].Scanner = Scanner{}
	}
	return ban, threads, scanner
}

// The label of each scenario must be what the simulated server shows when the
// causes are really taken away, one by one.
func TestScenariosAreWhatTheyAreLabelled(t *testing.T) {
	for _, s := range Scenarios() {
		if Slow && s.Name != "restart" && s.Name != "scanner-stalls" {
			continue
		}
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			const seed = 1
			asIs := fare(t, &s.Truth, s.Simulation(seed))
			ban, threads, scanner := cures(&s, seed)
			averted := func(sim Simulation) float64 {
				left := fare(t, &s.Truth, sim)
				return 1 - float64(left.refused)/float64(max(asIs.refused, 1))
			}
			b, n, k := averted(ban), averted(threads), averted(scanner)
			t.Logf("%-20s %7d attempts, %5.1f%% refused; averted by ban %5.2f, threads %5.2f, scanner %5.2f",
				s.Name, asIs.attempts, 100*asIs.share(), b, n, k)
			var is Verdict
			switch {
			case asIs.share() < 0.001:
				is = Healthy
			case b >= 0.5:
				is = Attack
			case k >= 0.5:
				is = Scanning
			case n >= 0.5:
				is = Undersized
			default:
				is = Mixed
			}
			if is != s.Truth.Verdict {
				t.Errorf("labelled %s, is %s", s.Truth.Verdict, is)
			}
			if hasAttackers := len(s.Truth.Attackers)+len(s.Truth.Shared) > 0; (is == Attack || is == Mixed) && !hasAttackers {
				t.Error("an attack without attackers")
			}
			if s.Truth.Harmless && b*float64(asIs.refused) > 0.001*float64(asIs.attempts) {
				t.Error("the attackers are not harmless")
			}
		})
	}
}
