package banlist

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// open opens a list for the time of the test.
func open(t testing.TB, path string, o Options) *List {
	t.Helper()
	l, err := Open(context.Background(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// fresh opens a list in a folder of its own.
func fresh(t testing.TB) *List {
	return open(t, filepath.Join(t.TempDir(), "bans.db"), Options{})
}

var (
	pfx  = netip.MustParsePrefix
	addr = netip.MustParseAddr
	me   = Act{By: "operator:me", Reason: "because"}
)

// ban returns a decision to ban for an hour.
func ban(id, prefix string) Ban {
	return Ban{ID: id, Prefix: pfx(prefix), State: Active, Origin: "policy:slow", Reason: "holds threads",
		Decided: time.Now(), Duration: time.Hour}
}

// suggest returns a decision to suggest a ban for an hour.
func suggest(id, prefix string) Ban {
	b := ban(id, prefix)
	b.State = Suggested
	return b
}

// decide hands in decisions and expects these outcomes.
func decide(t testing.TB, l *List, ds []Ban, want ...Outcome) []Result {
	t.Helper()
	rs, err := l.Decide(t.Context(), ds)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range rs {
		if r.Outcome != want[i] {
			t.Errorf("decision %s: %s (%v), want %s", ds[i].ID, r.Outcome, r.Err, want[i])
		}
	}
	return rs
}

// blocked expects each address to be blocked, or with a leading "!", not.
func blocked(t testing.TB, l *List, service string, addrs ...string) {
	t.Helper()
	for _, a := range addrs {
		want := true
		if a[0] == '!' {
			a, want = a[1:], false
		}
		if got := l.Blocked(netip.MustParseAddr(a), service); got != want {
			t.Errorf("%s for %q: blocked %v, want %v", a, service, got, want)
		}
	}
}

// states expects the entries of the list, oldest first, as "id state".
func states(t testing.TB, l *List, want ...string) {
	t.Helper()
	all, err := l.Bans(t.Context(), Filter{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, b := range all {
		got = append(got, b.ID+" "+string(b.State))
	}
	equal(t, "entries", want, got)
}

// equal compares two values.
func equal(t testing.TB, what string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// eventually waits until a condition holds.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}

func TestBlocked(t *testing.T) {
	l := fresh(t)
	smtp := ban("smtp", "198.51.100.0/24")
	smtp.Services = []string{"smtp", "imap", "smtp"}
	other := ban("pop3", "198.51.100.0/24")
	other.Services = []string{"pop3"}
	decide(t, l, []Ban{ban("host", "192.0.2.7/32"), ban("six", "2001:db8:1::/64"), smtp, other,
		ban("mapped", "::ffff:203.0.113.0/120")}, Banned, Banned, Banned, Banned, Banned)
	blocked(t, l, "smtp", "192.0.2.7", "::ffff:192.0.2.7", "!192.0.2.8", "2001:db8:1::99",
		"2001:db8:1::99%eth0", "!2001:db8:2::1", "198.51.100.3", "203.0.113.200", "::ffff:203.0.113.1")
	blocked(t, l, "imap", "198.51.100.3")
	blocked(t, l, "pop3", "198.51.100.3")
	blocked(t, l, "www", "!198.51.100.3", "192.0.2.7")
	blocked(t, l, "", "198.51.100.3")
	if l.Blocked(netip.Addr{}, "smtp") {
		t.Error("no address is blocked")
	}
	for _, c := range []struct{ addr, service, id string }{
		{"192.0.2.7", "www", "host"}, {"198.51.100.3", "imap", "smtp"}, {"198.51.100.3", "pop3", "pop3"},
		{"198.51.100.3", "www", ""}, {"2001:db8:1::1%lo", "smtp", "six"},
	} {
		b, ok := l.Match(addr(c.addr), c.service)
		if ok != (c.id != "") || ok && b.ID != c.id {
			t.Errorf("%s %s: %v %v, want %q", c.addr, c.service, b, ok, c.id)
		}
	}
}

// A net is banned for long, an address in it for a short time, and for another
// service; what is over or does not concern must not hide what does.
func TestShorterPrefixBehindLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := open(t, filepath.Join(t.TempDir(), "bans.db"), Options{noNotice: true, Poll: time.Hour})
		long, short := ban("long", "192.0.2.0/24"), ban("short", "192.0.2.7/32")
		long.Duration, short.Duration = 2*time.Hour, time.Minute
		short.Services = []string{"smtp"}
		decide(t, l, []Ban{long, short}, Banned, Banned)
		blocked(t, l, "smtp", "192.0.2.7")
		blocked(t, l, "www", "192.0.2.7")
		time.Sleep(time.Minute)
		blocked(t, l, "smtp", "192.0.2.7")
		if b, _ := l.Match(addr("192.0.2.7"), "smtp"); b == nil || b.ID != "long" {
			t.Errorf("match %v", b)
		}
		time.Sleep(2*time.Hour - time.Minute)
		blocked(t, l, "smtp", "!192.0.2.7")
	})
}

// The end of a ban counts by the clock: this looks before the sweep can have
// been by.
func TestEndCountsBeforeTheSweep(t *testing.T) {
	for _, d := range []time.Duration{time.Second, time.Hour, 100 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			l := open(t, filepath.Join(t.TempDir(), "bans.db"), Options{noNotice: true, Poll: max(time.Second, d/20)})
			b := ban("a", "192.0.2.7/32")
			b.Duration = d
			decide(t, l, []Ban{b}, Banned)
			time.Sleep(d - time.Microsecond)
			blocked(t, l, "smtp", "192.0.2.7")
			time.Sleep(time.Microsecond)
			blocked(t, l, "smtp", "!192.0.2.7")
			time.Sleep(2 * time.Second)
			synctest.Wait()
			states(t, l, "a expired")
			if l.Size() != 0 {
				t.Error("the sweep left it in memory")
			}
		})
	}
}

func TestDecideOutcomes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := open(t, filepath.Join(t.TempDir(), "bans.db"), Options{noNotice: true, Poll: time.Hour})
		ctx := t.Context()
		const host, host2 = "192.0.2.7/32", "192.0.2.8/32"

		decide(t, l, []Ban{suggest("s1", host), suggest("s1", host), suggest("s2", host)}, Waiting, Known, Standing)
		rs := decide(t, l, []Ban{ban("b1", host), suggest("s3", host)}, Activated, Standing)
		if rs[0].Ban.ID != "s1" || rs[0].Ban.State != Active {
			t.Errorf("activated %+v", rs[0].Ban)
		}
		long := ban("b2", host)
		long.Duration = 3 * time.Hour
		rs = decide(t, l, []Ban{ban("b3", host), long}, Standing, Extended)
		if got := time.Until(rs[1].Ban.Expires); got != 3*time.Hour {
			t.Errorf("extended to %v", got)
		}
		time.Sleep(2 * time.Hour)
		blocked(t, l, "smtp", "192.0.2.7")
		if _, err := l.Lift(ctx, "192.0.2.7", me); err != nil {
			t.Fatal(err)
		}
		// A replay of all of it changes nothing.
		decide(t, l, []Ban{suggest("s1", host), suggest("s2", host), ban("b1", host), long, ban("b3", host)},
			Known, Known, Known, Known, Known)
		blocked(t, l, "smtp", "!192.0.2.7")
		states(t, l, "s1 lifted")

		decide(t, l, []Ban{suggest("q1", host2)}, Waiting)
		if _, err := l.Reject(ctx, "q1", 10*time.Hour, me); err != nil {
			t.Fatal(err)
		}
		elsewhere := suggest("q2", host2)
		elsewhere.Origin = "policy:other"
		decide(t, l, []Ban{suggest("q3", host2), ban("q4", host2), elsewhere}, Quiet, Quiet, Waiting)
		time.Sleep(10 * time.Hour)
		decide(t, l, []Ban{ban("q3", host2), ban("q5", host2)}, Known, Activated)

		old := ban("old", "203.0.113.1/32")
		old.Decided = time.Now().Add(-time.Hour)
		decide(t, l, []Ban{old, old}, Past, Known)
		blocked(t, l, "smtp", "!203.0.113.1")
		old.ID, old.Decided = "nearly-old", old.Decided.Add(time.Second)
		decide(t, l, []Ban{old}, Banned)
		blocked(t, l, "smtp", "203.0.113.1")

		if _, err := l.Allow(ctx, Allowance{Prefix: pfx("198.51.100.0/24"), By: "me"}); err != nil {
			t.Fatal(err)
		}
		rs = decide(t, l, []Ban{ban("x1", "198.51.100.9/32"), ban("x2", "198.51.0.0/16")}, Exempt, Banned)
		if rs[0].Allowed != pfx("198.51.100.0/24") {
			t.Errorf("exempt by %v", rs[0].Allowed)
		}
		if err := l.Disallow(ctx, pfx("198.51.100.0/24"), me); err != nil {
			t.Fatal(err)
		}
		decide(t, l, []Ban{ban("x1", "198.51.100.9/32")}, Known)
	})
}

