package app

import (
	"fmt"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"overstay/banlist"
	"overstay/connlog"
	"overstay/detector"
)

// lives are detectors that follow each other, each with what the list of the
// one before remembers and no log at all.
type lives struct {
	t    *testing.T
	cfg  *Config
	boot int
}

func newLives(t *testing.T, level, when string) *lives {
	t.Helper()
	cfg := Default()
	cfg.State = t.TempDir()
	cfg.Detector.DefaultPolicies = false
	cfg.Policies = []Policy{{
		Name: "grow", Level: level, When: Condition{when}, Action: "ban",
		Duration: Duration(10 * time.Minute), Factor: 2, Memory: Duration(24 * time.Hour),
	}}
	return &lives{t: t, cfg: cfg}
}

// live lets hosts hold a thread each at a time, in a process that ends then,
// and returns what is decided and put on the list.
func (l *lives) live(at time.Time, hosts ...string) []detector.Decision {
	l.t.Helper()
	list, err := l.cfg.openList(l.t.Context(), nil)
	if err != nil {
		l.t.Fatal(err)
	}
	defer func() {
		if err := list.Close(); err != nil {
			l.t.Error(err)
		}
	}()
	det, err := l.cfg.newDetector(l.t.Context(), list)
	if err != nil {
		l.t.Fatal(err)
	}
	l.boot++
	silent := slog.New(slog.DiscardHandler)
	d := &detection{detector: det, list: list, guards: l.cfg.newGuards(DetectOptions{Logger: silent}), options: DetectOptions{Logger: silent}}
	var decided []detector.Decision
	seq := uint64(0)
	line := func(e connlog.Event, after time.Duration) {
		seq++
		e.Boot, e.Seq, e.Time = fmt.Sprint("boot", l.boot), seq, at.Add(after)
		all := det.Observe(&e)
		decided = append(decided, all...)
		d.take(all)
	}
	line(connlog.Event{Kind: connlog.Start, Schema: connlog.SchemaVersion, Services: []connlog.Service{{Service: "www", Threads: 50}}}, 0)
	for i, h := range hosts {
		line(connlog.Event{Kind: connlog.Open, Conn: uint64(i + 1), Service: "www", ClientIP: netip.MustParseAddr(h)}, 0)
	}
	line(connlog.Event{Kind: connlog.Beat}, 3*time.Second)
	d.apply(l.t.Context())
	if len(d.pending) > 0 {
		l.t.Fatal("the list did not take the decisions")
	}
	return decided
}

// change does something to the list between two lives.
func (l *lives) change(do func(*banlist.List) error) {
	l.t.Helper()
	list, err := banlist.Open(l.t.Context(), l.cfg.Path(l.cfg.List.Path), banlist.Options{Lazy: true})
	if err != nil {
		l.t.Fatal(err)
	}
	if err := do(list); err != nil {
		l.t.Error(err)
	}
	if err := list.Close(); err != nil {
		l.t.Error(err)
	}
}

// lasts wants one decision of each length, with so many bans and returns
// before it.
func (l *lives) lasts(decided []detector.Decision, source string, length time.Duration, bans, returns int) {
	l.t.Helper()
	if len(decided) != 1 {
		l.t.Fatalf("%d decisions: %+v", len(decided), decided)
	}
	d := &decided[0]
	if d.Source.String() != source || d.Duration != length || d.Evidence.HistoryBans != bans || d.Evidence.HistoryReturns != returns {
		l.t.Errorf("banned %v for %v after %d bans and %d returns; want %v for %v after %d and %d",
			d.Source, d.Duration, d.Evidence.HistoryBans, d.Evidence.HistoryReturns, source, length, bans, returns)
	}
}

// TestBansGrowAcrossRestarts of a source and of a net, where nothing but the
// list remembers.
func TestBansGrowAcrossRestarts(t *testing.T) {
	for _, c := range []struct {
		level, when, source string
		hosts               []string
	}{
		{"address", "open >= 1", "203.0.113.9/32", []string{"203.0.113.9"}},
		{"net", "net.members >= 2", "203.0.113.0/28", []string{"203.0.113.1", "203.0.113.14"}},
	} {
		t.Run(c.level, func(t *testing.T) {
			l := newLives(t, c.level, c.when)
			// All of it lies in the past: each ban is over when the next comes.
			at := time.Now().Add(-5 * time.Hour).Truncate(time.Microsecond)
			l.lasts(l.live(at, c.hosts...), c.source, 10*time.Minute, 0, 0)
			// It is back within an hour of the first ban's end, and of the second's.
			l.lasts(l.live(at.Add(time.Hour), c.hosts...), c.source, 20*time.Minute, 1, 0)
			l.lasts(l.live(at.Add(2*time.Hour), c.hosts...), c.source, 40*time.Minute, 2, 1)
			// And then later than that.
			l.lasts(l.live(at.Add(4*time.Hour), c.hosts...), c.source, 80*time.Minute, 3, 2)
			// That one is in force: there is no further one.
			if again := l.live(at.Add(4*time.Hour+30*time.Minute), c.hosts...); len(again) != 0 {
				t.Errorf("decided again while a ban stands: %+v", again)
			}
		})
	}
}

