package score

import (
	"net/netip"
	"slices"
	"time"

	"overstay/connlog"
	"overstay/detector"
	"overstay/internal/traffic"
)

// watch is a detector that reads a scenario's log, and what is to be thought
// of its decisions.
type watch struct {
	truth      *traffic.Truth
	simulation traffic.Simulation
	detector   *detector.Detector
	books      *books
	heard      func(*connlog.Event, []detector.Decision) // or nil

	bans []ban
	at   map[netip.Prefix]int // in bans
	wide []int                // in bans: those of more than an address
	log  time.Time            // of the last line

	// The clock of the log may leap: began and now count what passes between
	// its lines.
	now      time.Duration
	attack   time.Duration // the earliest that an attacker comes
	began    time.Duration // when the first one got a thread
	attacked bool
	first    time.Duration // from an attacker's first thread to the first right decision
	decided  bool

	found       map[netip.Prefix]bool // attackers decided about, and whether they were banned
	right       int
	wrong       int
	harmed      map[netip.Prefix]string // sources of innocents that were banned, and by what
	suggestions map[string]int          // wrong ones by policy
}

// ban is what the detector wants to be kept out.
type ban struct {
	source netip.Prefix
	until  time.Time
}

func newWatch(s *traffic.Scenario, seed uint64, o Options) (*watch, error) {
	d, err := detector.New(detector.Options{Policies: o.Policies, BansPerMinute: o.BansPerMinute})
	if err != nil {
		return nil, err
	}
	w := &watch{
		truth: &s.Truth, simulation: s.Simulation(seed), detector: d, books: newBooks(&s.Truth),
		at: map[netip.Prefix]int{}, found: map[netip.Prefix]bool{},
		harmed: map[netip.Prefix]string{}, suggestions: map[string]int{}, attack: 1 << 62,
	}
	for _, g := range w.simulation.Groups {
		if g.Attacker {
			w.attack = min(w.attack, g.From)
		}
	}
	return w, nil
}

// play lets the detector hear the simulation.
func (w *watch) play() error {
	events, err := w.simulation.Events()
	if err != nil {
		return err
	}
	for e := range events {
		w.hear(e)
	}
	return nil
}

func (w *watch) hear(e *connlog.Event) {
	if passed := e.Time.Sub(w.log); passed > 0 && passed < time.Minute {
		w.now += passed
	}
	w.log = e.Time
	w.books.enter(e)
	if !w.attacked && e.Kind == connlog.Open && w.now >= w.attack {
		if part := w.truth.Of(e.ClientIP); part == traffic.Attacker || part == traffic.Insider {
			w.attacked, w.began = true, w.now
		}
	}
	decisions := w.detector.Observe(e)
	for i := range decisions {
		w.note(&decisions[i])
	}
	if w.heard != nil {
		w.heard(e, decisions)
	}
}

// note writes down a decision and what is to be thought of it.
func (w *watch) note(d *detector.Decision) {
	bans := d.Action == detector.Ban
	if bans {
		w.keep(ban{source: d.Source, until: d.At.Add(d.Duration)})
	}
	named := false
	for _, list := range [][]netip.Prefix{w.truth.Attackers, w.truth.Shared} {
		for _, a := range list {
			if d.Source.Overlaps(a) {
				named, w.found[a] = true, w.found[a] || bans
			}
		}
	}
	switch harms := w.truth.Harms(d.Source); {
	case harms && bans:
		w.wrong++
		w.harmed[d.Source] = d.Policy
	case harms && !named:
		w.wrong++
		w.suggestions[d.Policy]++
	case named:
		w.right++
		if !w.decided {
			w.decided, w.first = true, w.now-w.began
		}
	}
}

func (w *watch) keep(b ban) {
	if i, ok := w.at[b.source]; ok {
		w.bans[i] = b
		return
	}
	i := len(w.bans)
	w.at[b.source], w.bans = i, append(w.bans, b)
	if connlog.AddressLevel.Source(b.source.Addr()) != b.source {
		w.wide = append(w.wide, i)
	}
}

// blocked is what the simulated server asks about everybody, ten times a
// second for each open connection.
func (w *watch) blocked(addr netip.Addr, _ string) bool {
	if len(w.bans) == 0 {
		return false
	}
	if i, ok := w.at[connlog.AddressLevel.Source(addr)]; ok && w.log.Before(w.bans[i].until) {
		return true
	}
	return slices.ContainsFunc(w.wide, func(i int) bool {
		return w.log.Before(w.bans[i].until) && w.bans[i].source.Contains(addr)
	})
}
