package detector

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"overstay/connlog"
)

// mixed is a stretch of traffic over many sources that can be repeated: half
// of the connections prove themselves, a tenth fails a login, and now and then
// one is refused. Nobody does what a policy acts on.
type mixed struct {
	r       *rand.Rand
	zipf    *rand.Zipf
	even    bool
	by      connlog.By
	sources []netip.Addr
	e       connlog.Event
	held    []connlog.Event
	step    int
}

func newMixed(sources int, even bool) *mixed {
	all := make([]netip.Addr, sources)
	for i := range all {
		all[i] = neighbour(i)
	}
	r := rand.New(rand.NewPCG(1, 2))
	return &mixed{r: r, by: connlog.ByRequest, zipf: rand.NewZipf(r, 1.1, 1, uint64(sources-1)), even: even, sources: all,
		e: connlog.Event{Time: epoch, Boot: "boot1", Service: "www", Threads: 200}}
}

// neighbour returns the n-th address, eight to a net but for the first ones.
func neighbour(n int) netip.Addr {
	if n < 768 {
		return ip(n)
	}
	return netip.MustParseAddr(fmt.Sprintf("2001:db8:%x:%x::1", n>>3, n&7))
}

// source draws who comes next: a few often, most seldom, as everywhere. With
// even set, everybody is as likely, so that nearly every line meets a source
// whose state is in no processor cache.
func (m *mixed) source() netip.Addr {
	if m.even {
		return m.sources[m.r.IntN(len(m.sources))]
	}
	return m.sources[m.zipf.Uint64()]
}

// next returns the next line. Sources come in a random order, so their state
// is cold, as it is on a real server.
func (m *mixed) next() *connlog.Event {
	e := &m.e
	e.Time = e.Time.Add(200 * time.Microsecond)
	e.Seq++
	m.step++
	switch m.step % 4 {
	case 1:
		e.Kind, e.Conn, e.ClientIP, e.Held = connlog.Open, e.Seq, m.source(), 0
		e.Busy = len(m.held) + 1
		m.held = append(m.held, *e)
		return e
	case 2:
		c := &m.held[m.r.IntN(len(m.held))]
		e.Kind, e.Conn, e.ClientIP, e.By = connlog.Proven, c.Conn, c.ClientIP, m.by
		if m.r.IntN(5) == 0 {
			e.Kind, e.What = connlog.Fail, connlog.FailLogin
		}
		return e
	case 3:
		if m.r.IntN(4) == 0 {
			e.Kind, e.ClientIP, e.Reason, e.Conn = connlog.Refuse, m.source(), connlog.RefuseSessions, 0
			return e
		}
		e.Kind, e.Services = connlog.Beat, nil
		return e
	default:
		if len(m.held) < 100 {
			e.Kind = connlog.Beat
			return e
		}
		i := m.r.IntN(len(m.held))
		c := m.held[i]
		m.held[i] = m.held[len(m.held)-1]
		m.held = m.held[:len(m.held)-1]
		e.Kind, e.Conn, e.ClientIP, e.Held = connlog.Close, c.Conn, c.ClientIP, e.Time.Sub(c.Time)
		return e
	}
}

// BenchmarkObserve is one line of mixed traffic over 100,000 known sources
// with the default policies.
func BenchmarkObserve(b *testing.B) {
	b.Run("zipf", func(b *testing.B) { benchmarkObserve(b, false) })
	b.Run("even", func(b *testing.B) { benchmarkObserve(b, true) })
}

func benchmarkObserve(b *testing.B, even bool) {
	const sources = 100_000
	d := mustNew(b, Options{Policies: DefaultPolicies(), MaxSources: sources})
	warm := newMixed(sources, true)
	for range 20 * sources {
		d.Observe(warm.next())
	}
	m := newMixed(sources, even)
	m.e, m.held = warm.e, warm.held
	// The lines are made beforehand, a batch at a time: making them costs as
	// much as observing them, and stopping the timer for each far more.
	lines := make([]connlog.Event, 128)
	var took time.Duration
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		for i := range lines {
			lines[i] = *m.next()
		}
		start := time.Now()
		for i := range lines {
			d.Observe(&lines[i])
		}
		took += time.Since(start)
		n += len(lines)
	}
	b.ReportMetric(float64(took.Nanoseconds())/float64(n), "ns/line")
	b.ReportMetric(float64(d.Stats().Sources), "sources")
}

// BenchmarkSourcesMemory fills the table and reports its size. Each source has
// opened connections, half have failed logins, and of a mail server's nearly
// all have sent messages too, so that more long counts are kept for them.
func BenchmarkSourcesMemory(b *testing.B) {
	b.Run("web", func(b *testing.B) { benchmarkMemory(b, connlog.ByRequest) })
	b.Run("mail", func(b *testing.B) { benchmarkMemory(b, connlog.ByMessage) })
}

