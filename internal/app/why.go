package app

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"overstay/banlist"
	"overstay/connlog"
	"overstay/connlog/bulk"
	"overstay/connlog/formats"
	"overstay/detector"
	"overstay/detector/cause"
	"overstay/detector/loss"
)

// WhyOptions say what is to be explained.
type WhyOptions struct {
	// Logs to read. Without any, the log of the configuration is read back.
	Logs Logs
	// Pool to look at; empty: all.
	Pool string
	// From and To bound the time that is looked at. Without both it is the
	// last stretch with refusals.
	From, To Moment
	// Last is how far the log is read back, ReadBack if zero, counted from its
	// end. Of files, only so much of the end is looked at.
	Last time.Duration
	// Question for the replay.
	Question loss.Question
}

// Why is why a server told clients that it is too busy.
type Why struct {
	Read LogsRead
	// From and To are the time that was looked at.
	From, To time.Time
	// Reports, one for the last stretch with refusals, or one for each pool
	// where a time was asked for or nothing was refused.
	Reports []*cause.Report
	// Earlier stretches with refusals, in the time that was looked at.
	Earlier []cause.Stretch
	// Allowed sources: the policies found them, but they are on the allow
	// list, so they count as clients.
	Allowed []netip.Prefix
	// Unaccused sources, that caused much and are no suspects.
	Unaccused []Unaccused
	// Waiting suggestions on the list.
	Waiting int
}

// Verdict is the worst of the reports'.
func (w *Why) Verdict() loss.Verdict {
	if r := cause.Worst(w.Reports...); r != nil {
		return r.Verdict()
	}
	return loss.Healthy
}

// Attack reports whether an attack is a cause, if not the only one, in any
// pool.
func (w *Why) Attack() bool { return attackIn(w.Reports) }

// What can be wrong with what was asked.
var (
	// ErrMomentOrder is a From that is not before To.
	ErrMomentOrder = errors.New("the beginning is not before the end")
)

// NoPoolError is a pool that the log does not tell of.
type NoPoolError struct {
	Name  string
	Known []string
}

func (e *NoPoolError) Error() string {
	return fmt.Sprintf("the log tells of no pool %q; it has %s", e.Name, strings.Join(e.Known, ", "))
}

// UnsizedError is a pool whose size no line of the log tells, so that nothing
// can be said of when it was full.
type UnsizedError struct{ Pool string }

func (e *UnsizedError) Error() string {
	return fmt.Sprintf("the log does not tell how many threads %s has", e.Pool)
}

// unsized reports whether the size of a pool is not known.
func (in *inquiry) unsized(pool string) bool {
	return slices.ContainsFunc(in.detector.Pools(), func(p detector.PoolState) bool { return p.Name == pool && p.Threads == 0 })
}

// OutOfRangeError is a time of which the log says nothing.
type OutOfRangeError struct{ From, To time.Time }

func (e *OutOfRangeError) Error() string { return "the log has nothing of that time" }

// ExplainWhy says why clients were refused.
func ExplainWhy(ctx context.Context, cfg *Config, o WhyOptions) (*Why, error) {
	w := &Why{}
	o.Question.Over = func() bool { return ctx.Err() != nil }
	allowed, waiting, err := cfg.allowList(ctx)
	if err != nil && o.Logs.Logger != nil {
		// The log can be explained without it.
		o.Logs.Logger.Warn("allow list not read: who is on it may be suspected", "error", err)
	}
	w.Waiting = waiting
	var in *inquiry
	w.Read, err = cfg.readFor(ctx, o, func(gives formats.Gives) (_ func(*connlog.Event), err error) {
		if in, err = cfg.newInquiry(true, gives); err != nil {
			return nil, err
		}
		in.allowed = allowed
		return in.observe, nil
	})
	if err != nil {
		return nil, err
	}
	w.Read.leave(in.leftOut...)
	pools, err := in.poolsNamed(o.Pool)
	if err != nil {
		return nil, err
	}
	if w.From, w.To, err = o.span(w.Read); err != nil {
		return nil, err
	}
	w.Allowed = in.spared
	stretches, err := in.toExplain(w, o, pools)
	if err != nil {
		return nil, err
	}
	for _, s := range stretches {
		if in.unsized(s.Pool) {
			return nil, &UnsizedError{Pool: s.Pool}
		}
		r, err := in.recorder.Report(s, o.Question)
		if err != nil {
			return nil, fmt.Errorf("pool %s: %w", s.Pool, err)
		}
		w.Reports = append(w.Reports, r)
	}
	if w.Unaccused, err = in.unaccused(w.Read, w.Reports); err != nil {
		return nil, err
	}
	return w, ctx.Err()
}

// toExplain picks the stretches to report on: each pool's whole time where one
// was asked for, else the last one with refusals, else each pool's again.
func (in *inquiry) toExplain(w *Why, o WhyOptions, pools []string) ([]cause.Stretch, error) {
	refusing := slices.DeleteFunc(in.recorder.Stretches(), func(s cause.Stretch) bool {
		return !slices.Contains(pools, s.Pool) || o.Last > 0 && s.To.Before(w.From)
	})
	ranged := !o.From.IsZero() || !o.To.IsZero()
	if n := len(refusing); n > 0 && !ranged {
		last := n - 1
		// That which ended last, if it is among them. Its time alone does not say
		// so, where a clock was set back.
		if s, ok := in.recorder.Last(); ok {
			if i := slices.Index(refusing, s); i >= 0 {
				last = i
			}
		}
		w.Earlier = slices.Delete(slices.Clone(refusing), last, last+1)
		return refusing[last : last+1], nil
	}
	from, to := w.From, w.To
	if !ranged && o.Last == 0 {
		from, to = time.Time{}, time.Time{} // All of it, whatever its clock did.
	}
	var whole []cause.Stretch
	for _, pool := range pools {
		if s, ok := in.recorder.Whole(pool, from, to); ok {
			whole = append(whole, s)
		}
	}
	if ranged && len(whole) == 0 {
		return nil, &OutOfRangeError{From: w.Read.From, To: w.Read.To}
	}
	return whole, nil
}

