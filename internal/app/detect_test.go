package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"overstay/banlist"
	"overstay/connlog"
	"overstay/detector"
)

// failingList takes decisions from the third attempt on.
type failingList struct {
	attempts int
	taken    []banlist.Ban
}

func (l *failingList) Decide(_ context.Context, bans []banlist.Ban) ([]banlist.Result, error) {
	if l.attempts++; l.attempts < 3 {
		return nil, errors.New("no room")
	}
	l.taken = append(l.taken, bans...)
	return make([]banlist.Result, len(bans)), nil
}

func TestDecisionsWaitForTheList(t *testing.T) {
	list := &failingList{}
	o := DetectOptions{Logger: slog.New(slog.DiscardHandler)}
	d := &detection{list: list, guards: Default().newGuards(o), options: o}
	for i := range 3 {
		d.take([]detector.Decision{{
			ID: fmt.Sprint("id", i), Policy: "p", Action: detector.Ban, At: time.Unix(1, 0),
			Source: netip.MustParsePrefix(fmt.Sprintf("203.0.113.%d/32", i)),
		}})
		d.apply(t.Context())
	}
	d.apply(t.Context())
	if len(list.taken) != 3 || list.taken[0].ID != "id0" || list.taken[2].ID != "id2" {
		t.Errorf("the list took %d decisions, want all three once, in order", len(list.taken))
	}
}

// TestDetectReadsBack wants the lines of a rotated file too.
func TestDetectReadsBack(t *testing.T) {
	cfg := Default()
	cfg.State = t.TempDir()
	path := cfg.Path(cfg.Log.Path)
	w, err := connlog.OpenWriter(path, connlog.WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w.Write(&connlog.Event{Kind: connlog.Start, Schema: connlog.SchemaVersion})
	for i := range 10 {
		if i == 5 {
			if err := w.Rotate(); err != nil {
				t.Fatal(err)
			}
		}
		w.Write(&connlog.Event{Kind: connlog.Beat})
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if files, err := filepath.Glob(filepath.Join(cfg.State, "connections*")); err != nil || len(files) != 2 {
		t.Fatalf("files %v, %v, want two", files, err)
	}
	for readBack, want := range map[Duration]uint64{
		Duration(time.Hour): 1 + 5 + 1 + 5, // A start at the head of each file.
		0:                   1 + 5,
	} {
		cfg.Detector.ReadBack = readBack
		ctx, stop := context.WithCancel(t.Context())
		var got uint64
		err := Detect(ctx, cfg, path, DetectOptions{Live: func(s detector.Stats) {
			got = s.Lines
			stop()
		}})
		if err != nil || got != want {
			t.Errorf("read_back %v: %d lines, %v, want %d", time.Duration(readBack), got, err, want)
		}
	}
}

// TestLogOfANewerVersion is not guessed at.
func TestLogOfANewerVersion(t *testing.T) {
	path := filepath.Join(t.TempDir(), "connections.log")
	var text []byte
	at := time.Now()
	for i, schema := range []int{connlog.SchemaVersion + 1, connlog.SchemaVersion} {
		boot := fmt.Sprint("boot", i)
		text = append(connlog.Append(text, &connlog.Event{Kind: connlog.Start, Time: at, Boot: boot, Seq: 1, Schema: schema}), '\n')
		text = append(connlog.Append(text, &connlog.Event{Kind: connlog.Beat, Time: at, Boot: boot, Seq: 2}), '\n')
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	ctx, stop := context.WithCancel(t.Context())
	var boots []string
	err := observe(ctx, path, observation{
		logger: slog.New(slog.NewTextHandler(&said, nil)),
		event:  func(e *connlog.Event, _ bool) { boots = append(boots, e.Boot) },
		live:   stop,
	})
	if err != nil || len(boots) != 2 || boots[0] != "boot1" {
		t.Errorf("read events of %v, %v, want the two of boot1", boots, err)
	}
	if !strings.Contains(said.String(), "newer version") {
		t.Errorf("nothing was said of it: %s", said.String())
	}
}

// TestEarlierBansMakeLaterOnesLonger also where the log of the earlier ones is
// gone: the list remembers them.
func TestEarlierBansMakeLaterOnesLonger(t *testing.T) {
	cfg := Default()
	cfg.State = t.TempDir()
	cfg.Detector.DefaultPolicies = false
	cfg.Policies = []Policy{{Name: "any", When: Condition{"open >= 1"}, Action: "ban", Duration: Duration(time.Hour), Factor: 2}}
	list, err := cfg.openList(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = list.Close() }()
	source := netip.MustParsePrefix("203.0.113.9/32")
	if _, err := list.Decide(t.Context(), []banlist.Ban{{
		ID: "earlier", Prefix: source, Origin: banlist.OriginPolicy + "any", State: banlist.Active,
		Decided: time.Now().Add(-2 * time.Hour), Duration: time.Hour,
	}}); err != nil {
		t.Fatal(err)
	}
	det, err := cfg.newDetector(t.Context(), list)
	if err != nil {
		t.Fatal(err)
	}
	det.Observe(&connlog.Event{Kind: connlog.Start, Time: time.Now(), Boot: "b", Seq: 1})
	decided := det.Observe(&connlog.Event{Kind: connlog.Open, Time: time.Now(), Boot: "b", Seq: 2, Conn: 1, Service: "www", ClientIP: source.Addr()})
	if len(decided) != 1 || decided[0].Duration != 2*time.Hour {
		t.Errorf("decided %+v, want a ban of two hours", decided)
	}
}

// TestAllowListOfTheConfiguration is kept by the server alone, and outlasts an
// allowance with an end.
func TestAllowListOfTheConfiguration(t *testing.T) {
	p := netip.MustParsePrefix("192.0.2.0/24")
	cfg := Default()
	cfg.State = t.TempDir()
	cfg.List.Allow = []Source{Source(p)}
	first, err := banlist.Open(t.Context(), cfg.Path(cfg.List.Path), banlist.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := first.Allow(t.Context(), banlist.Allowance{Prefix: p, By: "operator:x", Expires: time.Now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	allowed := func(cfg *Config, serve bool) []banlist.Allowance {
		list, err := cfg.openList(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = list.Close() }()
		if serve {
			if err := cfg.disallow(t.Context(), list); err != nil {
				t.Fatal(err)
			}
		}
		all, err := list.Allowed(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	if all := allowed(cfg, true); len(all) != 1 || !all[0].Expires.IsZero() {
		t.Errorf("what the configuration allows has an end: %+v", all)
	}
	other := *cfg
	other.List.Allow = nil
	if all := allowed(&other, false); len(all) != 1 {
		t.Errorf("a detector without the file took it off: %+v", all)
	}
	if all := allowed(&other, true); len(all) != 0 {
		t.Errorf("still allowed: %+v", all)
	}
}