func benchmarkMemory(b *testing.B, by connlog.By) {
	const sources = 100_000
	for b.Loop() {
		// More than fit, so that the names of dropped ones are there too.
		m := newMixed(2*sources, true)
		m.by = by
		before := heapBytes()
		d := mustNew(b, Options{Policies: DefaultPolicies(), MaxSources: sources})
		for range 20 * sources {
			d.Observe(m.next())
		}
		used := heapBytes() - before
		b.ReportMetric(float64(used)/1e6, "MB")
		b.ReportMetric(float64(d.Stats().Sources), "sources")
		b.ReportMetric(float64(d.table.windows.made), "windows")
		runtime.KeepAlive(d)
		runtime.KeepAlive(m)
	}
}

func heapBytes() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkRanking ranks 100,000 sources.
func BenchmarkRanking(b *testing.B) {
	const sources = 100_000
	d := mustNew(b, Options{MaxSources: sources})
	m := newMixed(sources, true)
	for range 20 * sources {
		d.Observe(m.next())
	}
	b.ReportAllocs()
	for b.Loop() {
		d.Ranking(50)
	}
}

// BenchmarkTick is one second of log time with 1,000 threads held.
func BenchmarkTick(b *testing.B) {
	d := mustNew(b, Options{Policies: DefaultPolicies()})
	l := newLogger(2000)
	for i := range 1000 {
		l.connect(ip(i / 2))
	}
	for i := range l.events {
		d.Observe(&l.events[i])
	}
	e := connlog.Event{Kind: connlog.Beat, Boot: l.boot, Time: l.now}
	b.ReportAllocs()
	for b.Loop() {
		e.Time = e.Time.Add(time.Second)
		d.Observe(&e)
	}
}

// BenchmarkDay is 24 hours of a busy server with the default policies: 800,000
// connections of 100,000 sources, which hold a thread for four seconds on
// average, most of them by day; nine of ten prove themselves. Only the detector's
// time is counted, not that of making the lines.
func BenchmarkDay(b *testing.B) {
	const sources, conns = 100_000, 800_000
	for b.Loop() {
		d := mustNew(b, Options{Policies: DefaultPolicies(), MaxSources: sources})
		var took time.Duration
		var lines []connlog.Event
		made, decided := 0, 0
		observe := func() {
			start := time.Now()
			for i := range lines {
				decided += len(d.Observe(&lines[i]))
			}
			took += time.Since(start)
			made += len(lines)
			lines = lines[:0]
		}
		for e := range aDay(sources, conns) {
			if lines = append(lines, *e); len(lines) == 256 {
				observe()
			}
		}
		observe()
		b.ReportMetric(took.Seconds(), "s/day")
		b.ReportMetric(float64(made), "lines")
		b.ReportMetric(float64(decided), "decisions")
	}
}

// aDay returns the lines of that many connections within 24 hours. Who comes by
// day comes four times as often as by night.
func aDay(sources, conns int) iter.Seq[*connlog.Event] {
	return func(yield func(*connlog.Event) bool) {
		m := newMixed(sources, false)
		const slots = 1 << 12 // seconds that a connection may take, and more
		due := make([][]connlog.Event, slots)
		seq, id := uint64(0), uint64(0)
		write := func(e *connlog.Event, at time.Time) bool {
			seq++
			e.Time, e.Seq, e.Boot, e.Service, e.Threads = at, seq, "boot1", "www", 200
			return yield(e)
		}
		left, owed := conns, 0.0
		for second := range 24 * 3600 {
			at := epoch.Add(time.Duration(second) * time.Second)
			for i := range due[second%slots] {
				if !write(&due[second%slots][i], at) {
					return
				}
			}
			due[second%slots] = due[second%slots][:0]
			if beat := (connlog.Event{Kind: connlog.Beat}); second%5 == 0 && !write(&beat, at) {
				return
			}
			many := float64(conns) / (24 * 3600) * 1.6
			if second < 8*3600 || second > 20*3600 {
				many /= 4
			}
			owed += many * 2 * m.r.Float64()
			n := min(int(owed), left)
			owed -= float64(n)
			left -= n
			for i := range n {
				id++
				now := at.Add(time.Duration(i+1) * time.Second / time.Duration(n+1))
				e := connlog.Event{Kind: connlog.Open, Conn: id, ClientIP: m.source()}
				if !write(&e, now) {
					return
				}
				hold := 1 + int(m.r.ExpFloat64()*4)
				if m.r.IntN(10) > 0 {
					p := e
					p.Kind, p.By = connlog.Proven, connlog.ByRequest
					due[(second+1)%slots] = append(due[(second+1)%slots], p)
				}
				e.Kind, e.Held = connlog.Close, time.Duration(hold)*time.Second
				end := (second + min(hold, slots-1)) % slots
				due[end] = append(due[end], e)
			}
		}
	}
}
