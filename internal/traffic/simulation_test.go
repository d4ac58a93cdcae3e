package traffic

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"time"

	"overstay/connlog"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// underAttack is a www server with 100 threads, customers, an office, and
// three sources with 60 connections each.
func underAttack(seed uint64) *Simulation {
	return &Simulation{
		Seed: seed, Length: 30 * time.Second,
		Services: []Service{{Name: WWW, Threads: 100}},
		Groups: []Group{
			Customers(WWW, Addresses(addr("192.0.2.1"), 8)),
			Office(WWW, 40, addr("198.51.100.1")),
			Holders(WWW, 60, Addresses(addr("203.0.113.1"), 3)...),
		},
	}
}

func TestSimulationKeepsTheBooks(t *testing.T) {
	for range 3 {
		seed := rand.Uint64()
		s := BusyServer(seed, 200)
		s.Length = 40 * time.Second
		// Small pools, so that everything gets refused now and then.
		s.Services[0].Threads = 12
		s.Services[1].Threads, s.Services[1].Patience = 25, 5*time.Second
		banned := addr("203.0.113.1")
		now := time.Time{}
		s.Blocked = func(a netip.Addr, _ string) bool { return a == banned && now.Second() >= 20 }
		l := play(t, &s, func(e *connlog.Event) { now = e.Time })
		if len(l.open) != 0 || l.kinds[connlog.Stop] != 1 {
			t.Errorf("seed %d: %d open at the end, %d stops", seed, len(l.open), l.kinds[connlog.Stop])
		}
		if l.kinds[connlog.Open] != l.kinds[connlog.Close] {
			t.Errorf("seed %d: %d opens, %d closes", seed, l.kinds[connlog.Open], l.kinds[connlog.Close])
		}
		for _, k := range []connlog.Kind{connlog.Proven, connlog.Fail, connlog.Refuse, connlog.Beat} {
			if l.kinds[k] == 0 {
				t.Errorf("seed %d: no %v", seed, k)
			}
		}
		for _, e := range []connlog.End{connlog.EndClient, connlog.EndTimeout, connlog.EndBanned, connlog.EndShutdown} {
			if l.ends[e] == 0 {
				t.Errorf("seed %d: nothing ended by %s", seed, e)
			}
		}
	}
}

func TestCrashLeavesConnectionsOpen(t *testing.T) {
	s := underAttack(1)
	s.Crash = true
	l := play(t, s, nil)
	if len(l.open) < 90 || l.kinds[connlog.Stop] != 0 {
		t.Errorf("%d open and %d stops after a crash", len(l.open), l.kinds[connlog.Stop])
	}
}

