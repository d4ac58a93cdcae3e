package occupancy_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"overstay/connlog"
	"overstay/detector/occupancy"
)

// TestTop wants the top of each ranking to be the top of all of it, and asking
// for it to change nothing.
func TestTop(t *testing.T) {
	g := newGenerator(3, true)
	var events []connlog.Event
	for i := range 3000 { // Many sources, so that most are let go on the way.
		e := connlog.Event{Kind: connlog.Open, Service: "smtp", Conn: uint64(i + 1), Busy: 1, Threads: 9}
		e.ClientIP = netip.AddrFrom4([4]byte{198, 51, byte(g.rng.IntN(50)), byte(g.rng.IntN(250))})
		e.Time = g.now.Add(time.Duration(i) * time.Second)
		events = append(events, e)
		e.Kind, e.Time, e.Held = connlog.Close, e.Time.Add(time.Duration(g.rng.IntN(900))*time.Millisecond), 1
		events = append(events, e)
		if i%7 == 0 {
			e.Kind, e.What, e.Conn = connlog.Fail, connlog.FailLogin, 0
			events = append(events, e)
		}
		if i%5 == 0 {
			e.Kind, e.Reason, e.Count = connlog.Refuse, connlog.RefuseBusy, uint64(g.rng.IntN(4))
			events = append(events, e)
		}
	}
	f := foldOf(events, occupancy.Options{})
	for _, by := range occupancy.Bys() {
		all := f.Report(by, 0)
		if all.Sources != len(all.Ranking) || all.NetCount != len(all.Nets) || all.Sources < 2000 {
			t.Errorf("%s: %d sources, %d listed", by, all.Sources, len(all.Ranking))
		}
		for _, top := range []int{1, 3, 10, 100, 1999, math.MaxInt} {
			want := *all
			want.Ranking, want.Nets = want.Ranking[:min(top, all.Sources)], want.Nets[:min(top, all.NetCount)]
			if got := f.Report(by, top); !reflect.DeepEqual(&want, got) {
				t.Fatalf("%s, top %d: %s", by, top, cmp.Diff(&want, got, sameSource))
			}
		}
		for i, h := range all.Ranking {
			if h.Rank != i+1 {
				t.Fatalf("%s: rank %d at %d", by, h.Rank, i)
			}
			if i > 0 && figure(by, &all.Ranking[i-1]) < figure(by, &h) {
				t.Errorf("%s: %+v before %+v", by, all.Ranking[i-1], h)
			}
		}
	}
	members := 0
	for _, n := range f.Report(occupancy.ByThreadTime, 0).Nets {
		members += n.Members
	}
	if all := f.Report(occupancy.ByThreadTime, 1); members != all.Sources {
		t.Errorf("%d members of nets, %d sources", members, all.Sources)
	}
}

func figure(by occupancy.By, h *occupancy.Holder) float64 {
	switch by {
	case occupancy.ByConnections:
		return float64(h.Connections)
	case occupancy.ByPeak:
		return float64(h.Peak.Low)
	case occupancy.ByLoad:
		return h.Load
	case occupancy.ByBlame:
		return h.Blame
	case occupancy.ByFails:
		return float64(h.Fails)
	case occupancy.ByRefused:
		return float64(h.Refused)
	}
	return h.ThreadTime.Seconds()
}

