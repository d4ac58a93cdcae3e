package banlist

import (
	"context"
	"encoding/binary"
	"fmt"
	"iter"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gaissmai/bart"
)

// crowd yields n different prefixes: 72 % IPv4 hosts, 8 % IPv4 nets, 20 %
// IPv6 /64s. They are spread over everything, for the sake of the table's
// shape; nothing is ever sent to them.
func crowd(n int, seed uint64) iter.Seq[netip.Prefix] {
	return func(yield func(netip.Prefix) bool) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		seen := map[netip.Prefix]bool{}
		for len(seen) < n {
			var p netip.Prefix
			switch k := rnd.IntN(100); {
			case k < 80:
				var a [4]byte
				binary.BigEndian.PutUint32(a[:], rnd.Uint32())
				bits := 32
				if k >= 72 {
					bits = 24
				}
				p = netip.PrefixFrom(netip.AddrFrom4(a), bits).Masked()
			default:
				a := [16]byte{0x20, 0x01, 0x0d, 0xb8}
				binary.BigEndian.PutUint32(a[4:], rnd.Uint32())
				p = netip.PrefixFrom(netip.AddrFrom16(a), 64)
			}
			if seen[p] {
				continue
			}
			seen[p] = true
			if !yield(p) {
				return
			}
		}
	}
}

// crowded returns a view with n bans.
func crowded(n int, until int64) *view {
	t := new(bart.Table[slot])
	for p := range crowd(n, 1) {
		t.Insert(p, slot{all: until})
	}
	return &view{bans: t, allowed: new(bart.Table[slot])}
}

// The bare lookup beside it is what the rest is measured against.
func BenchmarkBlocked(b *testing.B) {
	for _, n := range sizes(1_000, 100_000, 1_000_000) {
		l := &List{}
		l.horizon.Store(time.Now().Add(horizon).UnixMicro()) // As in a list that is open.
		l.view.Store(crowded(n, time.Now().Add(time.Hour).UnixMicro()))
		const probes = 1 << 15
		hits := map[bool][]netip.Addr{}
		for p := range crowd(n, 1) {
			if is4 := p.Addr().Is4(); len(hits[is4]) < probes {
				hits[is4] = append(hits[is4], p.Addr())
			}
		}
		misses := map[bool][]netip.Addr{}
		for p := range crowd(4*probes, 2) {
			if is4 := p.Addr().Is4(); !l.Blocked(p.Addr(), "smtp") {
				misses[is4] = append(misses[is4], p.Addr())
			}
		}
		for _, c := range []struct {
			name  string
			addrs []netip.Addr
		}{{"hit4", hits[true]}, {"hit6", hits[false]}, {"miss4", misses[true]}, {"miss6", misses[false]}} {
			rand.New(rand.NewPCG(3, 3)).Shuffle(len(c.addrs), func(i, j int) {
				c.addrs[i], c.addrs[j] = c.addrs[j], c.addrs[i]
			})
			b.Run(fmt.Sprintf("bans=%d/%s", n, c.name), func(b *testing.B) {
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					l.Blocked(c.addrs[i], "smtp")
					if i++; i == len(c.addrs) {
						i = 0
					}
				}
			})
			b.Run(fmt.Sprintf("bans=%d/%s/bare", n, c.name), func(b *testing.B) {
				t := l.view.Load().bans
				i := 0
				for b.Loop() {
					t.Lookup(c.addrs[i])
					if i++; i == len(c.addrs) {
						i = 0
					}
				}
			})
		}
	}
}