func TestSameSeedSameBytes(t *testing.T) {
	write := func(seed uint64, procs int) []byte {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
		s := BusyServer(seed, 300)
		s.Length = 10 * time.Second
		var b bytes.Buffer
		if _, err := s.WriteLog(&b, 0); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	one := write(7, 1)
	if !bytes.Equal(one, write(7, 2)) || !bytes.Equal(one, write(7, 1)) {
		t.Error("the same seed gave different logs")
	}
	if bytes.Equal(one, write(8, 1)) {
		t.Error("different seeds gave the same log")
	}
	for line := range bytes.Lines(one) {
		if !json.Valid(line) {
			t.Fatalf("not JSON: %s", line)
		}
	}
}

// What is refused or banned must not change what anybody asks for later.
func TestBanLeavesOtherClientsAlone(t *testing.T) {
	attempts := func(ban bool) []time.Time {
		s := underAttack(3)
		if ban {
			s.Blocked = func(a netip.Addr, _ string) bool { return a.Less(addr("203.0.114.0")) && addr("203.0.113.0").Less(a) }
		}
		var times []time.Time
		refused := 0
		play(t, s, func(e *connlog.Event) {
			if e.ClientIP != addr("192.0.2.1") {
				return
			}
			switch e.Kind {
			case connlog.Refuse:
				refused++
				times = append(times, e.Time)
			case connlog.Open:
				times = append(times, e.Time)
			}
		})
		if ban == (refused > 0) {
			t.Errorf("ban %v: %d attempts refused", ban, refused)
		}
		return times
	}
	with, without := attempts(true), attempts(false)
	if len(with) < 80 || !slices.Equal(with, without) {
		t.Errorf("%d attempts with the ban, %d without, or at other times", len(with), len(without))
	}
}

func TestBlockedIsCutAndRefused(t *testing.T) {
	s := underAttack(4)
	from := addr("203.0.113.1")
	var banAt time.Time
	s.Blocked = func(a netip.Addr, service string) bool {
		return !banAt.IsZero() && !a.Less(from) && service == WWW
	}
	var begin time.Time
	cut, late, busyAfter := 0, 0, 0
	l := play(t, s, func(e *connlog.Event) {
		switch {
		case e.Kind == connlog.Start:
			begin = e.Time
		case banAt.IsZero() && e.Time.Sub(begin) >= 5*time.Second:
			banAt = e.Time
		case banAt.IsZero():
		case e.Kind == connlog.Close && e.End == connlog.EndBanned:
			cut++
			if e.Time.Sub(banAt) > blockedEvery {
				late++
			}
		case e.Kind == connlog.Open && !e.ClientIP.Less(from):
			t.Fatalf("%v was let in after its ban", e.ClientIP)
		case e.Kind == connlog.Refuse && e.Reason == connlog.RefuseBusy && e.Time.Sub(banAt) > 20*time.Millisecond:
			busyAfter++
		}
	})
	if cut < 90 || late > 0 || busyAfter > 0 {
		t.Errorf("%d cut, %d of them late, %d busy refusals after", cut, late, busyAfter)
	}
	if l.ends[connlog.EndBanned] != cut {
		t.Errorf("%d ended by the ban, saw %d", l.ends[connlog.EndBanned], cut)
	}
}

func TestHolderComesBackASecondAfterTheCut(t *testing.T) {
	s := &Simulation{
		Seed: 5, Length: time.Minute,
		Services: []Service{{Name: SMTP, Threads: 10, Patience: 7 * time.Second}},
		Groups:   []Group{Holders(SMTP, 1, addr("203.0.113.1"))},
	}
	var closed time.Time
	rounds := 0
	play(t, s, func(e *connlog.Event) {
		switch e.Kind {
		case connlog.Close:
			if e.End == connlog.EndTimeout && e.Held != 7*time.Second {
				t.Errorf("cut after %v", e.Held)
			}
			closed = e.Time
			rounds++
		case connlog.Open:
			if pause := e.Time.Sub(closed); rounds > 0 && (pause < time.Second/2 || pause > 3*time.Second/2) {
				t.Errorf("came back after %v", pause)
			}
		}
	})
	if rounds < 6 {
		t.Errorf("%d rounds in a minute", rounds)
	}
}

func TestRefusalsAreFolded(t *testing.T) {
	s := &Simulation{
		Seed: 6, Length: 16 * time.Second,
		Services: []Service{{Name: WWW, Threads: 1}},
		Groups:   []Group{Flood(WWW, 300, addr("203.0.113.1"), addr("203.0.113.2"))},
		Blocked:  func(netip.Addr, string) bool { return true },
	}
	s.Groups[0].Until = 10 * time.Second // before the last beat
	type key struct {
		addr   netip.Addr
		second int64
	}
	plain, counted := map[key]int{}, map[key]int{}
	l := play(t, s, func(e *connlog.Event) {
		if e.Kind != connlog.Refuse {
			return
		}
		k := key{e.ClientIP, e.Time.Unix()}
		if e.Count == 0 {
			plain[k]++
		} else {
			counted[k]++
		}
		if plain[k] > 10 || counted[k] > 1 {
			t.Fatalf("%v: %d lines and %d with a count", k, plain[k], counted[k])
		}
	})
	if l.refused[WWW] != l.claimed[WWW] {
		t.Errorf("the lines tell of %d refusals, there were %d", l.refused[WWW], l.claimed[WWW])
	}
	if n := l.refused[WWW]; n < 5700 || n > 6300 {
		t.Errorf("%d refusals of 300 a second from 2 sources in 10 s", n)
	}
	if len(counted) != 20 {
		t.Errorf("%d lines with a count, want one a second for each source", len(counted))
	}
}

// The ledger checks both sides of the limit; here it must matter.
func TestSessionLimitIsForTheUnproven(t *testing.T) {
	s := &Simulation{
		Seed: 9, Length: 20 * time.Second,
		Services: []Service{{Name: SMTP, Threads: 100, UnprovenPerSource: 5}},
		Groups:   []Group{Office(SMTP, 40, addr("192.0.2.1")), BulkSender(addr("192.0.2.1"))},
	}
	refused := 0
	l := play(t, s, func(e *connlog.Event) {
		if e.Reason == connlog.RefuseSessions {
			refused++
		}
	})
	if refused < 20 || l.kinds[connlog.Proven] < 1000 {
		t.Errorf("%d refused, %d proven", refused, l.kinds[connlog.Proven])
	}
}

func TestGroupKeepsItsTime(t *testing.T) {
	s := underAttack(8)
	s.Groups[2].From, s.Groups[2].Until = 5*time.Second, 12*time.Second
	var begin time.Time
	first, last := time.Hour, time.Duration(0)
	play(t, s, func(e *connlog.Event) {
		switch {
		case e.Kind == connlog.Start:
			begin = e.Time
		case e.ClientIP.IsValid() && !e.ClientIP.Less(addr("203.0.113.1")):
			first = min(first, e.Time.Sub(begin))
			last = max(last, e.Time.Sub(begin))
		}
	})
	if first < 5*time.Second || first > 6*time.Second {
		t.Errorf("began at %v", first)
	}
	if last != 12*time.Second {
		t.Errorf("the last of it was at %v", last)
	}
}

func TestWriteLogStopsAtTheLimit(t *testing.T) {
	const limit = 1_000_000
	s := BusyServer(1, 100)
	var b bytes.Buffer
	n, err := s.WriteLog(&b, limit)
	if err != nil || n != int64(b.Len()) {
		t.Fatalf("wrote %d, says %d: %v", b.Len(), n, err)
	}
	if n < limit || n > limit+1000 || !bytes.HasSuffix(b.Bytes(), []byte("}\n")) {
		t.Errorf("wrote %d bytes, ending in %q", n, b.Bytes()[n-2:])
	}
	if _, err := s.WriteLog(&b, 0); !errors.Is(err, ErrEndless) {
		t.Errorf("endless log: %v", err)
	}
	broken := errors.New("disk full")
	if _, err := s.WriteLog(writerFunc(func([]byte) (int, error) { return 0, broken }), limit); !errors.Is(err, broken) {
		t.Errorf("error of the writer: %v", err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestUnusableSimulations(t *testing.T) {
	for name, spoil := range map[string]func(*Simulation){
		"negative length":  func(s *Simulation) { s.Length = -1 },
		"no threads":       func(s *Simulation) { s.Services[0].Threads = 0 },
		"service twice":    func(s *Simulation) { s.Services = append(s.Services, s.Services[0]) },
		"unknown service":  func(s *Simulation) { s.Groups[0].Service = "pop3" },
		"unknown kind":     func(s *Simulation) { s.Groups[0].Kind = numKinds },
		"no sources":       func(s *Simulation) { s.Groups[0].Sources = nil },
		"invalid source":   func(s *Simulation) { s.Groups[0].Sources = make([]netip.Addr, 1) },
		"no pause":         func(s *Simulation) { s.Groups[0].Every = 0 },
		"negative hold":    func(s *Simulation) { s.Groups[0].Hold = -1 },
		"negative clients": func(s *Simulation) { s.Groups[0].Clients = -1 },
		"over before":      func(s *Simulation) { s.Groups[0].From, s.Groups[0].Until = 2, 1 },
		"www login":        func(s *Simulation) { s.Groups[0].Kind = Guessing },
	} {
		s := underAttack(1)
		spoil(s)
		if _, err := s.Events(); err == nil {
			t.Errorf("%s: no error", name)
		}
		if _, err := s.WriteLog(&bytes.Buffer{}, 100); err == nil {
			t.Errorf("%s: no error of WriteLog", name)
		}
	}
}

func TestReaderMayStopEarly(t *testing.T) {
	s := BusyServer(1, 10)
	events, err := s.Events()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for range events {
		if n++; n == 1000 {
			break
		}
	}
	if n != 1000 {
		t.Errorf("read %d events", n)
	}
}

func BenchmarkEvents(b *testing.B) {
	for _, sources := range []int{100, 100_000} {
		b.Run(fmt.Sprintf("sources=%d", sources), func(b *testing.B) {
			b.ReportAllocs()
			s := BusyServer(1, sources)
			events, err := s.Events()
			if err != nil {
				b.Fatal(err)
			}
			// The first call of Loop starts the clock, after the setting up.
			for range events {
				if !b.Loop() {
					break
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

func BenchmarkWriteLog(b *testing.B) {
	s := BusyServer(1, 1000)
	b.SetBytes(10 << 20)
	for b.Loop() {
		if _, err := s.WriteLog(writerFunc(func(p []byte) (int, error) { return len(p), nil }), 10<<20); err != nil {
			b.Fatal(err)
		}
	}
}
