package cause

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"overstay/connlog"
	"overstay/detector/loss"
)

// kept is how many arrivals a recorder remembers.
func (r *Recorder) kept() (n int) {
	for _, p := range r.pools.all {
		n += p.len()
	}
	return n
}

// TestHolderIsKept sends ten times as many arrivals as are kept through a pool
// that one connection holds a thread of from the beginning.
func TestHolderIsKept(t *testing.T) {
	l := newLogger(Options{MaxArrivals: 1000}, 2)
	id := l.open(crook)
	for i := range 10_000 {
		l.after(time.Second)
		if i%10 == 9 {
			l.refuse(ben, 1)
			continue
		}
		other := l.open(anna)
		l.after(500*time.Millisecond).close(other, anna)
		if n := l.r.kept(); n > 1000 {
			t.Fatalf("%d arrivals are kept", n)
		}
	}
	l.suspect(crook+"/32", time.Hour)
	c := l.whole(t, "www")
	if a := c.arrivals[0]; a.Hold < 14_000*time.Second || len(c.arrivals) < 900 {
		t.Errorf("the first of %d is %+v", len(c.arrivals), a)
	}
	rep := l.report(t, "www")
	if len(rep.Suspects) != 1 || rep.Suspects[0].Addresses != 1 ||
		!slices.Contains(rep.Notes, "The beginning is forgotten: more arrivals came than are kept.") {
		t.Errorf("%+v, notes %q", rep.Suspects, rep.Notes)
	}
	// Once it ends, it is forgotten with the others of its time.
	l.close(id, crook)
	for range 2000 {
		l.after(time.Second).refuse(ben, 1)
	}
	if c := l.whole(t, "www"); !c.arrivals[0].Refused {
		t.Errorf("still there: %+v", c.arrivals[0])
	}
	if _, err := l.r.Report(Stretch{Pool: "www", From: epoch, To: epoch.Add(time.Hour)}, loss.Question{}); err == nil {
		t.Error("a report on what is forgotten")
	}
}

// TestPoolsShareTheMemory has a quiet pool whose arrivals are not pushed out
// by those of a busy one.
func TestPoolsShareTheMemory(t *testing.T) {
	l := newLogger(Options{MaxArrivals: 1000}, 2)
	for i := range 5000 {
		service := "www"
		if i%50 == 0 && i < 2500 {
			service = "imap"
		}
		l.after(time.Second).write(connlog.Event{Kind: connlog.Refuse, Service: service, ClientIP: netip.MustParseAddr(anna), Reason: connlog.RefuseBusy})
	}
	quiet, busy := len(l.whole(t, "imap").arrivals), l.r.pools.byName["www"].len()
	if quiet != 50 || busy != 950 {
		t.Errorf("%d and %d arrivals are kept", quiet, busy)
	}
}

// TestRow compares the queue in pieces with a slice.
func TestRow(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 1))
	var got row
	var want []int64
	gone := 0
	for i := range int64(20_000) {
		if len(want) > 0 && r.IntN(100) < int(40+i/500) {
			got.drop()
			want = want[1:]
			gone++
		} else {
			got.add(arrival{at: i})
			want = append(want, i)
		}
		if got.len() != len(want) || len(got.pieces) > len(want)/pieceSize+2 {
			t.Fatalf("seed %d: %d of %d in %d pieces", seed, got.len(), len(want), len(got.pieces))
		}
		if len(want) > 0 {
			k := r.IntN(len(want))
			if a := got.at(uint64(gone + k)); a == nil || a.at != want[k] {
				t.Fatalf("seed %d: number %d is %v, want %d", seed, gone+k, a, want[k])
			}
		}
		if gone > 0 && got.at(uint64(gone-1)) != nil {
			t.Fatalf("seed %d: number %d is still there", seed, gone-1)
		}
	}
}

