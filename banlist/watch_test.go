package banlist

import (
	"context"
	"fmt"
	"iter"
	"net/netip"
	"path/filepath"
	"testing"
)

// next takes one change.
func next(t *testing.T, pull func() (Change, bool)) Change {
	t.Helper()
	c, ok := pull()
	if !ok {
		t.Fatal("the feed ended")
	}
	return c
}

// brief says which entries a change is about.
func brief(c Change) string {
	ids := func(bs []Ban) (out []string) {
		for _, b := range bs {
			out = append(out, b.ID)
		}
		return out
	}
	return fmt.Sprint("+", ids(c.Added), " -", ids(c.Removed), " ", c.Allowed, " ", c.Resync)
}

func TestWatch(t *testing.T) {
	l := fresh(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	pull, stop := iter.Pull(l.Watch(ctx))
	defer stop()
	expect := func(want string) {
		t.Helper()
		if got := brief(next(t, pull)); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	expect("+[] -[] false true")
	decide(t, l, []Ban{ban("a", "192.0.2.1/32"), suggest("s", "192.0.2.2/32")}, Banned, Waiting)
	expect("+[a] -[] false false")
	longer := ban("b", "192.0.2.1/32")
	longer.Duration *= 2
	decide(t, l, []Ban{longer}, Extended)
	expect("+[a] -[] false false")
	// Two bans of one prefix: when one ends, the other is told again.
	smtp := ban("smtp", "192.0.2.9/32")
	smtp.Services = []string{"smtp"}
	decide(t, l, []Ban{smtp, ban("all", "192.0.2.9/32")}, Banned, Banned)
	expect("+[smtp all] -[] false false")
	if _, err := l.Lift(ctx, "all", me); err != nil {
		t.Fatal(err)
	}
	expect("+[smtp] -[all] false false")
	if _, err := l.Allow(ctx, Allowance{Prefix: pfx("192.0.2.1/32")}); err != nil {
		t.Fatal(err)
	}
	expect("+[] -[a] true false")
	// Several changes come as one, and the last word counts.
	decide(t, l, []Ban{ban("c", "192.0.2.3/32")}, Banned)
	decide(t, l, []Ban{ban("d", "192.0.2.4/32")}, Banned)
	if _, err := l.Lift(ctx, "c", me); err != nil {
		t.Fatal(err)
	}
	expect("+[d] -[c] false false")
	cancel()
	if c, ok := pull(); ok {
		t.Errorf("after the end: %+v", c)
	}
}

// What waits for a slow follower is bounded, and after a Resync it goes on.
func TestWatchSlow(t *testing.T) {
	w := &watcher{ready: make(chan struct{}, 1)}
	for i := range maxPending {
		w.add(Change{Added: []Ban{{ID: fmt.Sprint(i)}}})
	}
	if c := w.take(); c.Resync || len(c.Added) != maxPending {
		t.Errorf("%d added, resync %v", len(c.Added), c.Resync)
	}
	for i := range 2 * maxPending {
		w.add(Change{Added: []Ban{{ID: fmt.Sprint("a", i)}}, Allowed: i == 0})
	}
	if c := w.take(); !c.Resync || !c.Allowed || len(c.Added) != 0 {
		t.Error(brief(c))
	}
	w.add(Change{Removed: []Ban{{ID: "a"}}})
	if c := w.take(); brief(c) != "+[] -[a] false false" {
		t.Error(brief(c))
	}
	w.add(Change{Removed: []Ban{{ID: "a"}}})
	w.add(Change{Added: []Ban{{ID: "a"}}})
	if c := w.take(); brief(c) != "+[a] -[] false false" {
		t.Error(brief(c))
	}
	// An entry that comes and goes all the time takes no room.
	for range 3 * maxPending {
		w.add(Change{Added: []Ban{{ID: "a"}}})
		w.add(Change{Removed: []Ban{{ID: "a"}}})
	}
	if len(w.added.order)+len(w.removed.order) > 2*maxPending {
		t.Errorf("%d places taken", len(w.added.order))
	}
}

// Following the feed gives the list, also when another List makes the changes.
func TestWatchFollows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bans.db")
	l, other := open(t, path, Options{}), open(t, path, Options{})
	pull, stop := iter.Pull(l.Watch(t.Context()))
	defer stop()
	next(t, pull)
	have := map[netip.Prefix]bool{}
	for i := range 20 {
		p := pfx(fmt.Sprintf("192.0.2.%d/32", i%7))
		if i%3 == 2 {
			_, _ = other.Lift(t.Context(), p.String(), me) // It may not be banned.
		} else {
			b := ban(fmt.Sprint("d", i), p.String())
			if _, err := other.Decide(t.Context(), []Ban{b}); err != nil {
				t.Fatal(err)
			}
		}
	}
	last := ban("last", "203.0.113.1/32")
	decide(t, other, []Ban{last}, Banned)
	for !have[last.Prefix] {
		c := next(t, pull)
		for _, b := range c.Removed {
			delete(have, b.Prefix)
		}
		for _, b := range c.Added {
			have[b.Prefix] = true
		}
	}
	active, err := other.Bans(t.Context(), Filter{States: []State{Active}})
	if err != nil {
		t.Fatal(err)
	}
	want := map[netip.Prefix]bool{}
	for _, b := range active {
		want[b.Prefix] = true
	}
	equal(t, "followed", want, have)
}

func TestFilter(t *testing.T) {
	l := filledSmall(t)
	for want, f := range map[string]Filter{
		"[a smtp]":            {States: []State{Active}},
		"[a s r smtp past]":   {Within: pfx("192.0.2.0/24")},
		"[l]":                 {Covering: pfx("2001:db8::7/128")},
		"[a s]":               {Limit: 2},
		"[]":                  {Origin: "operator:"},
		"[a]":                 {States: []State{Active}, Service: "www"},
		"[a s r l smtp past]": {Origin: "policy:slow", Service: "smtp", Brief: true},
	} {
		all, err := l.Bans(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, b := range all {
			ids = append(ids, b.ID)
			if f.Brief == (b.Evidence != nil) && b.ID == "smtp" {
				t.Errorf("evidence %s", b.Evidence)
			}
		}
		equal(t, fmt.Sprintf("%+v", f), want, fmt.Sprint(ids))
	}
}

func TestLazy(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bans.db")
	l := open(t, path, Options{})
	lazy := open(t, path, Options{Lazy: true})
	decide(t, lazy, []Ban{ban("a", "192.0.2.0/24")}, Banned)
	eventually(t, "the notice of a lazy list is heard", func() bool { return l.Blocked(addr("192.0.2.1"), "smtp") })
	blocked(t, lazy, "smtp", "192.0.2.1", "!192.0.3.1")
	if _, err := l.Allow(t.Context(), Allowance{Prefix: pfx("192.0.2.1/32")}); err != nil {
		t.Fatal(err)
	}
	blocked(t, lazy, "smtp", "!192.0.2.1", "192.0.2.2")
	decide(t, lazy, []Ban{ban("b", "192.0.2.1/32")}, Exempt)
	for range lazy.Watch(t.Context()) {
		t.Error("a lazy list has a feed")
	}
}
