package bulk_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"overstay/connlog"
	"overstay/connlog/bulk"
)

// visit is one connection, as a person would note it down.
type visit struct {
	boot     string
	conn     uint64
	source   netip.Prefix
	from, to time.Time
	over     bool // its end is known
	late     bool // its beginning was not
	named    int  // the head that named it last
}

// visitsOf finds out what became of every connection of a log, by looking
// through all of them at each event. The log has no repeats.
func visitsOf(events []connlog.Event, level connlog.Level) (visits []*visit, orphans uint64) {
	find := func(boot string, conn uint64) *visit {
		for _, v := range visits {
			if v.boot == boot && v.conn == conn && !v.over {
				return v
			}
		}
		return nil
	}
	inHead, heads := false, 0
	for i := range events {
		e := &events[i]
		if i > 0 && events[i-1].Boot != e.Boot {
			inHead = false
			for _, v := range visits {
				if !v.over {
					v.over, v.to = true, events[i-1].Time
				}
			}
		}
		if inHead && (e.Kind != connlog.Open || e.Held == 0) {
			inHead = false
			for _, v := range visits {
				if !v.over && v.named != heads {
					v.over, v.to = true, e.Time
				}
			}
		}
		v := find(e.Boot, e.Conn)
		switch {
		case e.Kind == connlog.Start && e.Continued:
			inHead = true
			heads++
		case e.Kind == connlog.Open && v != nil:
			v.named = heads
		case e.Kind == connlog.Open:
			visits = append(visits, &visit{boot: e.Boot, conn: e.Conn, source: level.Source(e.ClientIP), from: e.Time.Add(-e.Held), named: heads})
		case e.Kind == connlog.Close && v != nil:
			v.over, v.to = true, e.Time
		case e.Kind == connlog.Close && e.Held > 0:
			visits = append(visits, &visit{boot: e.Boot, source: level.Source(e.ClientIP), from: e.Time.Add(-e.Held), to: e.Time, over: true, late: true})
		case e.Kind == connlog.Close:
			orphans++
		}
	}
	for _, v := range visits {
		if !v.over {
			v.to = events[len(events)-1].Time
		}
	}
	return visits, orphans
}

// heldBy adds up the visits of one source.
func heldBy(source netip.Prefix, visits []*visit) (h bulk.Held) {
	h.Source = source
	for _, v := range visits {
		if v.source != source {
			continue
		}
		h.Connections++
		h.Time += v.to.Sub(v.from)
		if !v.over {
			h.OpenAtEnd++
		}
		// The most were open when one of them had just been opened.
		n := 0
		for _, other := range visits {
			if other.source == source && !other.from.After(v.from) && (other.to.After(v.from) || other == v) {
				n++
			}
		}
		h.Peak = max(h.Peak, n)
	}
	return h
}

// TestOccupancy compares the fold with the slow computation, for each level and
// any cutting of the log.
func TestOccupancy(t *testing.T) {
	late := 0
	for seed := range uint64(6) {
		for _, level := range []connlog.Level{{}, connlog.NetLevel, {V4: 8, V6: 32}, {V4: 31, V6: 128}} {
			t.Run(fmt.Sprintf("seed=%d/%v", seed, level), func(t *testing.T) {
				g := newGenerator(seed, 30, true)
				g.stride = 1 + 127*(seed%2) // The second kind is at odds with the table of connections.
				log := g.log(250_000)
				occupancy := bulk.NewOccupancy(level)
				r := bulk.NewReader(text("log", log), bulk.Options{Workers: 3, ChunkBytes: 1 << (seed * 3)})
				for batch, err := range r.Batches(t.Context()) {
					if err != nil {
						t.Fatal(err)
					}
					for i := range batch.Events {
						occupancy.Observe(&batch.Events[i])
					}
				}
				late += checkOccupancy(t, occupancy, log, level)
			})
		}
	}
	if late == 0 {
		t.Error("no connection was unknown while it lasted: the logs show little")
	}
}

func checkOccupancy(t *testing.T, occupancy *bulk.Occupancy, log []byte, level connlog.Level) (late int) {
	t.Helper()
	if level == (connlog.Level{}) {
		level = connlog.AddressLevel
	}
	visits, orphans := visitsOf(slowly(t, "log", log, 0).events, level)
	got := occupancy.Sources()
	for i, g := range got {
		want := heldBy(g.Source, visits)
		if g.Peak > want.Peak || g.PeakAtMost < want.Peak {
			t.Errorf("%v: the peak %d is not within %d and %d", g.Source, want.Peak, g.Peak, g.PeakAtMost)
		}
		late += g.PeakAtMost - g.Peak
		want.Peak, want.PeakAtMost = g.Peak, g.PeakAtMost
		if g != want {
			t.Errorf("%+v\nwant %+v", g, want)
		}
		if i > 0 && g.Time > got[i-1].Time {
			t.Errorf("%v comes after %v", g, got[i-1])
		}
	}
	for _, v := range visits {
		if !slices.ContainsFunc(got, func(h bulk.Held) bool { return h.Source == v.source }) {
			t.Fatalf("%v is missing", v.source)
		}
	}
	if occupancy.Orphans() != orphans || orphans == 0 {
		t.Errorf("%d orphans, want %d", occupancy.Orphans(), orphans)
	}
	if late > len(visits)/4 || !bytes.Contains(log, []byte(`"continued":true`)) {
		t.Errorf("of %d visits %d were not known while they lasted: the log shows little", len(visits), late)
	}
	return late
}

// TestOccupancyOfRepeats wants lines that come twice to count once.
func TestOccupancyOfRepeats(t *testing.T) {
	occupancy := bulk.NewOccupancy(connlog.Level{})
	for e, err := range connlog.NewReader(bytes.NewReader([]byte(twoLines + twoLines))).Events() {
		if err != nil {
			t.Fatal(err)
		}
		occupancy.Observe(e)
	}
	got := occupancy.Sources()
	if len(got) != 1 || got[0].Connections != 1 || got[0].Time != time.Second || got[0].Peak != 1 || occupancy.Orphans() != 0 {
		t.Errorf("%+v", got)
	}
}

// TestHeadWithAHole wants a file's head that lacks a line to end nothing.
func TestHeadWithAHole(t *testing.T) {
	for _, hole := range []bool{false, true} {
		begin := time.Date(2026, 11, 23, 14, 0, 0, 0, time.UTC)
		a, b := netip.MustParseAddr("203.0.113.9"), netip.MustParseAddr("198.51.100.7")
		log := []connlog.Event{
			{Kind: connlog.Open, Conn: 1, ClientIP: a}, {Kind: connlog.Open, Conn: 2, ClientIP: b},
			{Kind: connlog.Start, Continued: true},
			{Kind: connlog.Open, Conn: 2, ClientIP: b, Held: time.Second},
			{Kind: connlog.Beat}, {Kind: connlog.Beat},
		}
		occupancy := bulk.NewOccupancy(connlog.Level{})
		for i := range log {
			e := &log[i]
			e.Time, e.Boot, e.Seq = begin.Add(time.Duration(i)*time.Second), "b", uint64(i+1)
			if hole && i > 2 {
				e.Seq++
			}
			occupancy.Observe(e)
		}
		want := 4 * time.Second // until the head is over, which does not name it
		if hole {
			want = 5 * time.Second // until the end
		}
		for _, h := range occupancy.Sources() {
			if h.Source.Addr() == a && (h.Time != want || h.OpenAtEnd == 1 != hole) {
				t.Errorf("hole %v: %+v, want %v", hole, h, want)
			}
		}
	}
}
