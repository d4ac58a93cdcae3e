package cause

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"overstay/connlog"
	"overstay/detector/loss"
)

// logger writes a log line by line into a recorder, as a server would.
type logger struct {
	r    *Recorder
	all  []connlog.Event
	now  time.Time
	boot string
	seq  uint64
	conn uint64
}

var epoch = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

// newLogger begins a log of a service with so many threads.
func newLogger(o Options, threads int) *logger {
	l := &logger{r: New(o), now: epoch}
	l.start("boot1", threads)
	return l
}

func (l *logger) write(e connlog.Event) {
	l.seq++
	e.Time, e.Boot, e.Seq = l.now, l.boot, l.seq
	l.all = append(l.all, e)
	l.r.Observe(&l.all[len(l.all)-1])
}

func (l *logger) start(boot string, threads int) {
	l.boot, l.seq, l.conn = boot, 0, 0
	l.write(connlog.Event{Kind: connlog.Start, Services: []connlog.Service{{Service: "www", Threads: threads}}})
}

// after lets time pass.
func (l *logger) after(d time.Duration) *logger {
	l.now = l.now.Add(d)
	return l
}

func (l *logger) open(ip string) uint64 {
	l.conn++
	l.write(connlog.Event{Kind: connlog.Open, Service: "www", Conn: l.conn, ClientIP: netip.MustParseAddr(ip)})
	return l.conn
}

func (l *logger) close(id uint64, ip string) {
	l.write(connlog.Event{Kind: connlog.Close, Service: "www", Conn: id, ClientIP: netip.MustParseAddr(ip)})
}

func (l *logger) refuse(ip string, n uint64) {
	l.write(connlog.Event{Kind: connlog.Refuse, Service: "www", ClientIP: netip.MustParseAddr(ip), Reason: connlog.RefuseBusy, Count: n})
}

func (l *logger) suspect(prefix string, d time.Duration) {
	l.r.Suspect(Suspect{Source: netip.MustParsePrefix(prefix), Policy: "p", At: l.now, Until: l.now.Add(d)})
}

// whole is the scene of all that the log of a pool has.
func (l *logger) whole(t testing.TB, pool string) *scene {
	t.Helper()
	s, ok := l.r.Whole(pool, time.Time{}, time.Time{})
	if !ok {
		t.Fatalf("nothing is known of %s", pool)
	}
	c, err := l.r.scene(s)
	if err != nil {
		t.Fatal(err)
	}
	c.sweep(c.accuse(l.r.suspects))
	return c
}

func (l *logger) report(t testing.TB, pool string) *Report {
	t.Helper()
	s, ok := l.r.Whole(pool, time.Time{}, time.Time{})
	if !ok {
		t.Fatalf("nothing is known of %s", pool)
	}
	rep, err := l.r.Report(s, loss.Question{})
	if err != nil {
		t.Fatal(err)
	}
	return rep
}

// told is what a scene has of arrivals, in words: when, who, how long.
func (c *scene) told() (all []string) {
	for _, a := range c.arrivals {
		s := c.sources[a.Source]
		who := fmt.Sprintf("%x", s.bits)
		if s.four {
			who = netip.AddrFrom4([4]byte{byte(s.bits >> 24), byte(s.bits >> 16), byte(s.bits >> 8), byte(s.bits)}).String()
		}
		what := fmt.Sprintf("holds %v", a.Hold.Round(time.Millisecond))
		if a.Wait > 0 {
			what += fmt.Sprintf(" waits %v", a.Wait.Round(time.Millisecond))
		}
		if a.Refused {
			what = fmt.Sprintf("refused %d", a.Count)
		}
		all = append(all, fmt.Sprintf("%v %s %s", a.At, who, what))
	}
	return all
}
