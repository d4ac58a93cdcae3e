package banlist

import (
	"context"
	"database/sql"
	"fmt"
	"net/netip"
	"time"

	"github.com/gaissmai/bart"
)

// Allowance is an entry of the allow list: hosts that no ban holds off.
type Allowance struct {
	Prefix  netip.Prefix
	Note    string
	By      string
	Created time.Time // zero in a new one for now
	Expires time.Time // zero for never
}

// normal returns the allowance as it is stored.
func (a Allowance) normal() (Allowance, error) {
	if !a.Prefix.IsValid() {
		return a, fmt.Errorf("%w: no prefix", ErrInvalid)
	}
	a.Prefix = normalPrefix(a.Prefix)
	if a.Prefix.Bits() == 0 {
		return a, fmt.Errorf("%w: %v would allow everybody", ErrTooWide, a.Prefix)
	}
	a.Note = oneLine(a.Note, maxReasonBytes)
	a.By = oneLine(a.By, maxOriginBytes)
	var err error
	if a.Created, err = normalTime(a.Created); err != nil {
		return a, err
	}
	a.Expires, err = normalTime(a.Expires)
	return a, err
}

// Allow puts a prefix on the allow list, over an allowance of the same prefix,
// and ends at once what it covers: bans inside it are lifted, suggestions
// rejected. It returns the lifted bans. A ban of a wider net stays, and lets
// the allowed hosts through.
func (l *List) Allow(ctx context.Context, a Allowance) (lifted []Ban, err error) {
	if a, err = a.normal(); err != nil {
		return nil, err
	}
	err = l.write(ctx, func(t *tx) error {
		if over(a.Expires, t.now) {
			return fmt.Errorf("%w: it would be over already", ErrInvalid)
		}
		lifted, err = t.allow(a)
		return err
	})
	if err != nil {
		return nil, err
	}
	return lifted, nil
}

// allow stores an allowance and ends what it covers.
func (t *tx) allow(a Allowance) (lifted []Ban, err error) {
	if err := t.touchAllowed(); err != nil {
		return nil, err
	}
	if a.Created.IsZero() {
		a.Created = t.now
	}
	_, err = t.exec(`INSERT INTO allowed (key, note, by, created, expires) VALUES (?1, ?2, ?3, ?4, ?5)
		ON CONFLICT (key) DO UPDATE SET note = ?2, by = ?3, expires = ?5`,
		keyOf(a.Prefix), a.Note, a.By, micros(a.Created), micros(a.Expires))
	if err != nil {
		return nil, err
	}
	step := Transition{Time: t.now, Prefix: a.Prefix, To: Allowed, By: a.By, Reason: a.Note}
	if err := t.record(step); err != nil {
		return nil, err
	}
	lo, hi := keyRange(a.Prefix)
	found, err := t.bans("SELECT"+banColumns+
		"FROM ban WHERE key BETWEEN ? AND ? AND state IN ('active', 'suggested') ORDER BY row", lo, hi)
	if err != nil {
		return nil, err
	}
	act := Act{By: a.By, Reason: oneLine("allowed: "+a.Note, maxReasonBytes)}
	for _, b := range found {
		if !inside(b.Prefix, a.Prefix) || over(b.Expires, t.now) {
			continue
		}
		if b.State == Active {
			err = t.lift(&b, act)
			lifted = append(lifted, b)
		} else {
			b.State, b.Decided = Rejected, t.now
			err = t.update(b, Suggested, t.now, act)
		}
		if err != nil {
			return nil, err
		}
	}
	return lifted, nil
}

// Disallow takes exactly this prefix off the allow list. Nothing that was
// lifted comes back.
func (l *List) Disallow(ctx context.Context, p netip.Prefix, a Act) error {
	if !p.IsValid() {
		return fmt.Errorf("%w: no prefix", ErrInvalid)
	}
	p, a = normalPrefix(p), a.normal()
	return l.write(ctx, func(t *tx) error {
		n, err := t.exec("DELETE FROM allowed WHERE key = ?", keyOf(p))
		if err != nil {
			return err
		}
		if n == 0 {
			return fmt.Errorf("%w: %v is not on the allow list", ErrNotFound, p)
		}
		if err := t.touchAllowed(); err != nil {
			return err
		}
		return t.record(Transition{Time: t.now, Prefix: p, From: Allowed, To: Disallowed, By: a.By, Reason: a.Reason})
	})
}

// Allowed returns the allow list, in the order of addresses.
func (l *List) Allowed(ctx context.Context) ([]Allowance, error) {
	return queryAll(ctx, l, scanAllowance,
		"SELECT key, note, by, created, expires FROM allowed WHERE expires = 0 OR expires > ? ORDER BY key",
		time.Now().UnixMicro())
}

func scanAllowance(row scanner) (Allowance, error) {
	var (
		a                Allowance
		key              sql.RawBytes
		created, expires int64
	)
	err := row.Scan(&key, &a.Note, &a.By, &created, &expires)
	if err != nil {
		return a, err
	}
	a.Created, a.Expires = fromMicros(created), fromMicros(expires)
	a.Prefix, err = prefixOf(key)
	return a, err
}

// touchAllowed marks the allow list as changed by this transaction.
func (t *tx) touchAllowed() error {
	rev, err := t.touch()
	if err != nil {
		return err
	}
	t.allowed, t.more = nil, true
	_, err = t.exec("UPDATE meta SET allowed_rev = ?", rev)
	return err
}

// allowedOver returns an allowed prefix that covers all of p. The list is read
// once in a transaction, and not even that when memory has it as it is.
func (t *tx) allowedOver(p netip.Prefix) (netip.Prefix, bool, error) {
	if t.allowed == nil {
		var rev int64
		if err := t.row("SELECT allowed_rev FROM meta", nil, &rev); err != nil {
			return netip.Prefix{}, false, err
		}
		t.allowed = t.seen.allowed
		if rev != t.seen.allowedRev {
			var err error
			if t.allowed, err = t.s.readAllowed(t.ctx); err != nil {
				return netip.Prefix{}, false, err
			}
		}
	}
	c := clock{now: micros(t.now)}
	over, ok := coveredBy(t.allowed, p, "", &c)
	return over, ok, nil
}

const allAllowed = "SELECT key, note, by, created, expires FROM allowed"

// readAllowed makes a table of the allow list.
func (s *store) readAllowed(ctx context.Context) (*bart.Table[slot], error) {
	all, err := queryOwn(ctx, s, scanAllowance, allAllowed)
	table := new(bart.Table[slot])
	for _, a := range all {
		table.Insert(a.Prefix, slot{all: endMicros(micros(a.Expires))})
	}
	return table, err
}

// coveringAllowance is the query for the longest allowance that covers p.
func coveringAllowance(p netip.Prefix, now time.Time) (string, []any) {
	keys := coveringKeys(p)
	return allAllowed + " WHERE key IN (" + marks(len(keys)) +
		") AND (expires = 0 OR expires > ?) ORDER BY substr(key, 17) DESC LIMIT 1", append(keys, micros(now))
}
