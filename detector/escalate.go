package detector

import (
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// Past is a ban that was decided earlier, as the history of the list knows it.
type Past struct {
	ID     string
	Source netip.Prefix
	At     time.Time
	// Until is when it ends or ended; zero if not known. A source with a ban
	// that still stands gets no further one.
	Until time.Time
}

// past is a Past as it is remembered.
type past struct {
	id        string
	at, until int64
}

// pastPerSource is the number of bans of one source that are remembered.
// Escalation has reached any maximum by then.
const pastPerSource = 128

// record is what is remembered of the decisions about one source.
type record struct {
	bans []past // by time
	// The ends of the ban and of the suggestion that were decided last.
	banned, suggested int64
}

// memory keeps the decisions about sources, for the standing ones and for
// escalation. It is bounded; the least recently decided are forgotten first.
type memory struct {
	records *simplelru.LRU[[16]byte, *record]
}

func newMemory(size int, earlier []Past, source func(netip.Addr) netip.Prefix) (*memory, error) {
	records, err := simplelru.NewLRU[[16]byte, *record](size, nil)
	if err != nil {
		return nil, err
	}
	m := &memory{records: records}
	// In the order of time, so that the latest are the last forgotten.
	sorted := slices.Clone(earlier)
	slices.SortStableFunc(sorted, func(a, b Past) int {
		if c := a.At.Compare(b.At); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	for _, p := range sorted {
		src := source(p.Source.Addr())
		if !src.IsValid() {
			continue
		}
		b := past{id: p.ID, at: p.At.UnixMicro(), until: p.At.UnixMicro()}
		if p.Until.After(p.At) {
			b.until = p.Until.UnixMicro()
		}
		m.of(src.Addr().As16()).remember(b)
	}
	return m, nil
}

// of returns the record of a source, a new one if need be.
func (m *memory) of(addr [16]byte) *record {
	r, ok := m.records.Get(addr)
	if !ok {
		r = new(record)
		m.records.Add(addr, r)
	}
	return r
}

// standing says whether a decision at least as strong as a stands.
func (m *memory) standing(addr [16]byte, a Action, now int64) bool {
	r, ok := m.records.Peek(addr)
	if !ok {
		return false
	}
	if r.banned > now || a == Suggest && r.suggested > now {
		return true
	}
	// A ban known from history stands from its time on, not before: the log of
	// that time may just be read again, and makes it again.
	return slices.ContainsFunc(r.bans, func(b past) bool { return b.at < now && now < b.until })
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
		if b.at < now && (p.Escalate.Memory == 0 || now-b.at <= p.Escalate.Memory.Microseconds()) {
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

// rages says whether a further ban would be one too many.
func (s *storm) rages(now int64) bool {
	i := 0
	for i < len(s.times) && s.times[i] <= now-60*micros {
		i++
	}
	s.times = slices.Delete(s.times, 0, i)
	return len(s.times) >= s.limit
}

func (s *storm) count(now int64) { s.times = append(s.times, now) }
