package banlist

import (
	"errors"
	"testing"
	"time"
)

func TestReview(t *testing.T) {
	l := fresh(t)
	ctx := t.Context()
	s := suggest("s", "192.0.2.7/32")
	s.Evidence = []byte(`{"load1": 12.5}`)
	s.Decided = time.Now().Add(-time.Hour / 2)
	decide(t, l, []Ban{s, suggest("r", "192.0.2.8/32")}, Waiting, Waiting)
	b, err := l.Approve(ctx, "s", me)
	if err != nil {
		t.Fatal(err)
	}
	if left := time.Until(b.Expires); left < 59*time.Minute || left > time.Hour {
		t.Errorf("the ban lasts %v from its approval", left)
	}
	if string(b.Evidence) != `{"load1":12.5}` {
		t.Errorf("evidence %s", b.Evidence)
	}
	blocked(t, l, "smtp", "192.0.2.7")
	if _, err := l.Reject(ctx, "r", time.Hour, me); err != nil {
		t.Fatal(err)
	}
	blocked(t, l, "smtp", "!192.0.2.8")
	for what, err := range map[string]error{
		"approve twice":    second(l.Approve(ctx, "s", me)),
		"approve rejected": second(l.Approve(ctx, "r", me)),
		"reject approved":  second(l.Reject(ctx, "s", 0, me)),
	} {
		if !errors.Is(err, ErrState) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := l.Approve(ctx, "nobody", me); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	states(t, l, "s active", "r rejected")
}

func second(_ Ban, err error) error { return err }

func TestLift(t *testing.T) {
	l := fresh(t)
	ctx := t.Context()
	decide(t, l, []Ban{ban("net", "192.0.2.0/24"), ban("host", "192.0.2.7/32"), ban("six", "2001:db8:1::/64")},
		Banned, Banned, Banned)
	if got, err := l.Lift(ctx, "192.0.2.7", me); err != nil || len(got) != 1 || got[0].ID != "host" {
		t.Fatal(got, err)
	}
	var in *InsideError
	for _, host := range []string{"192.0.2.7", "::ffff:192.0.2.9", "2001:db8:1::5"} {
		if _, err := l.Lift(ctx, host, me); !errors.As(err, &in) || !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %v", host, err)
		}
	}
	if in.Net.ID != "six" || in.Prefix != pfx("2001:db8:1::5/128") {
		t.Errorf("%+v", in)
	}
	for _, what := range []string{"203.0.113.1", "nobody"} {
		if _, err := l.Lift(ctx, what, me); !errors.Is(err, ErrNotFound) || errors.As(err, &in) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := l.Lift(ctx, "net", me); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Lift(ctx, "2001:db8:1::/64", me); err != nil {
		t.Fatal(err)
	}
	blocked(t, l, "smtp", "!192.0.2.7", "!192.0.2.9", "!2001:db8:1::5")
}

func TestAddReplaces(t *testing.T) {
	l := fresh(t)
	ctx := t.Context()
	add := func(b Ban) Ban {
		t.Helper()
		b.Prefix, b.Origin = pfx("192.0.2.7/32"), "operator:me"
		b, err := l.Add(ctx, b, AddOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	first := add(Ban{Reason: "one"})
	again := add(Ban{Reason: "two", Duration: time.Minute})
	if first.ID != again.ID || !first.Expires.IsZero() || again.Expires.IsZero() {
		t.Errorf("%+v\n%+v", first, again)
	}
	only := add(Ban{Services: []string{"smtp"}})
	if only.ID == first.ID {
		t.Error("a ban for one service replaced the one for all")
	}
	got, err := l.Get(ctx, first.ID)
	if err != nil || got.Reason != "two" {
		t.Error(got, err)
	}

	s := suggest("s", "192.0.2.9/32")
	s.Evidence = []byte("1")
	decide(t, l, []Ban{s}, Waiting)
	b, err := l.Add(ctx, Ban{Prefix: s.Prefix, Origin: "operator:me"}, AddOptions{})
	if err != nil || b.ID != "s" || string(b.Evidence) != "1" || b.State != Active {
		t.Error(b, err)
	}
}

func TestAddWidth(t *testing.T) {
	l := fresh(t)
	for p, ok := range map[string]bool{"10.0.0.0/8": true, "10.0.0.0/7": false, "2001::/16": true, "2001::/15": false} {
		_, err := l.Add(t.Context(), Ban{Prefix: pfx(p), Origin: "operator:me"}, AddOptions{})
		if (err == nil) != ok || err != nil && !errors.Is(err, ErrTooWide) {
			t.Errorf("%s: %v", p, err)
		}
	}
	if _, err := l.Add(t.Context(), Ban{Prefix: pfx("0.0.0.0/0"), Origin: "operator:me"}, AddOptions{Force: true}); err != nil {
		t.Error(err)
	}
	blocked(t, l, "smtp", "203.0.113.1", "!2002::1")
	if _, err := l.Add(t.Context(), Ban{Prefix: pfx("::/0"), Origin: "policy:x"}, AddOptions{Force: true}); !errors.Is(err, ErrTooWide) {
		t.Errorf("a policy cannot force: %v", err)
	}
}

func TestAllow(t *testing.T) {
	l := fresh(t)
	ctx := t.Context()
	decide(t, l, []Ban{ban("in", "192.0.2.7/32"), ban("same", "192.0.2.0/28"), ban("wide", "192.0.0.0/16"),
		suggest("sug", "192.0.2.3/32"), ban("beside", "192.0.2.16/32"), ban("six", "2001:db8:1::/64")},
		Banned, Banned, Banned, Waiting, Banned, Banned)
	lifted, err := l.Allow(ctx, Allowance{Prefix: pfx("192.0.2.0/28"), Note: "office", By: "me"})
	if err != nil || len(lifted) != 2 {
		t.Fatal(lifted, err)
	}
	states(t, l, "in lifted", "same lifted", "wide active", "sug rejected", "beside active", "six active")
	blocked(t, l, "smtp", "!192.0.2.7", "!192.0.2.15", "192.0.2.16", "192.0.3.1")
	if a, err := l.Check(ctx, addr("192.0.2.7"), "smtp"); err != nil || a.Blocked || a.Ban.ID != "wide" || a.Allowed.Note != "office" {
		t.Errorf("%+v %v", a, err)
	}
	if _, err := l.Add(ctx, Ban{Prefix: pfx("192.0.2.3/32"), Origin: "operator:me"}, AddOptions{}); !errors.Is(err, ErrAllowed) {
		t.Error(err)
	}
	if _, err := l.Allow(ctx, Allowance{Prefix: pfx("::/0")}); !errors.Is(err, ErrTooWide) {
		t.Error(err)
	}
	// IPv4 addresses mapped into this one are not meant.
	if lifted, err := l.Allow(ctx, Allowance{Prefix: pfx("::/64")}); err != nil || len(lifted) != 0 {
		t.Error(lifted, err)
	}
	if err := l.Disallow(ctx, pfx("::/64"), me); err != nil {
		t.Error(err)
	}
	if err := l.Disallow(ctx, pfx("192.0.2.0/28"), me); err != nil {
		t.Fatal(err)
	}
	blocked(t, l, "smtp", "192.0.2.7") // By the wide ban.
	if err := l.Disallow(ctx, pfx("192.0.2.0/28"), me); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	if all, err := l.Allowed(ctx); err != nil || len(all) != 0 {
		t.Error(all, err)
	}
}

func TestHistory(t *testing.T) {
	l := fresh(t)
	ctx := t.Context()
	decide(t, l, []Ban{ban("net", "192.0.2.0/24"), suggest("host", "192.0.2.7/32"), ban("far", "203.0.113.1/32")},
		Banned, Waiting, Banned)
	if _, err := l.Approve(ctx, "host", me); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Allow(ctx, Allowance{Prefix: pfx("192.0.2.0/25"), By: "boss"}); err != nil {
		t.Fatal(err)
	}
	for f, want := range map[string][]string{
		"192.0.2.7/32":  {"net >active", "host >suggested", "host suggested>active", " >allowed", "host active>lifted"},
		"192.0.2.0/24":  {"net >active"},
		"2001:db8::/32": nil,
	} {
		steps, err := l.History(ctx, HistoryFilter{Prefix: pfx(f)})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range steps {
			got = append(got, s.ID+" "+string(s.From)+">"+string(s.To))
			if s.Time.IsZero() || s.By == "" {
				t.Errorf("%+v", s)
			}
		}
		equal(t, f, want, got)
	}
	last, err := l.History(ctx, HistoryFilter{ID: "host", Limit: 1})
	if err != nil || len(last) != 1 || last[0].By != "boss" {
		t.Error(last, err)
	}
}

func TestPrune(t *testing.T) {
	l := fresh(t)
	ctx := t.Context()
	for _, id := range []string{"a", "b", "c"} {
		decide(t, l, []Ban{ban(id, "192.0.2.7/32")}, Banned)
		if _, err := l.Lift(ctx, id, me); err != nil {
			t.Fatal(err)
		}
	}
	longer := ban("dup", "192.0.2.9/32")
	longer.Duration *= 2
	decide(t, l, []Ban{suggest("quiet", "192.0.2.8/32"), ban("on", "192.0.2.9/32"), longer}, Waiting, Banned, Extended)
	if _, err := l.Reject(ctx, "quiet", time.Hour, me); err != nil {
		t.Fatal(err)
	}
	prune := func(keep time.Duration, most int) {
		t.Helper()
		err := l.write(ctx, func(tx *tx) error { _, err := tx.prune(keep, most); return err })
		if err != nil {
			t.Fatal(err)
		}
	}
	prune(time.Hour, 100)
	states(t, l, "a lifted", "b lifted", "c lifted", "quiet rejected", "on active")
	prune(time.Hour, 2) // The newest two: quiet and c.
	states(t, l, "c lifted", "quiet rejected", "on active")
	prune(-time.Hour, 100)
	states(t, l, "quiet rejected", "on active") // Needed, whatever their age.
	if h, err := l.History(ctx, HistoryFilter{}); err != nil || len(h) != 0 {
		t.Error(h, err)
	}
	blocked(t, l, "smtp", "192.0.2.9", "!192.0.2.7")
}
