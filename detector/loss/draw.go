package loss

import (
	"math"
	"math/bits"
)

// samples are the connections that a refused arrival may get its holding time
// from, by source and by service.
type samples struct {
	source groups
	// Two for each service: of sources that are not suspects, and of suspects.
	service groups
	// And these two of all services.
	party groups
	// What is held where none of them has any.
	unknown int64
}

func newSamples(s *System, unknown int64) samples {
	var services int
	for i := range s.arrivals {
		services = max(services, int(s.arrivals[i].Service)+1)
	}
	return samples{
		source:  newGroups(s, s.sources, func(a *Arrival) int { return int(a.Source) }),
		service: newGroups(s, 2*services, func(a *Arrival) int { return 2*int(a.Service) + s.party(a) }),
		party:   newGroups(s, 2, s.party),
		unknown: unknown,
	}
}

// party is 1 for an arrival of a suspect.
func (s *System) party(a *Arrival) int {
	if s.suspect[a.Source] {
		return 1
	}
	return 0
}

// lot is the connection whose times a client gets, and how long it holds its
// thread by Waiting.
type lot struct {
	like uint32
	hold [2]int64
}

// nobody is the connection of a client whose like was never served.
const nobody = ^uint32(0)

// draw picks the lot of each refused arrival, in their order, or of the first
// of its clients. It is the same under every change, so it is done once.
func (p *player) draw(seed uint64) {
	p.drawn, p.errands, p.drawnFor = p.drawn[:0], p.errands[:0], seed
	for i, m := range p.s.marks {
		if m&refused == 0 {
			continue
		}
		l := p.s.pick(uint32(i), 0, seed)
		p.drawn = append(p.drawn, l)
		if p.s.scanners == nil {
			continue
		}
		// They are copied to stand in the order in which they are asked for.
		var e errand
		if x := p.s.errandOf(l.like); x != nil {
			e = *x
		}
		p.errands = append(p.errands, e)
	}
}

// pick draws the lot of the client number k of arrival i.
func (s *System) pick(i uint32, k, seed uint64) lot {
	like := nobody
	if own := s.own[s.chain[i]]; own >= 0 {
		like = uint32(own)
	} else if from := s.alike(&s.arrivals[i]); len(from) > 0 {
		like = choose(from, scramble(seed, uint64(i), k))
		// Those who were served are a sample too. Each seed has another one, of
		// as many drawn from them, or the spread would leave out how much they
		// tell of the rest.
		like = choose(from, scramble(seed, uint64(like), redraw))
	}
	if like == nobody {
		return lot{like: nobody, hold: [2]int64{s.samples.unknown, s.samples.unknown}}
	}
	return lot{like: like, hold: [2]int64{s.hold(like, AsRecorded), s.hold(like, NoWait)}}
}

// redraw sets the second draw of a seed apart from those for clients.
const redraw = math.MaxUint64

// choose picks one of many by a random number.
func choose(from []uint32, random uint64) uint32 {
	n, _ := bits.Mul64(random, uint64(len(from)))
	return from[n]
}

// alike are the connections that an arrival may get its times from.
func (s *System) alike(a *Arrival) []uint32 {
	if from := s.samples.source.of(int(a.Source)); len(from) > 0 {
		return from
	}
	party := s.party(a)
	if from := s.samples.service.of(2*int(a.Service) + party); len(from) > 0 {
		return from
	}
	return s.samples.party.of(party)
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
