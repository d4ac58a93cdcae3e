package app

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"time"

	"overstay/banlist"
	"overstay/connlog"
	"overstay/connlog/formats"
	"overstay/detector"
	"overstay/detector/cause"
	"overstay/internal/guard"
)

// SourceReport is all that list and log know of one address or prefix.
type SourceReport struct {
	Source netip.Prefix // as it is ranked: an IPv6 address is its /64
	// What the list says. Entries cover the source or lie in it, those in
	// force first, then the newest first.
	Entries []banlist.Ban
	Allowed *banlist.Allowance
	History []banlist.Transition
	// Guarded is whom no policy bans of it, whatever it does.
	Guarded []guard.Host

	Read LogsRead
	Seen Seen
	// Ranks of the sources inside, the heaviest first; Place of the first one
	// among all Sources of the log.
	Ranks   []detector.Rank
	Place   int
	Sources int
	// Pools at the end of the log.
	Pools []detector.PoolState
	// Decisions that the policies in force make about it on this log.
	Decisions []detector.Decision
	// Effect is what a ban of it, and of nothing else, would have changed in
	// the last stretch with refusals; nil if there was none.
	Effect *cause.Report
	// Net is a net around it that the policies find in that stretch, and
	// NetEffect what a ban of all of that would have changed; nil if there is
	// none.
	Net       netip.Prefix
	NetEffect *cause.Report
}

// State is what the list says of the source now.
func (r *SourceReport) State() banlist.State {
	if len(r.Entries) == 0 {
		return ""
	}
	return r.Entries[0].State
}

// historySteps is how much of a source's history is asked for.
const historySteps = 100

// ExplainSource says what list and log know of a source.
func ExplainSource(ctx context.Context, cfg *Config, source netip.Prefix, o WhyOptions) (*SourceReport, error) {
	r := &SourceReport{Source: source}
	o.Question.Over = func() bool { return ctx.Err() != nil }
	if err := cfg.withList(ctx, func(list *banlist.List) error { return r.ask(ctx, list) }); err != nil {
		return nil, err
	}
	if r.Allowed == nil {
		// The list learns of the configuration from serve only.
		for _, p := range cfg.List.Allow {
			if covers(netip.Prefix(p), source) {
				r.Allowed = &banlist.Allowance{Prefix: netip.Prefix(p), By: byConfig}
			}
		}
	}
	if err := r.guard(cfg); err != nil {
		return nil, err
	}
	var in *inquiry
	var seen *sighting
	var err error
	r.Read, err = cfg.readFor(ctx, o, func(gives formats.Gives) (_ func(*connlog.Event), err error) {
		if in, err = cfg.newInquiry(false, gives); err != nil {
			return nil, err
		}
		in.only, seen = source, newSighting(source)
		return func(e *connlog.Event) {
			in.observe(e)
			seen.observe(e)
		}, nil
	})
	if err != nil {
		return nil, err
	}
	r.Read.leave(in.leftOut...)
	r.Seen = seen.end()
	r.place(in.detector)
	r.Decisions = slices.DeleteFunc(in.decisions, func(d detector.Decision) bool { return !d.Source.Overlaps(source) })
	in.recorder.Suspect(cause.Suspect{Source: source, At: r.Read.From, Until: r.Read.To})
	if r.Effect, err = in.effect(&r.Seen, o); err != nil {
		return nil, err
	}
	if err = r.net(in, o); err != nil {
		return nil, err
	}
	return r, ctx.Err()
}

// net asks for the effect of a ban of the net, where one around the source is
// found: that is what would be done.
func (r *SourceReport) net(in *inquiry, o WhyOptions) (err error) {
	if r.Effect == nil {
		return nil
	}
	for _, d := range r.Decisions {
		s := suspect(&d)
		if d.Source != r.Source && covers(d.Source, r.Source) && !s.At.After(r.Effect.To) && s.Until.After(r.Effect.From) {
			r.Net = d.Source
			s.At, s.Until = r.Read.From, r.Read.To
			in.recorder.Suspect(s)
			r.NetEffect, err = in.recorder.Report(r.Effect.Stretch, o.Question)
			return err
		}
	}
	return nil
}