func TestDecideRefuses(t *testing.T) {
	l := fresh(t)
	bad := func(change func(*Ban)) Ban {
		b := ban("x", "192.0.2.7/32")
		change(&b)
		return b
	}
	list := []Ban{
		bad(func(b *Ban) { b.Prefix = netip.Prefix{} }),
		bad(func(b *Ban) { b.Prefix = pfx("10.0.0.0/15") }),
		bad(func(b *Ban) { b.Prefix = pfx("2001::/31") }),
		bad(func(b *Ban) { b.ID = "" }),
		bad(func(b *Ban) { b.ID = "192.0.2.7" }),
		bad(func(b *Ban) { b.ID = "a\nb" }),
		bad(func(b *Ban) { b.Origin = "policy" }),
		bad(func(b *Ban) { b.State = Lifted }),
		bad(func(b *Ban) { b.Decided = time.Time{} }),
		bad(func(b *Ban) { b.Duration = -1 }),
		bad(func(b *Ban) { b.Duration = 1<<63 - 1 }),
		bad(func(b *Ban) { b.Services = []string{"sm tp"} }),
		bad(func(b *Ban) { b.Evidence = []byte("{") }),
		bad(func(b *Ban) { b.Evidence = []byte(`"` + strings.Repeat("x", maxEvidenceBytes) + `"`) }),
	}
	for i, b := range list {
		for _, r := range decide(t, l, []Ban{b}, Refused) {
			if !errors.Is(r.Err, ErrInvalid) && !errors.Is(r.Err, ErrTooWide) {
				t.Errorf("%d: %v", i, r.Err)
			}
		}
	}
	decide(t, l, []Ban{list[0], ban("good", "192.0.2.7/32")}, Refused, Banned)
}

