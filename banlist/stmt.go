package banlist

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// What follows runs on the store's own connection, by whoever holds the lock
// of the list. A statement is prepared once for the life of the store: to
// prepare one takes longer than to run it. The queries are constants, so there
// are few of them.

// stmt returns the statement of a query.
func (s *store) stmt(ctx context.Context, query string) (*sql.Stmt, error) {
	if st, ok := s.stmts[query]; ok {
		return st, nil
	}
	st, err := s.conn.PrepareContext(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("prepare: %w", err)
	}
	s.stmts[query] = st
	return st, nil
}

// exec runs a statement and returns how many rows it changed.
func (s *store) exec(ctx context.Context, query string, args ...any) (int64, error) {
	st, err := s.stmt(ctx, query)
	if err != nil {
		return 0, err
	}
	res, err := st.ExecContext(ctx, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// row reads one row. It returns sql.ErrNoRows when there is none.
func (s *store) row(ctx context.Context, query string, args []any, dest ...any) error {
	st, err := s.stmt(ctx, query)
	if err != nil {
		return err
	}
	return st.QueryRowContext(ctx, args...).Scan(dest...)
}

// queryOwn reads rows.
func queryOwn[T any](ctx context.Context, s *store, scan func(scanner) (T, error), query string, args ...any) ([]T, error) {
	st, err := s.stmt(ctx, query)
	if err != nil {
		return nil, err
	}
	rows, err := st.QueryContext(ctx, args...)
	if err != nil {
		return nil, err
	}
	return collect(rows, scan)
}

// queryAll reads rows on a connection that is shared with other readers, and
// waits for no lock.
func queryAll[T any](ctx context.Context, l *List, scan func(scanner) (T, error), query string, args ...any) ([]T, error) {
	s := l.store.Load()
	rows, err := s.r.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, s.fail("read", err)
	}
	out, err := collect(rows, scan)
	return out, s.fail("read", err)
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
