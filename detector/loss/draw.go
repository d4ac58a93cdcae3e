package loss

import "math/bits"

// samples are the connections that a refused arrival may get its holding time
// from, by source and by service.
type samples struct {
	source groups
	// Two for each service: of sources that are not suspects, and of suspects.
	service groups
}

func newSamples(s *System) samples {
	var services int
	for i := range s.arrivals {
		services = max(services, int(s.arrivals[i].Service)+1)
	}
	return samples{
		source:  newGroups(s, s.sources, func(a *Arrival) int { return int(a.Source) }),
		service: newGroups(s, 2*services, s.party),
	}
}

// party is the group of a service that an arrival belongs to.
func (s *System) party(a *Arrival) int {
	p := 2 * int(a.Service)
	if s.suspect[a.Source] {
		p++
	}
	return p
}

// nobody is the connection of a pool in which none was ever served.
const nobody = ^uint32(0)

// draw picks for each refused arrival, in their order, whose times the first
// of its clients gets: the same under every change, so it is done once.
func (s *System) draw(into []uint32, seed uint64) []uint32 {
	into = into[:0]
	for i, m := range s.marks {
		if m&refused != 0 {
			into = append(into, s.pick(uint32(i), 0, seed))
		}
	}
	return into
}

// pick draws the connection whose times the client number k of arrival i gets.
func (s *System) pick(i uint32, k, seed uint64) uint32 {
	if own := s.own[s.chain[i]]; own >= 0 {
		return uint32(own)
	}
	a := &s.arrivals[i]
	from := s.samples.source.of(int(a.Source))
	if len(from) == 0 {
		from = s.samples.service.of(s.party(a))
	}
	if len(from) == 0 {
		from = s.samples.service.of(s.party(a) ^ 1)
	}
	if len(from) == 0 {
		from = s.samples.service.members
	}
	if len(from) == 0 {
		return nobody
	}
	n, _ := bits.Mul64(scramble(seed, uint64(i), k), uint64(len(from)))
	return from[n]
}

// scramble gives each client of each seed a random number of its own, whatever
// was drawn before: three rounds of SplitMix64 (Steele, Lea and Flood, "Fast
// Splittable Pseudorandom Number Generators", 2014).
func scramble(seed, i, k uint64) uint64 { return splitMix(splitMix(splitMix(seed)^i) ^ k) }

func splitMix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// groups are the arrivals that were served, put together by a number.
type groups struct {
	first   []uint32
	members []uint32
}

func newGroups(s *System, n int, number func(*Arrival) int) groups {
	g := groups{first: make([]uint32, n+1)}
	for i := range s.arrivals {
		if a := &s.arrivals[i]; !a.Refused {
			g.first[number(a)+1]++
		}
	}
	for j := range n {
		g.first[j+1] += g.first[j]
	}
	g.members = make([]uint32, g.first[n])
	next := append([]uint32(nil), g.first...)
	for i := range s.arrivals {
		if a := &s.arrivals[i]; !a.Refused {
			j := number(a)
			g.members[next[j]] = uint32(i)
			next[j]++
		}
	}
	return g
}

func (g *groups) of(number int) []uint32 { return g.members[g.first[number]:g.first[number+1]] }