func TestParseBy(t *testing.T) {
	for _, by := range occupancy.Bys() {
		if got, err := occupancy.ParseBy(string(by)); err != nil || got != by {
			t.Errorf("%s: %s, %v", by, got, err)
		}
	}
	if _, err := occupancy.ParseBy("height"); !errors.Is(err, occupancy.ErrBy) {
		t.Errorf("a figure that there is not: %v", err)
	}
}

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// TestBlameAddsUp wants the blame of all to be the refusals, where the log
// tells of everyone who held a thread.
func TestBlameAddsUp(t *testing.T) {
	f := occupancy.New(occupancy.Options{})
	refused := 0.0
	for i := range uint64(2000) {
		at := noon.Add(time.Duration(i) * time.Second)
		ip := netip.AddrFrom4([4]byte{203, 0, 113, byte(i % 50)})
		if i >= 10 {
			f.Observe(&connlog.Event{Time: at, Kind: connlog.Refuse, Service: "smtp", ClientIP: ip, Reason: connlog.RefuseBusy, Busy: 10, Threads: 10, Count: i % 4})
			refused += float64(max(i%4, 1))
			f.Observe(&connlog.Event{Time: at, Kind: connlog.Close, Service: "smtp", ClientIP: ip, Conn: i - 9})
		}
		f.Observe(&connlog.Event{Time: at, Kind: connlog.Open, Service: "smtp", ClientIP: ip, Conn: i + 1, Busy: int(min(i+1, 10)), Threads: 10})
	}
	r := f.Report(occupancy.ByBlame, 0)
	for name, list := range map[string][]occupancy.Holder{"sources": r.Ranking, "nets": r.Nets} {
		sum := 0.0
		for _, h := range list {
			sum += h.Blame
		}
		if math.Abs(sum-refused) > 1e-9*refused {
			t.Errorf("the blame of all %s is %v, want %v", name, sum, refused)
		}
	}
}

// TestFullDropped wants the stretches that refused fewest to be left out, and
// that to be said.
func TestFullDropped(t *testing.T) {
	f := occupancy.New(occupancy.Options{})
	const n = 20_000
	for i := range n {
		f.Observe(&connlog.Event{
			Time: noon.Add(time.Duration(i) * 2 * time.Minute), Kind: connlog.Refuse, Service: "smtp",
			ClientIP: netip.MustParseAddr("203.0.113.9"), Reason: connlog.RefuseBusy, Count: uint64(1 + i%100),
		})
	}
	r := f.Report(occupancy.ByRefused, 1)
	if len(r.Full)+r.FullDropped != n || len(r.Full) == 0 {
		t.Errorf("%d stretches and %d dropped, want %d", len(r.Full), r.FullDropped, n)
	}
	for i, one := range r.Full {
		if one.Refused < 50 || one.From != one.To {
			t.Errorf("%+v is kept", one)
		}
		if i > 0 && one.From.Before(r.Full[i-1].From) {
			t.Errorf("%+v after %+v", one, r.Full[i-1])
		}
	}
}

// TestManyNames wants a log with made-up services to be counted whole.
func TestManyNames(t *testing.T) {
	f := occupancy.New(occupancy.Options{})
	timeline := occupancy.NewTimeline(occupancy.TimelineOptions{})
	order := occupancy.NewOrder(1000, f.Take)
	const n = 70_000
	var notes occupancy.Notes
	for i := range uint64(n) {
		notes.Reset()
		e := connlog.Event{Time: noon.Add(time.Duration(i) * time.Millisecond), Kind: connlog.Open, Service: fmt.Sprint("s", i), Conn: i, ClientIP: netip.MustParseAddr("203.0.113.9")}
		notes.Observe(&e)
		order.Add(&notes)
		timeline.Take(&notes)
	}
	order.Flush()
	r := f.Report(occupancy.ByThreadTime, 0)
	if r.Connections != n || len(r.Services) > 1100 || r.Ranking[0].Peak.Low != n {
		t.Errorf("%d connections of %d services, peak %+v", r.Connections, len(r.Services), r.Ranking[0].Peak)
	}
	if b := timeline.Buckets(); b[len(b)-1].Peak != n {
		t.Errorf("%d held", b[len(b)-1].Peak)
	}
}

