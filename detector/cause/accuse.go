package cause

import (
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"
	"time"
)

// group is a suspect with its sources in a scene.
type group struct {
	Accused
	members []uint32
	bans    []suspicion
	last    time.Duration // when one of them last came
	account
}

// cover is a range of sources: all that share some leading bits.
type cover struct {
	source
	length int
}

// coverOf is what a prefix covers. What is narrower than a source covers it.
func coverOf(p netip.Prefix) (cover, bool) {
	addr := p.Addr().Unmap()
	bits := p.Bits()
	if p.Addr().Is4In6() {
		bits -= 96
	}
	s, ok := sourceOf(addr)
	if !ok || bits < 0 {
		return cover{}, false
	}
	return s.cover(min(bits, s.length())), true
}

// length is how many bits name a source.
func (s source) length() int {
	if s.four {
		return 32
	}
	return 64
}

// prefix is the source as an address or a /64.
func (s source) prefix() netip.Prefix {
	var b [16]byte
	if s.four {
		binary.BigEndian.PutUint32(b[:], uint32(s.bits))
		return netip.PrefixFrom(netip.AddrFrom4([4]byte(b[:4])), s.length())
	}
	binary.BigEndian.PutUint64(b[:], s.bits)
	return netip.PrefixFrom(netip.AddrFrom16(b), s.length())
}

func (s source) cover(bits int) cover {
	shift := s.length() - bits
	s.bits = s.bits >> shift << shift
	return cover{source: s, length: bits}
}

// accuse makes the groups of a scene, in the order of their addresses, and
// finds their members.
func (c *scene) accuse(suspects []suspicion) []*group {
	byCover := make(map[cover]*group)
	var lengths [2][65]bool // of IPv6 and IPv4 prefixes
	var all []*group
	for _, s := range suspects {
		v, ok := coverOf(s.Source)
		if !ok {
			continue
		}
		g := byCover[v]
		if g == nil {
			g = &group{Accused: Accused{Source: s.Source, Policy: s.Policy, Since: s.At}}
			byCover[v] = g
			all = append(all, g)
			lengths[four(v.source)][v.length] = true
		}
		g.bans = append(g.bans, s)
	}
	for n, s := range c.sources {
		for length, used := range lengths[four(s)] {
			if !used || length > s.length() {
				continue
			}
			if g := byCover[s.cover(length)]; g != nil {
				g.members = append(g.members, uint32(n))
				g.Addresses++
			}
		}
	}
	slices.SortFunc(all, func(a, b *group) int { return comparePrefixes(a.Source, b.Source) })
	return all
}

// concerned are the decisions that were made in the stretch or its margins, or
// whose bans were in force then.
func (c *scene) concerned(suspects []suspicion) []suspicion {
	var found []suspicion
	for _, s := range suspects {
		if s.from <= c.last+margin && s.until >= c.first-margin {
			found = append(found, s)
		}
	}
	return found
}

// folded says of each group whether it lies in another of them.
func folded(all []*group) []bool {
	covers := make(map[cover]bool, len(all))
	for _, g := range all {
		v, _ := coverOf(g.Source)
		covers[v] = true
	}
	inner := make([]bool, len(all))
	for i, g := range all {
		v, _ := coverOf(g.Source)
		for length := range v.length {
			inner[i] = inner[i] || covers[v.cover(length)]
		}
	}
	return inner
}

func four(s source) int {
	if s.four {
		return 1
	}
	return 0
}

// outlived says whether a suspect came again after its last ban ended.
func (c *scene) outlived(g *group) bool {
	until := int64(firstMicro)
	for _, b := range g.bans {
		if b.until <= b.from {
			return false
		}
		until = max(until, b.until)
	}
	return c.since(until) < g.last
}

// sort parts the groups in those with blame, the most of it first, and those
// without.
func (c *scene) sort(all []*group) (accused, idle []*group) {
	for _, g := range all {
		if g.Blame > 0 {
			accused = append(accused, g)
		} else {
			idle = append(idle, g)
		}
	}
	slices.SortStableFunc(accused, func(a, b *group) int { return cmp.Compare(b.Blame, a.Blame) })
	return accused, idle
}
