package loss

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// rushHour is a recording of n arrivals at a pool of 200 threads that ten
// suspects hold a quarter of while it is asked for more than it has: what it
// refuses is what a real one would. One in ten is refused. Of the connections,
// the part scanned sends a message that waits for one of few scanners.
func rushHour(n int, scanned float64) (Recording, []uint32) {
	r := rand.New(rand.NewPCG(7, 7))
	const strangers = 100_000
	rec := Recording{Threads: 200, Sources: strangers + 10}
	suspects := make([]uint32, 10)
	var at float64
	for i := range suspects {
		suspects[i] = uint32(strangers + i)
	}
	for i := range n {
		// A tide of load, from half the pool to all of it and a bit.
		at += r.ExpFloat64() / (75 * (1 + 0.35*math.Sin(2*math.Pi*float64(i)/float64(n)*4)))
		a := Arrival{At: seconds(at), Hold: seconds(2 * r.ExpFloat64()), Source: uint32(r.IntN(strangers))}
		if float64(i%100) < 100*scanned {
			a.Before, a.Wait, a.Scan = a.Hold/10, a.Hold/4, a.Hold/4
		}
		if r.IntN(150) == 0 {
			a.Source, a.Hold = suspects[r.IntN(10)], seconds(100)
		}
		rec.Arrivals = append(rec.Arrivals, a)
	}
	var ends heap
	for i := range rec.Arrivals {
		a := &rec.Arrivals[i]
		for len(ends) > 0 && ends[0] <= int64(a.At) {
			ends.pop()
		}
		if len(ends) < rec.Threads {
			ends.push(int64(a.At + a.Hold))
		} else {
			*a = Arrival{At: a.At, Source: a.Source, Refused: true}
		}
	}
	return rec, suspects
}

// BenchmarkDiagnose is a whole diagnosis of a million arrivals: five seeds,
// ten suspects one by one, the search for threads and scanners, and making the
// recording ready. With scanners, messages make each other wait. There are fewer
// arrivals with -short.
func BenchmarkDiagnose(b *testing.B) {
	for name, scanned := range map[string]float64{"plain": 0, "scanners": 0.5} {
		b.Run(name, func(b *testing.B) {
			arrivals := 1_000_000
			if testing.Short() {
				arrivals = 50_000
			}
			rec, suspects := rushHour(arrivals, scanned)
			b.ReportAllocs()
			var d Diagnosis
			for b.Loop() {
				s, err := New(rec, Options{Suspects: suspects})
				if err != nil {
					b.Fatal(err)
				}
				d = s.Diagnose(Question{})
			}
			b.ReportMetric(float64(d.Recorded), "refused")
		})
	}
}

func BenchmarkNew(b *testing.B) {
	rec, suspects := rushHour(1_000_000, 0.5)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := New(rec, Options{Suspects: suspects}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkReplay is one replay of a million arrivals.
func BenchmarkReplay(b *testing.B) {
	rec, suspects := rushHour(1_000_000, 0.5)
	s, err := New(rec, Options{Suspects: suspects})
	if err != nil {
		b.Fatal(err)
	}
	p := newPlayer(s)
	for name, c := range map[string]Change{"same": {}, "ban": {Without: suspects}, "unlimited": {Threads: Unlimited}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p.play(c, 1, unbounded)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(rec.Arrivals)), "ns/arrival")
		})
	}
}

func BenchmarkQueue(b *testing.B) {
	jobs := make([]Job, 1_000_000)
	for i := range jobs {
		jobs[i] = Job{At: time.Duration(i) * time.Millisecond, Work: time.Duration(i%97) * time.Millisecond}
	}
	b.ReportAllocs()
	for b.Loop() {
		Queue(jobs, 48, time.Second)
	}
}
