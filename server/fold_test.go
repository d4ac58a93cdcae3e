package server

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"overstay/connlog"
)

func refusal(addr string, reason connlog.Reason) *connlog.Event {
	return &connlog.Event{
		Kind: connlog.Refuse, Service: "test",
		ClientIP: netip.MustParseAddr(addr), Reason: reason,
	}
}

func TestFoldOfOneFlood(t *testing.T) {
	f := newFold()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var lines []uint64
	write := func(e *connlog.Event) { lines = append(lines, e.Count) }
	// 100 refusals in each of three seconds.
	for range 3 {
		for range 100 {
			if f.add(now, refusal("192.0.2.1", connlog.RefuseBusy)) {
				lines = append(lines, 1)
			}
			now = now.Add(10 * time.Millisecond)
		}
		f.flush(now, false, write)
	}
	want := fmt.Sprint([]uint64{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 90, 100, 100})
	if got := fmt.Sprint(lines); got != want {
		t.Fatalf("lines %v, want %v", got, want)
	}
	// A second without any ends the flood.
	f.flush(now.Add(time.Second), false, write)
	if len(f.streams) != 0 {
		t.Errorf("%d streams are still kept", len(f.streams))
	}
	if !f.add(now.Add(time.Second), refusal("192.0.2.1", connlog.RefuseBusy)) {
		t.Error("the first refusal after the flood is folded")
	}
}

func TestFoldKeepsApart(t *testing.T) {
	f := newFold()
	now := time.Now()
	for range foldAfter {
		f.add(now, refusal("2001:db8::1", connlog.RefuseBusy))
	}
	for addr, want := range map[string]bool{
		"2001:db8::2": false, "2001:db8:0:1::1": true, "192.0.2.1": true,
	} {
		if got := f.add(now, refusal(addr, connlog.RefuseBusy)); got != want {
			t.Errorf("%s: %v, want %v", addr, got, want)
		}
	}
	if !f.add(now, refusal("2001:db8::1", connlog.RefuseBanned)) {
		t.Error("another reason is folded with the first")
	}
}

func TestFoldIsBounded(t *testing.T) {
	f := newFold()
	now := time.Now()
	for i := range 3 * maxFolded {
		addr := netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)})
		e := &connlog.Event{ClientIP: addr, Reason: connlog.RefuseBusy, Service: fmt.Sprint(i >> 16)}
		f.add(now, e)
	}
	if len(f.streams) > maxFolded {
		t.Errorf("%d streams are kept", len(f.streams))
	}
	f.flush(now.Add(time.Second), false, func(*connlog.Event) { t.Error("a line for nothing held back") })
	if len(f.streams) != 0 {
		t.Errorf("%d streams are left", len(f.streams))
	}
}

// Whatever comes in whatever order: nothing is lost or told twice, and no
// source gets more lines in a second than it should.
func TestFoldCountsEverything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := newFold()
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		lastFlush := now
		added, told := map[netip.Addr]uint64{}, map[netip.Addr]uint64{}
		written := map[netip.Addr][]time.Time{}
		line := func(e *connlog.Event) {
			told[e.ClientIP] += max(1, e.Count)
			written[e.ClientIP] = append(written[e.ClientIP], now)
		}
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 60).Draw(t, "ms")) * time.Millisecond)
			if now.Sub(lastFlush) >= foldEvery {
				f.flush(now, false, line)
				lastFlush = now
			}
			e := refusal(rapid.SampledFrom([]string{"192.0.2.1", "192.0.2.2"}).Draw(t, "addr"), connlog.RefuseBusy)
			added[e.ClientIP]++
			if f.add(now, e) {
				line(e)
			}
		}
		f.flush(now, true, line)
		for addr, n := range added {
			if told[addr] != n {
				t.Fatalf("%v: %d refusals, %d told", addr, n, told[addr])
			}
			for i, at := range written[addr] {
				// The window slides, so a second can see the end of one
				// and the beginning of the next.
				if j := i + 2*foldAfter + 1; j < len(written[addr]) && written[addr][j].Sub(at) < foldEvery {
					t.Fatalf("%v: too many lines in a second from %v", addr, at)
				}
			}
		}
	})
}
