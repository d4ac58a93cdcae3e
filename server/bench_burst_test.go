package server

import (
	"context"
	"io"
	"net"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"
)

const (
	burstSize = 2000
	burstTime = 500 * time.Millisecond
)

// BenchmarkBurst takes the time that accepted clients wait for an answer: in
// peace, while 2,000 connections in half a second are refused by us, and while
// as many are closed at once by a bare accept loop beside us, which tells what
// the kernel's and the clients' part in it is. All three are taken in turns.
// It reports the medians' ratios, and what a burst leaves in memory.
func BenchmarkBurst(b *testing.B) {
	const accepted = 4
	r := run(b, Options{Services: []Service{testService(accepted)}})
	var clients []*client
	for range accepted {
		c := r.dial(b, "127.0.0.1")
		_ = c.SetDeadline(time.Time{}) // A benchmark may take its time.
		c.expect(b, "hi")
		if got := c.say("login"); got != "ok" {
			b.Fatal(got)
		}
		clients = append(clients, c)
	}
	bare := bareLoop(b)
	ours := r.Addr("test").String()

	var calm, refusing, closing []time.Duration
	before := heap()
	for b.Loop() {
		calm = append(calm, answers(b, clients, func() { time.Sleep(burstTime) })...)
		closing = append(closing, answers(b, clients, func() { burst(b, bare) })...)
		refusing = append(refusing, answers(b, clients, func() { burst(b, ours) })...)
	}
	eventually(b, "the refusers to end", func() bool { return len(r.refusals.slots) == 0 })
	if n := r.Status().Services[0].Refused.Busy; n != uint64(b.N*burstSize) {
		b.Errorf("%d were refused", n)
	}
	r.log.mu.Lock()
	r.log.events = nil // The benchmark's own.
	r.log.mu.Unlock()
	b.ReportMetric(float64(median(calm).Nanoseconds())/1000, "calm-µs")
	b.ReportMetric(float64(median(refusing).Nanoseconds())/1000, "burst-µs")
	b.ReportMetric(float64(median(refusing))/float64(median(calm)), "burst/calm")
	b.ReportMetric(float64(median(refusing))/float64(median(closing)), "burst/bare")
	b.ReportMetric(float64(heap()-before)/1024, "left-KB")
	b.ReportMetric(0, "ns/op")
}

// answers returns how long clients wait for answers, each asking once a
// millisecond, while do is at work.
func answers(b *testing.B, clients []*client, do func()) []time.Duration {
	b.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	took := make([][]time.Duration, len(clients))
	var asking sync.WaitGroup
	for i, c := range clients {
		asking.Go(func() {
			for ctx.Err() == nil {
				start := time.Now()
				if got := c.say("idle"); got != "ok" {
					b.Error(got)
					return
				}
				took[i] = append(took[i], time.Since(start))
				time.Sleep(time.Millisecond)
			}
		})
	}
	do()
	cancel()
	asking.Wait()
	return slices.Concat(took...)
}

// burst opens connections at a steady pace and takes what each is told.
func burst(b *testing.B, addr string) {
	b.Helper()
	var reading sync.WaitGroup
	start := time.Now()
	for i := range burstSize {
		time.Sleep(time.Until(start.Add(time.Duration(i) * burstTime / burstSize)))
		c, err := net.Dial("tcp", addr)
		if err != nil {
			b.Error(err)
			break
		}
		reading.Go(func() {
			_, _ = io.Copy(io.Discard, c) // However it ends.
			_ = c.Close()
		})
	}
	reading.Wait()
}

// bareLoop accepts and closes until the benchmark ends, and returns where.
func bareLoop(b *testing.B) string {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	var loop sync.WaitGroup
	loop.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.Close() // That is all.
		}
	})
	b.Cleanup(func() {
		_ = l.Close() // It was only read.
		loop.Wait()
	})
	return l.Addr().String()
}

func median(d []time.Duration) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[len(d)/2]
}

// heap returns what is in use after two collections: pools of the library are
// emptied by the second one.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
