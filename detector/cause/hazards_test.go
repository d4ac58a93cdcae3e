package cause

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"overstay/connlog"
	"overstay/detector/loss"
)

const (
	anna  = "192.0.2.7"
	ben   = "192.0.2.8"
	crook = "203.0.113.9"
)

// expect compares what is known of a pool.
func expect(t *testing.T, l *logger, pool string, want ...string) {
	t.Helper()
	if got := l.whole(t, pool).told(); !slices.Equal(got, want) {
		t.Errorf("%s:\ngot  %s\nwant %s", pool, strings.Join(got, "; "), strings.Join(want, "; "))
	}
}

func TestOpenCloseRefuse(t *testing.T) {
	l := newLogger(Options{}, 1)
	id := l.after(time.Second).open(anna)
	l.after(time.Second).refuse(ben, 0)
	l.after(time.Second).refuse(ben, 40)
	l.after(time.Second).close(id, anna)
	l.after(time.Second).open("2001:db8:1:2:3::4")
	l.after(time.Second).write(connlog.Event{Kind: connlog.Beat})
	expect(t, l, "www", "1s 192.0.2.7 holds 3s", "2s 192.0.2.8 refused 1", "3s 192.0.2.8 refused 40", "5s 20010db800010002 holds 1s")
}

// TestTurnedAwayBefore has refusals that never asked the pool.
func TestTurnedAwayBefore(t *testing.T) {
	l := newLogger(Options{}, 1)
	for _, why := range []connlog.Reason{connlog.RefuseBanned, connlog.RefuseSessions, "unheard of"} {
		l.write(connlog.Event{Kind: connlog.Refuse, Service: "www", ClientIP: netip.MustParseAddr(anna), Reason: why, Busy: 1, Threads: 1})
	}
	expect(t, l, "www")
	if s := l.r.Stretches(); len(s) > 0 {
		t.Errorf("%v", s)
	}
}

func TestScannerStages(t *testing.T) {
	l := newLogger(Options{}, 1)
	l.open(anna)
	e := connlog.Event{Kind: connlog.Close, Service: "www", Conn: 1, ClientIP: netip.MustParseAddr(anna)}
	e.Stages[connlog.StageData] = 2 * time.Second
	e.Stages[connlog.StageScanWait] = 5 * time.Second
	e.Stages[connlog.StageScan] = time.Second
	l.after(10 * time.Second).write(e)
	a := l.whole(t, "www").arrivals[0]
	if a.Before != 2*time.Second || a.Wait != 5*time.Second || a.Scan != time.Second || a.Hold != 10*time.Second {
		t.Errorf("%+v", a)
	}
}

// TestSharedPool has two services that take threads from one pool.
func TestSharedPool(t *testing.T) {
	l := newLogger(Options{}, 1)
	l.write(connlog.Event{Kind: connlog.Start, Continued: true, Services: []connlog.Service{
		{Service: "imap", Pool: "mailbox", Threads: 2}, {Service: "pop3", Pool: "mailbox", Threads: 2}}})
	for i, service := range []string{"imap", "pop3", "www"} {
		l.write(connlog.Event{Kind: connlog.Open, Service: service, Conn: uint64(i + 1), ClientIP: netip.MustParseAddr(anna)})
	}
	c := l.whole(t, "mailbox")
	if len(c.arrivals) != 2 || c.arrivals[0].Service == c.arrivals[1].Service || c.threads != 2 {
		t.Errorf("%+v of %d threads", c.arrivals, c.threads)
	}
	if names := fmt.Sprint(l.r.Pools()); names != "[www mailbox]" {
		t.Error(names)
	}
	// Another boot may have other pools.
	l.start("boot2", 1)
	l.write(connlog.Event{Kind: connlog.Open, Service: "imap", Conn: 1, ClientIP: netip.MustParseAddr(anna)})
	if n := len(l.whole(t, "mailbox").arrivals); n != 2 {
		t.Errorf("%d arrivals in the pool of a boot that is over", n)
	}
}

// TestCrash ends what was open when the last line was written, not when the
// server was back an hour later.
func TestCrash(t *testing.T) {
	l := newLogger(Options{}, 1)
	l.open(anna)
	l.after(5 * time.Second).write(connlog.Event{Kind: connlog.Beat})
	l.after(time.Hour).start("boot2", 1)
	l.open(ben)
	l.after(time.Second).write(connlog.Event{Kind: connlog.Stop})
	l.after(time.Hour).start("boot3", 1)
	expect(t, l, "www", "0s 192.0.2.7 holds 5s", "1h0m5s 192.0.2.8 holds 1s")
	// Lines of a boot that is over are nothing new.
	old := l.all[1]
	l.r.Observe(&old)
	expect(t, l, "www", "0s 192.0.2.7 holds 5s", "1h0m5s 192.0.2.8 holds 1s")
}

