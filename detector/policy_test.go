package detector

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"overstay/connlog"
)

// watched is a log whose lines a detector reads as they are written.
type watched struct {
	*logger
	d       *Detector
	decided []Decision
}

func watch1(t *testing.T, o Options) *watched {
	t.Helper()
	w := &watched{d: mustNew(t, o)}
	w.logger = &logger{now: epoch, threads: 10, service: "www"}
	w.onWrite = func(e *connlog.Event) { w.decided = append(w.decided, w.d.Observe(e)...) }
	w.restart("boot1")
	return w
}

// idle lets time pass as a server does that has nothing to do.
func (w *watched) idle(d time.Duration) {
	for end := w.now.Add(d); w.now.Before(end); {
		w.wait(min(5*time.Second, end.Sub(w.now)))
		w.beat()
	}
}

// expect checks what was decided since the last call: action and time after
// the epoch of each.
func (w *watched) expect(t *testing.T, want ...string) {
	t.Helper()
	var got []string
	for _, dec := range w.decided {
		got = append(got, string(dec.Action)+" "+dec.At.Sub(epoch).String()+" for "+dec.Duration.String())
	}
	w.decided = nil
	if g, w := strings.Join(got, ", "), strings.Join(want, ", "); g != w {
		t.Fatalf("decided %q, want %q", g, w)
	}
}

func three() Policy {
	return Policy{Name: "three", When: "open >= 3", Action: Ban, Duration: time.Minute}
}

func TestHysteresis(t *testing.T) {
	w := watch1(t, Options{Policies: []Policy{three()}})
	var ids []uint64
	for range 3 {
		w.wait(time.Millisecond)
		ids = append(ids, w.connect(ip(1)))
	}
	w.expect(t, "ban 3ms for 1m0s")
	// It stays true far beyond the ban: nothing more.
	w.connect(ip(1))
	w.idle(5 * time.Minute)
	w.expect(t)
	// It falls and rises: another one.
	w.close(ids[0], connlog.EndClient)
	w.close(ids[1], connlog.EndClient)
	w.connect(ip(1))
	w.expect(t, "ban 5m0.003s for 1m0s")
	// It falls and rises while the ban stands: nothing, until the end of it.
	w.close(ids[2], connlog.EndClient)
	w.wait(30 * time.Second)
	w.connect(ip(1))
	w.expect(t)
	w.idle(time.Minute)
	w.expect(t, "ban 6m1s for 1m0s")
}

// TestHysteresisOfOneAmongOthers has a condition that falls while another one
// goes on to hold.
func TestHysteresisOfOneAmongOthers(t *testing.T) {
	always := Policy{Name: "always", When: "open >= 1", Action: Suggest, Duration: time.Second}
	w := watch1(t, Options{Policies: []Policy{always, three()}})
	w.connect(ip(1))
	w.connect(ip(1))
	id := w.connect(ip(1))
	w.expect(t, "suggest 0s for 1s", "ban 0s for 1m0s")
	w.idle(2 * time.Minute)
	w.close(id, connlog.EndClient)
	w.connect(ip(1))
	w.expect(t, "ban 2m0s for 1m0s")
}

func TestFor(t *testing.T) {
	p := three()
	p.For = 10 * time.Second
	w := watch1(t, Options{Policies: []Policy{p}})
	w.at(1500 * time.Millisecond)
	var id uint64
	for range 3 {
		id = w.connect(ip(1))
	}
	w.idle(9 * time.Second)
	w.close(id, connlog.EndClient) // a moment too short
	w.connect(ip(1))
	w.expect(t)
	// From 10.5 s on it holds, and seconds are whole.
	w.idle(time.Minute)
	w.expect(t, "ban 21s for 1m0s")
}

func TestBanMayFollowSuggestion(t *testing.T) {
	suggest := Policy{Name: "two", When: "open >= 2", Action: Suggest, Duration: time.Hour}
	weaker := Policy{Name: "four", When: "open >= 4", Action: Suggest, Duration: time.Hour}
	w := watch1(t, Options{Policies: []Policy{suggest, three(), weaker}})
	for range 6 {
		w.connect(ip(1))
	}
	w.expect(t, "suggest 0s for 1h0m0s", "ban 0s for 1m0s")
	// When the list keeps the suggestion no longer the third may speak.
	w.idle(24 * time.Hour)
	w.expect(t, "suggest 24h0m0s for 1h0m0s")
}

