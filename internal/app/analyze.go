package app

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"overstay/connlog"
	"overstay/connlog/formats"
	"overstay/detector"
	"overstay/detector/cause"
	"overstay/detector/loss"
	"overstay/detector/occupancy"
)

// AnalyzeOptions say what is to be told of finished logs.
type AnalyzeOptions struct {
	Logs Logs
	// By is what sources are ranked by; if empty, that which the logs tell best.
	By  occupancy.By
	Top int // so many sources and nets are listed; 0: all
	// Address and Net are the sizes of sources, connlog's if zero.
	Address, Net connlog.Level
	Service      string // the only one that counts; empty: all do
	From, To     Moment // bound the time that counts
	// Decide tries the policies even where nobody was turned away.
	Decide bool
	// Buckets is into how many parts the time is divided for a timeline of those
	// who held most; 0: none.
	Buckets int
	// Question for the replay.
	Question loss.Question
}

// Analysis is what finished logs tell: who held the threads, when they were all
// held, why, and what policies would have done.
type Analysis struct {
	Read LogsRead
	// By is what is ranked by, Occupancy what everybody held. Untold, if not
	// empty, is what was to be ranked by, of which the logs tell nothing.
	By, Untold occupancy.By
	Occupancy  *occupancy.Report
	// Timeline of those who held most, Shown, in its order. Together are those
	// whom policies found, in order, if they are too many to be shown one by one.
	Timeline []occupancy.Bucket
	Shown    []netip.Prefix
	Together []netip.Prefix

	// Unexplained says why there is nothing below; Explained if there is.
	Unexplained Unexplained
	Policies    []string // that were applied, by name; see LogsRead.LeftOut
	Decisions   []detector.Decision
	// Dropped decisions, beyond those that are kept.
	Dropped int
	// Pools says of each pool what its refusals came from, and what the bans,
	// each from its decision to its end, would have averted.
	Pools []*cause.Report
	// Unsized are pools whose size is not known, so that nothing can be replayed.
	Unsized []string
	// Unaccused sources, that caused much and that no policy found.
	Unaccused []Unaccused
	Stats     detector.Stats
}

// Gives is what all of the logs can tell.
func (a *Analysis) Gives() formats.Gives { return a.Read.Gives }

// Verdict is the worst of the pools', Healthy where none can be given.
func (a *Analysis) Verdict() loss.Verdict {
	if r := cause.Worst(a.Pools...); r != nil {
		return r.Verdict()
	}
	return loss.Healthy
}

// Attack reports whether an attack is a cause, if not the only one, in any
// pool.
func (a *Analysis) Attack() bool { return attackIn(a.Pools) }

// Unexplained says why nothing is said of causes and policies.
type Unexplained string

// The reasons.
const (
	Explained   Unexplained = ""
	NoRefusals  Unexplained = "no_refusals"  // nobody was turned away for want of a thread
	NoDurations Unexplained = "no_durations" // the log does not tell how long a thread was held
	NoOpenings  Unexplained = "no_openings"  // nor that it was
)

// Analyze reads finished logs: once on all cores for what everybody held, and
// again, where there is something to judge, with the detector and for the
// timeline. The decisions are those that Detect makes on the same lines with an
// empty list: what the list, the allow list and this machine's own addresses
// would make of them is not in it.
func Analyze(ctx context.Context, cfg *Config, o AnalyzeOptions) (_ *Analysis, err error) {
	logs, forget, err := o.Logs.kept(o.Buckets > 0 || o.From.isRelative() || o.To.isRelative())
	if err != nil {
		return nil, err
	}
	defer forget()
	s := &study{cfg: cfg, options: o, logs: logs, passes: 1}
	if err := s.bound(ctx); err != nil {
		return nil, err
	}
	if err := s.addUp(ctx); err != nil {
		return nil, err
	}
	if err := s.again(ctx); err != nil {
		return nil, err
	}
	return s.told(ctx)
}

// NoServiceError is a service of which the log does not tell, or not in the time
// that counts.
type NoServiceError struct {
	Name  string
	Known []string // those of which it tells; empty if that is not known
}

func (e *NoServiceError) Error() string {
	text := fmt.Sprintf("the log tells of nothing that came to a service %q", e.Name)
	if len(e.Known) > 0 {
		text += "; it has " + strings.Join(e.Known, ", ")
	}
	return text
}

