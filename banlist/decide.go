package banlist

import (
	"context"
	"fmt"
	"net/netip"
	"time"
)

// Outcome is what became of a decision.
type Outcome string

// What can become of a decision.
const (
	Banned    Outcome = "banned"    // a new ban is in force
	Waiting   Outcome = "suggested" // a new suggestion waits for a person
	Activated Outcome = "activated" // a waiting suggestion became this ban
	Extended  Outcome = "extended"  // the ban that is there ends later now
	Standing  Outcome = "standing"  // the ban or suggestion that is there says it already
	Known     Outcome = "known"     // the same decision was seen before
	Exempt    Outcome = "exempt"    // the allow list covers its prefix
	Quiet     Outcome = "quiet"     // a person rejected the like a while ago
	Past      Outcome = "past"      // its time was over before it came
	Refused   Outcome = "refused"   // it is not a valid entry, or the list is full
)

// Result says what became of one decision.
type Result struct {
	Outcome Outcome
	// Ban is the entry that answers the decision, as it stands now. It is
	// zero when there is none: for Exempt, Quiet, Refused, and for Known when
	// it was one of these before.
	Ban Ban
	// Allowed is the prefix on the allow list, for Exempt.
	Allowed netip.Prefix
	// Err says why, for Refused.
	Err error
}

// New reports whether the list says something it did not say before: someone
// is banned, banned for longer, or suggested.
func (r Result) New() bool {
	switch r.Outcome {
	case Banned, Waiting, Activated, Extended:
		return true
	}
	return false
}

// Decide takes the decisions of a detector, in one transaction, and returns
// what became of each, in their order. State says what is decided: Active for
// a ban, Suggested for a suggestion. ID, Prefix, Origin and Decided must be
// set; Expires follows from Decided and Duration.
//
// An id decides once: what it led to is not repeated, whatever became of it
// since. A decision that is not valid is refused by itself; an error means
// that none was taken.
func (l *List) Decide(ctx context.Context, decisions []Ban) ([]Result, error) {
	var results []Result
	err := l.write(ctx, func(t *tx) error {
		results = make([]Result, 0, len(decisions))
		for _, d := range decisions {
			r, err := t.decide(d, l.options.SuggestionTTL, false)
			if err != nil {
				return err
			}
			results = append(results, r)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return results, nil
}

// decide takes one decision. A suggestion waits for ttl.
func (t *tx) decide(d Ban, ttl time.Duration, force bool) (Result, error) {
	d, err := d.normal(force)
	if err == nil && (d.State != Active && d.State != Suggested || d.Decided.IsZero()) {
		err = fmt.Errorf("%w: a decision in state %q of %v", ErrInvalid, d.State, d.Decided)
	}
	if err != nil {
		return Result{Outcome: Refused, Err: err}, nil
	}
	known, beside, err := t.glance(d.ID, d.Prefix)
	if err != nil {
		return Result{}, err
	}
	if known {
		b, err := t.answered(d.ID)
		return Result{Outcome: Known, Ban: b}, err
	}
	if over, ok, err := t.allowedOver(d.Prefix); err != nil {
		return Result{}, err
	} else if ok {
		return Result{Outcome: Exempt, Allowed: over}, t.merge(d.ID, "")
	}
	d.Created, d.QuietUntil = t.now, time.Time{}
	d.Expires = endOf(d.Decided, d.Duration)
	if d.State == Suggested {
		d.Expires = d.Decided.Add(ttl)
	}
	if over(d.Expires, t.now) {
		d.State = Expired
		return Result{Outcome: Past, Ban: d}, t.insert(d, d.Origin)
	}
	if beside {
		if r, ok, err := t.decideBeside(d); ok || err != nil {
			return r, err
		}
	}
	if t.room <= 0 {
		return Result{Outcome: Refused, Err: ErrFull}, nil
	}
	r := Result{Outcome: Banned, Ban: d}
	if d.State == Suggested {
		r.Outcome = Waiting
	}
	return r, t.insert(d, d.Origin)
}

// decideBeside answers a decision by the entries of the same prefix, if they
// do. What they say is weighed in this order: a ban in force, a rejection that
// still holds, a suggestion that waits.
func (t *tx) decideBeside(d Ban) (Result, bool, error) {
	beside, err := t.beside(d.Prefix)
	if err != nil {
		return Result{}, false, err
	}
	for _, b := range beside {
		if !b.blocks(t.now) || !b.coversAll(d.Services) {
			continue
		}
		if d.State == Suggested || !endsLater(d.Expires, b.Expires) {
			return Result{Outcome: Standing, Ban: b}, true, t.merge(d.ID, b.ID)
		}
		b.Decided, b.Duration, b.Expires = d.Decided, d.Duration, d.Expires
		if err := t.update(b, Active, t.now, Act{By: d.Origin, Reason: d.Reason}); err != nil {
			return Result{}, false, err
		}
		return Result{Outcome: Extended, Ban: b}, true, t.merge(d.ID, b.ID)
	}
	for _, b := range beside {
		if b.State == Rejected && b.Origin == d.Origin && d.Decided.Before(b.QuietUntil) {
			return Result{Outcome: Quiet}, true, t.merge(d.ID, "")
		}
	}
	for _, b := range beside {
		if b.State != Suggested || over(b.Expires, t.now) || !b.coversAll(d.Services) {
			continue
		}
		if d.State == Suggested {
			return Result{Outcome: Standing, Ban: b}, true, t.merge(d.ID, b.ID)
		}
		now := d // What is decided now, under the id of the suggestion.
		now.ID, now.Created, now.Services = b.ID, b.Created, b.Services
		if err := t.update(now, Suggested, t.now, Act{By: d.Origin, Reason: d.Reason}); err != nil {
			return Result{}, false, err
		}
		return Result{Outcome: Activated, Ban: now}, true, t.merge(d.ID, b.ID)
	}
	return Result{}, false, nil
}

// beside returns the entries of exactly this prefix that can answer a new
// one, the oldest first.
func (t *tx) beside(p netip.Prefix) ([]Ban, error) {
	return t.bans("SELECT"+banColumns+`FROM ban
		WHERE key = ? AND state IN ('active', 'suggested', 'rejected') ORDER BY row`, keyOf(p))
}
