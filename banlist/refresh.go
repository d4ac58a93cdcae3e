package banlist

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"strconv"
	"strings"

	"github.com/gaissmai/bart"
)

// A refresh that finds more changed rows than this reads everything anew.
const maxDelta = 20_000

// revs are the numbers of the meta table.
type revs struct{ last, allowed, pruned int64 }

// snapshot runs fn in a read transaction, so that all it reads is of one
// moment.
func (s *store) snapshot(ctx context.Context, fn func(r revs) error) error {
	err := s.inTransaction(ctx, "BEGIN", func() (bool, error) {
		var r revs
		err := s.row(ctx, "SELECT rev, allowed_rev, pruned_rev FROM meta", nil, &r.last, &r.allowed, &r.pruned)
		if errors.Is(err, sql.ErrNoRows) {
			err = errors.Join(ErrDamaged, err)
		}
		if err == nil {
			err = fn(r)
		}
		return false, err
	})
	return s.fail("read", err)
}

// load reads everything and shows it.
func (l *List) load(ctx context.Context, s *store) error {
	return s.snapshot(ctx, func(r revs) error {
		bans, err := s.readActive(ctx)
		if err != nil {
			return err
		}
		allowed, err := s.readAllowed(ctx)
		if err != nil {
			return err
		}
		l.showLocked(&view{bans: bans, allowed: allowed}, r, Change{Resync: true})
		return nil
	})
}

// showLocked makes a view the one that lookups see.
func (l *List) showLocked(v *view, r revs, c Change) {
	l.view.Store(v)
	l.rev, l.allowedRev = r.last, r.allowed
	l.feed.publish(c)
}

// refreshLocked shows what was committed since the last time, by whomever.
func (l *List) refreshLocked(ctx context.Context) error {
	s := l.store.Load()
	if err := s.check(); err != nil {
		if errors.Is(err, fs.ErrNotExist) || !errors.Is(err, errReplaced) {
			return err
		}
		return l.reopenLocked(ctx)
	}
	var again bool
	err := s.snapshot(ctx, func(r revs) error {
		if r.last == l.rev {
			return nil
		}
		again = r.pruned > l.rev || r.last < l.rev
		if again {
			return nil
		}
		changed, err := s.readChanged(ctx, l.rev)
		if again = len(changed) > maxDelta; again || err != nil {
			return err
		}
		next, c := l.view.Load().with(deltaOf(changed, l.rev))
		if r.allowed != l.allowedRev {
			c.Allowed = true
			if next.allowed, err = s.readAllowed(ctx); err != nil {
				return err
			}
		}
		l.showLocked(next, r, c)
		return nil
	})
	if err == nil && again {
		err = l.load(ctx, s)
	}
	return err
}

// showOwnLocked shows what a transaction of this process committed. There is
// nothing to read when it came right after what is shown, and only banned.
func (l *List) showOwnLocked(ctx context.Context, t *tx) error {
	if t.more || t.rev != l.rev+1 {
		return l.refreshLocked(ctx)
	}
	v := l.view.Load()
	d := delta{slots: map[netip.Prefix]slot{}, added: t.banned}
	for _, b := range t.banned {
		s, ok := d.slots[b.Prefix]
		if !ok {
			s, _ = v.bans.Get(b.Prefix)
		}
		d.slots[b.Prefix] = s.withBan(b)
	}
	next, c := v.with(d)
	l.showLocked(next, revs{last: t.rev, allowed: l.allowedRev}, c)
	return nil
}

// reopenLocked goes over to the file that was put in the place of the one that
// is open.
func (l *List) reopenLocked(ctx context.Context) error {
	s, err := openStore(ctx, l.path, false)
	if err != nil {
		return err
	}
	if err := l.load(ctx, s); err != nil {
		_ = s.close() // The first error is the one to tell.
		return err
	}
	old := l.store.Swap(s)
	_ = old.close() // Nobody can repair a file that has no name any more.
	return nil
}

// readActive reads all bans in force into a table. They come in the order of
// addresses, which keeps the inserts near each other. Columns are what takes
// the time of a start, so the services, which are rare, share one with the end.
func (s *store) readActive(ctx context.Context) (*bart.Table[slot], error) {
	table := new(bart.Table[slot])
	rows, err := s.conn.QueryContext(ctx, `SELECT key,
		CASE WHEN services = '' THEN expires ELSE expires || ',' || services END
		FROM ban INDEXED BY ban_live WHERE state = 'active' ORDER BY key`)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // rows.Err tells.
	var (
		key sql.RawBytes
		end any
		at  netip.Prefix
		now slot // of at
	)
	for rows.Next() {
		if err := rows.Scan(&key, &end); err != nil {
			return nil, err
		}
		p, err := prefixOf(key)
		if err != nil {
			return nil, err
		}
		if p != at && at.IsValid() {
			table.Insert(at, now)
			now = slot{}
		}
		at = p
		if now, err = now.withStored(end); err != nil {
			return nil, err
		}
	}
	if at.IsValid() {
		table.Insert(at, now)
	}
	return table, rows.Err()
}

// withStored returns the slot with one more ban in it: its end, or a text of
// its end and its services.
func (s slot) withStored(end any) (slot, error) {
	switch end := end.(type) {
	case int64:
		return s.with(nil, endMicros(end)), nil
	case string:
		us, services, _ := strings.Cut(end, ",")
		if n, err := strconv.ParseInt(us, 10, 64); err == nil {
			return s.with(splitServices(services), endMicros(n)), nil
		}
	}
	return s, fmt.Errorf("%w: end %v", ErrDamaged, end)
}

// readChanged reads the rows in force of all prefixes that were touched after
// rev, and the rows that ended after it. Suggestions that were never more than
// that are of no interest here.
func (s *store) readChanged(ctx context.Context, rev int64) ([]numbered, error) {
	return queryOwn(ctx, s, scanNumbered, "SELECT"+briefColumns+`, rev FROM ban WHERE key IN
		(SELECT key FROM ban WHERE rev > ?1 AND state IN ('active', 'lifted', 'expired'))
		AND (state = 'active' OR state IN ('lifted', 'expired') AND rev > ?1)
		ORDER BY row LIMIT ?2`, rev, maxDelta+1)
}

// delta is what changed: the whole slot of each prefix that was touched, and
// the entries.
type delta struct {
	slots          map[netip.Prefix]slot
	added, removed []Ban
}

// deltaOf sorts out what readChanged read.
func deltaOf(changed []numbered, rev int64) delta {
	d := delta{slots: map[netip.Prefix]slot{}}
	ended := map[netip.Prefix]bool{}
	for _, b := range changed {
		if b.State == Active {
			d.slots[b.Prefix] = d.slots[b.Prefix].withBan(b.Ban)
			continue
		}
		if _, ok := d.slots[b.Prefix]; !ok {
			d.slots[b.Prefix] = slot{} // Perhaps nothing is left.
		}
		ended[b.Prefix] = true
		d.removed = append(d.removed, b.Ban)
	}
	for _, b := range changed {
		// Who removes a prefix because of one ban must put it back because
		// of another.
		if b.State == Active && (b.number > rev || ended[b.Prefix]) {
			d.added = append(d.added, b.Ban)
		}
	}
	return d
}