func TestEscalation(t *testing.T) {
	p := three()
	p.Escalate = Escalate{Factor: 2, Max: 5 * time.Minute, Memory: time.Hour}
	// A ban of yesterday is forgotten; one of 50 minutes ago is not, for now.
	// That of tomorrow is of a log that is being read again.
	earlier := []Past{
		{ID: "a", Source: connlog.AddressLevel.Source(ip(1)), At: epoch.Add(-24 * time.Hour)},
		{ID: "b", Source: connlog.AddressLevel.Source(ip(1)), At: epoch.Add(-50 * time.Minute)},
		{ID: "b", Source: connlog.AddressLevel.Source(ip(1)), At: epoch.Add(-50 * time.Minute)},
		{ID: "c", Source: connlog.AddressLevel.Source(ip(1)), At: epoch.Add(24 * time.Hour), Until: epoch.Add(48 * time.Hour)},
		{ID: "d", Source: connlog.AddressLevel.Source(ip(2)), At: epoch.Add(-time.Minute)},
	}
	w := watch1(t, Options{Policies: []Policy{p}, Earlier: earlier})
	again := func() {
		var ids []uint64
		for range 3 {
			ids = append(ids, w.connect(ip(1)))
		}
		for _, id := range ids {
			w.close(id, connlog.EndBanned)
		}
		w.idle(11 * time.Minute)
	}
	again()
	w.expect(t, "ban 0s for 2m0s")
	again() // b is 61 minutes old by now
	w.expect(t, "ban 11m0s for 2m0s")
	again()
	w.expect(t, "ban 22m0s for 4m0s")
	again()
	w.expect(t, "ban 33m0s for 5m0s")
}

func TestStandingBanOfHistory(t *testing.T) {
	earlier := []Past{{ID: "a", Source: connlog.AddressLevel.Source(ip(1)), At: epoch.Add(-time.Minute), Until: epoch.Add(time.Minute)}}
	w := watch1(t, Options{Policies: []Policy{three()}, Earlier: earlier})
	for range 3 {
		w.connect(ip(1))
	}
	w.expect(t)
	w.idle(2 * time.Minute)
	w.expect(t, "ban 1m0s for 1m0s")
}

func TestBanStorm(t *testing.T) {
	w := watch1(t, Options{Policies: []Policy{{Name: "any", When: "open >= 1", Action: Ban, Duration: time.Hour}}, BansPerMinute: 2})
	w.threads = 100
	for i := range 4 {
		w.wait(time.Second)
		w.connect(ip(i))
	}
	for i, dec := range w.decided {
		if storm := i >= 2; dec.Evidence.BanStorm != storm {
			t.Errorf("decision %d: ban storm %v", i, dec.Evidence.BanStorm)
		}
	}
	w.expect(t, "ban 1s for 1h0m0s", "ban 2s for 1h0m0s", "suggest 3s for 1h0m0s", "suggest 4s for 1h0m0s")
	w.at(61 * time.Second) // the first is a minute ago, the second is not
	w.connect(ip(10))
	w.connect(ip(11))
	if who := w.decided[0].Source.Addr(); who != ip(2) {
		t.Errorf("%v is banned next, want who was suggested first", who)
	}
	w.expect(t, "ban 1m1s for 1h0m0s", "suggest 1m1s for 1h0m0s", "suggest 1m1s for 1h0m0s")
}

