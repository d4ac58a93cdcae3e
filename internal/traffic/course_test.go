package traffic

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"overstay/connlog"
)

// playBoots plays a simulation with a ledger for each server process, and
// hands each event to see, which may be nil.
func playBoots(t *testing.T, s *Simulation, see func(*connlog.Event)) []*ledger {
	t.Helper()
	events, err := s.Events()
	if err != nil {
		t.Fatal(err)
	}
	var books []*ledger
	boot := ""
	for e := range events {
		if e.Boot != boot {
			boot = e.Boot
			books = append(books, newLedger(t, s.Services))
		}
		books[len(books)-1].enter(e)
		if see != nil {
			see(e)
		}
	}
	return books
}

func TestRestartsBeginANewBoot(t *testing.T) {
	seed := rand.Uint64()
	s := underAttack(seed)
	s.Restarts = []Restart{
		{At: 8 * time.Second, Down: 2 * time.Second},
		{At: 17 * time.Second, Down: time.Second, Crash: true},
	}
	var begin time.Time
	var firstConn []uint64
	starts := 0
	books := playBoots(t, s, func(e *connlog.Event) {
		if begin.IsZero() {
			begin = e.Time
		}
		now := e.Time.Sub(begin)
		if now > 8*time.Second && now < 10*time.Second || now > 17*time.Second && now < 18*time.Second {
			t.Fatalf("seed %d: a %v while the server is down", seed, e.Kind)
		}
		switch e.Kind {
		case connlog.Start:
			starts++
		case connlog.Open:
			if len(firstConn) < starts {
				firstConn = append(firstConn, e.Conn)
			}
		}
	})
	if len(books) != 3 || !slices.Equal(firstConn, []uint64{1, 1, 1}) {
		t.Fatalf("seed %d: %d boots, first connections %v", seed, len(books), firstConn)
	}
	for i, want := range []struct{ stops, open int }{{1, 0}, {0, 90}, {1, 0}} {
		l := books[i]
		if l.kinds[connlog.Stop] != want.stops || len(l.open) < want.open || want.open == 0 && len(l.open) != 0 {
			t.Errorf("seed %d, boot %d: %d stops, %d left open", seed, i, l.kinds[connlog.Stop], len(l.open))
		}
		if l.kinds[connlog.Proven] < 50 || l.kinds[connlog.Refuse] == 0 {
			t.Errorf("seed %d, boot %d: the traffic did not go on: %v", seed, i, l.kinds)
		}
		if l.claimed[WWW] == 0 || want.stops == 1 && l.claimed[WWW] > l.refused[WWW] {
			t.Errorf("seed %d, boot %d: claims %d refusals, told of %d", seed, i, l.claimed[WWW], l.refused[WWW])
		}
	}
}

// Refusals that a crash kept from being told stay untold, and those after it
// are all told.
func TestCrashInAFold(t *testing.T) {
	s := &Simulation{
		Seed: rand.Uint64(), Length: 16 * time.Second,
		Services: []Service{{Name: WWW, Threads: 1}},
		Groups:   []Group{Flood(WWW, 300, addr("203.0.113.1"), addr("203.0.113.2"))},
		Blocked:  func(netip.Addr, string) bool { return true },
		Restarts: []Restart{{At: 4500 * time.Millisecond, Down: time.Millisecond, Crash: true}},
	}
	s.Groups[0].Until = 9 * time.Second // before the last beat
	books := playBoots(t, s, nil)
	if last := books[len(books)-1]; len(books) != 2 || last.claimed[WWW] < 2000 || last.claimed[WWW] != last.refused[WWW] {
		t.Errorf("seed %d: %d boots, the last claims %d refusals, told of %d",
			s.Seed, len(books), last.claimed[WWW], last.refused[WWW])
	}
}

