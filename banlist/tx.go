package banlist

import (
	"context"
	"time"

	"github.com/gaissmai/bart"
)

// tx is a write transaction, with the time that all its steps share.
type tx struct {
	ctx context.Context
	s   *store
	now time.Time
	rev int64 // 0 until something is changed
	// room is how many more entries detectors and imports may bring.
	room    int
	seen    known
	allowed *bart.Table[slot] // nil until somebody asks

	// What it means for the list in memory: new bans in force, and whether
	// there is more, which must be read from the file.
	banned []Ban
	more   bool
	// firstEnd is when the first of its entries ends; zero for none.
	firstEnd time.Time
}

// known is what the writer has in memory of the file.
type known struct {
	room       int // how many entries the list can still take
	allowed    *bart.Table[slot]
	allowedRev int64
}

// write runs fn in a transaction and commits it, if fn changed something. The
// context bounds the wait for other writers: what has begun is short, and to
// listen for an end of the context costs more than most statements.
func (s *store) write(ctx context.Context, seen known, fn func(t *tx) error) (*tx, error) {
	t := &tx{ctx: context.WithoutCancel(ctx), s: s, now: time.Now().UTC().Truncate(time.Microsecond),
		room: seen.room, seen: seen}
	err := s.inTransaction(ctx, "BEGIN IMMEDIATE", func() (bool, error) {
		err := fn(t)
		return t.rev != 0, err
	})
	if isFileError(err) {
		err = s.fail("write", err)
	}
	return t, err
}

// inTransaction runs fn between begin and COMMIT, and rolls back when fn
// returns an error or changed nothing.
func (s *store) inTransaction(ctx context.Context, begin string, fn func() (changed bool, err error)) error {
	_, err := s.exec(ctx, begin)
	ctx = context.WithoutCancel(ctx)
	changed := false
	if err == nil {
		changed, err = fn()
	}
	if changed && err == nil {
		if _, err = s.exec(ctx, "COMMIT"); err == nil {
			return nil
		}
		err = s.fail("write", err)
	}
	// Also when begin failed: it may have begun just as the context ended.
	// It fails when SQLite has rolled back by itself, which is as good.
	_, _ = s.exec(ctx, "ROLLBACK")
	return err
}

// touch returns the rev of this transaction, with which the rows that it
// changes are marked.
func (t *tx) touch() (int64, error) {
	if t.rev != 0 {
		return t.rev, nil
	}
	var rev int64
	if err := t.row("UPDATE meta SET rev = rev + 1 RETURNING rev", nil, &rev); err != nil {
		return 0, err
	}
	t.rev = rev
	return rev, nil
}

// exec runs a statement and returns how many rows it changed.
func (t *tx) exec(query string, args ...any) (int64, error) { return t.s.exec(t.ctx, query, args...) }

// row reads one row. It returns sql.ErrNoRows when there is none.
func (t *tx) row(query string, args []any, dest ...any) error {
	return t.s.row(t.ctx, query, args, dest...)
}

// bans reads entries.
func (t *tx) bans(query string, args ...any) ([]Ban, error) {
	return queryOwn(t.ctx, t.s, scanBan, query, args...)
}