// TestWhatDoesNotMakeBansGrow: a ban that a person lifted, and a suggestion
// that nobody approved or that was turned down.
func TestWhatDoesNotMakeBansGrow(t *testing.T) {
	const host, source = "203.0.113.9", "203.0.113.9/32"
	ctx := t.Context()
	for name, do := range map[string]func(*lives, []detector.Decision){
		"lifted": func(l *lives, decided []detector.Decision) {
			l.change(func(list *banlist.List) error {
				_, err := list.Lift(ctx, decided[0].ID, banlist.Act{By: "operator:test"})
				return err
			})
		},
		"allowed for a while": func(l *lives, _ []detector.Decision) {
			l.change(func(list *banlist.List) error {
				p := netip.MustParsePrefix(source)
				if _, err := list.Allow(ctx, banlist.Allowance{Prefix: p, By: "operator:test"}); err != nil {
					return err
				}
				return list.Disallow(ctx, p, banlist.Act{By: "operator:test"})
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLives(t, "address", "open >= 1")
			now := time.Now().Truncate(time.Microsecond)
			first := l.live(now.Add(-2*time.Minute), host)
			l.lasts(first, source, 10*time.Minute, 0, 0)
			do(l, first)
			l.lasts(l.live(now.Add(time.Minute), host), source, 10*time.Minute, 0, 0)
		})
	}
	t.Run("suggested", func(t *testing.T) {
		l := newLives(t, "address", "open >= 1")
		l.cfg.Policies[0].Action = "suggest"
		at := time.Now().Add(-48 * time.Hour).Truncate(time.Microsecond)
		l.lasts(l.live(at, host), source, 10*time.Minute, 0, 0)
		l.cfg.Policies[0].Action = "ban"
		l.lasts(l.live(at.Add(47*time.Hour), host), source, 10*time.Minute, 0, 0)
	})
}

// TestPiecesOfANetAreOneBan to the detector that starts after they were made.
func TestPiecesOfANetAreOneBan(t *testing.T) {
	l := newLives(t, "net", "net.members >= 2")
	l.cfg.Services[0].ProxyFrom = []Source{Source(netip.MustParsePrefix("203.0.113.5/32"))}
	hosts := []string{"203.0.113.1", "203.0.113.14"}
	at := time.Now().Add(-2 * time.Hour).Truncate(time.Microsecond)
	l.lasts(l.live(at, hosts...), "203.0.113.0/28", 10*time.Minute, 0, 0)
	l.change(func(list *banlist.List) error {
		bans, err := list.Bans(t.Context(), banlist.Filter{})
		if len(bans) != 4 {
			t.Errorf("%d pieces of a /28 without one address: %v", len(bans), bans)
		}
		past, err2 := earlierBans(t.Context(), list)
		if err2 != nil || len(past) != 1 || past[0].Source.String() != "203.0.113.0/28" {
			t.Errorf("remembered as %+v, %v", past, err2)
		}
		return err
	})
	l.lasts(l.live(at.Add(time.Hour), hosts...), "203.0.113.0/28", 20*time.Minute, 1, 0)
}

// TestLiftedBanIsForgivenInTheLogToo, which is read back after a restart and
// makes the decision again.
func TestLiftedBanIsForgivenInTheLogToo(t *testing.T) {
	l := newLives(t, "address", "open >= 1")
	at := time.Unix(1_800_000_000, 0)
	read := func(earlier ...detector.Past) (decided []detector.Decision) {
		o := l.cfg.detectorOptions()
		o.Earlier = earlier
		det, err := detector.New(o)
		if err != nil {
			t.Fatal(err)
		}
		for i, after := range []time.Duration{0, time.Hour} {
			decided = append(decided, det.Observe(&connlog.Event{
				Kind: connlog.Open, Boot: "b", Seq: uint64(2*i + 1), Time: at.Add(after), Conn: uint64(i + 1),
				Service: "www", ClientIP: netip.MustParseAddr("203.0.113.9"),
			})...)
			det.Observe(&connlog.Event{
				Kind: connlog.Close, Boot: "b", Seq: uint64(2*i + 2), Time: at.Add(after), Conn: uint64(i + 1), ClientIP: netip.MustParseAddr("203.0.113.9"),
			})
		}
		return decided
	}
	first := read()
	if len(first) != 2 || first[1].Duration != 20*time.Minute {
		t.Fatalf("decided %+v, want a second ban of twice the length", first)
	}
	lifted := detector.Past{ID: first[0].ID, Source: first[0].Source, At: first[0].At, Until: at.Add(time.Minute), Forgiven: true}
	again := read(lifted)
	if len(again) != 2 || again[0].ID != first[0].ID || again[1].Duration != 10*time.Minute {
		t.Errorf("decided %+v, want the first again and a second of the same length", again)
	}
}