// ask takes down what the list says.
func (r *SourceReport) ask(ctx context.Context, list *banlist.List) error {
	all := []banlist.State{banlist.Active, banlist.Suggested, banlist.Rejected, banlist.Lifted, banlist.Expired}
	for _, f := range []banlist.Filter{{States: all, Covering: r.Source}, {States: all, Within: r.Source}} {
		entries, err := list.Bans(ctx, f)
		if err != nil {
			return err
		}
		for i := range entries {
			if !slices.ContainsFunc(r.Entries, func(b banlist.Ban) bool { return b.ID == entries[i].ID }) {
				r.Entries = append(r.Entries, entries[i])
			}
		}
	}
	slices.SortStableFunc(r.Entries, func(a, b banlist.Ban) int {
		return cmp.Or(cmp.Compare(standing(a.State), standing(b.State)), b.Decided.Compare(a.Decided))
	})
	allowed, err := list.Allowed(ctx)
	if err != nil {
		return err
	}
	for i := range allowed {
		if covers(allowed[i].Prefix, r.Source) {
			r.Allowed = &allowed[i]
		}
	}
	r.History, err = list.History(ctx, banlist.HistoryFilter{Prefix: r.Source, Limit: historySteps})
	return err
}

// guard finds whom policies never ban.
func (r *SourceReport) guard(cfg *Config) error {
	hosts, err := guard.Machine{}.Hosts()
	if err != nil {
		return err
	}
	for _, p := range cfg.trusted() {
		hosts = append(hosts, guard.Host{Prefix: p, Kind: guard.Proxy})
	}
	for _, h := range hosts {
		if h.Prefix.Overlaps(r.Source) {
			r.Guarded = append(r.Guarded, h)
		}
	}
	return nil
}

// standing orders states: what is in force, what waits, what was.
func standing(s banlist.State) int {
	switch s {
	case banlist.Active:
		return 0
	case banlist.Suggested:
		return 1
	}
	return 2
}

// place finds the source in the ranking.
func (r *SourceReport) place(d *detector.Detector) {
	ranking := d.Ranking(math.MaxInt)
	r.Sources = len(ranking)
	for i, rank := range ranking {
		if !r.Source.Overlaps(rank.Source) {
			continue
		}
		if r.Place == 0 {
			r.Place = i + 1
		}
		r.Ranks = append(r.Ranks, rank)
	}
	r.Pools = d.Pools()
}

// effect replays the last stretch with refusals that the source has a line in,
// with and without it; nil if there is none.
func (in *inquiry) effect(seen *Seen, o WhyOptions) (*cause.Report, error) {
	for _, s := range slices.Backward(in.recorder.Stretches()) {
		if s.From.After(seen.Last) || s.To.Before(seen.First) {
			continue
		}
		r, err := in.recorder.Report(s, o.Question)
		if err != nil {
			return nil, fmt.Errorf("what a ban would change: %w", err)
		}
		return r, nil
	}
	return nil, nil
}

// Seen is what a log says of a source, line by line.
type Seen struct {
	First, Last time.Time // the earliest and the latest; zero if the log never names it
	Addresses   int       // different ones, up to maxAddresses
	Opened      uint64    // connections, those that were open before the log too
	Proven      uint64
	Fails       map[connlog.What]uint64
	Refused     map[connlog.Reason]uint64
	Ended       map[connlog.End]uint64
	Held        time.Duration // by connections that ended
	Open        []OpenConn    // at the end of the log, the oldest first
	// Lines are the last ones about it, as boot:seq; none of other servers' logs.
	Lines []string
}

