package app

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"overstay/banlist"
	"overstay/detector"
)

// Suggested is what became of a decision that was made about a finished log.
type Suggested struct {
	Decision detector.Decision
	Result   banlist.Result
	// Guarded, if not nil, is whom a policy must never ban: that kept the
	// decision from the list, or the decision is about the rest of a net.
	Guarded *Guarded
}

// Suggest puts decisions on the list of the configuration as suggestions,
// bans too: what is in a finished log may be long ago, and a person is to look
// at it. The allow list, guards and earlier rejections hold as for Detect.
func Suggest(ctx context.Context, cfg *Config, decisions []detector.Decision, now time.Time, logger *slog.Logger) (all []Suggested, err error) {
	if len(decisions) == 0 {
		return nil, nil
	}
	list, err := cfg.openList(ctx, logger)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, list.Close()) }()
	guards := cfg.newGuards(DetectOptions{
		Logger:  slog.New(slog.DiscardHandler), // What they do is in the result.
		Guarded: func(g Guarded) { all = append(all, Suggested{Decision: g.Decision, Guarded: &g}) },
	})
	passed, err := guards.pass(decisions, now)
	if err != nil {
		return nil, err
	}
	bans := make([]banlist.Ban, 0, len(passed))
	for i := range passed {
		b := asBan(&passed[i])
		b.State, b.Decided = banlist.Suggested, now // A suggestion waits from when it is made.
		bans = append(bans, b)
	}
	results, err := list.Decide(ctx, bans)
	if err != nil {
		return nil, err
	}
	for i, r := range results {
		all = append(all, Suggested{Decision: passed[i], Result: r})
	}
	return all, nil
}
