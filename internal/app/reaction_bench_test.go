package app_test

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"time"

	"overstay/internal/app"
)

// BenchmarkReaction measures from the moment that a client dials whose log line
// crosses a policy's condition, until that client and the one before it see
// that their threads are free. Their source is banned by then: the next
// connection, which is not timed, must be refused.
func BenchmarkReaction(b *testing.B) {
	change := func(cfg *app.Config) {
		noLimit(cfg)
		cfg.Detector.DefaultPolicies = false
		cfg.Detector.BansPerMinute = 1_000_000
		cfg.Policies = hastyPolicy("ban")
	}
	b.Run("one process", func(b *testing.B) {
		reaction(b, serve(b, change))
	})
	b.Run("two processes", func(b *testing.B) {
		r := serve(b, func(cfg *app.Config) {
			change(cfg)
			cfg.Detector.Enabled = false
		})
		startDetector(b, r.cfg, `
[detector]
default_policies = false
bans_per_minute = 1000000
[[policy]]
name = "hasty"
when = "`+hasty+`"
action = "ban"
duration = "1h"
`)
		reaction(b, r)
	})
}

func reaction(b *testing.B, r *running) {
	source := netip.MustParseAddr("127.8.0.0")
	var took []time.Duration
	measure := func() time.Duration {
		source = source.Next()
		first := r.dial(source.String())
		begin := time.Now()
		crossing, err := r.tryDial(source.String())
		isClosed(b, first)
		if err == nil {
			isClosed(b, crossing)
		} else if !errors.Is(err, syscall.ECONNRESET) { // Cut before the dial was over.
			b.Fatal(err)
		}
		took := time.Since(begin)
		refused(b, r, source)
		return took
	}
	measure() // A detector in another process has begun once this is through.
	for b.Loop() {
		took = append(took, measure())
	}
	slices.Sort(took)
	at := func(share float64) float64 {
		return float64(took[int(share*float64(len(took)-1))]) / float64(time.Millisecond)
	}
	b.ReportMetric(at(0.5), "p50-ms")
	b.ReportMetric(at(0.99), "p99-ms")
	b.ReportMetric(at(1), "max-ms")
	b.ReportMetric(0, "ns/op") // The mean says less than the percentiles.
	histogram(b, took)
}

// refused dials once more and wants the words for a banned source. The server
// says them when it has heard a first byte, and may be faster than that byte.
func refused(b *testing.B, r *running, source netip.Addr) {
	c, err := r.tryDial(source.String())
	if errors.Is(err, syscall.ECONNRESET) {
		return
	}
	if err != nil {
		b.Fatal(err)
	}
	if _, err := c.Write([]byte("GET / HTTP/1.0\r\n\r\n")); err != nil {
		return
	}
	answer := make([]byte, 64)
	n, err := c.Read(answer)
	var reset net.Error
	if n == 0 && err != nil && !errors.As(err, &reset) {
		return // Closed without a word.
	}
	if n >= 12 && string(answer[9:12]) != "403" {
		b.Fatalf("a banned source got %q", answer[:n])
	}
	_ = c.Close()
}

// histogram logs how the reactions spread.
func histogram(b *testing.B, sorted []time.Duration) {
	bounds := []time.Duration{250 * time.Microsecond, 500 * time.Microsecond, time.Millisecond, 2 * time.Millisecond,
		3 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 20 * time.Millisecond}
	from := 0
	for _, bound := range bounds {
		to, _ := slices.BinarySearch(sorted, bound)
		b.Logf("under %-6v %5d", bound, to-from)
		from = to
	}
	b.Logf("longer       %5d", len(sorted)-from)
}