// A step of the clock must show in the times of the lines and in nothing else.
func TestClockStepsShiftTimesOnly(t *testing.T) {
	steps := []ClockStep{{At: 5 * time.Second, By: time.Hour}, {At: 9 * time.Second, By: -2 * time.Hour}}
	log := func(steps []ClockStep) (lines []string) {
		s := underAttack(11)
		s.Length, s.Steps = 15*time.Second, steps
		events, err := s.Events()
		if err != nil {
			t.Fatal(err)
		}
		var shift time.Duration
		var last time.Time
		for e := range events {
			if leap := e.Time.Sub(last); !last.IsZero() && leap.Abs() > time.Minute {
				shift += leap.Round(time.Hour)
			}
			last = e.Time
			e.Time = e.Time.Add(-shift)
			lines = append(lines, string(connlog.Append(nil, e)))
		}
		if want := time.Duration(len(steps)/2) * -time.Hour; shift != want {
			t.Errorf("shifted by %v in all, want %v", shift, want)
		}
		return lines
	}
	with, without := log(steps), log(nil)
	if !slices.Equal(with, without) {
		t.Errorf("%d lines with steps, %d without, or others", len(with), len(without))
	}
}

func TestHoppingStaysInItsNet(t *testing.T) {
	for _, test := range []struct {
		from string
		hop  int
		net  string
	}{
		{"2001:db8:bad::9", 48, "2001:db8:bad::/48"},
		{"2001:db8:bad:7::9", 64, "2001:db8:bad:7::/64"},
		{"2001:db8:bad:7::9", 77, "2001:db8:bad:7::/77"},
		{"198.18.7.9", 17, "198.18.0.0/17"},
	} {
		seed := rand.Uint64()
		g := Holders(WWW, 6, addr(test.from))
		g.Hop, g.Hold, g.Every = test.hop, 2*time.Second, 10*time.Millisecond
		s := &Simulation{
			Seed: seed, Length: time.Minute, Groups: []Group{g},
			Services: []Service{{Name: WWW, Threads: 20, UnprovenPerSource: 4}},
		}
		addrs, sources := map[netip.Addr]bool{}, map[netip.Prefix]bool{}
		l := play(t, s, func(e *connlog.Event) {
			if e.Kind != connlog.Open {
				return
			}
			if !netip.MustParsePrefix(test.net).Contains(e.ClientIP) {
				t.Fatalf("seed %d: %v is not in %s", seed, e.ClientIP, test.net)
			}
			addrs[e.ClientIP] = true
			sources[connlog.AddressLevel.Source(e.ClientIP)] = true
		})
		oneSource := test.hop >= 64
		if len(addrs) < 100 || oneSource != (len(sources) == 1) || oneSource != (l.kinds[connlog.Refuse] > 0) {
			t.Errorf("seed %d, %s: %d addresses of %d sources, %d refused",
				seed, test.net, len(addrs), len(sources), l.kinds[connlog.Refuse])
		}
	}
}

// The rule: each attempt is made again Retries times, after waits that double.
// Who is banned is told so, and does not come again for that attempt.
func TestRetriesFollowTheRule(t *testing.T) {
	for _, banned := range []bool{false, true} {
		seed := rand.Uint64()
		customers := Customers(WWW, Addresses(addr("192.0.2.10"), 50))
		customers.Visits, customers.Retries, customers.Retry = 2, 3, 4*time.Second
		customers.Every, customers.From = 100*time.Second, time.Second
		s := &Simulation{
			Seed: seed, Length: 10 * time.Minute,
			Services: []Service{{Name: WWW, Threads: 1}},
			Groups:   []Group{Holders(WWW, 1, addr("203.0.113.1")), customers},
		}
		s.Groups[0].Every = time.Millisecond // has its thread before anybody
		if banned {
			s.Blocked = func(a netip.Addr, _ string) bool { return a != addr("203.0.113.1") }
		}
		tries := map[netip.Addr][]time.Time{}
		play(t, s, func(e *connlog.Event) {
			if e.Kind == connlog.Refuse {
				tries[e.ClientIP] = append(tries[e.ClientIP], e.Time)
			}
		})
		if len(tries) != 50 {
			t.Fatalf("seed %d: %d sources were refused", seed, len(tries))
		}
		want := 2 * (1 + 3)
		if banned {
			want = 2
		}
		for a, times := range tries {
			if len(times) != want {
				t.Fatalf("seed %d: %v tried %d times, want %d", seed, a, len(times), want)
			}
			for i := range times {
				if banned || i%4 == 0 {
					continue
				}
				mean := 4 * time.Second << (i%4 - 1)
				if gap := times[i].Sub(times[i-1]); gap < mean/2 || gap > mean*3/2 {
					t.Errorf("seed %d: retry %d after %v, want about %v", seed, i%4, gap, mean)
				}
			}
		}
	}
}