// study is one analysis in the making.
type study struct {
	Analysis
	cfg      *Config
	options  AnalyzeOptions
	logs     Logs
	passes   int
	from, to time.Time // that count; zero is no bound

	fold    *occupancy.Fold
	inquiry *inquiry
	pools   servicePools
}

// bound finds the time that counts. Where it is given from the end of the log,
// that has to be found first.
func (s *study) bound(ctx context.Context) (err error) {
	o := WhyOptions{From: s.options.From, To: s.options.To}
	if !o.From.isRelative() && !o.To.isRelative() {
		s.from, s.to = o.From.at, o.To.at
		return o.inOrder(s.from, s.to)
	}
	read, err := s.logs.pass(ctx, reader{number: s.pass()})
	if err != nil {
		return err
	}
	from, to, err := o.span(read)
	if !o.From.IsZero() {
		s.from = from
	}
	if !o.To.IsZero() {
		s.to = to
	}
	return err
}

func (s *study) pass() int {
	s.passes++
	return s.passes - 1
}

// addUp reads the log for what everybody held. What can be read once only is
// judged on the way.
func (s *study) addUp(ctx context.Context) (err error) {
	once := s.logs.onlyOnce()
	r := reader{number: s.pass(), begin: s.begin, notes: func(n *occupancy.Notes) { s.fold.Take(n) }}
	r.event = func(e *connlog.Event, _ where) { s.fold.Observe(e) }
	if once {
		if s.inquiry, err = s.cfg.newInquiry(false, formats.Gives{Outcomes: true}); err != nil {
			return err
		}
		r.notes = nil
		r.begin = func(gives formats.Gives) {
			s.begin(gives)
			s.inquiry, _ = s.cfg.newInquiry(false, gives) // It could be made before.
		}
		r.event = func(e *connlog.Event, _ where) {
			s.fold.Observe(e)
			s.judge(e)
		}
	}
	if s.Read, err = s.logs.pass(ctx, r); err != nil {
		return err
	}
	if s.outside() {
		return &OutOfRangeError{From: s.Read.From, To: s.Read.To}
	}
	s.rank()
	if s.options.Service != "" && len(s.Occupancy.Services) == 0 {
		return s.noService(ctx)
	}
	return nil
}

// noService reads the log again for the services that there are in the time
// that counts.
func (s *study) noService(ctx context.Context) error {
	err := &NoServiceError{Name: s.options.Service}
	if s.logs.onlyOnce() {
		return err
	}
	s.options.Service = ""
	s.begin(s.Read.Gives)
	if _, failed := s.logs.pass(ctx, reader{number: s.pass(), notes: func(n *occupancy.Notes) { s.fold.Take(n) }}); failed != nil {
		return failed
	}
	for _, one := range s.fold.Report(occupancy.ByThreadTime, 1).Services {
		err.Known = append(err.Known, one.Service)
	}
	return err
}

// rank makes the report. A log that tells of connections only if its server was
// told to write them down, and has none, tells of none.
func (s *study) rank() {
	whole := s.options.Service == "" && s.from.IsZero() && s.to.IsZero()
	if g, all := &s.Read.Gives, s.fold.Report(occupancy.ByThreadTime, 1); whole && all.Sources > 0 {
		g.Opens = g.Opens && all.Connections > 0
		g.Durations = g.Durations && all.ThreadTime > 0
	}
	s.By = s.options.By
	if s.By != "" && !tells(s.Read.Gives, s.By) {
		s.By, s.Untold = "", s.By
	}
	if s.By == "" {
		s.By = bestFigure(s.Read.Gives)
	}
	s.Occupancy = s.fold.Report(s.By, s.options.Top)
	if s.Occupancy.From.Before(s.Read.From) { // Of the time before the log nothing is known.
		s.Occupancy.From = s.Read.From
	}
}

// begin makes a fold for logs that can tell so much.
func (s *study) begin(gives formats.Gives) {
	s.fold = occupancy.New(occupancy.Options{
		Address: s.options.Address, Net: s.options.Net, Service: s.options.Service,
		From: s.from, To: s.to, Threads: s.logs.Format.Threads.Each, ThreadsOf: s.logs.Format.Threads.Of, Clock: gives.Clock,
	})
}

// outside reports whether nothing in the log is of the time that counts.
func (s *study) outside() bool {
	return !s.to.IsZero() && s.to.Before(s.Read.From) || !s.from.IsZero() && s.from.After(s.Read.To)
}

