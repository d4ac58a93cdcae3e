package banlist

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// AddOptions of List.Add.
type AddOptions struct {
	// Force bans also what is wider than /8 (IPv4) or /16 (IPv6).
	Force bool
}

// Add bans a prefix by hand, and returns the entry. Prefix and Origin must be
// set; the ban begins now and lasts for Duration, 0 for without end. What a
// person says last counts: a ban of the same prefix and services is replaced,
// its id kept, even by a shorter one; a suggestion for it becomes the ban, and
// keeps its evidence. A prefix that the allow list covers is refused with
// ErrAllowed.
func (l *List) Add(ctx context.Context, b Ban, o AddOptions) (Ban, error) {
	if b.ID == "" {
		b.ID = newID("hand")
	}
	b, err := b.normal(o.Force)
	if err != nil {
		return Ban{}, err
	}
	b.State, b.QuietUntil = Active, time.Time{}
	err = l.write(ctx, func(t *tx) error { return t.add(&b) })
	if err != nil {
		return Ban{}, err
	}
	return b, nil
}

// add stores a ban made by hand, over the entry of the same prefix and
// services if there is one.
func (t *tx) add(b *Ban) error {
	if over, ok, err := t.allowedOver(b.Prefix); err != nil {
		return err
	} else if ok {
		return fmt.Errorf("%w: %v is covered by %v", ErrAllowed, b.Prefix, over)
	}
	b.Created, b.Decided = t.now, t.now
	b.Expires = endOf(t.now, b.Duration)
	beside, err := t.beside(b.Prefix)
	if err != nil {
		return err
	}
	for _, old := range beside {
		waits := old.State == Suggested && !over(old.Expires, t.now)
		if !waits && !old.blocks(t.now) || joinServices(old.Services) != joinServices(b.Services) {
			continue
		}
		b.ID, b.Created = old.ID, old.Created
		if len(b.Evidence) == 0 {
			b.Evidence = old.Evidence
		}
		return t.update(*b, old.State, t.now, Act{By: b.Origin, Reason: b.Reason})
	}
	return t.insert(*b, b.Origin)
}

// newID returns an id for an entry that no detector made. Ids sort by time,
// which keeps the index of a long import small in memory.
func newID(kind string) string {
	return kind + "-" + strconv.FormatInt(time.Now().UnixMilli(), 36) + strings.ToLower(rand.Text()[:10])
}

// Approve turns a suggestion into a ban that begins now. With services or a
// duration of its own, say so by Add instead.
func (l *List) Approve(ctx context.Context, id string, a Act) (Ban, error) {
	a = a.normal()
	return l.change(ctx, id, Suggested, func(t *tx, b *Ban) error {
		if over, ok, err := t.allowedOver(b.Prefix); err != nil {
			return err
		} else if ok {
			return fmt.Errorf("%w: %v is covered by %v", ErrAllowed, b.Prefix, over)
		}
		b.State, b.Decided, b.Expires = Active, t.now, endOf(t.now, b.Duration)
		return t.update(*b, Suggested, t.now, a)
	})
}

// Reject turns a suggestion down. For the quiet time its origin cannot
// suggest or ban the same prefix again.
func (l *List) Reject(ctx context.Context, id string, quiet time.Duration, a Act) (Ban, error) {
	if quiet < 0 || quiet > maxDuration {
		return Ban{}, fmt.Errorf("%w: quiet time %v", ErrInvalid, quiet)
	}
	a = a.normal()
	return l.change(ctx, id, Suggested, func(t *tx, b *Ban) error {
		b.State, b.Decided, b.QuietUntil = Rejected, t.now, t.now.Add(quiet)
		return t.update(*b, Suggested, t.now, a)
	})
}

// change does one step of an entry that must be in a state.
func (l *List) change(ctx context.Context, id string, from State, step func(t *tx, b *Ban) error) (Ban, error) {
	var b Ban
	err := l.write(ctx, func(t *tx) error {
		var err error
		if b, err = t.entry(id); err != nil {
			return err
		}
		if b.State == from && over(b.Expires, t.now) {
			b.State = Expired // The sweep has not come by yet.
		}
		if b.State != from {
			return fmt.Errorf("%w: %s is %s, not %s", ErrState, id, b.State, from)
		}
		return step(t, &b)
	})
	if err != nil {
		return Ban{}, err
	}
	return b, nil
}

// InsideError is returned by Lift for hosts that are banned only as part of a
// wider net. Lifting the net would free others too; allowing the hosts would
// not.
type InsideError struct {
	Prefix netip.Prefix // what was to be lifted
	Net    Ban          // what holds it
}

// Error names the net.
func (e *InsideError) Error() string {
	return fmt.Sprintf("banlist: %v is banned as part of %v (%s)", e.Prefix, e.Net.Prefix, e.Net.ID)
}

// Is makes an InsideError an ErrNotFound too.
func (e *InsideError) Is(target error) bool { return target == ErrNotFound }

// Lift ends bans before their time: the one of an id, or all of exactly the
// given address or prefix. It returns what it lifted. Hosts inside a banned
// net give an *InsideError.
func (l *List) Lift(ctx context.Context, what string, a Act) ([]Ban, error) {
	a = a.normal()
	p, err := ParsePrefix(what)
	if err != nil {
		b, err := l.change(ctx, what, Active, func(t *tx, b *Ban) error { return t.lift(b, a) })
		if err != nil {
			return nil, err
		}
		return []Ban{b}, nil
	}
	var lifted []Ban
	err = l.write(ctx, func(t *tx) error {
		lifted, err = t.bans("SELECT"+banColumns+
			"FROM ban WHERE key = ? AND state = 'active' AND (expires = 0 OR expires > ?)", keyOf(p), micros(t.now))
		if err != nil {
			return err
		}
		if len(lifted) == 0 {
			return t.notBanned(p)
		}
		for i := range lifted {
			if err := t.lift(&lifted[i], a); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return lifted, nil
}

// lift ends one ban.
func (t *tx) lift(b *Ban, a Act) error {
	b.State, b.Decided = Lifted, t.now
	return t.update(*b, Active, t.now, a)
}

// notBanned explains why there is no ban of a prefix to lift.
func (t *tx) notBanned(p netip.Prefix) error {
	b, err := t.longest(p, "")
	if errors.Is(err, ErrNotFound) {
		return fmt.Errorf("%w: %v is not banned", ErrNotFound, p)
	}
	if err != nil {
		return err
	}
	return &InsideError{Prefix: p, Net: b}
}

// longest returns the ban in force with the longest prefix that holds p and
// concerns the service.
func (t *tx) longest(p netip.Prefix, service string) (Ban, error) {
	query, args := coveringBans(p, t.now)
	found, err := t.bans(query, args...)
	if err != nil {
		return Ban{}, err
	}
	for _, b := range found {
		if b.Covers(service) {
			return b, nil
		}
	}
	return Ban{}, ErrNotFound
}

// coveringBans is the query for the bans in force at any prefix that holds p,
// the longest first.
func coveringBans(p netip.Prefix, now time.Time) (string, []any) {
	keys := coveringKeys(p)
	return "SELECT" + banColumns + "FROM ban WHERE key IN (" + marks(len(keys)) +
		") AND state = 'active' AND (expires = 0 OR expires > ?) ORDER BY substr(key, 17) DESC, row", append(keys, micros(now))
}