// lines are events made up from bytes: few names, numbers and addresses, so
// that they meet, and now and then something that cannot be.
func lines(data []byte) []connlog.Event {
	var all []connlog.Event
	next := func() int {
		if len(data) == 0 {
			return 0
		}
		b := data[0]
		data = data[1:]
		return int(b)
	}
	now := epoch
	services := []string{"www", "smtp", "imap", "", "\x00\n"}
	addrs := []netip.Addr{netip.MustParseAddr(anna), netip.MustParseAddr(crook), netip.MustParseAddr("2001:db8::1"),
		netip.MustParseAddr("::ffff:192.0.2.7"), {}, netip.MustParseAddr("fe80::1%eth0")}
	times := []time.Duration{0, time.Millisecond, time.Second, 10 * time.Second, 2 * time.Minute, -time.Second, -time.Hour, 9000 * time.Hour}
	durations := []time.Duration{0, time.Second, time.Hour, math.MaxInt64, math.MinInt64, time.Microsecond}
	counts := []uint64{0, 1, 7, 1 << 20, math.MaxUint32, math.MaxUint64}
	sizes := []int{0, 1, 2, 50, -3, math.MaxInt}
	for seq := uint64(1); len(data) > 0; seq++ {
		kind, more := next(), next()
		now = now.Add(times[more%len(times)])
		e := connlog.Event{Kind: connlog.Kind(kind % 11), Time: now, Boot: fmt.Sprint("b", kind/11%3), Seq: seq + uint64(more>>6)*uint64(next()%3),
			Service: services[next()%len(services)], Conn: uint64(next() % 9), ClientIP: addrs[more>>3%len(addrs)%len(addrs)],
			Busy: sizes[next()%len(sizes)], Threads: sizes[next()%len(sizes)], Held: durations[next()%len(durations)],
			Reason: connlog.RefuseBusy, Count: counts[next()%len(counts)], Continued: more&1 > 0}
		if kind > 250 {
			e.Time = time.Unix(int64(math.MinInt64)>>(more%40), 0)
		}
		e.Stages[connlog.StageScan], e.Stages[connlog.StageScanWait] = durations[next()%len(durations)], durations[next()%len(durations)]
		if kind%11 == int(connlog.Start) || kind%11 == int(connlog.Beat) {
			e.Services = []connlog.Service{{Service: e.Service, Pool: services[next()%len(services)], Threads: e.Threads, Busy: e.Busy}}
		}
		all = append(all, e)
	}
	return all
}

// FuzzRecorder takes any lines: it must stay within its bounds, and report
// without a panic on whatever it has.
func FuzzRecorder(f *testing.F) {
	f.Add([]byte{1, 2, 0, 0, 0, 0, 2, 1, 0, 0, 0, 0, 2, 2, 0, 0, 1, 1, 0, 1, 5, 2, 0, 1, 1, 1, 5})
	f.Add(slices.Repeat([]byte{5, 2, 0, 0, 1, 1, 0, 2, 0, 0}, 40))
	f.Add(slices.Repeat([]byte{2, 3, 0, 1, 1, 1, 2, 1, 1, 1, 5, 130, 0, 1, 3, 2, 3, 5, 2, 2}, 30))
	f.Add(slices.Repeat([]byte{4, 6, 0, 9, 0, 0, 3, 1, 1, 4, 252, 7, 1, 0, 0, 3, 3, 3, 3}, 30))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 4000 {
			return
		}
		r := New(Options{MaxArrivals: 40, MaxConns: 5})
		for _, e := range lines(data) {
			r.Observe(&e)
			if n := r.kept(); n > 40 || n != r.total || len(r.open) > 5 {
				t.Fatalf("%d arrivals, counted as %d, and %d connections are kept", n, r.total, len(r.open))
			}
			if len(data)%3 == 0 {
				r.Suspect(Suspect{Source: netip.PrefixFrom(e.ClientIP, e.Busy), At: e.Time, Until: e.Time.Add(e.Held)})
			}
		}
		q := loss.Question{Seeds: 1, Singles: 2}
		stretches := r.Stretches()
		for _, pool := range r.Pools() {
			if s, ok := r.Whole(pool, time.Time{}, time.Time{}); ok {
				stretches = append(stretches, s)
			}
		}
		for _, s := range stretches[:min(len(stretches), 6)] {
			rep, err := r.Report(s, q)
			if err != nil {
				continue
			}
			var blame float64
			for _, a := range rep.Suspects {
				blame += a.Blame
			}
			if math.IsNaN(blame) || blame < 0 || rep.Threads < 1 || len(rep.Suspects) == 0 && rep.Verdict() == loss.Attack {
				t.Fatalf("%+v", rep)
			}
		}
	})
}

