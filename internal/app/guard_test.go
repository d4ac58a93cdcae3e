package app

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"overstay/detector"
	"overstay/internal/guard"
)

// guarding returns the guards of a machine with the address 192.0.2.5, an
// operator at 203.0.113.7, the gateway nowhere, and a proxy.
func guarding(t *testing.T, said *bytes.Buffer) *guards {
	t.Helper()
	c := Default()
	c.Services[0].ProxyFrom = []Source{Source(netip.MustParsePrefix("198.51.100.0/28"))}
	g := c.newGuards(DetectOptions{Logger: slog.New(slog.NewTextHandler(said, nil))})
	g.machine = guard.Machine{
		Root: t.TempDir(),
		Getenv: func(name string) string {
			return map[string]string{"SSH_CLIENT": "203.0.113.7 50022 22"}[name]
		},
		Interfaces: func() ([]net.Addr, error) {
			return []net.Addr{&net.IPNet{IP: net.ParseIP("192.0.2.5"), Mask: net.CIDRMask(24, 32)}}, nil
		},
	}
	return g
}

func decisionsAbout(sources ...string) []detector.Decision {
	var all []detector.Decision
	for i, s := range sources {
		all = append(all, detector.Decision{ID: fmt.Sprint("d", i), Policy: "p", Source: netip.MustParsePrefix(s)})
	}
	return all
}

func TestGuardsDropAndNarrow(t *testing.T) {
	var said bytes.Buffer
	g := guarding(t, &said)
	var told []Guarded
	g.guarded = func(what Guarded) { told = append(told, what) }
	decisions := decisionsAbout("192.0.2.5/32", "203.0.113.7/32", "203.0.113.8/32", "198.51.100.3/32", "203.0.113.4/30", "198.51.100.0/29")
	for range 3 { // Each is said once.
		passed, err := g.pass(decisions, time.Unix(100, 0))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, d := range passed {
			got = append(got, d.ID+" "+d.Source.String())
		}
		want := []string{"d2 203.0.113.8/32", "d4-0 203.0.113.4/31", "d4-1 203.0.113.6/32"}
		if !slices.Equal(got, want) {
			t.Errorf("passed %v, want %v", got, want)
		}
	}
	var kinds []string
	for _, w := range told[:5] {
		kinds = append(kinds, fmt.Sprint(w.Guard, ": ", w.Host))
	}
	want := []string{
		"own address: 192.0.2.5/32", "operator: 203.0.113.7/32", "trusted proxy: 198.51.100.0/28",
		"operator: 203.0.113.7/32", "trusted proxy: 198.51.100.0/28",
	}
	if !slices.Equal(kinds, want) {
		t.Errorf("told of %v, want %v", kinds, want)
	}
	if len(told) != 15 || told[14].Dropped != 15 {
		t.Errorf("told %d times, the last one of %d", len(told), told[len(told)-1].Dropped)
	}
	if n := strings.Count(said.String(), "\n"); n != 5 || !strings.Contains(said.String(), "guard=operator") {
		t.Errorf("%d lines, want 5:\n%s", n, &said)
	}
}

// TestGuardsAreReadAgain after a second, and not in it.
func TestGuardsAreReadAgain(t *testing.T) {
	var said bytes.Buffer
	g := guarding(t, &said)
	reads := 0
	var failure error
	g.machine.Interfaces = func() ([]net.Addr, error) {
		reads++
		return nil, failure
	}
	about := decisionsAbout("203.0.113.9/32")
	for _, c := range []struct {
		at       float64
		failure  error
		reads    int
		passes   bool
		complain int
	}{
		{10, nil, 1, true, 0}, {10.9, nil, 1, true, 0}, {11, nil, 2, true, 0},
		{20, errors.New("no"), 3, false, 1}, {20.05, errors.New("no"), 3, false, 1}, {20.1, errors.New("no"), 4, false, 1},
		{20.2, errors.New("another"), 5, false, 2}, {20.3, errors.New("another"), 6, false, 2},
		{20.4, nil, 7, true, 2}, {9, nil, 8, true, 2}, // The clock was set back.
	} {
		failure = c.failure
		passed, err := g.pass(about, time.UnixMilli(int64(c.at*1000)))
		if (err == nil) != c.passes || len(passed) == 1 != c.passes || reads != c.reads {
			t.Errorf("at %v: passed %v, %v, after %d reads; want %v after %d", c.at, passed, err, reads, c.passes, c.reads)
		}
		if n := strings.Count(said.String(), "level=ERROR"); n != c.complain {
			t.Errorf("at %v: %d complaints, want %d", c.at, n, c.complain)
		}
	}
}