// TestDecoysDoNotHideAHolder though they use up the bans of each minute.
func TestDecoysDoNotHideAHolder(t *testing.T) {
	w := watch1(t, Options{Policies: DefaultPolicies(), BansPerMinute: 40})
	w.threads = 50
	n := 0
	decoy := func() {
		n++
		w.service = "smtp"
		id := w.connect(ip(1000 + n))
		for range 13 {
			w.fail(id, connlog.FailLogin)
		}
		w.close(id, connlog.EndClient)
		w.service = "www"
	}
	for range 400 {
		decoy()
		w.wait(100 * time.Millisecond)
	}
	began := w.now
	w.sit("203.0.113.1", 50)
	for range 100 {
		w.wait(100 * time.Millisecond)
		decoy()
		w.refuse(ip(1), connlog.RefuseBusy)
	}
	for _, dec := range w.decided {
		if dec.Source.Addr() == addr("203.0.113.1") {
			if dec.Action != Ban || dec.At.Sub(began) > 3*time.Second {
				t.Errorf("%s by %s after %v", dec.Action, dec.Policy, dec.At.Sub(began))
			}
			return
		}
	}
	t.Error("no decision about the holder")
}

func TestPolicyOfAPool(t *testing.T) {
	p := three()
	p.Pools, p.Services = []string{"mail"}, []string{"smtp"}
	w := watch1(t, Options{Policies: []Policy{p}})
	for range 3 {
		w.connect(ip(1))
	}
	w.expect(t)
	w.service = "smtp" // whose pool is "mail"
	for range 3 {
		w.connect(ip(1))
	}
	if len(w.decided) != 1 || strings.Join(w.decided[0].Services, " ") != "smtp" || w.decided[0].Evidence.Pool != "mail" {
		t.Fatalf("decided %+v", w.decided)
	}
}

func TestUnknownPoolSizeIsNeverReached(t *testing.T) {
	w := watch1(t, Options{Policies: DefaultPolicies()})
	w.threads = 0
	for i := range uint64(50) {
		w.write(connlog.Event{Kind: connlog.Open, Service: "pop3", Conn: 1000 + i, ClientIP: ip(1)})
		w.write(connlog.Event{Kind: connlog.Refuse, Service: "pop3", ClientIP: ip(1), Reason: connlog.RefuseBusy})
	}
	w.idle(10 * time.Minute)
	w.expect(t)
}

func TestBadPolicies(t *testing.T) {
	for name, spoil := range map[string]func(*Policy){
		"name":      func(p *Policy) { p.Name = "" },
		"level":     func(p *Policy) { p.Level = "galaxy" },
		"action":    func(p *Policy) { p.Action = "explode" },
		"for":       func(p *Policy) { p.For = -1 },
		"duration":  func(p *Policy) { p.Duration = 0 },
		"for ever":  func(p *Policy) { p.Duration = math.MaxInt64 },
		"factor":    func(p *Policy) { p.Escalate.Factor = 0.5 },
		"nan":       func(p *Policy) { p.Escalate.Factor = math.NaN() },
		"max":       func(p *Policy) { p.Escalate.Max = -1 },
		"memory":    func(p *Policy) { p.Escalate.Memory = -1 },
		"condition": func(p *Policy) { p.When = "open >" },
	} {
		p := three()
		spoil(&p)
		if _, err := New(Options{Policies: []Policy{p}}); !errors.Is(err, ErrPolicy) {
			t.Errorf("%s: %v", name, err)
		}
		if p.Check() == nil {
			t.Errorf("%s: Check says nothing", name)
		}
	}
	if _, err := New(Options{Policies: []Policy{three(), three()}}); !errors.Is(err, ErrPolicy) {
		t.Errorf("two of a name: %v", err)
	}
	if _, err := New(Options{Policies: make([]Policy, 65)}); !errors.Is(err, ErrTooManyPolicies) {
		t.Errorf("too many: %v", err)
	}
	if _, err := New(Options{Level: connlog.Level{V4: 33, V6: 64}}); err == nil {
		t.Error("a level of 33 bits is taken")
	}
	for _, p := range DefaultPolicies() {
		if err := p.Check(); err != nil {
			t.Error(err)
		}
	}
}

// TestDurationsDoNotOverflow multiplies the longest of everything.
func TestDurationsDoNotOverflow(t *testing.T) {
	p := Policy{Duration: MaxDuration, Escalate: Escalate{Factor: 1e6}}
	var r record
	for i := range int64(pastPerSource) {
		r.remember(past{id: string(rune(i)), at: i})
	}
	if d, _ := r.duration(&p, pastPerSource+1); d != MaxDuration {
		t.Errorf("%v, want %v", d, MaxDuration)
	}
}
