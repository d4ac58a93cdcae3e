package app

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"overstay/connlog"
	"overstay/connlog/formats"
	"overstay/detector"
	"overstay/detector/cause"
	"overstay/detector/loss"
)

// inquiry feeds a log to a detector, and to a recorder that can tell afterwards
// what would have been.
type inquiry struct {
	detector  *detector.Detector
	recorder  *cause.Recorder
	decisions []detector.Decision
	dropped   int
	leftOut   []string // policies that cannot be applied to the log

	allowed []netip.Prefix // sources that are no suspects whatever they do
	spared  []netip.Prefix // of these, those that a policy found
	only    netip.Prefix   // if valid, the one suspect, whatever is decided
}

// maxDecisions bounds the decisions that are kept of a log: a policy may be
// one that suspects everybody.
const maxDecisions = 100_000

// newInquiry returns an inquiry with those of the policies in force that can be
// applied to logs that tell so much. With somebody set and no policy in force,
// the built-in ones name the suspects.
func (c *Config) newInquiry(somebody bool, gives formats.Gives) (*inquiry, error) {
	o := c.detectorOptions()
	if somebody && len(o.Policies) == 0 {
		o.Policies = detector.DefaultPolicies()
	}
	var leftOut []string
	o.Policies, leftOut = sighted(o.Policies, gives)
	det, err := detector.New(o)
	if err != nil {
		return nil, err
	}
	return &inquiry{detector: det, recorder: cause.New(cause.Options{}), leftOut: leftOut}, nil
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

// whole reports on each pool, or on the only one, for all of a time; a zero time
// is no bound. Pools whose size the log does not tell cannot be replayed.
func (in *inquiry) whole(ctx context.Context, only string, from, to time.Time, q loss.Question) (reports []*cause.Report, unsized []string, err error) {
	for _, p := range in.detector.Pools() {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		if only != "" && p.Name != only {
			continue
		}
		s, ok := in.recorder.Whole(p.Name, from, to)
		if !ok {
			continue
		}
		if p.Threads == 0 {
			unsized = append(unsized, p.Name)
			continue
		}
		q.Over = func() bool { return ctx.Err() != nil }
		r, err := in.recorder.Report(s, q)
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, nil, err
		}
		reports = append(reports, r)
	}
	return reports, unsized, nil
}

// attackIn reports whether an attack is a cause, if not the only one, in any
// pool.
func attackIn(reports []*cause.Report) bool {
	return slices.ContainsFunc(reports, func(r *cause.Report) bool {
		f := r.Diagnosis.Finding
		return f.Verdict == loss.Attack || f.Verdict == loss.Mixed && slices.Contains(f.Also, loss.Attack)
	})
}