// TestDecisionsWaitForTheGuards rather than ban one of ourselves.
func TestDecisionsWaitForTheGuards(t *testing.T) {
	var said bytes.Buffer
	list := &failingList{attempts: 2}
	d := &detection{list: list, guards: guarding(t, &said), options: DetectOptions{Logger: slog.New(slog.DiscardHandler)}}
	read := d.guards.machine.Interfaces
	d.guards.machine.Interfaces = func() ([]net.Addr, error) { return nil, errors.New("no") }
	d.take(decisionsAbout("203.0.113.9/32"))
	d.apply(t.Context())
	if len(list.taken) != 0 || len(d.pending) != 1 {
		t.Errorf("banned %v although nobody knows whom to guard", list.taken)
	}
	d.guards.machine.Interfaces = read
	d.guards.failed = time.Time{} // It is tried again later.
	d.apply(t.Context())
	if len(list.taken) != 1 || len(d.pending) != 0 {
		t.Errorf("banned %v, %d wait", list.taken, len(d.pending))
	}
}

// TestOnlyGuardedDecisions do not trouble the list.
func TestOnlyGuardedDecisions(t *testing.T) {
	var said bytes.Buffer
	list := &failingList{attempts: 2}
	d := &detection{list: list, guards: guarding(t, &said), options: DetectOptions{Logger: slog.New(slog.DiscardHandler)}}
	d.take(decisionsAbout("203.0.113.7/32"))
	d.apply(t.Context())
	if list.attempts != 2 || len(d.pending) != 0 {
		t.Errorf("%d attempts, %d wait", list.attempts, len(d.pending))
	}
}

func TestCheckOperators(t *testing.T) {
	var said bytes.Buffer
	m := guarding(t, &said).machine
	host := netip.MustParsePrefix("203.0.113.7/32")
	for _, text := range []string{"203.0.113.7/32", "203.0.0.0/16"} {
		var oe *OperatorError
		err := checkOperators(m, []netip.Prefix{netip.MustParsePrefix("192.0.2.5/32"), netip.MustParsePrefix(text)})
		if !errors.As(err, &oe) || oe.Prefix.String() != text || oe.Host != host {
			t.Errorf("%s: %v", text, err)
		}
	}
	if err := checkOperators(m, []netip.Prefix{netip.MustParsePrefix("203.0.113.8/29")}); err != nil {
		t.Error(err)
	}
}

// TestComplaintsInAnyOrder are the same ones.
func TestComplaintsInAnyOrder(t *testing.T) {
	one, two := errors.New("one"), errors.New("two")
	if complaints(errors.Join(one, two)) != complaints(errors.Join(two, one)) || complaints(one) == complaints(two) {
		t.Error("told from each other by their order, or not at all")
	}
}

// TestDroppedAreSaidOnce and counted, not once for each line of an attack.
func TestDroppedAreSaidOnce(t *testing.T) {
	var said bytes.Buffer
	d := &detection{list: &failingList{attempts: 2}, guards: guarding(t, &said), options: DetectOptions{Logger: slog.New(slog.NewTextHandler(&said, nil))}}
	d.pending = make([]detector.Decision, maxPending-1)
	for range 5 {
		d.take(decisionsAbout("203.0.113.9/32", "203.0.113.10/32"))
	}
	if n := strings.Count(said.String(), "\n"); n != 1 || d.dropped != 9 || len(d.pending) != maxPending {
		t.Errorf("%d lines, %d dropped, %d wait:\n%s", n, d.dropped, len(d.pending), &said)
	}
	d.pending = decisionsAbout("203.0.113.9/32")
	d.apply(t.Context())
	if !strings.Contains(said.String(), "dropped=9") || d.dropped != 0 {
		t.Errorf("not said in the end: %s", &said)
	}
}