// TestFoldedForEver has counts that no server can have met.
func TestFoldedForEver(t *testing.T) {
	l := newLogger(Options{}, 1)
	for range 20 {
		l.after(time.Second).refuse(anna, math.MaxUint64)
	}
	rep := l.report(t, "www")
	if rep.Arrivals > 2*defaultMaxArrivals || len(rep.Notes) == 0 {
		t.Errorf("%d arrivals, notes %q", rep.Arrivals, rep.Notes)
	}
}

// TestMadeUpHolders has close lines of connections that were never opened and
// held a thread for a year each: they are no reason to remember more.
func TestMadeUpHolders(t *testing.T) {
	r := New(Options{MaxArrivals: 1000})
	for i := range uint64(20_000) {
		r.Observe(&connlog.Event{Kind: connlog.Close, Time: epoch.Add(time.Duration(i) * time.Second), Boot: "b", Seq: i + 1, Service: "www",
			Conn: i, ClientIP: netip.MustParseAddr(anna), Held: 8760 * time.Hour})
		if n := r.kept(); n > 1000 || n != r.total {
			t.Fatalf("%d arrivals are kept, counted as %d", n, r.total)
		}
	}
}

func TestNamesAreBounded(t *testing.T) {
	r := New(Options{})
	for i := range 5000 {
		r.Observe(&connlog.Event{Kind: connlog.Refuse, Time: epoch.Add(time.Duration(i/3) * time.Hour), Boot: "b", Service: fmt.Sprint("s", i),
			ClientIP: netip.MustParseAddr(anna), Reason: connlog.RefuseBusy, Threads: i + 1, Busy: 1})
		r.Observe(&connlog.Event{Kind: connlog.Refuse, Time: epoch.Add(time.Duration(i/3) * time.Hour), Boot: "b", Service: "s0",
			ClientIP: netip.MustParseAddr(anna), Reason: connlog.RefuseBusy, Threads: i + 1, Busy: 1})
		r.Observe(&connlog.Event{Kind: connlog.Lost, Time: epoch.Add(time.Duration(i) * time.Hour), Boot: "b"})
		r.Suspect(Suspect{Source: netip.MustParsePrefix(anna + "/32"), At: epoch})
	}
	for range maxSuspects {
		r.Suspect(Suspect{Source: netip.MustParsePrefix(anna + "/32"), At: epoch})
	}
	if len(r.pools.all) > maxPools || len(r.pools.numbers) > maxServices || len(r.missing) > maxHoles || len(r.suspects) > maxSuspects ||
		len(r.pools.all[0].stretches) > maxStretches || len(r.pools.all[0].sizes) > maxSizes {
		t.Errorf("%d pools, %d services, %d holes, %d suspects, %d stretches, %d sizes", len(r.pools.all), len(r.pools.numbers),
			len(r.missing), len(r.suspects), len(r.pools.all[0].stretches), len(r.pools.all[0].sizes))
	}
	if rep, err := r.Report(r.Stretches()[0], loss.Question{}); err != nil || len(rep.Notes) == 0 {
		t.Errorf("%v, %+v", err, rep)
	}
}
