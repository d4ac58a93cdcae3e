package bulk_test

import (
	"bytes"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"overstay/connlog"
	"overstay/connlog/bulk"
)

// benchBytes is the size of the log that is read, by the environment variable
// BULK_BENCH_MB or 256 MiB.
func benchBytes() int {
	mb, err := strconv.Atoi(os.Getenv("BULK_BENCH_MB"))
	if err != nil {
		mb = 256
	}
	return mb << 20
}

// benchLog writes a log to a file and says how many lines it has.
func benchLog(b *testing.B) (path string, size int64, lines int) {
	path = filepath.Join(b.TempDir(), "conn.log")
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	g := newGenerator(1, 1000, false)
	for size < int64(benchBytes()) {
		g.text = g.text[:0]
		text := g.log(1 << 20)
		lines += bytes.Count(text, []byte("\n"))
		size += int64(len(text))
		if _, err := f.Write(text); err != nil {
			b.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
	return path, size, lines
}

// BenchmarkRead reads one log in all the ways there are. On a machine that has
// something else to do as well, compare the best of many rounds.
func BenchmarkRead(b *testing.B) {
	path, size, lines := benchLog(b)
	run := func(name string, read func(b *testing.B) int) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(size)
			b.ReportAllocs()
			best, least := time.Duration(math.MaxInt64), time.Duration(math.MaxInt64)
			for b.Loop() {
				used, begun := cpuTime(b), time.Now()
				if n := read(b); n != lines {
					b.Fatalf("%d of %d lines", n, lines)
				}
				best, least = min(best, time.Since(begun)), min(least, cpuTime(b)-used)
			}
			b.ReportMetric(float64(size)/1e6/best.Seconds(), "best-MB/s")
			b.ReportMetric(float64(best)/float64(lines), "best-ns/event")
			b.ReportMetric(float64(least)/float64(lines), "cpu-ns/event")
			b.ReportMetric(0, "ns/op")
		})
	}
	run("newlines", func(b *testing.B) int { return countNewlines(b, path) })
	run("newlines_mapped", func(b *testing.B) int { return countMapped(b, path) })
	run("sequential", func(b *testing.B) int { return readSequential(b, path, func(*connlog.Event) {}) })
	for _, workers := range []int{1, 2, 3, 4} {
		run("workers="+strconv.Itoa(workers), func(b *testing.B) int {
			return readBulk(b, path, bulk.Options{Workers: workers}, func(*connlog.Event) {})
		})
	}
	for _, kb := range []int{16, 32, 64, 256, 1024} {
		run("chunk="+strconv.Itoa(kb)+"k", func(b *testing.B) int {
			return readBulk(b, path, bulk.Options{ChunkBytes: kb << 10}, func(*connlog.Event) {})
		})
	}
	text, err := os.ReadFile(path)
	if err != nil {
		b.Fatal(err)
	}
	for name, pack := range map[string]func(testing.TB, []byte) []byte{"gzip": gzipped, "zstd": zstded} {
		packed := filepath.Join(b.TempDir(), name)
		if err := os.WriteFile(packed, pack(b, text), 0o600); err != nil {
			b.Fatal(err)
		}
		run(name, func(b *testing.B) int {
			return readBulk(b, packed, bulk.Options{}, func(*connlog.Event) {})
		})
	}
	run("digest", func(b *testing.B) int { return digestBulk(b, path, bulk.Options{}) })
}

// BenchmarkBeside reads one log in turns, so that whatever else the machine
// does is the same to all, and gives the best of each.
func BenchmarkBeside(b *testing.B) {
	path, size, lines := benchLog(b)
	ways := []struct {
		name string
		read func() int
	}{
		{"newlines", func() int { return countNewlines(b, path) }},
		{"mapped", func() int { return countMapped(b, path) }},
		{"sequential", func() int { return readSequential(b, path, func(*connlog.Event) {}) }},
		{"bulk", func() int { return readBulk(b, path, bulk.Options{}, func(*connlog.Event) {}) }},
		{"digest", func() int { return digestBulk(b, path, bulk.Options{}) }},
	}
	wall, cpu := make([]time.Duration, len(ways)), make([]time.Duration, len(ways))
	for b.Loop() {
		for i, way := range ways {
			used, begun := cpuTime(b), time.Now()
			if n := way.read(); n != lines {
				b.Fatalf("%s: %d of %d lines", way.name, n, lines)
			}
			took, used := time.Since(begun), cpuTime(b)-used
			if wall[i] == 0 || took < wall[i] {
				wall[i] = took
			}
			if cpu[i] == 0 || used < cpu[i] {
				cpu[i] = used
			}
		}
	}
	b.ReportMetric(0, "ns/op")
	for i, way := range ways {
		b.Logf("%-16s %6.0f MB/s, %4.0f ns of time and %4.0f ns of a core for an event", way.name,
			float64(size)/1e6/wall[i].Seconds(), float64(wall[i])/float64(lines), float64(cpu[i])/float64(lines))
		b.ReportMetric(float64(size)/1e6/wall[i].Seconds(), way.name+"-MB/s")
	}
}

// cpuTime is what the process has used of all cores.
func cpuTime(b *testing.B) time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

func readBulk(b *testing.B, path string, o bulk.Options, fold func(*connlog.Event)) (n int) {
	for batch, err := range bulk.NewReader(bulk.Files(path), o).Batches(b.Context()) {
		if err != nil {
			b.Fatal(err)
		}
		n += len(batch.Events)
		for i := range batch.Events {
			fold(&batch.Events[i])
		}
	}
	return n
}

// counter is the least that a digest can be.
type counter struct{ n int }

func (c *counter) Reset() { c.n = 0 }

func (c *counter) Observe(*connlog.Event) { c.n++ }

// digestBulk reads without keeping an event.
func digestBulk(b *testing.B, path string, o bulk.Options) (n int) {
	o.Digest = func() bulk.Digest { return new(counter) }
	for batch, err := range bulk.NewReader(bulk.Files(path), o).Batches(b.Context()) {
		if err != nil {
			b.Fatal(err)
		}
		n += batch.Digest.(*counter).n
	}
	return n
}

func readSequential(b *testing.B, path string, fold func(*connlog.Event)) (n int) {
	r, err := connlog.OpenReader(path)
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close() //nolint:errcheck // nothing was written
	for e, err := range r.Events() {
		if err != nil {
			b.Fatal(err)
		}
		fold(e)
		n++
	}
	return n
}

// countMapped counts in a file that is mapped into memory, which the package
// does not do.
func countMapped(b *testing.B, path string) int {
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // nothing was written
	info, err := f.Stat()
	if err != nil {
		b.Fatal(err)
	}
	text, err := syscall.Mmap(int(f.Fd()), 0, int(info.Size()), syscall.PROT_READ, syscall.MAP_PRIVATE)
	if err != nil {
		b.Fatal(err)
	}
	n := bytes.Count(text, []byte("\n"))
	if err := syscall.Munmap(text); err != nil {
		b.Fatal(err)
	}
	return n
}

func countNewlines(b *testing.B, path string) (n int) {
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // nothing was written
	buf := make([]byte, 256<<10)
	for {
		m, err := f.Read(buf)
		n += bytes.Count(buf[:m], []byte("\n"))
		if err == io.EOF {
			return n
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}
