package banlist

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
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
}

// known is what the writer has in memory of the file.
type known struct {
	room       int // how many entries the list can still take
	allowed    *bart.Table[slot]
	allowedRev int64
}

// write runs fn in a transaction and commits it, if fn changed something.
func (s *store) write(ctx context.Context, seen known, fn func(t *tx) error) (changed bool, err error) {
	t := &tx{ctx: ctx, s: s, now: time.Now().UTC().Truncate(time.Microsecond), room: seen.room, seen: seen}
	err = s.inTransaction(ctx, func() (bool, error) {
		err := fn(t)
		return t.rev != 0, err
	})
	if err != nil {
		if isFileError(err) {
			err = s.fail("write", err)
		}
		return false, err
	}
	return t.rev != 0, nil
}

// inTransaction runs fn between BEGIN IMMEDIATE and COMMIT, and rolls back
// when fn returns an error or changed nothing.
func (s *store) inTransaction(ctx context.Context, fn func() (changed bool, err error)) error {
	if _, err := s.conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return s.fail("write", err)
	}
	changed, err := fn()
	if changed && err == nil {
		if _, err = s.conn.ExecContext(ctx, "COMMIT"); err == nil {
			return nil
		}
		err = s.fail("write", err)
	}
	// The context may be over, and a rollback must happen nevertheless. It
	// fails when SQLite has rolled back by itself, which is as good.
	_, _ = s.conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
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

// stmt returns a statement that is prepared once for the life of the store.
// The queries are constants, so there are few of them.
func (t *tx) stmt(query string) (*sql.Stmt, error) {
	if st, ok := t.s.stmts[query]; ok {
		return st, nil
	}
	st, err := t.s.conn.PrepareContext(t.ctx, query)
	if err != nil {
		return nil, fmt.Errorf("prepare: %w", err)
	}
	t.s.stmts[query] = st
	return st, nil
}

// exec runs a statement and returns how many rows it changed.
func (t *tx) exec(query string, args ...any) (int64, error) {
	st, err := t.stmt(query)
	if err != nil {
		return 0, err
	}
	res, err := st.ExecContext(t.ctx, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// row reads one row. It returns sql.ErrNoRows when there is none.
func (t *tx) row(query string, args []any, dest ...any) error {
	st, err := t.stmt(query)
	if err != nil {
		return err
	}
	return st.QueryRowContext(t.ctx, args...).Scan(dest...)
}

// bans reads entries.
func (t *tx) bans(query string, args ...any) ([]Ban, error) {
	st, err := t.stmt(query)
	if err != nil {
		return nil, err
	}
	rows, err := st.QueryContext(t.ctx, args...)
	if err != nil {
		return nil, err
	}
	return collect(rows, scanBan)
}

// collect reads all rows and closes them.
func collect[T any](rows *sql.Rows, scan func(scanner) (T, error)) (out []T, err error) {
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return out, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}
