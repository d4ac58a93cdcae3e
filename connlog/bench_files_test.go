package connlog_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/nxadm/tail"

	"overstay/connlog"
)

func BenchmarkWriter(b *testing.B) {
	w, err := connlog.OpenWriter(filepath.Join(b.TempDir(), "conn.log"), connlog.WriterOptions{
		MaxBytes: 256 << 20, Keep: 1, Plain: true, MaxPending: 64 << 20,
	})
	if err != nil {
		b.Fatal(err)
	}
	events := journey()
	for i := range events {
		events[i].Time = time.Time{}
	}
	b.Run("line", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			w.Write(&events[1])
		}
	})
	b.Run("connection", func(b *testing.B) {
		b.ReportAllocs()
		conn := uint64(0)
		for b.Loop() {
			conn++
			for i := range events {
				events[i].Conn = conn
				w.Write(&events[i])
			}
		}
	})
	if err := w.Close(); err != nil {
		b.Error(err)
	}
	b.Logf("lost %d of %d", w.Stats().Lost, w.Stats().Lost+w.Stats().Lines)
	b.Run("slog_line", func(b *testing.B) {
		b.ReportAllocs()
		f, err := os.Create(filepath.Join(b.TempDir(), "slog.log"))
		if err != nil {
			b.Fatal(err)
		}
		defer f.Close() //nolint:errcheck // nobody reads it
		log := slog.New(slog.NewJSONHandler(f, nil))
		e := events[1]
		for b.Loop() {
			log.LogAttrs(context.Background(), slog.LevelInfo, "proven",
				slog.String("boot", "k3v9s0q2m4x7a1bz"), slog.Uint64("seq", e.Seq), slog.String("service", e.Service),
				slog.Uint64("conn", e.Conn), slog.String("client_ip", e.ClientIP.String()),
				slog.String("by", string(e.By)), slog.String("user", e.User))
		}
	})
}

// bigLog writes a log of about n bytes and returns its path and lines.
func bigLog(b *testing.B, n int) (path string, text []byte, lines int) {
	events := journey()
	for len(text) < n {
		for i := range events {
			text = append(connlog.Append(text, &events[i]), '\n')
			lines++
		}
	}
	path = filepath.Join(b.TempDir(), "conn.log")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		b.Fatal(err)
	}
	return path, text, lines
}

func BenchmarkReader(b *testing.B) {
	_, text, lines := bigLog(b, 32<<20)
	perLine := func(b *testing.B) {
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(lines), "ns/line")
	}
	b.Run("lines", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			for _, err := range connlog.NewReader(bytes.NewReader(text)).Lines() {
				if err != nil {
					b.Fatal(err)
				}
			}
		}
		perLine(b)
	})
	b.Run("events", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			for _, err := range connlog.NewReader(bytes.NewReader(text)).Events() {
				if err != nil {
					b.Fatal(err)
				}
			}
		}
		perLine(b)
	})
}

// BenchmarkCatchUp reads a log that is there, beside the tail library alone.
func BenchmarkCatchUp(b *testing.B) {
	path, text, lines := bigLog(b, 32<<20)
	b.Run("follow", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			n := 0
			for _, err := range connlog.Follow(b.Context(), path, connlog.FollowOptions{}) {
				if err != nil {
					b.Fatal(err)
				}
				if n++; n == lines {
					break
				}
			}
		}
		b.ReportMetric(float64(b.N*lines)/b.Elapsed().Seconds(), "lines/s")
	})
	b.Run("tail_alone", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			t, err := tail.TailFile(path, tail.Config{MustExist: true, CompleteLines: true, Logger: tail.DiscardingLogger})
			if err != nil {
				b.Fatal(err)
			}
			n := 0
			for range t.Lines {
				n++
			}
			if n != lines {
				b.Fatal(n)
			}
		}
		b.ReportMetric(float64(b.N*lines)/b.Elapsed().Seconds(), "lines/s")
	})
}

// BenchmarkFollowLatency is the time from before a line's write to its arrival,
// at a steady rate, with the lines of a millisecond in ten writes.
func BenchmarkFollowLatency(b *testing.B) {
	for _, c := range []struct {
		name      string
		perSecond int
		follow    lineSource
	}{
		{"1k", 1000, followed}, {"10k", 10_000, followed}, {"100k", 100_000, followed},
		{"10k_tail_alone", 10_000, tailed}, {"100k_tail_alone", 100_000, tailed},
	} {
		b.Run(c.name, func(b *testing.B) {
			var all []time.Duration
			for b.Loop() {
				all = append(all, latencies(b, c.follow, c.perSecond, time.Second)...)
			}
			slices.Sort(all)
			b.ReportMetric(float64(all[len(all)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(all[len(all)*99/100].Microseconds()), "p99-µs")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// A lineSource yields the lines of a file and calls live when it waits for more.
type lineSource func(ctx context.Context, path string, live func()) iter.Seq2[[]byte, error]

func followed(ctx context.Context, path string, live func()) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for line, err := range connlog.Follow(ctx, path, connlog.FollowOptions{OnLive: live}) {
			if !yield(line.Text, err) {
				return
			}
		}
	}
}

func tailed(_ context.Context, path string, live func()) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		t, err := tail.TailFile(path, tail.Config{MustExist: true, Follow: true, CompleteLines: true, Logger: tail.DiscardingLogger})
		if err != nil {
			yield(nil, err)
			return
		}
		live()
		for line := range t.Lines {
			if !yield([]byte(line.Text), line.Err) {
				break
			}
		}
		_ = t.Stop() // it has no error of interest
	}
}

func latencies(b *testing.B, follow lineSource, perSecond int, d time.Duration) (all []time.Duration) {
	path := filepath.Join(b.TempDir(), "conn.log")
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // nobody reads it any more
	total := int(float64(perSecond) * d.Seconds())
	ctx, cancel := context.WithTimeout(b.Context(), d+20*time.Second)
	defer cancel()
	live := make(chan struct{})
	go writeSteadily(f, live, perSecond, total)
	var p connlog.Parser
	var e connlog.Event
	for line, err := range follow(ctx, path, func() { close(live) }) {
		if err = errors.Join(err, p.Parse(line, &e)); err != nil {
			b.Fatal(err)
		}
		if all = append(all, time.Since(e.Time)); len(all) == total {
			return all
		}
	}
	b.Fatalf("%d of %d lines", len(all), total)
	return nil
}

// writeSteadily writes what is due, a hundred microseconds or more at a time.
func writeSteadily(w io.Writer, live <-chan struct{}, perSecond, total int) {
	<-live
	begin := time.Now()
	e := journey()[0]
	var buf []byte
	for n := 0; n < total; {
		due := min(total, int(time.Since(begin).Seconds()*float64(perSecond)))
		buf = buf[:0]
		e.Time = time.Now()
		for ; n < due; n++ {
			buf = append(connlog.Append(buf, &e), '\n')
		}
		if len(buf) > 0 {
			if _, err := w.Write(buf); err != nil {
				return // the reader misses lines then, and says so
			}
		}
		time.Sleep(100 * time.Microsecond)
	}
}