// filled makes a file with n bans.
func filled(tb testing.TB, n int) string {
	path := filepath.Join(tb.TempDir(), "bans.db")
	l, err := Open(context.Background(), path, Options{Lazy: true})
	if err != nil {
		tb.Fatal(err)
	}
	start := time.Now()
	now := start.UTC().Truncate(time.Microsecond)
	// One transaction, no questions asked: Import would take minutes.
	err = l.write(context.Background(), func(t *tx) error {
		i := 0
		for p := range crowd(n, 1) {
			i++
			b := Ban{ID: fmt.Sprintf("%08d", i), Prefix: p, State: Active, Origin: "policy:slow", Reason: "bench",
				Created: now, Decided: now, Expires: now.Add(24 * time.Hour), Duration: 24 * time.Hour}
			if err := t.store(b); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	if err := l.Close(); err != nil {
		tb.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Logf("made %d in %v, file of %d MB", n, time.Since(start).Round(time.Millisecond), info.Size()>>20)
	return path
}

// processorTime is what this process has used: it says more than the clock
// when the machine is busy.
func processorTime(tb testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// sizes leaves out those that take long to make where time is short.
func sizes(all ...int) []int {
	if testing.Short() {
		all = slices.DeleteFunc(all, func(n int) bool { return n > 1_000 })
		return append(all, 10_000)
	}
	return all
}

func BenchmarkRestore(b *testing.B) {
	for _, n := range sizes(100_000, 1_000_000) {
		b.Run(fmt.Sprintf("bans=%d", n), func(b *testing.B) {
			path := filled(b, n)
			b.ReportAllocs()
			var used time.Duration
			for b.Loop() {
				before := processorTime(b)
				l, err := Open(context.Background(), path, Options{})
				if err != nil {
					b.Fatal(err)
				}
				if l.Size() != n {
					b.Fatal(l.Size())
				}
				used += processorTime(b) - before
				b.StopTimer()
				if err := l.Close(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
			b.ReportMetric(float64(used.Milliseconds())/float64(b.N), "cpu-ms/op")
		})
	}
}

// A text list of hosts, by a command (lazy) and by a process that shows the
// list.
func BenchmarkImport(b *testing.B) {
	n := sizes(100_000)[0]
	var text strings.Builder
	for p := range crowd(n, 1) {
		fmt.Fprintln(&text, p)
	}
	for _, lazy := range []bool{true, false} {
		b.Run(fmt.Sprintf("bans=%d/lazy=%v", n, lazy), func(b *testing.B) {
			var used time.Duration
			for b.Loop() {
				b.StopTimer()
				l, err := Open(context.Background(), filepath.Join(b.TempDir(), "bans.db"), Options{Lazy: lazy})
				if err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
				before := processorTime(b)
				res, err := l.Import(context.Background(), ParseText(strings.NewReader(text.String())),
					ImportOptions{Origin: "import:bench", Duration: time.Hour})
				used += processorTime(b) - before
				if err != nil || res.Outcomes[Banned] != n {
					b.Fatal(res, err)
				}
				b.StopTimer()
				if err := l.Close(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
			b.ReportMetric(float64(used.Milliseconds())/float64(b.N), "cpu-ms/op")
		})
	}
}

// A command opens, asks and ends.
func BenchmarkLazyCheck(b *testing.B) {
	path := filled(b, sizes(100_000)[0])
	keep := open(b, path, Options{}) // As a server has it open.
	for b.Loop() {
		l, err := Open(context.Background(), path, Options{Lazy: true})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := l.Check(context.Background(), netip.MustParseAddr("192.0.2.1"), ""); err != nil {
			b.Fatal(err)
		}
		if err := l.Close(); err != nil {
			b.Fatal(err)
		}
	}
	_ = keep
}

// percentiles reports the middle and the 99th of 100.
func percentiles(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}

// One decision until it is on the disk and blocks.
func BenchmarkDecide(b *testing.B) {
	l := open(b, filepath.Join(b.TempDir(), "bans.db"), Options{})
	var took []time.Duration
	next, stop := iter.Pull(crowd(1<<20, 5))
	defer stop()
	for b.Loop() {
		p, _ := next()
		d := Ban{ID: fmt.Sprint("d", len(took)), Prefix: p, State: Active, Origin: "policy:slow",
			Decided: time.Now(), Duration: time.Hour}
		start := time.Now()
		rs, err := l.Decide(context.Background(), []Ban{d})
		took = append(took, time.Since(start))
		if err != nil || rs[0].Outcome != Banned || !l.Blocked(p.Addr(), "smtp") {
			b.Fatal(rs, err)
		}
	}
	percentiles(b, took)
}