func TestReasonIsOneCleanLine(t *testing.T) {
	l := fresh(t)
	b := ban("a", "192.0.2.7/32")
	b.Reason = "HELO \x1b[2J\r\nevil\xff\u202e " + strings.Repeat("é", 600)
	got := decide(t, l, []Ban{b}, Banned)[0].Ban.Reason
	if !strings.HasPrefix(got, "HELO  [2J  evil\uFFFD  é") || len(got) > maxReasonBytes || !utf8.ValidString(got) {
		t.Errorf("%q", got)
	}
}

func TestFullList(t *testing.T) {
	l := open(t, filepath.Join(t.TempDir(), "bans.db"), Options{MaxEntries: 2})
	rs := decide(t, l, []Ban{ban("a", "192.0.2.1/32"), ban("b", "192.0.2.2/32"), ban("c", "192.0.2.3/32")},
		Banned, Banned, Refused)
	if !errors.Is(rs[2].Err, ErrFull) {
		t.Error(rs[2].Err)
	}
	if _, err := l.Add(t.Context(), Ban{Prefix: pfx("192.0.2.3/32"), Origin: "operator:me"}, AddOptions{}); err != nil {
		t.Errorf("a person may still: %v", err)
	}
}

func TestBlockedDoesNotAllocate(t *testing.T) {
	if raced {
		t.Skip("the race detector allocates")
	}
	l := fresh(t)
	soon := ban("soon", "192.0.2.7/32")
	soon.Duration = time.Minute // Ends within the horizon: the clock is asked.
	part := ban("part", "192.0.2.8/32")
	part.Services = []string{"smtp"}
	decide(t, l, []Ban{soon, part, ban("net", "192.0.2.0/24"), ban("six", "2001:db8::/48")}, Banned, Banned, Banned, Banned)
	if _, err := l.Allow(t.Context(), Allowance{Prefix: pfx("192.0.2.99/32")}); err != nil {
		t.Fatal(err)
	}
	for _, a := range []string{"192.0.2.7", "192.0.2.8", "192.0.2.9", "192.0.2.99", "198.51.100.1",
		"2001:db8::1", "2001:db8::1%eth0", "2001:db8:1::1", "::ffff:192.0.2.7"} {
		ip := addr(a)
		if n := testing.AllocsPerRun(100, func() { l.Blocked(ip, "www") }); n != 0 {
			t.Errorf("%s: %v allocations", a, n)
		}
	}
}