// judge takes in an event for the policies.
func (s *study) judge(e *connlog.Event) {
	s.inquiry.observe(e)
	s.pools.observe(e)
}

// bestFigure is what sources are to be ranked by where nobody says.
func bestFigure(g formats.Gives) occupancy.By {
	switch {
	case g.Durations:
		return occupancy.ByThreadTime
	case g.Opens:
		return occupancy.ByConnections
	}
	return occupancy.ByFails
}

// tells reports whether logs have a figure to rank by.
func tells(g formats.Gives, by occupancy.By) bool {
	switch by {
	case occupancy.ByThreadTime, occupancy.ByPeak, occupancy.ByLoad, occupancy.ByBlame:
		return g.Durations
	case occupancy.ByConnections:
		return g.Opens
	}
	return true // There may be none.
}

// again reads the log a second time, if there is something to judge or to show.
func (s *study) again(ctx context.Context) (err error) {
	s.Unexplained = s.unexplained()
	judged := s.inquiry != nil
	judge := !judged && (s.options.Decide || s.Unexplained == Explained)
	if judge {
		if s.inquiry, err = s.cfg.newInquiry(false, s.Read.Gives); err != nil {
			return err
		}
	}
	if judge {
		_, err = s.logs.pass(ctx, reader{number: s.pass(), event: func(e *connlog.Event, _ where) { s.judge(e) }})
	}
	if err != nil || s.options.Buckets == 0 {
		return err
	}
	// Whose colours the picture needs is known only now.
	timeline := s.show()
	_, err = s.logs.pass(ctx, reader{number: s.pass(), notes: timeline.Take})
	s.Timeline = timeline.Buckets()
	return err
}

// unexplained says why causes cannot be told, as far as the first reading says.
func (s *study) unexplained() Unexplained {
	busy := false
	for _, one := range s.Occupancy.Services {
		busy = busy || one.Busy > 0
	}
	switch g := s.Read.Gives; {
	case !g.Opens:
		return NoOpenings
	case !g.Durations:
		return NoDurations
	case !busy:
		return NoRefusals
	}
	return Explained
}

// told asks for the causes, and gives the analysis away.
func (s *study) told(ctx context.Context) (*Analysis, error) {
	a := &s.Analysis
	if s.inquiry == nil || a.Unexplained != Explained && !s.options.Decide {
		return a, nil
	}
	in := s.inquiry
	for _, p := range s.cfg.ActivePolicies() {
		if !slices.Contains(in.leftOut, p.Name) {
			a.Policies = append(a.Policies, p.Name)
		}
	}
	a.Read.leave(in.leftOut...)
	pool := s.pool()
	for _, d := range in.decisions {
		if s.wanted(&d) {
			a.Decisions = append(a.Decisions, d)
		}
	}
	a.Dropped, a.Stats = in.dropped, in.detector.Stats()
	if a.Unexplained == NoOpenings || a.Unexplained == NoDurations {
		return a, nil
	}
	var err error
	if a.Pools, a.Unsized, err = in.whole(ctx, pool, s.from, s.to, s.options.Question); err != nil {
		return a, err
	}
	if a.Unaccused, err = in.unaccused(a.Read, a.Pools); err != nil {
		return a, err
	}
	return a, ctx.Err()
}

// pool is the one that counts, empty if all do.
func (s *study) pool() string {
	if s.options.Service == "" {
		return ""
	}
	return s.pools.of(s.options.Service)
}

// wanted reports whether a decision is in force in the time that counts, if
// only at its beginning, and of a pool that counts.
func (s *study) wanted(d *detector.Decision) bool {
	pool := s.pool()
	began := s.to.IsZero() || !d.At.After(s.to)
	lasts := s.from.IsZero() || !d.At.Before(s.from) || d.Duration == 0 || d.At.Add(d.Duration).After(s.from)
	return began && lasts && (pool == "" || d.Evidence.Pool == pool)
}

// servicePools knows which pool a service takes its threads from.
type servicePools map[string]string

func (p *servicePools) observe(e *connlog.Event) {
	if e.Kind != connlog.Start {
		return
	}
	for i := range e.Services {
		if s := &e.Services[i]; s.Pool != "" && len(*p) < maxServices {
			if *p == nil {
				*p = servicePools{}
			}
			(*p)[s.Service] = s.Pool
		}
	}
}

func (p servicePools) of(service string) string {
	if pool, ok := p[service]; ok {
		return pool
	}
	return service
}
