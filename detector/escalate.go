package detector

import (
	"encoding/binary"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"overstay/connlog"
)

// Past is a ban that was decided earlier, as the history of the list knows it.
type Past struct {
	ID     string
	Source netip.Prefix // of any size
	At     time.Time
	// Until is when it ends or ended; zero if not known. A source with a ban
	// that still stands gets no further one.
	Until time.Time
	// Services that it is for; empty: all.
	Services []string
	// Forgiven is one that a person lifted. It counts for nothing, also when
	// the log that made it is read again.
	Forgiven bool
}

// past is a Past as it is remembered. Its times are those of the log, which are
// those of the list: not the detector's own, which never go back.
type past struct {
	id        string
	at, until int64
	bits      uint8 // of the target; what a net remembers may be a part of it
	forgiven  bool
	services  []string // empty: all
}

// stand is a decision that stands.
type stand struct {
	action   Action
	until    int64    // a time of the log
	services []string // empty: all
}

// concernAll says whether what concerns some services concerns all the others
// too. None are all there are.
func concernAll(services, others []string) bool {
	if len(services) == 0 || len(others) == 0 {
		return len(services) == 0
	}
	return !slices.ContainsFunc(others, func(o string) bool { return !slices.Contains(services, o) })
}

// target is what a decision is about: leading bits of an address in its 16
// byte form.
type target struct {
	addr [16]byte
	bits uint8
}

// mappedBits are in front of an IPv4 address in its 16 byte form.
const mappedBits = 96

// isIPv4 says whether the 16 byte form is that of an IPv4 address.
func isIPv4(addr [16]byte) bool {
	return binary.BigEndian.Uint64(addr[:8]) == 0 && binary.BigEndian.Uint32(addr[8:]) == 0xffff
}

func targetOf(p netip.Prefix) target {
	t := target{addr: p.Addr().As16(), bits: uint8(p.Bits())}
	if p.Addr().Is4() {
		t.bits += mappedBits
	}
	return t
}

func (t target) prefix() netip.Prefix {
	a := netip.AddrFrom16(t.addr).Unmap()
	if a.Is4() {
		return netip.PrefixFrom(a, int(t.bits)-mappedBits)
	}
	return netip.PrefixFrom(a, int(t.bits))
}

// within is the target of so many bits that t lies in.
func (t target) within(bits uint8) target {
	t.bits = bits
	whole := bits / 8
	if rest := bits % 8; rest > 0 {
		t.addr[whole] &= 0xff << (8 - rest)
		whole++
	}
	clear(t.addr[whole:])
	return t
}

// pastPerSource is the number of bans of one source that are remembered.
// Escalation has reached any maximum by then.
const pastPerSource = 128

// record is what is remembered of the decisions about one source.
type record struct {
	bans   []past // by time
	stands []stand
}

// memory keeps the decisions about sources and nets, for the standing ones and
// for escalation. It is bounded; the least recently decided are forgotten
// first.
//
// A decision about a part of a net is remembered for that part, and the net
// remembers it too: the next part of it that is banned is for longer.
type memory struct {
	records *simplelru.LRU[target, *record]
	widths  []uint8 // the bits of targets that were ever decided about, ascending
	net     connlog.Level
	source  connlog.Level
}

