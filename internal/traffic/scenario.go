package traffic

import (
	"net/netip"
	"slices"
	"time"

	"overstay/connlog"
)

// Scenario is a story whose truth is known, for testing what a detector makes
// of it. All that its clients and its server do is simulated.
type Scenario struct {
	Name  string // a word or two, joined by hyphens
	Story string // a sentence
	Truth Truth

	simulation Simulation // without the seed
}

// Simulation returns the play of the scenario for a seed. The groups, and what
// belongs to them, are only to be read; everything else may be changed.
func (s *Scenario) Simulation(seed uint64) Simulation {
	sim := s.simulation
	sim.Seed = seed
	sim.Services = slices.Clone(sim.Services)
	sim.Groups = slices.Clone(sim.Groups)
	return sim
}

// Verdict is the cause of a server's refusals.
type Verdict string

// The verdicts. With attack, undersized and scanner the refusals of innocents
// become less than half without that one cause; with mixed there are two
// causes, and no single cure does that.
const (
	Attack     Verdict = "attack"     // someone takes threads on purpose
	Undersized Verdict = "undersized" // too few threads for the real users
	Scanning   Verdict = "scanner"    // waiting for the scanner holds the threads
	Mixed      Verdict = "mixed"      // more than one of them
	Healthy    Verdict = "healthy"    // next to nobody is refused
)

// Truth is what there is to find out about a scenario.
type Truth struct {
	Verdict Verdict

	// Attackers are the sources that attack, at connlog.AddressLevel, or the
	// nets that they hop through. Sorted, like the other lists.
	Attackers []netip.Prefix
	// Innocents are all other sources. A ban that touches one is wrong.
	Innocents []netip.Prefix
	// Shared are sources of attackers and innocents alike. A suggestion is
	// right, since a person can weigh it; a ban is not.
	Shared []netip.Prefix
	// Decoys attack, but each for so short that nothing need be done, nor is
	// anything wrong with doing it.
	Decoys []netip.Prefix

	// Harmless says that the attackers take next to no threads from anybody,
	// so that finding them is welcome but not owed.
	Harmless bool
}

// Part is the part that an address plays.
type Part uint8

// The parts.
const (
	Stranger Part = iota // is not in the scenario
	Innocent             // a real user
	Attacker             // attacks
	Insider              // one of Truth.Shared
	Decoy                // one of Truth.Decoys
)

// Of returns the part of the source that an address belongs to.
func (t *Truth) Of(addr netip.Addr) Part {
	addr = addr.Unmap().WithZone("")
	for _, list := range []struct {
		sources []netip.Prefix
		part    Part
	}{{t.Shared, Insider}, {t.Attackers, Attacker}, {t.Innocents, Innocent}, {t.Decoys, Decoy}} {
		if covered(list.sources, addr) {
			return list.part
		}
	}
	return Stranger
}

// covered says whether one of sorted prefixes that do not overlap has addr.
func covered(sorted []netip.Prefix, addr netip.Addr) bool {
	i, found := slices.BinarySearchFunc(sorted, addr, func(p netip.Prefix, a netip.Addr) int {
		return p.Addr().Compare(a)
	})
	return found || i > 0 && sorted[i-1].Contains(addr)
}

// Harms says whether a ban of a prefix would hit an innocent, be it alone or
// together with an attacker.
func (t *Truth) Harms(banned netip.Prefix) bool {
	return touches(t.Innocents, banned) || touches(t.Shared, banned)
}

// touches says whether one of sorted prefixes overlaps with p.
func touches(sorted []netip.Prefix, p netip.Prefix) bool {
	if covered(sorted, p.Addr()) {
		return true
	}
	i, _ := slices.BinarySearchFunc(sorted, p.Addr(), func(q netip.Prefix, a netip.Addr) int {
		return q.Addr().Compare(a)
	})
	return i < len(sorted) && p.Contains(sorted[i].Addr())
}

// truthOf takes the sides from the groups.
func truthOf(v Verdict, groups []Group) Truth {
	t := Truth{Verdict: v, Innocents: sourcesOf(groups, func(g *Group) bool { return !g.Attacker })}
	t.Decoys = sourcesOf(groups, func(g *Group) bool { return g.Attacker && g.Visits == 1 })
	for _, p := range sourcesOf(groups, func(g *Group) bool { return g.Attacker && g.Visits != 1 }) {
		if i, ok := slices.BinarySearchFunc(t.Innocents, p, comparePrefixes); ok {
			t.Innocents = slices.Delete(t.Innocents, i, i+1)
			t.Shared = append(t.Shared, p)
		} else {
			t.Attackers = append(t.Attackers, p)
		}
	}
	return t
}

// sourcesOf returns the sources of some groups, sorted, each once.
func sourcesOf(groups []Group, match func(*Group) bool) []netip.Prefix {
	var sources []netip.Prefix
	for i := range groups {
		g := &groups[i]
		if !match(g) {
			continue
		}
		for _, a := range g.Sources {
			p := connlog.AddressLevel.Source(a)
			if g.Hop != 0 && g.Hop < p.Bits() {
				p = netip.PrefixFrom(a, g.Hop).Masked()
			}
			sources = append(sources, p)
		}
	}
	slices.SortFunc(sources, comparePrefixes)
	return slices.Compact(sources)
}

func comparePrefixes(a, b netip.Prefix) int { return a.Addr().Compare(b.Addr()) }

// Scenarios returns all scenarios, always the same ones in the same order.
func Scenarios() []Scenario {
	return slices.Concat(holdingScenarios(), proverScenarios(), hoppingScenarios(), loginScenarios(),
		crowdScenarios(), innocentScenarios(), lookalikeScenarios(), serverScenarios(), stallScenarios())
}

// scene makes a scenario. The truth about addresses comes from the groups.
func scene(name, story string, v Verdict, length time.Duration, services []Service, groups ...Group) Scenario {
	return Scenario{
		Name: name, Story: story, Truth: truthOf(v, groups),
		simulation: Simulation{Length: length, Services: services, Groups: groups},
	}
}

// harmless marks attackers that take nobody's thread.
func (s Scenario) harmless() Scenario {
	s.Truth.Harmless = true
	return s
}