// TestHead has a file that begins with what is open: one that is known goes
// on, one that is not was opened before, one that is not named is closed.
func TestHead(t *testing.T) {
	l := newLogger(Options{}, 3)
	l.open(anna)
	l.open(ben)
	l.after(10 * time.Second)
	l.write(connlog.Event{Kind: connlog.Start, Continued: true})
	for conn, who := range map[uint64]string{1: anna, 9: crook} {
		l.write(connlog.Event{Kind: connlog.Open, Service: "www", Conn: conn, ClientIP: netip.MustParseAddr(who), Held: 4 * time.Second})
	}
	l.write(connlog.Event{Kind: connlog.Beat})
	l.after(time.Minute).write(connlog.Event{Kind: connlog.Beat})
	expect(t, l, "www", "0s 192.0.2.7 holds 1m10s", "0s 192.0.2.8 holds 10s", "6s 203.0.113.9 holds 1m4s")
}

// TestBrokenHead lacks a line, so it says nothing of who is not in it.
func TestBrokenHead(t *testing.T) {
	l := newLogger(Options{}, 3)
	l.open(anna)
	l.after(10 * time.Second).write(connlog.Event{Kind: connlog.Start, Continued: true})
	l.seq += 3
	l.write(connlog.Event{Kind: connlog.Beat})
	l.after(10 * time.Second).write(connlog.Event{Kind: connlog.Lost, Count: 7})
	expect(t, l, "www", "0s 192.0.2.7 holds 20s")
	l.refuse(ben, 1)
	if rep := l.report(t, "www"); !slices.Contains(rep.Notes, "10 lines of the log are missing in this time.") {
		t.Errorf("notes: %q", rep.Notes)
	}
}

// TestCloseOnly has a connection whose close line is all that is known of it.
func TestCloseOnly(t *testing.T) {
	l := newLogger(Options{}, 3)
	l.after(time.Minute).open(anna)
	l.write(connlog.Event{Kind: connlog.Close, Service: "www", Conn: 77, ClientIP: netip.MustParseAddr(crook), Held: 90 * time.Second})
	l.write(connlog.Event{Kind: connlog.Close, Service: "www", Conn: 78, ClientIP: netip.MustParseAddr(crook), Held: 20 * time.Second})
	l.write(connlog.Event{Kind: connlog.Close, Service: "www", Conn: 79, ClientIP: netip.MustParseAddr(crook)})
	expect(t, l, "www", "-30s 203.0.113.9 holds 1m30s", "40s 203.0.113.9 holds 20s", "1m0s 192.0.2.7 holds 0s")
}

func TestReusedNumber(t *testing.T) {
	l := newLogger(Options{}, 3)
	l.open(anna)
	l.after(time.Second)
	l.conn = 0
	l.open(ben)
	l.after(time.Second).close(1, ben)
	expect(t, l, "www", "0s 192.0.2.7 holds 1s", "1s 192.0.2.8 holds 1s")
}

func TestRepeatsAreIgnored(t *testing.T) {
	l := newLogger(Options{}, 1)
	l.open(anna)
	l.after(time.Second).refuse(ben, 1)
	l.after(time.Second).close(1, anna)
	for i := range l.all {
		l.r.Observe(&l.all[i])
	}
	expect(t, l, "www", "0s 192.0.2.7 holds 2s", "1s 192.0.2.8 refused 1")
}

// TestClockSteps sets the clock back by an hour. Time goes on, and a stretch
// still says what the log does.
func TestClockSteps(t *testing.T) {
	l := newLogger(Options{}, 1)
	l.open(anna)
	l.after(10*time.Second).refuse(ben, 1)
	l.after(-3*time.Second).refuse(ben, 1) // is waited for
	l.after(3500*time.Millisecond-time.Hour).refuse(ben, 2)
	l.after(10*time.Second).refuse(ben, 3)
	expect(t, l, "www", "0s 192.0.2.7 holds 20.5s", "10s 192.0.2.8 refused 1", "10s 192.0.2.8 refused 1", "10.5s 192.0.2.8 refused 2", "20.5s 192.0.2.8 refused 3")
	s, ok := l.r.Last()
	if !ok || !s.From.Equal(epoch.Add(10*time.Second)) || !s.To.Equal(epoch.Add(20500*time.Millisecond-time.Hour)) || s.Refused != 7 {
		t.Errorf("%+v", s)
	}
	// The times after the step are asked for as the log has them.
	s, ok = l.r.Whole("www", epoch.Add(-time.Hour), epoch.Add(-time.Minute))
	if !ok || s.Refused != 5 {
		t.Errorf("%+v", s)
	}
	// A decision made now is now.
	l.suspect(anna+"/32", time.Minute)
	if at := l.r.suspects[0].from - l.r.clock.now; at != 0 {
		t.Errorf("a decision is off by %d µs", at)
	}
	if _, ok := l.r.Whole("www", epoch.Add(time.Hour), time.Time{}); ok {
		t.Error("something is known of the future")
	}
}