func newMemory(size int, earlier []Past, source, net connlog.Level) (*memory, error) {
	records, err := simplelru.NewLRU[target, *record](size, nil)
	if err != nil {
		return nil, err
	}
	m := &memory{records: records, source: source, net: net}
	// In the order of time, so that the latest are the last forgotten.
	sorted := slices.Clone(earlier)
	slices.SortStableFunc(sorted, func(a, b Past) int {
		if c := a.At.Compare(b.At); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	for _, p := range sorted {
		t, ok := m.targetOf(p.Source)
		if !ok {
			continue
		}
		b := past{id: p.ID, at: p.At.UnixMicro(), until: p.At.UnixMicro(), bits: t.bits, forgiven: p.Forgiven, services: p.Services}
		if p.Until.After(p.At) {
			b.until = p.Until.UnixMicro()
		}
		m.remember(t, b)
	}
	return m, nil
}

// targetOf is what a ban of the list was about. What is smaller than a source
// counts for the source.
func (m *memory) targetOf(p netip.Prefix) (target, bool) {
	if !p.IsValid() {
		return target{}, false
	}
	if src := m.source.Source(p.Addr()); src.Bits() <= p.Bits() {
		return targetOf(src), true
	}
	return targetOf(p.Masked()), true
}

// netOf is the net that a part of it lies in. A source, and what is wider than
// a net, has none.
func (m *memory) netOf(t target) (net target, ok bool) {
	p := t.prefix()
	source, bits := m.source.Source(p.Addr()), m.net.Source(p.Addr()).Bits()
	if p.Bits() >= source.Bits() || p.Bits() <= bits {
		return target{}, false
	}
	return t.within(t.bits - uint8(p.Bits()-bits)), true
}

// of returns the record of a target, a new one if need be.
func (m *memory) of(t target) *record {
	r, ok := m.records.Get(t)
	if !ok {
		r = new(record)
		m.records.Add(t, r)
		if i, known := slices.BinarySearch(m.widths, t.bits); !known {
			m.widths = slices.Insert(m.widths, i, t.bits)
		}
	}
	return r
}

// peek returns the record of a target, or nil.
func (m *memory) peek(t target) *record {
	r, _ := m.records.Peek(t)
	return r
}

// remember keeps a ban of the target.
func (m *memory) remember(t target, b past) {
	if net, ok := m.netOf(t); ok {
		m.of(net).remember(b)
	}
	m.of(t).remember(b)
}

// growth is the record that the length of a ban goes by.
func (m *memory) growth(t target) *record {
	if net, ok := m.netOf(t); ok {
		t = net
	}
	return m.of(t)
}

// standing says whether a decision at least as strong as a stands, about the
// target or about what it lies in, for all of these services.
func (m *memory) standing(t target, a Action, services []string, now int64) bool {
	for _, bits := range m.widths {
		if bits > t.bits {
			break
		}
		if bits < mappedBits && isIPv4(t.addr) {
			continue // Not even ::/64 has IPv4 in it.
		}
		if r := m.peek(t.within(bits)); r != nil && r.covers(bits, a, services, now) {
			return true
		}
	}
	return false
}

// covers says whether a decision about the whole of a target, which has so
// many bits, stands for these services.
func (r *record) covers(bits uint8, a Action, services []string, now int64) bool {
	for _, s := range r.stands {
		if now < s.until && (s.action == Ban || a == Suggest) && concernAll(s.services, services) {
			return true
		}
	}
	// A ban known from history stands from its time on, not before: the log of
	// that time may just be read again, and makes it again.
	return slices.ContainsFunc(r.bans, func(b past) bool {
		return b.bits == bits && b.at < now && now < b.until && concernAll(b.services, services)
	})
}

// decided notes what stands from now on.
func (r *record) decided(s stand, now int64) {
	r.stands = slices.DeleteFunc(r.stands, func(o stand) bool { return o.until <= now })
	r.stands = append(r.stands, s)
}

// remember keeps a ban. One that is known by its id changes nothing but its
// end: a log that is read again makes the same decisions again.
func (r *record) remember(b past) {
	if i := slices.IndexFunc(r.bans, func(o past) bool { return o.id == b.id }); i >= 0 {
		r.bans[i].until = max(r.bans[i].until, b.until)
		return
	}
	i, _ := slices.BinarySearchFunc(r.bans, b.at, func(o past, at int64) int {
		if o.at <= at {
			return -1
		}
		return 1
	})
	r.bans = slices.Insert(r.bans, i, b)
	if len(r.bans) > pastPerSource {
		r.bans = slices.Delete(r.bans, 0, 1)
	}
}

// duration is how long a ban by p lasts at the time now: its duration, times
// the factor for each ban of the source before now and within memory, whose
// number it also returns. Bans after now are known when a log is read again;
// they do not count.
func (r *record) duration(p *Policy, now int64) (d time.Duration, earlier int) {
	for _, b := range r.bans {
		if b.at < now && !b.forgiven && (p.Escalate.Memory == 0 || now-b.at <= p.Escalate.Memory.Microseconds()) {
			earlier++
		}
	}
	limit := p.Escalate.Max
	if limit == 0 {
		limit = MaxDuration
	}
	f := float64(p.Duration) * math.Pow(max(p.Escalate.Factor, 1), float64(earlier))
	if f >= float64(limit) {
		return max(limit, p.Duration), earlier
	}
	// Whole microseconds, as the log has them.
	return time.Duration(f).Truncate(time.Microsecond), earlier
}

// storm counts the bans of the last minute.
type storm struct {
	limit int
	times []int64 // at most limit, oldest first
}

// rages says whether a further ban would be one too many. A quarter of them is
// kept for who holds much, so that none such can hide behind many small ones.
func (s *storm) rages(now int64, heavy bool) bool {
	i := 0
	for i < len(s.times) && s.times[i] <= now-60*micros {
		i++
	}
	s.times = slices.Delete(s.times, 0, i)
	if !heavy {
		return len(s.times) >= s.limit-s.limit/4
	}
	return len(s.times) >= s.limit
}

func (s *storm) count(now int64) { s.times = append(s.times, now) }
