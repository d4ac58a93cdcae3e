package cause

import (
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"time"

	"overstay/connlog"
	"overstay/detector"
	"overstay/detector/loss"
)

// busyDay is a log of n connections, from 100,000 addresses, to a server that
// two suspects hold half of now and then.
func busyDay(n int) []connlog.Event {
	r := rand.New(rand.NewPCG(3, 4))
	var all []connlog.Event
	var open []connlog.Event
	now := epoch
	write := func(e connlog.Event) {
		e.Time, e.Boot, e.Seq = now, "b", uint64(len(all)+1)
		e.Service = "www"
		all = append(all, e)
	}
	write(connlog.Event{Kind: connlog.Start, Services: []connlog.Service{{Service: "www", Threads: 100}}})
	for i := range n {
		now = now.Add(time.Duration(r.ExpFloat64()*80) * time.Millisecond)
		v := uint32(r.IntN(100_000))
		e := connlog.Event{Kind: connlog.Open, Conn: uint64(i + 1), ClientIP: netip.AddrFrom4([4]byte{10, byte(v >> 16), byte(v >> 8), byte(v)})}
		if len(open) == 100 {
			e = connlog.Event{Kind: connlog.Refuse, ClientIP: e.ClientIP, Reason: connlog.RefuseBusy, Busy: 100, Threads: 100}
			write(e)
		} else {
			e.Busy, e.Threads = len(open)+1, 100
			write(e)
			open = append(open, e)
		}
		for len(open) > 40+i/1000%61 {
			k := r.IntN(len(open))
			write(connlog.Event{Kind: connlog.Close, Conn: open[k].Conn, ClientIP: open[k].ClientIP})
			open = slices.Delete(open, k, k+1)
		}
	}
	return all
}

// BenchmarkObserve is the recorder's part of a line, and the detector's beside
// it.
func BenchmarkObserve(b *testing.B) {
	events := busyDay(200_000)
	run := func(name string, observe func() func(*connlog.Event)) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f := observe()
				for i := range events {
					f(&events[i])
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(events)), "ns/line")
		})
	}
	run("recorder", func() func(*connlog.Event) { return New(Options{}).Observe })
	run("detector", func() func(*connlog.Event) {
		d, err := detector.New(detector.Options{Policies: detector.DefaultPolicies()})
		if err != nil {
			b.Fatal(err)
		}
		return func(e *connlog.Event) { d.Observe(e) }
	})
}

// BenchmarkMemory says what an arrival takes.
func BenchmarkMemory(b *testing.B) {
	events := busyDay(200_000)
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		r := New(Options{})
		for i := range events {
			r.Observe(&events[i])
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(r.total), "B/arrival")
	}
}

// BenchmarkReport is a report on a million arrivals.
func BenchmarkReport(b *testing.B) {
	n := 1_000_000
	if testing.Short() {
		n = 50_000
	}
	r := New(Options{})
	for _, e := range busyDay(n) {
		r.Observe(&e)
	}
	for i := range 10 {
		r.Suspect(Suspect{Source: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 1, byte(i), 0}), 24), At: epoch, Until: epoch.Add(time.Hour)})
	}
	b.ReportAllocs()
	for b.Loop() {
		s, _ := r.Whole("www", time.Time{}, time.Time{})
		rep, err := r.Report(s, loss.Question{})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(rep.Refused), "refused")
	}
}