func TestStretches(t *testing.T) {
	l := newLogger(Options{}, 1)
	for _, pause := range []time.Duration{0, 59 * time.Second, 60 * time.Second, 61 * time.Second, time.Hour} {
		l.after(pause).refuse(anna, 2)
	}
	// A pool of another size is another pool.
	l.after(10 * time.Second).write(connlog.Event{Kind: connlog.Beat, Services: []connlog.Service{{Service: "www", Threads: 5}}})
	l.refuse(anna, 1)
	var got []string
	for _, s := range l.r.Stretches() {
		got = append(got, fmt.Sprint(s.From.Sub(epoch), " to ", s.To.Sub(epoch), ": ", s.Refused))
		if rep, err := l.r.Report(s, loss.Question{}); err != nil || rep.Diagnosis.Recorded != s.Refused {
			t.Errorf("%v: %v, %+v", s, err, rep)
		}
	}
	want := []string{"0s to 1m59s: 6", "3m0s to 3m0s: 2", "1h3m0s to 1h3m0s: 2", "1h3m10s to 1h3m10s: 1"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

// TestResized has a stretch that was asked for and in which the pool grew.
func TestResized(t *testing.T) {
	l := newLogger(Options{}, 1)
	l.refuse(anna, 1)
	l.after(time.Second).write(connlog.Event{Kind: connlog.Beat, Services: []connlog.Service{{Service: "www", Threads: 5}}})
	l.after(time.Second).refuse(anna, 1)
	rep := l.report(t, "www")
	if rep.Threads != 5 || !slices.Contains(rep.Notes, "The pool got another size meanwhile; it is taken to have had 5 threads throughout.") {
		t.Errorf("%d threads, notes %q", rep.Threads, rep.Notes)
	}
}

// TestUnknownSize takes the size from what was refused.
func TestUnknownSize(t *testing.T) {
	l := newLogger(Options{}, 0)
	l.open(anna)
	l.open(ben)
	l.open(crook)
	l.close(3, crook)
	l.after(time.Second).refuse(crook, 1)
	rep := l.report(t, "www")
	if rep.Threads != 2 || len(rep.Notes) == 0 || !strings.Contains(rep.Notes[0], "size of the pool") {
		t.Errorf("%d threads, notes %q", rep.Threads, rep.Notes)
	}
}

// TestUnseenHolders has a log that is read from its middle: eight of ten
// threads are held by nobody that it tells of. They stay held in each replay.
func TestUnseenHolders(t *testing.T) {
	l := newLogger(Options{}, 10)
	l.open(crook)
	l.open(crook)
	for range 30 {
		l.after(time.Second).write(connlog.Event{Kind: connlog.Refuse, Service: "www", ClientIP: netip.MustParseAddr(anna),
			Reason: connlog.RefuseBusy, Busy: 10, Threads: 10})
	}
	l.suspect(crook+"/32", time.Hour)
	rep := l.report(t, "www")
	if rep.Diagnosis.Refused.Min != 30 || !slices.Contains(rep.Notes, "8 threads were held by connections that the log does not tell of.") {
		t.Errorf("refuses %v of 30, notes %q", rep.Diagnosis.Refused, rep.Notes)
	}
	if blame := rep.Suspects[0].Blame; blame < 5.99 || blame > 6.01 {
		t.Errorf("blame %v for a fifth of the threads, want 6", blame)
	}
}

func TestNotFound(t *testing.T) {
	r := New(Options{})
	if _, ok := r.Last(); ok {
		t.Error("an empty log has a stretch")
	}
	if _, ok := r.Whole("www", time.Time{}, time.Time{}); ok {
		t.Error("an empty log has a pool")
	}
	if _, err := r.Report(Stretch{Pool: "www"}, loss.Question{}); err == nil {
		t.Error("a report on nothing")
	}
	if Worst() != nil {
		t.Error("the worst of none")
	}
}
