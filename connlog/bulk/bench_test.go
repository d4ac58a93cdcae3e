package bulk_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"runtime"
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

// BenchmarkRead reads one log in all the ways there are. Divide the ns/event of
// two of them for a ratio.
func BenchmarkRead(b *testing.B) {
	path, size, lines := benchLog(b)
	run := func(name string, read func(b *testing.B) int) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(size)
			b.ReportAllocs()
			before := cpuTime(b)
			for b.Loop() {
				if n := read(b); n != lines {
					b.Fatalf("%d of %d lines", n, lines)
				}
			}
			events := float64(b.N) * float64(lines)
			b.ReportMetric(float64(b.Elapsed())/events, "ns/event")
			b.ReportMetric(float64(cpuTime(b)-before)/events, "cpu-ns/event")
			b.ReportMetric(0, "ns/op")
		})
	}
	run("newlines", func(b *testing.B) int { return countNewlines(b, path) })
	run("sequential", func(b *testing.B) int {
		r, err := connlog.OpenReader(path)
		if err != nil {
			b.Fatal(err)
		}
		defer r.Close() //nolint:errcheck // nothing was written
		n := 0
		for _, err := range r.Events() {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		return n
	})
	for _, workers := range []int{1, 2, runtime.GOMAXPROCS(0) + 1} {
		run("bulk/workers="+strconv.Itoa(workers), func(b *testing.B) int {
			return readBulk(b, path, bulk.Options{Workers: workers}, nil)
		})
	}
	for _, kb := range []int{16, 32, 64, 256, 512, 1024} {
		run("bulk/chunk="+strconv.Itoa(kb)+"k", func(b *testing.B) int {
			return readBulk(b, path, bulk.Options{ChunkBytes: kb << 10}, nil)
		})
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
		if fold != nil {
			for i := range batch.Events {
				fold(&batch.Events[i])
			}
		}
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
