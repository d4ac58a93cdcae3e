package app

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"overstay/banlist"
	"overstay/connlog"
	"overstay/detector"
)

// Decided is what the detector decided, and what the list made of it.
type Decided struct {
	Decision detector.Decision
	Result   banlist.Result
}

// DetectOptions say who is told what Detect does.
type DetectOptions struct {
	Logger *slog.Logger
	// Decided is told of each decision that says something new.
	Decided func(Decided)
	// Guarded is told of each decision that would have hit whom a policy must
	// never ban.
	Guarded func(Guarded)
	// Live is called once, when the log has been read to its present end.
	Live func(detector.Stats)
}

// Detect follows the log at path, and puts what the policies decide on the
// list of the configuration, until ctx ends.
func Detect(ctx context.Context, cfg *Config, path string, o DetectOptions) error {
	list, err := cfg.openList(ctx, o.Logger)
	if err != nil {
		return err
	}
	defer closing(o.Logger, "list", list.Close)
	return cfg.detect(ctx, list, path, o)
}

// openList opens the list as a process does that stays, and puts the allow
// list of the configuration on it.
func (c *Config) openList(ctx context.Context, logger *slog.Logger) (*banlist.List, error) {
	list, err := banlist.Open(ctx, c.Path(c.List.Path), banlist.Options{Logger: logger})
	if err != nil {
		return nil, err
	}
	if err := c.allow(ctx, list); err != nil {
		closing(logger, "list", list.Close)
		return nil, err
	}
	return list, nil
}

// decider takes decisions: the list, or a test's.
type decider interface {
	Decide(ctx context.Context, decisions []banlist.Ban) ([]banlist.Result, error)
}

// detection carries decisions from the detector to the list.
type detection struct {
	detector *detector.Detector
	list     decider
	guards   *guards
	options  DetectOptions

	pending []detector.Decision // not on the list yet, the oldest first
	failing bool                // whether the list refused the last attempt
	dropped int                 // since the list could be written the last time
}

// maxPending bounds what waits for a list that cannot be written. A detector
// makes few decisions; so many are a day of attacks.
const maxPending = 100_000

// batch is how many decisions are put on the list at once while the log's past
// is read.
const batch = 256

// detect runs a detector on the log at path, with an open list.
func (c *Config) detect(ctx context.Context, list *banlist.List, path string, o DetectOptions) error {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	det, err := c.newDetector(ctx, list)
	if err != nil {
		return err
	}
	d := &detection{detector: det, list: list, guards: c.newGuards(o), options: o}
	err = observe(ctx, path, observation{
		since:  time.Now().Add(-time.Duration(c.Detector.ReadBack)),
		logger: o.Logger,
		event: func(e *connlog.Event, live bool) {
			d.take(d.detector.Observe(e))
			if len(d.pending) >= batch || live && len(d.pending) > 0 {
				d.apply(ctx)
			}
		},
		live: func() {
			d.apply(ctx)
			if o.Live != nil {
				o.Live(d.detector.Stats())
			}
		},
	})
	// What was decided by the last lines is put on the list even if the end of
	// ctx is why there are no more.
	d.apply(context.WithoutCancel(ctx))
	return err
}

// take keeps decisions until they are on the list. The slice is the
// detector's, so it is copied.
func (d *detection) take(decisions []detector.Decision) {
	if room := maxPending - len(d.pending); len(decisions) > room {
		if d.dropped == 0 { // How many it were is said in the end.
			d.options.Logger.Error("decisions are dropped: too many wait for the list", "waiting", maxPending)
		}
		d.dropped += len(decisions) - room
		decisions = decisions[:room]
	}
	d.pending = append(d.pending, decisions...)
}

// apply puts the pending decisions on the list. If that fails they stay, and
// the next line of the log tries again.
func (d *detection) apply(ctx context.Context) {
	if len(d.pending) == 0 {
		return
	}
	decisions, err := d.guards.pass(d.pending, time.Now())
	if err != nil {
		return // Better no ban than one of ourselves.
	}
	d.pending = decisions
	if len(decisions) == 0 {
		return
	}
	bans := make([]banlist.Ban, 0, len(decisions))
	for i := range decisions {
		bans = append(bans, asBan(&decisions[i]))
	}
	results, err := d.list.Decide(ctx, bans)
	if err != nil {
		if !d.failing {
			d.options.Logger.Error("decisions wait for the list", "waiting", len(d.pending), "error", err)
		}
		d.failing = true
		return
	}
	if d.dropped > 0 {
		d.options.Logger.Error("decisions were dropped", "dropped", d.dropped)
	}
	d.failing, d.dropped = false, 0
	d.tell(decisions, results)
	d.pending = d.pending[:0]
}

// tell passes on what the list made of the decisions.
func (d *detection) tell(decisions []detector.Decision, results []banlist.Result) {
	for i, r := range results {
		d.options.Logger.Debug("decision", "policy", decisions[i].Policy, "source", decisions[i].Source, "id", decisions[i].ID, "outcome", r.Outcome)
		if r.Err != nil {
			d.options.Logger.Error("decision refused by the list", "source", decisions[i].Source, "error", r.Err)
		}
		if r.New() && d.options.Decided != nil {
			d.options.Decided(Decided{Decision: decisions[i], Result: r})
		}
	}
}

// asBan writes a decision as an entry of the list.
func asBan(d *detector.Decision) banlist.Ban {
	b := banlist.Ban{
		ID:       d.ID,
		Prefix:   d.Source,
		Services: d.Services,
		State:    banlist.Active,
		Reason:   d.Policy,
		Origin:   banlist.OriginPolicy + d.Policy,
		Decided:  d.At,
		Duration: d.Duration,
	}
	if d.Action == detector.Suggest {
		b.State = banlist.Suggested
	}
	// Evidence is plain numbers and text: it always has a JSON form, and a ban
	// without it is better than none.
	b.Evidence, _ = json.Marshal(d.Evidence)
	return b
}

// closing closes something at the end of its use, and says so if it fails.
func closing(logger *slog.Logger, what string, closeIt func() error) {
	if err := closeIt(); err != nil && logger != nil {
		logger.Error("close", "what", what, "error", err)
	}
}