// OpenConn is a connection that was open at the end of a log.
type OpenConn struct {
	Service string
	Client  netip.Addr
	Since   time.Time
	Proven  bool
	Line    string // that opened it, as boot:seq; empty as Lines
}

// Bounds of what is kept of a source that may be all of the internet.
const (
	maxAddresses = 100_000
	maxOpen      = 100_000
	lastLines    = 5
)

// sighting collects what a log says of a source.
type sighting struct {
	Seen
	source    netip.Prefix
	boot      string
	open      map[uint64]OpenConn
	addresses map[netip.Addr]struct{}
}

func newSighting(source netip.Prefix) *sighting {
	return &sighting{
		source:    source,
		open:      map[uint64]OpenConn{},
		addresses: map[netip.Addr]struct{}{},
		Seen:      Seen{Fails: map[connlog.What]uint64{}, Refused: map[connlog.Reason]uint64{}, Ended: map[connlog.End]uint64{}},
	}
}

func (s *sighting) observe(e *connlog.Event) {
	if e.Boot != s.boot || e.Kind == connlog.Stop {
		s.boot = e.Boot
		clear(s.open)
	}
	if !e.ClientIP.IsValid() || !s.source.Contains(e.ClientIP) {
		return
	}
	line := "" // Another server's log has neither.
	if e.Boot != "" {
		line = fmt.Sprintf("%s:%d", e.Boot, e.Seq)
	}
	s.noted(e, line)
	switch e.Kind {
	case connlog.Open:
		s.opened(e, line)
	case connlog.Proven:
		if c, ok := s.open[e.Conn]; ok && !c.Proven {
			c.Proven = true
			s.open[e.Conn] = c
			s.Proven++
		}
	case connlog.Fail:
		count(s.Fails, e.What, 1)
	case connlog.Refuse:
		count(s.Refused, e.Reason, max(e.Count, 1))
	case connlog.Close:
		delete(s.open, e.Conn)
		count(s.Ended, e.End, 1)
		s.Held += e.Held
	}
}

// maxKinds bounds the kinds that are counted apart. There are fewer; a log may
// invent some.
const maxKinds = 32

// count adds to the count of a kind, or of those without a name once there are
// too many.
func count[K ~string](counts map[K]uint64, kind K, n uint64) {
	if _, known := counts[kind]; !known && len(counts) >= maxKinds {
		kind = ""
	}
	counts[kind] += n
}

// noted takes down that there is a line about the source.
func (s *sighting) noted(e *connlog.Event, line string) {
	if s.First.IsZero() || e.Time.Before(s.First) {
		s.First = e.Time
	}
	if e.Time.After(s.Last) {
		s.Last = e.Time
	}
	if len(s.addresses) < maxAddresses {
		s.addresses[e.ClientIP] = struct{}{}
	}
	if line == "" {
		return
	}
	if len(s.Lines) == lastLines {
		s.Lines = slices.Delete(s.Lines, 0, 1)
	}
	s.Lines = append(s.Lines, line)
}

func (s *sighting) opened(e *connlog.Event, line string) {
	if _, known := s.open[e.Conn]; known && e.Held > 0 {
		return // The head of a file names it again.
	}
	s.Opened++
	if e.Proven {
		s.Proven++
	}
	if len(s.open) < maxOpen {
		s.open[e.Conn] = OpenConn{Service: e.Service, Client: e.ClientIP, Since: e.Time.Add(-e.Held), Proven: e.Proven, Line: line}
	}
}

// end closes the books.
func (s *sighting) end() Seen {
	s.Addresses = len(s.addresses)
	for _, c := range s.open {
		s.Open = append(s.Open, c)
	}
	slices.SortFunc(s.Open, func(a, b OpenConn) int {
		if c := a.Since.Compare(b.Since); c != 0 {
			return c
		}
		return a.Client.Compare(b.Client)
	})
	return s.Seen
}