func TestIdlingProvesItselfAndStays(t *testing.T) {
	g := Group{
		Name: "readers", Kind: Idling, Service: IMAP, Sources: Addresses(addr("192.0.2.10"), 5),
		Every: time.Second, Hold: 10 * time.Minute, Until: 20 * time.Minute,
	}
	s := &Simulation{
		Seed: 1, Length: 30 * time.Minute, Groups: []Group{g},
		Services: []Service{{Name: IMAP, Threads: 10, Patience: time.Minute}},
	}
	l := play(t, s, func(e *connlog.Event) {
		if e.Kind == connlog.Proven && e.By != connlog.ByLogin {
			t.Errorf("proven by %s", e.By)
		}
		if e.Kind == connlog.Close && e.Stages[connlog.StageIdle] != e.Held-idlingProves-time.Millisecond {
			t.Errorf("held %v, idle %v", e.Held, e.Stages[connlog.StageIdle])
		}
	})
	if l.ends[connlog.EndTimeout]+l.ends[connlog.EndShutdown] != 0 || l.kinds[connlog.Open] < 10 ||
		l.kinds[connlog.Open] > 25 || l.kinds[connlog.Proven] != l.kinds[connlog.Open] {
		t.Errorf("%v, ended by %v", l.kinds, l.ends)
	}
}

func TestUnusableCourses(t *testing.T) {
	for name, spoil := range map[string]func(*Simulation){
		"restart at once":     func(s *Simulation) { s.Restarts = []Restart{{Down: 1}} },
		"never down":          func(s *Simulation) { s.Restarts = []Restart{{At: 1}} },
		"restart while down":  func(s *Simulation) { s.Restarts = []Restart{{At: 1, Down: 5}, {At: 3, Down: 1}} },
		"clock out of order":  func(s *Simulation) { s.Steps = []ClockStep{{At: 2}, {At: 1}} },
		"negative notice":     func(s *Simulation) { s.Notice = -1 },
		"scans take no time":  func(s *Simulation) { s.Services[0].Scanner = Scanner{Number: 1} },
		"negative scanners":   func(s *Simulation) { s.Services[0].Scanner.Number = -1 },
		"empty stall":         func(s *Simulation) { s.Services[0].Scanner.Stalls = []Stall{{From: 1, Until: 1}} },
		"stalls overlap":      func(s *Simulation) { s.Services[0].Scanner.Stalls = []Stall{{1, 3}, {2, 4}} },
		"negative visits":     func(s *Simulation) { s.Groups[0].Visits = -1 },
		"too many retries":    func(s *Simulation) { s.Groups[0].Retry, s.Groups[0].Retries = time.Second, 21 },
		"retries at once":     func(s *Simulation) { s.Groups[0].Retries = 1 },
		"hop through IPv4":    func(s *Simulation) { s.Groups[0].Hop = 15 },
		"hop beyond the bits": func(s *Simulation) { s.Groups[0].Hop = 33 },
		"hop through IPv6": func(s *Simulation) {
			s.Groups[0].Sources, s.Groups[0].Hop = []netip.Addr{addr("2001:db8::1")}, 47
		},
	} {
		s := underAttack(1)
		spoil(s)
		if _, err := s.Events(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
