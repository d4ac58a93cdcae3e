package formats

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"overstay/connlog"
)

// TestOrder holds Order against a stable sort, with events that come as late
// as its window allows.
func TestOrder(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 2))
	for range 200 {
		window := time.Duration(1+random.IntN(100)) * time.Second
		var in, got []connlog.Event
		order := NewOrder(OrderOptions{Window: window}, func(e *connlog.Event) { got = append(got, *e) })
		clock := now()
		for i := range 500 {
			clock = clock.Add(time.Duration(random.IntN(5)) * time.Second)
			e := connlog.Event{Kind: connlog.Close, Conn: uint64(i), Time: clock.Add(-time.Duration(random.Int64N(int64(window/time.Second)+1)) * time.Second)}
			in = append(in, e)
			order.Add(&e)
		}
		order.Flush()
		slices.SortStableFunc(in, func(a, b connlog.Event) int { return a.Time.Compare(b.Time) })
		for i := range in {
			if len(got) != len(in) || got[i].Conn != in[i].Conn || !got[i].Time.Equal(in[i].Time) {
				t.Fatalf("seed %d, window %v: event %d of %d is not that of a sort", seed, window, i, len(got))
			}
		}
		if order.Late() != 0 {
			t.Fatalf("seed %d: %d late", seed, order.Late())
		}
	}
}

// TestLate lets events come too late: time never goes back, nothing is lost,
// and a connection keeps the time that it has held its thread.
func TestLate(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 3))
	for _, o := range []OrderOptions{{Window: time.Second}, {Max: 3}, {Window: time.Minute, Max: 50}} {
		var last time.Time
		n := 0
		truth := map[uint64]time.Time{}
		order := NewOrder(o, func(e *connlog.Event) {
			if e.Time.Before(last) {
				t.Fatalf("seed %d: %v after %v", seed, e.Time, last)
			}
			last = e.Time
			n++
			if e.Kind == connlog.Open && !e.Time.Add(-e.Held).Equal(truth[e.Conn]) {
				t.Fatalf("seed %d: opened %v, want %v", seed, e.Time.Add(-e.Held), truth[e.Conn])
			}
		})
		clock := now()
		for i := range 2000 {
			clock = clock.Add(time.Duration(random.IntN(3)) * time.Second)
			e := connlog.Event{Kind: connlog.Open, Conn: uint64(i), Time: clock.Add(-time.Duration(random.IntN(600)) * time.Second)}
			if i%2 == 1 {
				e.Kind = connlog.Close
			}
			truth[e.Conn] = e.Time
			order.Add(&e)
			if waiting := len(order.queue); o.Max > 0 && waiting > o.Max {
				t.Fatalf("%d wait, %d may", waiting, o.Max)
			}
		}
		order.Flush()
		if n != 2000 || order.Late() == 0 {
			t.Errorf("seed %d: %d of 2000 events, %d late", seed, n, order.Late())
		}
		if room := len(order.store); o.Max > 0 && room > o.Max+1 {
			t.Errorf("%d places were made for %d events", room, o.Max)
		}
	}
}

// TestSessionsAreBounded opens connections that never end: the first are
// given up, the last are kept.
func TestSessionsAreBounded(t *testing.T) {
	f, _ := ByName("openssh")
	const limit, many = 10, 1000
	p := f.NewParser(Options{Now: now(), MaxOpen: limit})
	opens, closes := 0, 0
	count := func(e *connlog.Event) {
		switch e.Kind {
		case connlog.Open:
			opens++
		case connlog.Close:
			if closes++; e.Conn != uint64(closes) {
				t.Errorf("connection %d is given up, want %d", e.Conn, closes)
			}
		}
	}
	for i := range many {
		line := "Nov 23 12:35:31 vm sshd[1]: Connection from 203.0.113.14 port " + strconv.Itoa(i+1)
		line += " on 192.0.2.1 port 22"
		if err := p.Parse([]byte(line), count); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
	}
	if opens != many || closes != many-limit || p.Open() != limit {
		t.Errorf("%d opened, %d closed, %d open; want %d, %d, %d", opens, closes, p.Open(), many, many-limit, limit)
	}
	if n := len(p.open.queue); n > 3*limit+32 {
		t.Errorf("%d places for %d sessions", n, limit)
	}
}

// TestPlacesAreBounded opens and closes many connections while one stays open.
func TestPlacesAreBounded(t *testing.T) {
	f, _ := ByName("openssh")
	p := f.NewParser(Options{Now: now(), MaxOpen: 10})
	parse := func(text string) {
		t.Helper()
		if err := p.Parse([]byte("Nov 23 12:35:31 vm sshd[1]: "+text), func(*connlog.Event) {}); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
	}
	parse("Connection from 203.0.113.14 port 1 on 192.0.2.1 port 22")
	for range 1000 {
		parse("Connection from 203.0.113.14 port 2 on 192.0.2.1 port 22")
		parse("Connection closed by 203.0.113.14 port 2 [preauth]")
	}
	if n := len(p.open.queue); n > 100 {
		t.Errorf("%d places are kept for one connection", n)
	}
	parse("Connection closed by 203.0.113.14 port 1 [preauth]")
	if n := p.Open(); n != 0 {
		t.Errorf("%d open at the end", n)
	}
}

// TestTheSameNameAgain puts one name again and again: what is kept of those
// before does not grow.
func TestTheSameNameAgain(t *testing.T) {
	s := sessions{limit: 10}
	for range 1000 {
		s.crowded()
		s.put(1, session{})
		s.put(2, session{})
		s.take(2)
	}
	if len(s.queue) > 2*s.limit+17 || s.size() != 1 {
		t.Errorf("%d places of %d sessions", len(s.queue), s.size())
	}
}
