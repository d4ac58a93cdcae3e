package banlist

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Errors of the file that holds the list.
var (
	// ErrDamaged is wrapped when the file is not a database of bans, or not a
	// whole one. To repair: end all processes that use it, move the file and
	// those beside it (-wal, -shm) away, start again, and import what an
	// export or the sqlite3 tool's .recover can save of it.
	ErrDamaged = errors.New("banlist: database is damaged")
	// ErrNewer is wrapped when a newer version of the program made the file.
	ErrNewer = errors.New("banlist: database is of a newer version")
	// ErrBusy is wrapped when other processes held the file for too long.
	ErrBusy = errors.New("banlist: database is busy")
	// ErrNoSpace is wrapped when the disk is full.
	ErrNoSpace = errors.New("banlist: no space left for the database")
	// ErrClosed is returned by a List after Close.
	ErrClosed = errors.New("banlist: list is closed")
)

// FileError is an error of the list's file: what was done with which file, and
// what came of it.
type FileError struct {
	Op   string // open, read, write
	Path string
	Err  error
}

// Error names the file.
func (e *FileError) Error() string { return fmt.Sprintf("%s %s: %v", e.Op, e.Path, e.Err) }

// Unwrap returns the cause.
func (e *FileError) Unwrap() error { return e.Err }

// busyTimeout is how long a transaction waits for another process's.
const busyTimeout = 5 * time.Second

// store is the SQLite file. Writes, and reads of what is new, go through one
// connection, one at a time (the caller holds a lock), other reads through a
// few others.
type store struct {
	path  string
	file  fs.FileInfo // which file was opened, to notice one put in its place
	w, r  *sql.DB
	conn  *sql.Conn            // the one of w
	stmts map[string]*sql.Stmt // of conn, by their text
}

// openStore opens the file, and makes it and its folder if create is set.
func openStore(ctx context.Context, path string, create bool) (*store, error) {
	s := &store{path: path, stmts: map[string]*sql.Stmt{}}
	if err := s.open(ctx, create); err != nil {
		_ = s.close() // The first error is the one to tell.
		return nil, s.fail("open", err)
	}
	return s, nil
}

func (s *store) open(ctx context.Context, create bool) error {
	if create {
		if err := createFile(s.path); err != nil {
			return err
		}
	}
	var err error
	if s.file, err = os.Stat(s.path); err != nil {
		return err
	}
	if !s.file.Mode().IsRegular() {
		return fmt.Errorf("%w: it is not a regular file", ErrDamaged)
	}
	if s.w, err = openDB(s.path, 1); err != nil {
		return err
	}
	if s.r, err = openDB(s.path, 4); err != nil {
		return err
	}
	if s.conn, err = s.w.Conn(ctx); err != nil {
		return err
	}
	if err := s.enterWAL(ctx); err != nil {
		return err
	}
	return s.inTransaction(ctx, "BEGIN IMMEDIATE", func() (bool, error) { return prepareSchema(ctx, s.conn) })
}

// enterWAL switches the journal mode, which is kept in the file. SQLite does
// not wait for others here, so this does.
func (s *store) enterWAL(ctx context.Context) error {
	deadline := time.Now().Add(busyTimeout)
	for {
		var mode string
		err := s.conn.QueryRowContext(ctx, "PRAGMA journal_mode = WAL").Scan(&mode)
		if err == nil && mode != "wal" {
			return fmt.Errorf("the file system cannot share it between processes (journal mode %q)", mode)
		}
		if err == nil || !errors.Is(classify(err), ErrBusy) || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// openDB makes a pool of connections; none is opened yet.
func openDB(path string, conns int) (*sql.DB, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	// As SQLite itself does on Linux. Elsewhere it may not be there, and a
	// commit takes longer.
	_, _ = sqlite.Fdatasync(true)
	query := url.Values{
		"_pragma": {
			fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()),
			"synchronous(FULL)", // a commit is on the disk when it returns
			// Fewer checkpoints, as long as the log stays within its limit: a
			// commit that makes one takes ten times as long.
			"wal_autocheckpoint(4000)", // pages of 4 KiB
			"journal_size_limit(16777216)",
			"temp_store(MEMORY)",
			"cache_size(-16384)", // KiB; an import walks all over the indexes
		},
		"mode": {"rw"},
	}
	u := url.URL{Scheme: "file", Path: abs, RawQuery: query.Encode()}
	db, err := sql.Open("sqlite", u.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return db, nil
}

// createFile makes an empty file that only its owner can read, and its folder.
// It is linked into place: opening and closing a database file beside SQLite
// would drop the locks that this process holds on it.
func createFile(path string) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(dir, "."+filepath.Base(path)+".new*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }() // An empty file at worst.
	if err := tmp.Close(); err != nil {
		return err
	}
	if err := os.Link(tmp.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// close closes the connections; the last one in all processes folds the
// write-ahead log into the file.
func (s *store) close() error {
	var errs []error
	for _, st := range s.stmts {
		errs = append(errs, st.Close())
	}
	if s.conn != nil {
		errs = append(errs, s.conn.Close())
	}
	for _, db := range []*sql.DB{s.r, s.w} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

// check notices that the file was removed or another put in its place: SQLite
// would go on with the old one, which nobody else sees.
func (s *store) check() error {
	now, err := os.Stat(s.path)
	if err != nil {
		return s.fail("find", err)
	}
	if !os.SameFile(s.file, now) {
		return s.fail("find", errReplaced)
	}
	return nil
}

var errReplaced = errors.New("another file was put in its place")

// fail wraps an error of the file with what was done, and says what kind it is.
func (s *store) fail(op string, err error) error {
	if err == nil {
		return nil
	}
	var fe *FileError
	if errors.As(err, &fe) {
		return err
	}
	return &FileError{Op: op, Path: s.path, Err: classify(err)}
}

// classify wraps an error of SQLite with the sentinel that fits.
func classify(err error) error {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return fmt.Errorf("%w: %w", ErrBusy, err)
	case sqlite3.SQLITE_FULL:
		return fmt.Errorf("%w: %w", ErrNoSpace, err)
	}
	return err
}

// isFileError reports whether an error is one of the file, not of what was
// asked of it.
func isFileError(err error) bool {
	var e *sqlite.Error
	var fe *FileError
	return errors.As(err, &e) || errors.As(err, &fe)
}