// poolsNamed returns the pool of that name, or all for an empty one.
func (in *inquiry) poolsNamed(name string) ([]string, error) {
	var all []string
	for _, p := range in.detector.Pools() {
		all = append(all, p.Name)
	}
	if name == "" {
		return all, nil
	}
	if !slices.Contains(all, name) {
		return nil, &NoPoolError{Name: name, Known: all}
	}
	return []string{name}, nil
}

// span is the time that is looked at of a log.
func (o WhyOptions) span(read LogsRead) (from, to time.Time, err error) {
	from, to = read.From, read.To
	if o.Last > 0 && read.To.Add(-o.Last).After(from) {
		from = read.To.Add(-o.Last)
	}
	if !o.From.IsZero() {
		from = o.From.At(read.To)
	}
	if !o.To.IsZero() {
		to = o.To.AtEnd(o.From, read.To)
	}
	if !o.From.IsZero() && o.To.IsZero() && from.After(read.To) {
		return from, to, &OutOfRangeError{From: read.From, To: read.To}
	}
	// A time of day that is before From is that of the next day, but not if
	// there was no such day yet.
	if before := to.AddDate(0, 0, -1); o.To.kind == ofDay && to.Sub(read.To) > 12*time.Hour && !before.After(from) {
		to = before
	}
	if err := o.inOrder(from, to); err != nil {
		return from, to, err
	}
	if to.Before(read.From) || from.After(read.To) {
		return from, to, &OutOfRangeError{From: read.From, To: read.To}
	}
	return from, to, nil
}

// inOrder refuses a time that ends before it begins.
func (o WhyOptions) inOrder(from, to time.Time) error {
	if o.From.IsZero() && o.To.IsZero() || from.IsZero() || to.IsZero() || from.Before(to) {
		return nil
	}
	return fmt.Errorf("%w: %s to %s", ErrMomentOrder, from.Format(time.RFC3339), to.Format(time.RFC3339))
}

// leadIn is how much of the log before the time in question is read, for
// averages and for holding times to be known.
const leadIn = 15 * time.Minute

// readFor reads the logs that are named, or reads the configuration's back.
func (c *Config) readFor(ctx context.Context, o WhyOptions, begin judging) (LogsRead, error) {
	if len(o.Logs.Paths) > 0 {
		return o.Logs.read(ctx, begin)
	}
	event, err := begin(formats.Gives{Opens: true, Durations: true, Outcomes: true, Refusals: true})
	if err != nil {
		return LogsRead{}, err
	}
	now := time.Now()
	back := o.Last
	if back == 0 {
		back = time.Duration(c.Detector.ReadBack)
	}
	since := now.Add(-back)
	if !o.From.IsZero() && o.From.earliest(now).Before(since) {
		since = o.From.earliest(now)
	}
	if !o.To.IsZero() && o.To.earliest(now).Before(since) {
		since = o.To.earliest(now)
	}
	return o.Logs.readBack(ctx, c.Path(c.Log.Path), since.Add(-leadIn), event)
}

// readBack reads a live log, its rotated files too, from since to its present
// end.
func (l Logs) readBack(ctx context.Context, path string, since time.Time, event func(*connlog.Event)) (LogsRead, error) {
	if err := regular(path); err != nil {
		return LogsRead{}, fmt.Errorf("connection log: %w", err)
	}
	reading, stop := context.WithCancel(ctx)
	defer stop()
	read := LogsRead{Files: 1}
	if own, ok := formats.ByName(bulk.Native); ok {
		read.Gives = own.Gives
	}
	err := observe(reading, path, observation{
		since:  since,
		logger: l.Logger,
		event: func(e *connlog.Event, _ bool) {
			read.Lines++
			read.spans(e.Time)
			event(e)
		},
		skip: func() { read.Lines++; read.Malformed++ },
		live: stop,
	})
	switch {
	case err != nil:
		return read, err
	case ctx.Err() != nil:
		return read, ctx.Err()
	case read.From.IsZero():
		return read, &NoEventsError{Lines: read.Lines}
	}
	return read, nil
}

// allowList returns what is on the allow list, and how many suggestions wait;
// what the configuration allows alone if there is no list.
func (c *Config) allowList(ctx context.Context) (allowed []netip.Prefix, waiting int, err error) {
	err = c.withList(ctx, func(list *banlist.List) error {
		all, err := list.Allowed(ctx)
		for _, a := range all {
			allowed = append(allowed, a.Prefix)
		}
		if err != nil {
			return err
		}
		suggested, err := list.Bans(ctx, banlist.Filter{States: []banlist.State{banlist.Suggested}})
		waiting = len(suggested)
		return err
	})
	for _, source := range c.List.Allow {
		allowed = append(allowed, netip.Prefix(source))
	}
	return allowed, waiting, err
}

// withList asks the list of the configuration, if there is one.
func (c *Config) withList(ctx context.Context, ask func(*banlist.List) error) error {
	path := c.Path(c.List.Path)
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	list, err := banlist.Open(ctx, path, banlist.Options{Lazy: true})
	if err != nil {
		return err
	}
	return errors.Join(ask(list), list.Close())
}
