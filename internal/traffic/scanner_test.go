package traffic

import (
	"cmp"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"overstay/connlog"
)

// scan is what the log tells of one message: an ordinary client's proof comes
// with the end of its scan.
type scan struct{ asked, begun, done time.Duration }

func scansOf(t *testing.T, s *Simulation) []scan {
	t.Helper()
	var begin time.Time
	proven := map[uint64]time.Duration{}
	var scans []scan
	play(t, s, func(e *connlog.Event) {
		switch e.Kind {
		case connlog.Start:
			begin = e.Time
		case connlog.Proven:
			proven[e.Conn] = e.Time.Sub(begin)
		case connlog.Close:
			if !e.Proven {
				return
			}
			done := proven[e.Conn]
			begun := done - e.Stages[connlog.StageScan]
			scans = append(scans, scan{begun - e.Stages[connlog.StageScanWait], begun, done})
		}
	})
	slices.SortFunc(scans, func(a, b scan) int { return cmp.Compare(a.begun, b.begun) })
	return scans
}

// The scanners must serve in the order of asking, never more than there are,
// and never idle while a message waits; in a stall nothing is done.
func TestScannersAreAQueue(t *testing.T) {
	for number := 1; number <= 3; number++ {
		seed := rand.Uint64()
		stall := Stall{From: 60 * time.Second, Until: 70 * time.Second}
		clients := Customers(SMTP, Addresses(addr("192.0.2.10"), 30))
		clients.Every = 10 * time.Second // three a second together
		s := &Simulation{
			Seed: seed, Length: 5 * time.Minute, Groups: []Group{clients},
			Services: []Service{{Name: SMTP, Threads: 100, Scanner: Scanner{
				Number: number, Time: time.Duration(number) * 250 * time.Millisecond, Stalls: []Stall{stall},
			}}},
		}
		scans := scansOf(t, s)
		if len(scans) < 700 {
			t.Fatalf("seed %d: %d scans", seed, len(scans))
		}
		ends := map[time.Duration]bool{}
		for _, c := range scans {
			ends[c.done] = true
		}
		waited := 0
		var running []time.Duration // when the scans that run now are done
		for i, c := range scans {
			running = slices.DeleteFunc(running, func(done time.Duration) bool { return done <= c.begun })
			running = append(running, c.done)
			if len(running) > number {
				t.Fatalf("seed %d: %d of %d scanners at %v", seed, len(running), number, c.begun)
			}
			if i > 0 && c.asked < scans[i-1].asked && c.begun != scans[i-1].begun {
				t.Fatalf("seed %d: asked at %v, overtaken at %v", seed, c.asked, c.begun)
			}
			if c.done > stall.From && c.done < stall.Until {
				t.Fatalf("seed %d: done at %v, in the stall", seed, c.done)
			}
			if c.begun > c.asked {
				waited++
				if !ends[c.begun] {
					t.Fatalf("seed %d: waited until %v, when no scanner became free", seed, c.begun)
				}
			}
		}
		if waited < 50 || waited == len(scans) {
			t.Errorf("seed %d: %d of %d waited", seed, waited, len(scans))
		}
	}
}

func TestStallsDelayScans(t *testing.T) {
	s := Scanner{Number: 1, Time: 1, Stalls: []Stall{
		{From: 10 * time.Microsecond, Until: 20 * time.Microsecond},
		{From: 25 * time.Microsecond, Until: 30 * time.Microsecond},
	}}
	for _, c := range []struct{ now, scan, done int64 }{
		{0, 10, 10}, {0, 11, 21}, {5, 5, 10}, {5, 8, 23}, {12, 3, 23}, {10, 1, 21}, {20, 5, 25},
		{5, 12, 32}, {19, 6, 31}, {27, 1, 31}, {30, 7, 37}, {100, 7, 107},
	} {
		if done := after(s.Stalls, c.now, c.scan); done != c.done {
			t.Errorf("a scan of %d from %d on is done at %d, want %d", c.scan, c.now, done, c.done)
		}
	}
}

// A scanner whose connection is cut, or whose server is gone, must be free
// again: all later messages depend on it.
func TestScannersSurviveCutsAndRestarts(t *testing.T) {
	clients := Customers(SMTP, Addresses(addr("192.0.2.10"), 30))
	clients.Every = 10 * time.Second
	bulk := BulkSender(addr("198.51.100.9"))
	bulk.Tries = 5
	now := time.Time{}
	s := &Simulation{
		Seed: 3, Length: 3 * time.Minute, Groups: []Group{clients, bulk},
		Services: []Service{{Name: SMTP, Threads: 60, Scanner: Scanner{Number: 2, Time: time.Second}}},
		Restarts: []Restart{
			{At: time.Minute, Down: time.Millisecond, Crash: true}, {At: 90 * time.Second, Down: time.Millisecond},
		},
	}
	s.Blocked = func(netip.Addr, string) bool { return now.Second() == 20 || now.Second() == 45 } // everybody
	cut, boot := 0, ""
	var scanned time.Duration // within the present boot
	books := playBoots(t, s, func(e *connlog.Event) {
		now = e.Time
		if boot != e.Boot {
			boot, scanned = e.Boot, 0
		}
		scanned += e.Stages[connlog.StageScan]
		if e.Kind == connlog.Close && e.End == connlog.EndBanned && e.Stages[connlog.StageScanWait] > 0 {
			cut++
		}
	})
	if cut == 0 {
		t.Error("nothing was cut while it waited")
	}
	// There is more to scan than two scanners can do.
	if len(books) != 3 || scanned < 2*75*time.Second || scanned > 2*93*time.Second {
		t.Errorf("%d boots, in the 90 seconds of the last one they scanned for %v", len(books), scanned)
	}
}
