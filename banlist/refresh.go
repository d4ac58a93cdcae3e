package banlist

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
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
func (s *store) snapshot(ctx context.Context, fn func(tx *sql.Tx, r revs) error) error {
	tx, err := s.r.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return s.fail("read", err)
	}
	defer func() { _ = tx.Rollback() }() // It only read.
	var r revs
	err = tx.QueryRowContext(ctx, "SELECT rev, allowed_rev, pruned_rev FROM meta").Scan(&r.last, &r.allowed, &r.pruned)
	if errors.Is(err, sql.ErrNoRows) {
		err = errors.Join(ErrDamaged, err)
	}
	if err == nil {
		err = fn(tx, r)
	}
	return s.fail("read", err)
}

// load reads everything and shows it.
func (l *List) load(ctx context.Context, s *store) error {
	return s.snapshot(ctx, func(tx *sql.Tx, r revs) error {
		bans, err := readActive(ctx, tx)
		if err != nil {
			return err
		}
		allowed, err := readAllowed(tx.QueryContext(ctx, allAllowed))
		if err != nil {
			return err
		}
		l.view.Store(&view{bans: bans, allowed: allowed})
		l.rev, l.allowedRev = r.last, r.allowed
		l.feed.publish(Change{Resync: true})
		return nil
	})
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
	err := s.snapshot(ctx, func(tx *sql.Tx, r revs) error {
		if r.last == l.rev {
			return nil
		}
		var n int
		err := tx.QueryRowContext(ctx, "SELECT count(*) FROM (SELECT 1 FROM ban WHERE rev > ? LIMIT ?)",
			l.rev, maxDelta+1).Scan(&n)
		if err != nil {
			return err
		}
		if n > maxDelta || r.pruned > l.rev || r.last < l.rev {
			again = true
			return nil
		}
		return l.applyLocked(ctx, tx, r)
	})
	if err == nil && again {
		err = l.load(ctx, s)
	}
	return err
}

// applyLocked shows the rows that changed since l.rev.
func (l *List) applyLocked(ctx context.Context, tx *sql.Tx, r revs) error {
	d, err := readDelta(ctx, tx, l.rev)
	if err != nil {
		return err
	}
	v := l.view.Load()
	next := &view{bans: edited(v.bans, d.edits), allowed: v.allowed}
	c := Change{Added: d.added, Removed: d.removed}
	if r.allowed != l.allowedRev {
		if next.allowed, err = readAllowed(tx.QueryContext(ctx, allAllowed)); err != nil {
			return err
		}
		c.Allowed = true
	}
	l.view.Store(next)
	l.rev, l.allowedRev = r.last, r.allowed
	l.feed.publish(c)
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
func readActive(ctx context.Context, tx *sql.Tx) (*bart.Table[slot], error) {
	table := new(bart.Table[slot])
	rows, err := tx.QueryContext(ctx, `SELECT key,
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
		s   slot
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
			table.Insert(at, s)
			s = slot{}
		}
		at = p
		if s, err = s.withStored(end); err != nil {
			return nil, err
		}
	}
	if at.IsValid() {
		table.Insert(at, s)
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

// delta is what changed in the file since some rev.
type delta struct {
	edits          []edit
	added, removed []Ban
}

// readDelta reads the rows after rev, and the whole slot of each prefix that
// they touch.
func readDelta(ctx context.Context, tx *sql.Tx, rev int64) (delta, error) {
	var d delta
	// Suggestions that were never more than that are of no interest here.
	changed, err := queryTx(ctx, tx, scanBan, "SELECT"+briefColumns+`FROM ban
		WHERE rev > ? AND state IN ('active', 'lifted', 'expired') ORDER BY row`, rev)
	if err != nil {
		return d, err
	}
	fresh := map[string]bool{}
	slots := map[netip.Prefix]slot{}
	ended := map[netip.Prefix]bool{}
	for _, b := range changed {
		slots[b.Prefix] = slot{}
		if b.State == Active {
			fresh[b.ID] = true
		} else {
			ended[b.Prefix] = true
			d.removed = append(d.removed, b)
		}
	}
	active, err := queryTx(ctx, tx, scanBan, "SELECT"+briefColumns+`FROM ban WHERE state = 'active' AND key IN
		(SELECT key FROM ban WHERE rev > ? AND state IN ('active', 'lifted', 'expired')) ORDER BY row`, rev)
	if err != nil {
		return d, err
	}
	for _, b := range active {
		slots[b.Prefix] = slots[b.Prefix].with(b.Services, endMicros(micros(b.Expires)))
		// Who removes a prefix because of one ban must put it back because
		// of another.
		if fresh[b.ID] || ended[b.Prefix] {
			d.added = append(d.added, b)
		}
	}
	for p, s := range slots {
		d.edits = append(d.edits, edit{p, s})
	}
	slices.SortFunc(d.edits, func(a, b edit) int { return a.prefix.Addr().Compare(b.prefix.Addr()) })
	return d, nil
}

func queryTx[T any](ctx context.Context, tx *sql.Tx, scan func(scanner) (T, error), query string, args ...any) ([]T, error) {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return collect(rows, scan)
}
