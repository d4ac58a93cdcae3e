package traffic

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"regexp"
	"runtime"
	"slices"
	"strings"
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
			seed := 1 + rand.Uint64N(20)
			asIs := fare(t, &s.Truth, s.Simulation(seed))
			ban, threads, scanner := cures(&s, seed)
			averted := func(sim Simulation) float64 {
				left := fare(t, &s.Truth, sim)
				return 1 - float64(left.refused)/float64(max(asIs.refused, 1))
			}
			b, n, k := averted(ban), averted(threads), averted(scanner)
			t.Logf("seed %2d: %-20s %7d attempts, %5.1f%% refused; averted by ban %5.2f, threads %5.2f, scanner %5.2f",
				seed, s.Name, asIs.attempts, 100*asIs.share(), b, n, k)
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
				t.Errorf("seed %d: labelled %s, is %s", seed, s.Truth.Verdict, is)
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

// Every line of every scenario must fit into the books of its server, be in
// order, and be from an address that is nobody's.
func TestScenariosKeepTheBooks(t *testing.T) {
	nobodys := []netip.Prefix{}
	for _, p := range []string{
		"192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "198.18.0.0/15", "100.64.0.0/10", "2001:db8::/32",
	} {
		nobodys = append(nobodys, netip.MustParsePrefix(p))
	}
	for _, s := range Scenarios() {
		if Slow && s.Name != "crash" {
			continue
		}
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			sim := s.Simulation(rand.Uint64())
			sim.Steps = nil // the ledger is about a clock that goes well
			seen := map[Part]int{}
			playBoots(t, &sim, func(e *connlog.Event) {
				if e.Kind != connlog.Open {
					return
				}
				seen[s.Truth.Of(e.ClientIP)]++
				if !slices.ContainsFunc(nobodys, func(p netip.Prefix) bool { return p.Contains(e.ClientIP) }) {
					t.Fatalf("%v is somebody's", e.ClientIP)
				}
			})
			for part, sources := range map[Part][]netip.Prefix{
				Innocent: s.Truth.Innocents, Attacker: s.Truth.Attackers,
				Insider: s.Truth.Shared, Decoy: s.Truth.Decoys, Stranger: nil,
			} {
				if (len(sources) > 0) != (seen[part] > 0) {
					t.Errorf("seed %d: %d connections of %d sources of part %d", sim.Seed, seen[part], len(sources), part)
				}
			}
		})
	}
}

func TestScenariosAreWellFormed(t *testing.T) {
	scenarios := Scenarios()
	names := map[string]bool{}
	verdicts := map[Verdict]int{}
	for i := range scenarios {
		s := &scenarios[i]
		if names[s.Name] || !regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`).MatchString(s.Name) {
			t.Errorf("name %q", s.Name)
		}
		names[s.Name] = true
		verdicts[s.Truth.Verdict]++
		if !strings.HasSuffix(s.Story, ".") || len(s.Story) < 20 {
			t.Errorf("%s: story %q", s.Name, s.Story)
		}
		all := slices.Concat(s.Truth.Innocents, s.Truth.Attackers, s.Truth.Shared, s.Truth.Decoys)
		slices.SortFunc(all, comparePrefixes)
		for i := 1; i < len(all); i++ {
			if all[i-1].Overlaps(all[i]) {
				t.Errorf("%s: %v has two parts", s.Name, all[i])
			}
		}
		// What is done with one play must not show in the next.
		sim := s.Simulation(1)
		sim.Services[0].Threads, sim.Groups[0].Attacker = -1, true
		if again := s.Simulation(1); again.Services[0].Threads < 1 || again.Groups[0].Attacker {
			t.Errorf("%s: plays share what they may change", s.Name)
		}
	}
	for _, v := range []Verdict{Attack, Undersized, Scanning, Mixed, Healthy} {
		if verdicts[v] == 0 {
			t.Errorf("no scenario is %s", v)
		}
	}
	if len(scenarios) < 20 {
		t.Errorf("%d scenarios", len(scenarios))
	}
}

func TestScenariosAreTheSameForTheSameSeed(t *testing.T) {
	write := func(s *Scenario, seed uint64, procs int) []byte {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
		sim := s.Simulation(seed)
		var b bytes.Buffer
		if _, err := sim.WriteLog(&b, 2_000_000); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	one, two := Scenarios(), Scenarios()
	for i := range one {
		if Slow && i%8 != 0 {
			continue
		}
		a := write(&one[i], 7, 1)
		if !bytes.Equal(a, write(&two[i], 7, 2)) {
			t.Errorf("%s: the same seed gave different logs", one[i].Name)
		}
		if bytes.Equal(a, write(&one[i], 8, 1)) {
			t.Errorf("%s: different seeds gave the same log", one[i].Name)
		}
	}
}

func TestPartsAndHarm(t *testing.T) {
	office := Customers(WWW, Addresses(addr("198.51.100.1"), 3))
	insider := Holders(WWW, 1, addr("198.51.100.2"))
	site := Holders(WWW, 1, addr("2001:db8:bad:7::1"))
	site.Hop = 48
	once := Flood(WWW, 1, addr("100.80.0.1"))
	once.Visits = 1
	truth := truthOf(Attack, []Group{office, insider, site, once, Holders(WWW, 1, addr("203.0.113.9"))})
	for a, want := range map[string]Part{
		"198.51.100.1": Innocent, "198.51.100.2": Insider, "198.51.100.3": Innocent, "198.51.100.4": Stranger,
		"203.0.113.9": Attacker, "::ffff:203.0.113.9": Attacker, "2001:db8:bad:ffff::1": Attacker,
		"2001:db8:bae::1": Stranger, "100.80.0.1": Decoy, "0.0.0.0": Stranger,
	} {
		if got := truth.Of(addr(a)); got != want {
			t.Errorf("%s plays part %d, want %d", a, got, want)
		}
	}
	for p, want := range map[string]bool{
		"198.51.100.1/32": true, "198.51.100.2/32": true, "198.51.100.4/32": false, "198.51.100.0/24": true,
		"203.0.113.0/24": false, "2001:db8:bad::/48": false, "2001:db8::/32": false, "100.80.0.0/12": false, "0.0.0.0/0": true,
	} {
		if got := truth.Harms(netip.MustParsePrefix(p)); got != want {
			t.Errorf("a ban of %s harms: %v", p, got)
		}
	}
}

func BenchmarkScenarios(b *testing.B) {
	for _, s := range Scenarios() {
		b.Run(s.Name, func(b *testing.B) {
			sim := s.Simulation(1)
			events, err := sim.Events()
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			lines := 0
			for b.Loop() {
				for range events {
					lines++
				}
			}
			b.ReportMetric(float64(lines)/float64(b.N), "lines")
		})
	}
}
