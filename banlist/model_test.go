package banlist

import (
	"flag"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// model is the list as one would write it without a file, without tables and
// without other processes: slices, walked from end to end.
type model struct {
	entries []*Ban
	allowed map[netip.Prefix]time.Time
	known   map[string]bool
}

func (m *model) exempt(p netip.Prefix, now time.Time) bool {
	for a, end := range m.allowed {
		if inside(p, a) && !over(end, now) {
			return true
		}
	}
	return false
}

func (m *model) blocked(a netip.Addr, service string, now time.Time) bool {
	if m.exempt(hostPrefix(a), now) {
		return false
	}
	for _, e := range m.entries {
		if e.blocks(now) && e.Covers(service) && e.Prefix.Contains(a) {
			return true
		}
	}
	return false
}

// first returns the oldest entry of the prefix that passes.
func (m *model) first(p netip.Prefix, pass func(*Ban) bool) *Ban {
	for _, e := range m.entries {
		if e.Prefix == p && pass(e) {
			return e
		}
	}
	return nil
}

func (m *model) waits(e *Ban, now time.Time) bool {
	return e.State == Suggested && !over(e.Expires, now)
}

func (m *model) decide(d Ban, now time.Time) Outcome {
	if m.known[d.ID] {
		return Known
	}
	m.known[d.ID] = true
	if m.exempt(d.Prefix, now) {
		return Exempt
	}
	d.Expires = endOf(d.Decided, d.Duration)
	if d.State == Suggested {
		d.Expires = d.Decided.Add(24 * time.Hour)
	}
	if over(d.Expires, now) {
		d.State = Expired
		m.entries = append(m.entries, &d)
		return Past
	}
	if e := m.first(d.Prefix, func(e *Ban) bool { return e.blocks(now) && e.coversAll(d.Services) }); e != nil {
		if d.State == Suggested || !endsLater(d.Expires, e.Expires) {
			return Standing
		}
		e.Expires = d.Expires
		return Extended
	}
	if m.first(d.Prefix, func(e *Ban) bool {
		return e.State == Rejected && e.Origin == d.Origin && d.Decided.Before(e.QuietUntil)
	}) != nil {
		return Quiet
	}
	if e := m.first(d.Prefix, func(e *Ban) bool { return m.waits(e, now) && e.coversAll(d.Services) }); e != nil {
		if d.State == Suggested {
			return Standing
		}
		e.State, e.Expires, e.Origin, e.Duration = Active, d.Expires, d.Origin, d.Duration
		return Activated
	}
	m.entries = append(m.entries, &d)
	if d.State == Suggested {
		return Waiting
	}
	return Banned
}

func (m *model) allow(p netip.Prefix, end, now time.Time) {
	m.allowed[p] = end
	for _, e := range m.entries {
		if inside(e.Prefix, p) && e.blocks(now) {
			e.State = Lifted
		} else if inside(e.Prefix, p) && m.waits(e, now) {
			e.State = Rejected
		}
	}
}

func (m *model) states(now time.Time) []string {
	var out []string
	for _, e := range m.entries {
		s := e.State
		if (s == Active || s == Suggested) && over(e.Expires, now) {
			s = Expired
		}
		out = append(out, fmt.Sprint(e.ID, " ", s, " ", e.Prefix, e.Services))
	}
	return out
}

// The list and the model are driven by the same seeded steps, through hours of
// a clock that jumps, and must say the same all the time.
func TestAgainstModel(t *testing.T) {
	// Each check is a list of its own on the disk.
	checks := "30"
	if testing.Short() || raced {
		checks = "5"
	}
	if f := flag.Lookup("rapid.checks"); f.Value.String() == f.DefValue {
		if err := f.Value.Set(checks); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		path := filepath.Join(t.TempDir(), fmt.Sprint(n), "bans.db")
		// A failed check panics, and rapid must see that outside the bubble.
		var failure any
		synctest.Test(t, func(t *testing.T) {
			defer func() { failure = recover() }()
			newMachine(t, rt, path).run()
		})
		if failure != nil {
			panic(failure)
		}
	})
}

