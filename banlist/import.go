package banlist

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"
)

const (
	// importBatch bounds one transaction of an import. Between two, other
	// processes get their turn.
	importBatch = 2000
	importPause = 2 * time.Millisecond
	// maxImportErrors is how many bad lines are returned with their reason.
	maxImportErrors = 100
)

// ImportOptions of List.Import.
type ImportOptions struct {
	// Origin of bans that have none: "import:" and the name of the file.
	Origin string
	// By is who imports; it goes into the history.
	By string
	// Services and Duration of bans that come without a decision of their
	// own, as from a text list.
	Services []string
	Duration time.Duration
	// Force takes also what is wider than /8 (IPv4) or /16 (IPv6).
	Force bool
	// Skip leaves bad lines out, instead of importing nothing.
	Skip bool
}

// ImportResult says what an import did.
type ImportResult struct {
	Outcomes map[Outcome]int // of the bans, by what became of them
	Allowed  int             // entries of the allow list
	Lifted   int             // bans that these ended
	Skipped  int             // bad lines, with Skip
	// Errors are the first hundred of the bad lines.
	Errors []*LineError
}

// Import takes the items of ParseText, ParseInverted or ParseJSON. Nothing is
// imported if a line is bad, unless Skip is set; then the error joins what is
// wrong with the first hundred. The allow list goes first. A ban that comes
// without an id is taken as a decision of now, and one that is there already
// is left as it is or extended; an entry with an id is restored as it was,
// unless the id is known.
//
// A long import is done in several transactions. If one fails, what is
// imported by then stays, and the same import can be done again.
func (l *List) Import(ctx context.Context, items iter.Seq2[Item, error], o ImportOptions) (ImportResult, error) {
	res := ImportResult{Outcomes: map[Outcome]int{}}
	allowed, bans, err := l.gather(items, o, &res)
	if err != nil {
		return res, err
	}
	if len(res.Errors) > 0 && !o.Skip {
		var errs []error
		for _, e := range res.Errors {
			errs = append(errs, e)
		}
		return ImportResult{Errors: res.Errors}, errors.Join(errs...)
	}
	err = batches(ctx, allowed, func(part []Allowance) error {
		lifted := 0
		err := l.write(ctx, func(t *tx) error {
			for _, a := range part {
				ended, err := t.allow(a)
				if err != nil {
					return err
				}
				lifted += len(ended)
			}
			return nil
		})
		if err == nil {
			res.Allowed += len(part)
			res.Lifted += lifted
		}
		return err
	})
	if err != nil {
		return res, err
	}
	err = batches(ctx, bans, func(part []Ban) error {
		outcomes := map[Outcome]int{}
		err := l.write(ctx, func(t *tx) error {
			for _, b := range part {
				outcome, err := t.importBan(b, l.options.SuggestionTTL, o)
				if err != nil {
					return err
				}
				outcomes[outcome]++
			}
			return nil
		})
		if err == nil {
			for k, n := range outcomes {
				res.Outcomes[k] += n
			}
		}
		return err
	})
	return res, err
}

// batches calls do for parts of the list, with a pause between them: SQLite
// has no queue, and whoever asks again at once would keep the others out.
func batches[T any](ctx context.Context, list []T, do func(part []T) error) error {
	for len(list) > 0 {
		n := min(len(list), importBatch)
		if err := do(list[:n]); err != nil {
			return err
		}
		if list = list[n:]; len(list) == 0 {
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(importPause):
		}
	}
	return nil
}

// gather reads and checks all items before any is imported.
func (l *List) gather(items iter.Seq2[Item, error], o ImportOptions, res *ImportResult) ([]Allowance, []Ban, error) {
	var allowed []Allowance
	var bans []Ban
	now, err := normalTime(time.Now())
	if err != nil {
		return nil, nil, err
	}
	for it, err := range items {
		if err == nil {
			err = it.check(o, now)
			if err == nil && it.Allow != nil {
				allowed = append(allowed, *it.Allow)
			} else if err == nil {
				bans = append(bans, *it.Ban)
			} else {
				err = &LineError{Line: it.Line, Err: err}
			}
		}
		if len(bans)+len(allowed) > l.options.MaxEntries {
			return nil, nil, fmt.Errorf("%w: the file has more than %d entries", ErrFull, l.options.MaxEntries)
		}
		var bad *LineError
		switch {
		case err == nil:
		case !errors.As(err, &bad), errors.Is(err, ErrFormat):
			return nil, nil, err
		default:
			res.Skipped++
			if len(res.Errors) < maxImportErrors {
				res.Errors = append(res.Errors, bad)
			}
		}
	}
	return allowed, bans, nil
}

// check completes an item and brings it into the form in which it is stored.
func (it *Item) check(o ImportOptions, now time.Time) error {
	if it.Allow != nil {
		a := *it.Allow
		if a.By == "" {
			a.By = o.By
		}
		var err error
		*it.Allow, err = a.normal()
		return err
	}
	b := *it.Ban
	if b.Origin == "" {
		b.Origin = o.Origin
	}
	if b.ID == "" {
		b.ID = newID("file")
		b.State, b.Decided, b.Duration, b.Services = Active, time.Time{}, o.Duration, o.Services
	} else if !knownState(b.State) || b.Decided.IsZero() {
		return fmt.Errorf("%w: an entry in state %q, decided %v", ErrInvalid, b.State, b.Decided)
	}
	if b.Created.IsZero() {
		b.Created = now
	}
	var err error
	*it.Ban, err = b.normal(o.Force)
	return err
}

// importBan takes one ban of an import.
func (t *tx) importBan(b Ban, ttl time.Duration, o ImportOptions) (Outcome, error) {
	if b.Decided.IsZero() {
		b.Decided = t.now
		r, err := t.decide(b, ttl, o.Force)
		return r.Outcome, err
	}
	if known, _, err := t.glance(b.ID, b.Prefix); known || err != nil {
		return Known, err
	}
	outcome := Past
	switch {
	case b.State != Active && b.State != Suggested:
	case over(b.Expires, t.now):
		b.State = Expired
	case t.room <= 0:
		return Refused, nil
	case b.State == Active:
		outcome = Banned
	default:
		outcome = Waiting
	}
	if outcome == Banned || outcome == Waiting {
		if _, ok, err := t.allowedOver(b.Prefix); ok || err != nil {
			return Exempt, err
		}
	}
	by := o.By
	if by == "" {
		by = b.Origin
	}
	return outcome, t.insert(b, by)
}
