package app_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"overstay/connlog"
	"overstay/detector"
	"overstay/internal/app"
	"overstay/internal/traffic"
)

// TestReplayIsLive records a live run with rotations in it, and feeds its log
// to a detector again: what that decides is what was decided live, to the
// byte, from the start and from a restart at any point.
func TestReplayIsLive(t *testing.T) {
	t.Parallel()
	r := serve(t, func(cfg *app.Config) {
		noLimit(cfg)
		cfg.Log.MaxBytes = 100 << 10 // A few thousand lines make several files.
		cfg.Log.Keep = 1000
	})
	attack(t, r, 8*time.Second, append(crowd(traffic.WWW), shapes[0].holders(traffic.WWW), shapes[1].holders(traffic.SMTP))...)
	r.stop()

	var live []detector.Decision
	for _, d := range r.decisions() {
		live = append(live, d.Decision)
	}
	if len(live) < 3 {
		t.Fatalf("only %d decisions to compare", len(live))
	}
	events := r.events()
	starts := 0
	for _, e := range events {
		if e.Kind == connlog.Start {
			starts++
		}
	}
	if starts < 3 {
		t.Fatalf("only %d files: the log was not rotated", starts)
	}
	t.Logf("%d events in %d files, %d decisions", len(events), starts, len(live))

	sameDecisions(t, "from the start", live, replay(t, r.cfg, events))
	// A restart reads what came before and then goes on: the decisions it
	// makes beyond that point are those that were made live.
	for _, part := range []int{4, 3, 2} {
		at := len(events) / part
		again := replay(t, r.cfg, events[:at])
		sameDecisions(t, fmt.Sprintf("up to event %d", at), live[:len(again)], again)
		again = replay(t, r.cfg, slices.Concat(events[:at], events))
		sameDecisions(t, fmt.Sprintf("with the first %d events read twice", at), live, again)
	}
}

// replay feeds events to a new detector like the one of the configuration, put
// together by hand.
func replay(t *testing.T, cfg *app.Config, events []connlog.Event) []detector.Decision {
	t.Helper()
	d, err := detector.New(detector.Options{
		Policies: detector.DefaultPolicies(), MaxSources: cfg.Detector.MaxSources, BansPerMinute: cfg.Detector.BansPerMinute,
	})
	if err != nil {
		t.Fatal(err)
	}
	var all []detector.Decision
	for i := range events {
		all = append(all, d.Observe(&events[i])...)
	}
	return all
}

func sameDecisions(t *testing.T, when string, want, got []detector.Decision) {
	t.Helper()
	if len(want) != len(got) {
		t.Fatalf("%s: %d decisions, want %d", when, len(got), len(want))
	}
	for i := range want {
		w, err1 := json.Marshal(want[i])
		g, err2 := json.Marshal(got[i])
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		if !bytes.Equal(w, g) {
			t.Fatalf("%s: decision %d is\n%s\nwant\n%s", when, i, g, w)
		}
	}
}