var (
	modelPrefixes = []netip.Prefix{pfx("192.0.2.1/32"), pfx("192.0.2.2/32"), pfx("192.0.2.0/31"), pfx("192.0.2.0/24"),
		pfx("192.0.0.0/16"), pfx("2001:db8::/32"), pfx("2001:db8:0:1::/64"), pfx("2001:db8:0:1::1/128")}
	modelAddrs = []netip.Addr{addr("192.0.2.0"), addr("192.0.2.1"), addr("192.0.2.2"), addr("192.0.2.3"),
		addr("192.0.3.1"), addr("::ffff:192.0.2.1"), addr("198.51.100.1"), addr("2001:db8::1"),
		addr("2001:db8:0:1::1"), addr("2001:db8:0:1::2"), addr("2001:db9::1")}
	modelServices = [][]string{nil, nil, {"smtp"}, {"imap", "smtp"}, {"www"}}
)

// machine drives a list and a model side by side.
type machine struct {
	t    *testing.T
	rt   *rapid.T
	path string
	l    *List
	m    *model
	ids  int
}

func newMachine(t *testing.T, rt *rapid.T, path string) *machine {
	c := &machine{t: t, rt: rt, path: path, m: &model{allowed: map[netip.Prefix]time.Time{}, known: map[string]bool{}}}
	c.reopen()
	return c
}

func (c *machine) reopen() {
	if c.l != nil {
		if err := c.l.Close(); err != nil {
			c.rt.Fatal(err)
		}
	}
	var err error
	c.l, err = Open(c.t.Context(), c.path, Options{noNotice: true, Poll: 10 * time.Minute})
	if err != nil {
		c.rt.Fatal(err)
	}
}

func (c *machine) run() {
	defer func() {
		if err := c.l.Close(); err != nil {
			c.rt.Error(err)
		}
	}()
	c.rt.Repeat(map[string]func(*rapid.T){
		"decide":   c.decide,
		"decide2":  c.decide,
		"add":      c.add,
		"lift":     c.lift,
		"approve":  c.approve,
		"reject":   c.reject,
		"allow":    c.allow,
		"disallow": c.disallow,
		"sleep":    c.sleep,
		"reopen":   func(*rapid.T) { c.reopen() },
		"":         c.compare,
	})
}

func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

func (c *machine) prefix(rt *rapid.T) netip.Prefix {
	return rapid.SampledFrom(modelPrefixes).Draw(rt, "prefix")
}

func (c *machine) duration(rt *rapid.T) time.Duration {
	return rapid.SampledFrom([]time.Duration{0, time.Second, time.Minute, time.Hour, 5 * time.Hour}).Draw(rt, "duration")
}

func (c *machine) decide(rt *rapid.T) {
	var ds []Ban
	for range rapid.IntRange(1, 3).Draw(rt, "decisions") {
		d := Ban{
			ID:       fmt.Sprint("d", c.ids),
			Prefix:   c.prefix(rt),
			Services: rapid.SampledFrom(modelServices).Draw(rt, "services"),
			State:    rapid.SampledFrom([]State{Active, Suggested}).Draw(rt, "state"),
			Origin:   rapid.SampledFrom([]string{"policy:a", "policy:b"}).Draw(rt, "origin"),
			Decided:  now().Add(-rapid.SampledFrom([]time.Duration{0, 0, time.Minute, 3 * time.Hour}).Draw(rt, "late")),
			Duration: c.duration(rt),
		}
		if c.ids > 0 && rapid.IntRange(0, 4).Draw(rt, "repeat") == 0 {
			d.ID = fmt.Sprint("d", rapid.IntRange(0, c.ids-1).Draw(rt, "id"))
		} else {
			c.ids++
		}
		ds = append(ds, d)
	}
	rs, err := c.l.Decide(c.t.Context(), ds)
	if err != nil {
		rt.Fatal(err)
	}
	for i, d := range ds {
		if want := c.m.decide(d, now()); rs[i].Outcome != want {
			rt.Fatalf("%+v: %s, want %s", d, rs[i].Outcome, want)
		}
	}
}