// Readers must never see a half-made list: the net is banned all the time,
// while hosts inside it come and go.
func TestReadersBesideWriters(t *testing.T) {
	l := fresh(t)
	decide(t, l, []Ban{ban("net", "192.0.2.0/24")}, Banned)
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if !l.Blocked(addr("192.0.2.77"), "smtp") || l.Blocked(addr("203.0.113.1"), "smtp") {
					t.Error("a reader saw another list")
					return
				}
			}
		})
	}
	for i := range 20 {
		p := fmt.Sprintf("192.0.2.%d", i)
		decide(t, l, []Ban{ban(fmt.Sprint("h", i), p+"/32")}, Banned)
		if i%3 == 0 {
			if _, err := l.Lift(t.Context(), p, me); err != nil {
				t.Error(err)
			}
		}
	}
	close(stop)
	readers.Wait()
}

// What another list wrote in between is shown together with an own change, and
// several bans of one prefix in one transaction all count.
func TestOwnChangeBesideForeignOnes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bans.db")
	mine := open(t, path, Options{noNotice: true, Poll: time.Hour})
	other := open(t, path, Options{noNotice: true, Poll: time.Hour})
	smtp, imap := ban("b", "192.0.2.2/32"), ban("c", "192.0.2.2/32")
	smtp.Services, imap.Services = []string{"smtp"}, []string{"imap"}
	decide(t, other, []Ban{ban("a", "192.0.2.1/32")}, Banned)
	decide(t, mine, []Ban{smtp, imap}, Banned, Banned)
	blocked(t, mine, "smtp", "192.0.2.1", "192.0.2.2")
	blocked(t, mine, "imap", "192.0.2.1", "192.0.2.2")
	if _, err := other.Lift(t.Context(), "192.0.2.1", me); err != nil {
		t.Fatal(err)
	}
	www := ban("d", "192.0.2.2/32")
	www.Services = []string{"www"}
	decide(t, mine, []Ban{www}, Banned)
	blocked(t, mine, "smtp", "192.0.2.2")
	blocked(t, mine, "www", "192.0.2.2")
	decide(t, mine, []Ban{ban("e", "192.0.2.3/32")}, Banned) // Right after an own one.
	blocked(t, mine, "imap", "192.0.2.2", "192.0.2.3")
}

// A context that ends at any moment of a change leaves nothing behind that
// would be in the way of the next.
func TestContextEndsAtAnyMoment(t *testing.T) {
	l := fresh(t)
	for i := range 100 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(3*i)*time.Microsecond)
		_, err := l.Decide(ctx, []Ban{ban(fmt.Sprint("a", i), "192.0.2.1/32")})
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(i, err)
		}
		cancel()
	}
	decide(t, l, []Ban{ban("b", "192.0.2.2/32")}, Banned)
}
