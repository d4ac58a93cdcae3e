package app

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"overstay/connlog"
	"overstay/detector"
	"overstay/detector/cause"
	"overstay/detector/loss"
)

// Analysis is what policies do with a finished log.
type Analysis struct {
	Read      LogsRead
	Policies  []string // by name
	Decisions []detector.Decision
	// Dropped decisions, beyond those that are kept.
	Dropped int
	// Pools says of each pool what its refusals came from, and what the bans,
	// each from its decision to its end, would have averted.
	Pools []*cause.Report
	// Unaccused sources, that caused much and that no policy found.
	Unaccused []Unaccused
	Stats     detector.Stats
}

// Analyze applies the policies in force to finished logs. Its decisions are
// those that Detect makes on the same lines with an empty list: what the list,
// the allow list and this machine's own addresses would make of them is not
// in it.
func Analyze(ctx context.Context, cfg *Config, logs Logs, q loss.Question) (*Analysis, error) {
	in, err := cfg.newInquiry(false)
	if err != nil {
		return nil, err
	}
	read, err := logs.read(ctx, in.observe)
	if err != nil {
		return nil, err
	}
	a := &Analysis{Read: read, Decisions: in.decisions, Dropped: in.dropped, Stats: in.detector.Stats()}
	for _, p := range cfg.ActivePolicies() {
		a.Policies = append(a.Policies, p.Name)
	}
	if a.Pools, err = in.whole(ctx, q); err != nil {
		return a, err
	}
	a.Unaccused, err = in.unaccused(a.Read, a.Pools)
	return a, err
}

// inquiry feeds a log to a detector, and to a recorder that can tell afterwards
// what would have been.
type inquiry struct {
	detector  *detector.Detector
	recorder  *cause.Recorder
	decisions []detector.Decision
	dropped   int

	allowed []netip.Prefix // sources that are no suspects whatever they do
	spared  []netip.Prefix // of these, those that a policy found
	only    netip.Prefix   // if valid, the one suspect, whatever is decided
}

// maxDecisions bounds the decisions that are kept of a log: a policy may be
// one that suspects everybody.
const maxDecisions = 100_000

// newInquiry returns an inquiry with the policies in force. With somebody set
// and no policy in force, the built-in ones name the suspects.
func (c *Config) newInquiry(somebody bool) (*inquiry, error) {
	o := c.detectorOptions()
	if somebody && len(o.Policies) == 0 {
		o.Policies = detector.DefaultPolicies()
	}
	det, err := detector.New(o)
	if err != nil {
		return nil, err
	}
	return &inquiry{detector: det, recorder: cause.New(cause.Options{})}, nil
}

// observe takes in one line of the log.
func (in *inquiry) observe(e *connlog.Event) {
	in.recorder.Observe(e)
	for _, d := range in.detector.Observe(e) {
		if len(in.decisions) >= maxDecisions {
			in.dropped++
			continue
		}
		in.decisions = append(in.decisions, d)
		if in.only.IsValid() {
			continue
		}
		if slices.ContainsFunc(in.allowed, func(p netip.Prefix) bool { return covers(p, d.Source) }) {
			if !slices.Contains(in.spared, d.Source) {
				in.spared = append(in.spared, d.Source)
			}
			continue
		}
		in.recorder.Suspect(suspect(&d))
	}
}

// covers reports whether all of inner lies in outer.
func covers(outer, inner netip.Prefix) bool {
	return outer.Bits() <= inner.Bits() && outer.Contains(inner.Addr())
}

// suspect is the source of a decision, with the time its ban would last.
func suspect(d *detector.Decision) cause.Suspect {
	return cause.Suspect{Source: d.Source, Policy: d.Policy, At: d.At, Until: d.At.Add(d.Duration), Services: d.Services}
}

// whole reports on each pool for the whole time of the log.
func (in *inquiry) whole(ctx context.Context, q loss.Question) ([]*cause.Report, error) {
	var reports []*cause.Report
	for _, p := range in.detector.Pools() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		s, ok := in.recorder.Whole(p.Name, time.Time{}, time.Time{})
		if !ok {
			continue
		}
		r, err := in.recorder.Report(s, q)
		if err != nil {
			return nil, err
		}
		reports = append(reports, r)
	}
	return reports, nil
}
