package detector

import (
	"math"
	"testing"
	"time"

	"overstay/connlog"
)

// observeAll gives the detector what the logger has written, and empties it.
func observeAll(d *Detector, l *logger) (decs []Decision) {
	for i := range l.events {
		decs = append(decs, d.Observe(&l.events[i])...)
	}
	l.events = nil
	return decs
}

func blameOf(t *testing.T, d *Detector, n int) (all, rate float64) {
	t.Helper()
	for _, r := range d.Ranking(1000) {
		if r.Source.Addr() == ip(n) {
			return r.Blame, r.Blame1
		}
	}
	t.Fatalf("%v is not ranked", ip(n))
	return 0, 0
}

// TestBlame is a case to be reckoned by hand: 4 threads, three are held by
// one source, one by another.
func TestBlame(t *testing.T) {
	d, l := mustNew(t, Options{}), newLogger(4)
	var ids []uint64
	for _, who := range []int{1, 1, 1, 2} {
		ids = append(ids, l.connect(ip(who)))
	}
	l.connect(ip(3)) // refused: 3/4 and 1/4
	// The rest is in the same microsecond, where no time passes.
	l.close(ids[0], connlog.EndClient)
	l.connect(ip(2))
	l.connect(ip(2)) // refused, though it holds two itself
	l.wait(time.Minute)
	l.beat()
	observeAll(d, l)
	for n, want := range map[int]float64{1: 0.75 + 0.5, 2: 0.25 + 0.5, 3: 0} {
		if all, rate := blameOf(t, d, n); all != want || math.Abs(rate-want/math.E) > 1e-6 {
			t.Errorf("the blame of %v is %v, %v a minute; want %v and %v", ip(n), all, rate, want, want/math.E)
		}
	}
	// All threads are given back; the blame stays, and is charged no more.
	for _, id := range []uint64{ids[1], ids[2], ids[3], l.lastID} {
		l.close(id, connlog.EndClient)
	}
	l.refuse(ip(3), connlog.RefuseBusy)
	l.refuse(ip(3), connlog.RefuseSessions)
	l.refuse(ip(3), connlog.RefuseBanned)
	observeAll(d, l)
	if all, _ := blameOf(t, d, 1); all != 1.25 {
		t.Errorf("after the last thread the blame is %v", all)
	}
	if p := d.Pools()[0]; p.Refusals != 3 || p.Unblamed != 1 {
		t.Errorf("%v refusals, %v unblamed, want 3 and 1", p.Refusals, p.Unblamed)
	}
}

// TestBlameIsWeighted has a refusal that stands for many, in a log whose
// beginning is not known: of the 10 threads held only 2 were seen to open.
func TestBlameIsWeighted(t *testing.T) {
	d, l := mustNew(t, Options{}), newLogger(10)
	l.busy["www"] = 8
	l.connect(ip(1))
	l.connect(ip(1))
	l.write(connlog.Event{Kind: connlog.Refuse, Service: "www", ClientIP: ip(2), Reason: connlog.RefuseBusy,
		Busy: 10, Threads: 10, Count: 50})
	observeAll(d, l)
	if all, rate := blameOf(t, d, 1); !agree("blame", all, 10) || !agree("blame1", rate, 10) {
		t.Errorf("the blame is %v, %v a minute; want 10 of 50", all, rate)
	}
	if p := d.Pools()[0]; p.Refusals != 50 || !agree("unblamed", p.Unblamed, 40) {
		t.Errorf("%v refusals, %v unblamed, want 50 and 40", p.Refusals, p.Unblamed)
	}
}

// TestPolicyOfBlame acts on it, and says so.
func TestPolicyOfBlame(t *testing.T) {
	p := Policy{Name: "in-the-way", When: "blame1 >= 5 && blame1 > 0.5 * pool.refused && blame >= 5",
		Action: Ban, Duration: time.Minute}
	d, l := mustNew(t, Options{Policies: []Policy{p}}), newLogger(4)
	for _, who := range []int{1, 1, 1, 2} {
		l.connect(ip(who))
	}
	for range 8 {
		l.connect(ip(3))
	}
	l.wait(time.Second)
	l.beat()
	decs := observeAll(d, l)
	if len(decs) != 1 || decs[0].Source.Addr() != ip(1) {
		t.Fatalf("decided %+v", decs)
	}
	if e := decs[0].Evidence; e.Blame != 6 || e.Blame1 != round(6*math.Exp(-0.25/60)) {
		t.Errorf("evidence: blame %v, %v a minute", e.Blame, e.Blame1)
	}
}

// blameIn adds up the blame of all sources in a pool.
func (d *Detector) blameIn(pool string) (sum float64) {
	p := d.pools.byName[pool]
	for s := range d.table.index.all {
		if s.key.pool == p.id {
			c := s.copyAt(d.now, p)
			sum += c.blame
		}
	}
	return sum
}
