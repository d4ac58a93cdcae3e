package app

import (
	"context"
	"slices"
	"time"

	"overstay/connlog"
	"overstay/connlog/formats"
	"overstay/detector"
	"overstay/detector/cause"
	"overstay/detector/loss"
)

// PolicyDiff is what changes on a log when one set of policies takes the place
// of another.
type PolicyDiff struct {
	Read LogsRead
	// Decisions that only one of the two makes.
	OnlyOld, OnlyNew []Unmatched
	// Changed decisions are made by both, but not the same.
	Changed []Changed
	// Same is how many are the same in everything but their id.
	Same int
	// Pools that were told of, with what either would have averted.
	Pools []PoolDiff
	// Dropped decisions, beyond those that are kept.
	Dropped int
}

// Unmatched is a decision that the other set does not make.
type Unmatched struct {
	Decision detector.Decision
	// Within is a decision of the other set that covers the source at that
	// time, as one about its net does.
	Within *detector.Decision
}

// Changed is a decision that both make, about the same source at about the
// same time.
type Changed struct {
	Old, New detector.Decision
	What     []string // at, duration, action, policy, services
}

// PoolDiff is what the two would have averted in one pool.
type PoolDiff struct {
	Pool     string
	Refused  uint64 // in the log
	Old, New *cause.Report
}

// Equal reports whether the two decide the same.
func (d *PolicyDiff) Equal() bool {
	return len(d.OnlyOld)+len(d.OnlyNew)+len(d.Changed) == 0
}

// DiffPolicies applies the policies of two configurations to the same logs, in
// one reading.
func DiffPolicies(ctx context.Context, before, after *Config, logs Logs, q loss.Question) (_ *PolicyDiff, err error) {
	d := &PolicyDiff{}
	var one, two *inquiry
	d.Read, err = logs.read(ctx, func(gives formats.Gives) (_ func(*connlog.Event), err error) {
		if one, err = before.newInquiry(false, gives); err != nil {
			return nil, err
		}
		if two, err = after.newInquiry(false, gives); err != nil {
			return nil, err
		}
		return func(e *connlog.Event) {
			one.observe(e)
			two.observe(e)
		}, nil
	})
	if err != nil {
		return nil, err
	}
	d.Read.leave(slices.Concat(one.leftOut, two.leftOut)...)
	d.Dropped = one.dropped + two.dropped
	d.match(one.decisions, two.decisions)
	return d, d.averted(ctx, one, two, q)
}

// match pairs decisions about the same source whose bans overlap in time, the
// earliest first.
func (d *PolicyDiff) match(before, after []detector.Decision) {
	pairs := pairsOf(before, after)
	taken := make([]bool, len(after))
	for i, k := range pairs {
		if k < 0 {
			d.OnlyOld = append(d.OnlyOld, Unmatched{Decision: before[i]})
			continue
		}
		taken[k] = true
		if what := differences(&before[i], &after[k]); len(what) > 0 {
			d.Changed = append(d.Changed, Changed{Old: before[i], New: after[k], What: what})
		} else {
			d.Same++
		}
	}
	for k := range after {
		if !taken[k] {
			d.OnlyNew = append(d.OnlyNew, Unmatched{Decision: after[k]})
		}
	}
	within(d.OnlyOld, after)
	within(d.OnlyNew, before)
}

// overlap reports whether there is a moment in the bans of both.
func overlap(a, b *detector.Decision) bool {
	return a.At.Before(b.At.Add(b.Duration)) && b.At.Before(a.At.Add(a.Duration))
}

// differences names what is not the same in two decisions about one source.
func differences(a, b *detector.Decision) []string {
	var what []string
	for _, one := range []struct {
		name string
		same bool
	}{
		{"at", a.At.Equal(b.At)},
		{"duration", a.Duration == b.Duration},
		{"action", a.Action == b.Action},
		{"policy", a.Policy == b.Policy},
		{"services", slices.Equal(a.Services, b.Services)},
	} {
		if !one.same {
			what = append(what, one.name)
		}
	}
	return what
}

// averted asks for each pool what either set would have averted.
func (d *PolicyDiff) averted(ctx context.Context, one, two *inquiry, q loss.Question) error {
	before, _, err := one.whole(ctx, "", time.Time{}, time.Time{}, q)
	if err != nil {
		return err
	}
	after, _, err := two.whole(ctx, "", time.Time{}, time.Time{}, q)
	if err != nil {
		return err
	}
	for i := range min(len(before), len(after)) { // The same log: the same pools.
		d.Pools = append(d.Pools, PoolDiff{
			Pool: before[i].Pool, Refused: before[i].Refused, Old: before[i], New: after[i],
		})
	}
	return nil
}