// TestClockSetBack wants no time to be held twice, and none to be lost.
func TestClockSetBack(t *testing.T) {
	ip := netip.MustParseAddr("203.0.113.9")
	f := occupancy.New(occupancy.Options{})
	for _, e := range []connlog.Event{
		{Time: noon, Kind: connlog.Open, Conn: 1, Seq: 1},
		{Time: noon.Add(time.Minute), Kind: connlog.Beat, Seq: 2},
		{Time: noon.Add(-time.Hour), Kind: connlog.Beat, Seq: 3},
		{Time: noon.Add(-time.Hour + time.Minute), Kind: connlog.Close, Conn: 1, Seq: 4, Held: 2 * time.Minute},
	} {
		e.ClientIP, e.Service, e.Boot = ip, "smtp", "b"
		f.Observe(&e)
		f.Observe(&e) // Twice, as where files overlap.
	}
	r := f.Report(occupancy.ByThreadTime, 0)
	if r.ThreadTime != 2*time.Minute || r.Connections != 1 || r.Orphans != 0 {
		t.Errorf("%+v", r)
	}
}

// TestThreadsGiven wants a pool whose size the log does not tell to be full when
// as many are held as somebody says there are.
func TestThreadsGiven(t *testing.T) {
	for _, o := range []occupancy.Options{{Threads: 2}, {Threads: 7, ThreadsOf: map[string]int{"www": 2}}} {
		f := occupancy.New(o)
		for i := range 3 {
			f.Observe(&connlog.Event{Time: noon.Add(time.Duration(i) * time.Minute), Kind: connlog.Open, Conn: uint64(i + 1), Service: "www", ClientIP: netip.MustParseAddr("203.0.113.9")})
		}
		r := f.Report(occupancy.ByThreadTime, 0)
		if len(r.Full) != 1 || !r.Full[0].From.Equal(noon.Add(time.Minute)) || !r.Full[0].To.Equal(noon.Add(2*time.Minute)) || r.Peak.Threads != 2 {
			t.Errorf("%+v", r)
		}
	}
}

// FuzzFold wants any log to be added up, and its parts to be the whole.
func FuzzFold(f *testing.F) {
	for seed := range uint64(3) {
		var log []byte
		events := newGenerator(seed, true).log(60)
		for i := range events {
			log = append(connlog.Append(log, &events[i]), '\n')
		}
		f.Add(log, int64(0), int64(0), false)
		f.Add(log, noon.Add(2*time.Hour).UnixMicro(), int64(20), true)
	}
	f.Fuzz(func(t *testing.T, log []byte, from, minutes int64, coarse bool) {
		o := occupancy.Options{}
		if minutes%1e6 != 0 {
			o.From, o.To = time.UnixMicro(from), time.UnixMicro(from).Add(time.Duration(minutes%1e6)*time.Minute)
		}
		if coarse {
			o.Clock = time.Second
		}
		fold, timeline := occupancy.New(o), occupancy.NewTimeline(occupancy.TimelineOptions{From: o.From, To: o.To, Buckets: 20})
		late := occupancy.New(o)
		order := occupancy.NewOrder(3, late.Take)
		var p connlog.Parser
		var e connlog.Event
		for line := range bytes.Lines(log) {
			if p.Parse(bytes.TrimSpace(line), &e) != nil {
				continue
			}
			fold.Observe(&e)
			timeline.Observe(&e)
			var notes occupancy.Notes
			notes.Observe(&e)
			order.Add(&notes)
		}
		order.Flush()
		late.Report(occupancy.ByLoad, 3)
		for _, b := range timeline.Buckets() {
			for _, held := range b.Held {
				if held < 0 || math.IsNaN(held) {
					t.Fatalf("%+v", b)
				}
			}
		}
		r := fold.Report(occupancy.ByThreadTime, 0)
		var services, sources uint64
		for _, s := range r.Services {
			services += s.Connections
		}
		for _, h := range r.Ranking {
			sources += h.Connections
			if h.Peak.Low > h.Peak.High || h.ThreadTime < 0 || h.Unproven > h.ThreadTime || h.Unproven < 0 || math.IsNaN(h.Load) || h.Load < 0 {
				t.Fatalf("%+v", h)
			}
		}
		if services != r.Connections || sources != r.Connections {
			t.Fatalf("%d connections of services, %d of sources, %d in all", services, sources, r.Connections)
		}
	})
}
