package occupancy_test

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"overstay/connlog"
	"overstay/connlog/bulk"
	"overstay/detector/occupancy"
)

// busyServer writes the log of a mail server with a thousand threads, most of
// which are held, and 200,000 addresses, of which some come often.
func busyServer(b *testing.B, path string, size int64) (written int64, lines int) {
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	const most = 1000
	rng := rand.New(rand.NewPCG(1, 1))
	zipf := rand.NewZipf(rng, 1.2, 8, 200_000)
	now, conn, seq := time.Date(2026, 11, 23, 14, 0, 0, 0, time.UTC), uint64(0), uint64(0)
	var open []connlog.Event
	source := func() netip.Addr {
		n := zipf.Uint64()
		if n%5 == 0 {
			return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 0, byte(n >> 16), byte(n >> 8), byte(n), 15: byte(rng.IntN(3) + 1)})
		}
		return netip.AddrFrom4([4]byte{198, 18 + byte(n>>16), byte(n >> 8), byte(n)})
	}
	var text []byte
	for written < size {
		now = now.Add(time.Duration(rng.ExpFloat64()*20_000) * time.Microsecond)
		e := connlog.Event{Service: "smtp"}
		switch n := rng.IntN(100); {
		case len(open) == 0, n < 38 && len(open) < most:
			conn++
			e.Kind, e.Conn, e.ClientIP, e.ClientPort, e.Busy, e.Threads = connlog.Open, conn, source(), uint16(rng.IntN(60_000)+1024), len(open)+1, most
		case n < 38:
			e.Kind, e.ClientIP, e.Reason, e.Busy, e.Threads = connlog.Refuse, source(), connlog.RefuseBusy, most, most
		default:
			i := rng.IntN(len(open))
			c := &open[i]
			e.Conn, e.ClientIP = c.Conn, c.ClientIP
			if n < 60 {
				e.Kind, e.By, e.User = connlog.Proven, connlog.ByLogin, "user"+strconv.Itoa(rng.IntN(26))+"@example.org"
				if n%3 == 0 {
					e.Kind, e.By, e.What = connlog.Fail, "", connlog.FailLogin
				}
				break
			}
			e.Kind, e.Held, e.End, e.Proven = connlog.Close, now.Sub(c.Time).Truncate(time.Microsecond), connlog.EndClient, n%2 == 0
			e.BytesIn, e.BytesOut = rng.Int64N(100_000), rng.Int64N(2000)
			e.Stages[connlog.StageGreeting], e.Stages[connlog.StageCommand], e.Stages[connlog.StageData] = e.Held/8, e.Held/4, e.Held/2
			open[i] = open[len(open)-1]
			open = open[:len(open)-1]
		}
		seq++
		e.Time, e.Boot, e.Seq = now, "b1", seq
		if e.Kind == connlog.Open {
			open = append(open, e)
		}
		text = append(connlog.Append(text, &e), '\n')
		lines++
		if len(text) > 1<<20 {
			written += int64(len(text))
			if _, err := f.Write(text); err != nil {
				b.Fatal(err)
			}
			text = text[:0]
		}
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
	return written, lines
}

// BenchmarkEngine reads a log and computes everything. OCCUPANCY_BENCH_MB is
// the size of it, 256 if not given. Where the machine has something else to do
// as well, the time of its cores counts.
func BenchmarkEngine(b *testing.B) {
	mb, err := strconv.Atoi(os.Getenv("OCCUPANCY_BENCH_MB"))
	if err != nil {
		mb = 256
	}
	path := filepath.Join(b.TempDir(), "conn.log")
	size, lines := busyServer(b, path, int64(mb)<<20)
	run := func(name string, o bulk.Options, top int) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(size)
			b.ReportAllocs()
			best, least := time.Duration(math.MaxInt64), time.Duration(math.MaxInt64)
			for b.Loop() {
				used, begun := cpuTime(b), time.Now()
				f := readAll(b, bulk.Files(path), o, occupancy.Options{})
				if top >= 0 {
					f.Report(occupancy.ByThreadTime, top)
				}
				best, least = min(best, time.Since(begun)), min(least, cpuTime(b)-used)
			}
			b.ReportMetric(float64(size)/1e6/best.Seconds(), "best-MB/s")
			b.ReportMetric(float64(size)/1e6/least.Seconds(), "MB/s-of-a-core")
			b.ReportMetric(float64(least)/float64(lines), "cpu-ns/event")
			b.ReportMetric(0, "ns/op")
		})
	}
	run("fold", bulk.Options{}, -1)
	run("report10", bulk.Options{}, 10)
	run("reportAll", bulk.Options{}, 0)
	run("workers1", bulk.Options{Workers: 1}, 10)
	for _, kb := range []int{16, 32, 64, 256, 512} {
		run(fmt.Sprintf("chunk%dk", kb), bulk.Options{ChunkBytes: kb << 10}, 10)
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b.Logf("%d bytes in %d lines; %d MB of the system's memory", size, lines, m.Sys>>20)
}

// cpuTime is what the process has used of all cores.
func cpuTime(b *testing.B) time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// readAll folds what is read on all cores.
func readAll(tb testing.TB, inputs []bulk.Input, o bulk.Options, fo occupancy.Options) *occupancy.Fold {
	o.Digest = func() bulk.Digest { return new(occupancy.Notes) }
	f := occupancy.New(fo)
	for batch, err := range bulk.NewReader(inputs, o).Batches(tb.Context()) {
		if err != nil {
			tb.Fatal(err)
		}
		f.Take(batch.Digest.(*occupancy.Notes))
	}
	return f
}

// BenchmarkSteps gives the time of each step for an event, as the best of many
// short rounds: what else the machine does falls into the others.
func BenchmarkSteps(b *testing.B) {
	path := filepath.Join(b.TempDir(), "conn.log")
	_, _ = busyServer(b, path, 24<<20)
	text, err := os.ReadFile(path)
	if err != nil {
		b.Fatal(err)
	}
	text = text[len(text)-(4<<20):] // There are many at once by now.
	lines := bytes.Split(text[bytes.IndexByte(text, '\n')+1:], []byte("\n"))
	const round = 1000
	var parser connlog.Parser
	var event connlog.Event
	notes := make([]occupancy.Notes, len(lines)/round)
	steps := []struct {
		name string
		do   func(i int, lines [][]byte)
		best time.Duration
	}{
		{name: "parse", do: func(_ int, lines [][]byte) {
			for _, line := range lines {
				_ = parser.Parse(line, &event)
			}
		}},
		{name: "parse and note", do: func(i int, lines [][]byte) {
			notes[i].Reset()
			for _, line := range lines {
				if parser.Parse(line, &event) == nil {
					notes[i].Observe(&event)
				}
			}
		}},
	}
	var take []time.Duration
	for b.Loop() {
		f := occupancy.New(occupancy.Options{})
		for i := range notes {
			for k := range steps {
				begun := time.Now()
				steps[k].do(i, lines[i*round:][:round])
				if took := time.Since(begun); steps[k].best == 0 || took < steps[k].best {
					steps[k].best = took
				}
			}
			begun := time.Now()
			f.Take(&notes[i])
			if took := time.Since(begun); len(take) <= i {
				take = append(take, took)
			} else {
				take[i] = min(take[i], took)
			}
		}
	}
	b.ReportMetric(0, "ns/op")
	sum := time.Duration(0)
	for _, one := range take {
		sum += one
	}
	for _, s := range steps {
		b.Logf("%s: %d ns", s.name, s.best.Nanoseconds()/round)
	}
	b.Logf("take: %d ns", sum.Nanoseconds()/round/int64(len(take)))
}
