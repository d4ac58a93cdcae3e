package banlist

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

const (
	// sweepBatch bounds one transaction of the sweep, so that it does not
	// keep others waiting.
	sweepBatch = 5000
	// Ends that lie closer together are swept together. Nobody waits for it:
	// lookups see by the clock what is over.
	minSweepPause = time.Second
	maxSweepPause = time.Hour
)

// untilSweepLocked returns how long it is until something ends, but not less
// than the pause since the last sweep.
func (l *List) untilSweepLocked(ctx context.Context, last time.Time) time.Duration {
	ends, err := queryOwn(ctx, l.store.Load(), func(row scanner) (sql.NullInt64, error) {
		var end sql.NullInt64
		return end, row.Scan(&end)
	}, `SELECT min(expires) FROM ban WHERE expires > 0 AND state IN ('active', 'suggested')
		UNION ALL SELECT min(expires) FROM allowed WHERE expires > 0`)
	pause := maxSweepPause
	if err != nil {
		return pause // The poll finds out, and comes back here.
	}
	for _, end := range ends {
		if end.Valid {
			pause = min(pause, time.Until(fromMicros(end.Int64)))
		}
	}
	return max(pause, minSweepPause-time.Since(last))
}

// sweep gives the state expired to what is over, in whichever process comes
// first.
func (l *List) sweep(ctx context.Context) {
	for more := true; more; {
		err := l.write(ctx, func(t *tx) (err error) {
			more, err = t.sweep()
			return err
		})
		if err != nil {
			return // Logged by write if it is worth it, and tried again later.
		}
	}
}

// sweep ends one batch, and reports whether there is more to do.
func (t *tx) sweep() (more bool, err error) {
	done, err := t.bans("SELECT"+banColumns+`FROM ban
		WHERE expires > 0 AND expires <= ? AND state IN ('active', 'suggested')
		ORDER BY expires LIMIT ?`, micros(t.now), sweepBatch)
	if err != nil {
		return false, err
	}
	for _, b := range done {
		from := b.State
		b.State, b.Decided = Expired, b.Expires
		if err := t.update(b, from, b.Expires, Act{}); err != nil {
			return false, err
		}
	}
	return len(done) == sweepBatch, t.sweepAllowed()
}

// sweepAllowed takes off the allow list what is over.
func (t *tx) sweepAllowed() error {
	done, err := queryOwn(t.ctx, t.s, scanAllowance,
		"DELETE FROM allowed WHERE expires > 0 AND expires <= ? RETURNING key, note, by, created, expires", micros(t.now))
	if err != nil || len(done) == 0 {
		return err
	}
	if err := t.touchAllowed(); err != nil {
		return err
	}
	for _, a := range done {
		step := Transition{Time: a.Expires, Prefix: a.Prefix, From: Allowed, To: Disallowed, Reason: "its time is over"}
		if err := t.record(step); err != nil {
			return err
		}
	}
	return nil
}

// tidy forgets what ended too long ago, or is too much.
func (l *List) tidy(ctx context.Context) {
	for more := true; more; {
		err := l.write(ctx, func(t *tx) (err error) {
			more, err = t.prune(l.options.HistoryKeep, l.options.HistoryMax)
			return err
		})
		if err != nil {
			return // Logged by write if it is worth it, and tried again later.
		}
	}
}

// prune forgets one batch, and reports whether there is more to forget.
func (t *tx) prune(keep time.Duration, most int) (more bool, err error) {
	before := t.now.Add(-keep)
	bansBefore, err := t.nthNewest(`SELECT decided FROM ban WHERE state IN ('rejected', 'lifted', 'expired')
		ORDER BY decided DESC LIMIT 1 OFFSET ?`, most, before)
	if err != nil {
		return false, err
	}
	var gone, highest sql.NullInt64
	err = t.row(`SELECT count(*), max(rev) FROM (SELECT rev FROM ban
		WHERE state IN ('rejected', 'lifted', 'expired') AND decided < ? AND quiet_until < ?
		ORDER BY decided LIMIT ?)`, []any{bansBefore, micros(t.now), sweepBatch}, &gone, &highest)
	if err != nil {
		return false, err
	}
	if gone.Int64 > 0 {
		if _, err := t.touch(); err != nil {
			return false, err
		}
		// The same rows as above: no other writer comes between.
		_, err := t.exec(`DELETE FROM ban WHERE row IN (SELECT row FROM ban
			WHERE state IN ('rejected', 'lifted', 'expired') AND decided < ? AND quiet_until < ?
			ORDER BY decided LIMIT ?)`, bansBefore, micros(t.now), sweepBatch)
		if err != nil {
			return false, err
		}
		if _, err := t.exec("UPDATE meta SET pruned_rev = max(pruned_rev, ?)", highest.Int64); err != nil {
			return false, err
		}
	}
	more = gone.Int64 == sweepBatch
	for _, table := range []struct{ newest, drop string }{
		{"SELECT at FROM history ORDER BY at DESC LIMIT 1 OFFSET ?",
			"DELETE FROM history WHERE row IN (SELECT row FROM history WHERE at < ? ORDER BY at LIMIT ?)"},
		{"SELECT at FROM merged ORDER BY at DESC LIMIT 1 OFFSET ?",
			"DELETE FROM merged WHERE id IN (SELECT id FROM merged WHERE at < ? ORDER BY at LIMIT ?)"},
	} {
		cut, err := t.nthNewest(table.newest, most, before)
		if err != nil {
			return false, err
		}
		n, err := t.exec(table.drop, cut, sweepBatch)
		if err != nil {
			return false, err
		}
		if n > 0 {
			if _, err := t.touch(); err != nil {
				return false, err
			}
		}
		more = more || n == sweepBatch
	}
	return more, nil
}

// nthNewest returns the time, in microseconds, before which rows are too old,
// or more than n.
func (t *tx) nthNewest(query string, n int, before time.Time) (int64, error) {
	var at int64
	err := t.row(query, []any{n}, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return micros(before), nil
	}
	return max(at+1, micros(before)), err
}
