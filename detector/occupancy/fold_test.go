package occupancy_test

import (
	"fmt"
	"math"
	"net/netip"
	"testing"
	"time"

	"overstay/connlog"
	"overstay/detector/occupancy"
)

func foldOf(events []connlog.Event, o occupancy.Options) *occupancy.Fold {
	f := occupancy.New(o)
	for i := range events {
		f.Observe(&events[i])
	}
	return f
}

// TestFold compares the fold with the slow computation.
func TestFold(t *testing.T) {
	begin := time.Date(2026, 11, 23, 14, 0, 0, 0, time.UTC)
	for name, o := range map[string]occupancy.Options{
		"whole":   {},
		"service": {Service: "imap"},
		"from":    {From: begin.Add(10 * time.Minute)},
		"to":      {To: begin.Add(15 * time.Minute)},
		"window":  {From: begin.Add(10*time.Minute + 333*time.Microsecond), To: begin.Add(30 * time.Minute)},
		"edges":   {From: begin, To: begin}, // at events, see below
		"coarse":  {Clock: 10 * time.Second},
	} {
		for seed := range uint64(6) {
			t.Run(fmt.Sprintf("%s/seed=%d", name, seed), func(t *testing.T) {
				g := newGenerator(seed, seed%4 != 0)
				if name == "coarse" {
					g.coarse = o.Clock
				}
				events := g.log(700)
				if name == "edges" {
					o.From, o.To = events[200+seed].Time, events[500+seed].Time
				}
				check(t, foldOf(events, o), tell(events, o))
			})
		}
	}
}

func check(t *testing.T, f *occupancy.Fold, s *story) {
	t.Helper()
	r := f.Report(occupancy.ByThreadTime, 0)
	blamed, known := 0.0, map[netip.Prefix]bool{}
	for _, got := range r.Ranking {
		known[got.Source] = true
		blamed += got.Blame
		same(t, got, s.holder(got.Source, func(a netip.Addr) bool { return s.address(a) == got.Source }))
	}
	for _, got := range r.Nets {
		same(t, got, s.holder(got.Source, got.Source.Contains))
	}
	for _, v := range s.visits {
		if _, _, ok := s.clip(v); ok && !known[s.address(v.addr)] {
			t.Fatalf("%v is missing", v.addr)
		}
	}
	orphans, time, connections := uint64(0), r.ThreadTime, uint64(0)
	for _, one := range r.Services {
		if one.Orphans != s.orphans[one.Service] {
			t.Errorf("%s: %d orphans, want %d", one.Service, one.Orphans, s.orphans[one.Service])
		}
		orphans += one.Orphans
		time -= one.ThreadTime
		connections += one.Connections
		var own []*visit
		for _, v := range s.visits {
			if v.service == one.Service {
				own = append(own, v)
			}
		}
		if want := s.peak(own); one.Peak.Low != want.Low || one.Peak.High != want.High {
			t.Errorf("%s: peak %+v, want %+v", one.Service, one.Peak, want)
		}
	}
	if want := s.peak(s.visits); r.Peak.Low != want.Low || r.Peak.High != want.High {
		t.Errorf("all: peak %+v, want %+v", r.Peak, want)
	}
	if orphans != r.Orphans || time != 0 || connections != r.Connections {
		t.Errorf("services do not add up: %+v", r)
	}
	if s.o.From.IsZero() && s.o.To.IsZero() && s.o.Service == "" {
		sameFull(t, r.Full, s.full())
	}
}

func same(t *testing.T, got, want occupancy.Holder) {
	t.Helper()
	near := func(what string, a, b float64) {
		if math.Abs(a-b) > 1e-9*max(1, math.Abs(b)) {
			t.Errorf("%v: %s %v, want %v", got.Source, what, a, b)
		}
	}
	near("blame", got.Blame, want.Blame)
	near("load", got.Load, want.Load)
	want.Blame, want.Load, want.Rank, want.Share = got.Blame, got.Load, got.Rank, got.Share
	want.Members = got.Members
	if got != want {
		t.Errorf("%+v\nwant %+v", got, want)
	}
}

func sameFull(t *testing.T, got, want []occupancy.Full) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d stretches, want %d:\n%v\n%v", len(got), len(want), got, want)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("%+v\nwant %+v", got[i], want[i])
		}
	}
}

// TestHeadWithAHole wants a file's head that lacks a line to end nothing.
func TestHeadWithAHole(t *testing.T) {
	a, b := netip.MustParseAddr("203.0.113.9"), netip.MustParseAddr("198.51.100.7")
	for _, hole := range []bool{false, true} {
		f := occupancy.New(occupancy.Options{})
		for i, e := range []connlog.Event{
			{Kind: connlog.Open, Conn: 1, ClientIP: a}, {Kind: connlog.Open, Conn: 2, ClientIP: b},
			{Kind: connlog.Start, Continued: true},
			{Kind: connlog.Open, Conn: 2, ClientIP: b, Held: time.Second},
			{Kind: connlog.Beat}, {Kind: connlog.Beat},
		} {
			e.Time, e.Boot, e.Seq = noon.Add(time.Duration(i)*time.Second), "b", uint64(i+1)
			if hole && i > 2 {
				e.Seq++
			}
			f.Observe(&e)
		}
		want := 4 * time.Second // until the head is over, which does not name it
		if hole {
			want = 5 * time.Second // until the end
		}
		for _, h := range f.Report(occupancy.ByThreadTime, 0).Ranking {
			if h.Source.Addr() == a && (h.ThreadTime != want || h.OpenAtEnd == 1 != hole) {
				t.Errorf("hole %v: %+v, want %v", hole, h, want)
			}
		}
	}
}