func (c *machine) add(rt *rapid.T) {
	b := Ban{ID: fmt.Sprint("h", c.ids), Prefix: c.prefix(rt), Origin: "operator:me", Duration: c.duration(rt),
		Services: rapid.SampledFrom(modelServices).Draw(rt, "services")}
	c.ids++
	_, err := c.l.Add(c.t.Context(), b, AddOptions{})
	if want := c.m.exempt(b.Prefix, now()); (err != nil) != want {
		rt.Fatalf("add %v: %v, exempt %v", b.Prefix, err, want)
	}
	if err != nil {
		return
	}
	b.State, b.Expires = Active, endOf(now(), b.Duration)
	e := c.m.first(b.Prefix, func(e *Ban) bool {
		return slices.Equal(e.Services, b.Services) && (e.blocks(now()) || c.m.waits(e, now()))
	})
	if e == nil {
		c.m.entries = append(c.m.entries, &b)
		return
	}
	e.State, e.Expires, e.Origin = Active, b.Expires, b.Origin
}

func (c *machine) lift(rt *rapid.T) {
	p := c.prefix(rt)
	var want []string
	for _, e := range c.m.entries {
		if e.Prefix == p && e.blocks(now()) {
			e.State = Lifted
			want = append(want, e.ID)
		}
	}
	lifted, err := c.l.Lift(c.t.Context(), p.String(), me)
	var got []string
	for _, b := range lifted {
		got = append(got, b.ID)
	}
	if !slices.Equal(got, want) || (err == nil) != (len(want) > 0) {
		rt.Fatalf("lift %v: %v %v, want %v", p, got, err, want)
	}
}

// pick returns an entry that waits, or nil.
func (c *machine) pick() *Ban {
	for _, e := range c.m.entries {
		if c.m.waits(e, now()) {
			return e
		}
	}
	return nil
}

func (c *machine) approve(rt *rapid.T) {
	e := c.pick()
	if e == nil {
		return
	}
	_, err := c.l.Approve(c.t.Context(), e.ID, me)
	if exempt := c.m.exempt(e.Prefix, now()); (err != nil) != exempt {
		rt.Fatal(err, exempt)
	}
	if err == nil {
		e.State, e.Expires = Active, endOf(now(), e.Duration)
	}
}

func (c *machine) reject(rt *rapid.T) {
	e := c.pick()
	if e == nil {
		return
	}
	quiet := c.duration(rt)
	if _, err := c.l.Reject(c.t.Context(), e.ID, quiet, me); err != nil {
		rt.Fatal(err)
	}
	e.State, e.QuietUntil = Rejected, now().Add(quiet)
}

func (c *machine) allow(rt *rapid.T) {
	p, end := c.prefix(rt), endOf(now(), c.duration(rt))
	if _, err := c.l.Allow(c.t.Context(), Allowance{Prefix: p, Expires: end}); err != nil {
		rt.Fatal(err)
	}
	c.m.allow(p, end, now())
}

func (c *machine) disallow(rt *rapid.T) {
	p := c.prefix(rt)
	err := c.l.Disallow(c.t.Context(), p, me)
	end, there := c.m.allowed[p]
	swept := there && over(end, now()) // Perhaps.
	if (err == nil) != there && !swept {
		rt.Fatalf("disallow %v: %v", p, err)
	}
	delete(c.m.allowed, p)
}

func (c *machine) sleep(rt *rapid.T) {
	time.Sleep(rapid.SampledFrom([]time.Duration{time.Microsecond, time.Second, 2 * time.Minute, time.Hour,
		25 * time.Hour}).Draw(rt, "sleep"))
}

func (c *machine) compare(rt *rapid.T) {
	for _, a := range modelAddrs {
		for _, s := range []string{"smtp", "imap", "www", ""} {
			if got, want := c.l.Blocked(a, s), c.m.blocked(a.Unmap(), s, now()); got != want {
				rt.Fatalf("%v %q: blocked %v, want %v\n%v", a, s, got, want, c.m.states(now()))
			}
		}
	}
	all, err := c.l.Bans(c.t.Context(), Filter{})
	if err != nil {
		rt.Fatal(err)
	}
	var got []string
	for _, b := range all {
		got = append(got, fmt.Sprint(b.ID, " ", b.State, " ", b.Prefix, b.Services))
	}
	if want := c.m.states(now()); !slices.Equal(got, want) {
		rt.Fatalf("entries\n%q, want\n%q", got, want)
	}
}
