package banlist

import (
	"context"
	"database/sql"
	"fmt"
)

const (
	// applicationID marks the file as ours: "ovbl" in ASCII.
	applicationID = 0x6f76626c
	// schemaVersion grows when an older program would misread the file.
	schemaVersion = 1
)

// schema makes an empty database.
//
// A key is a prefix in 17 bytes: the address as IPv6 (IPv4 mapped), then the
// length counted in 128 bits, so that keys sort as addresses do. Times are
// Unix microseconds, 0 for none; durations microseconds.
//
// Each transaction that changes something takes the next meta.rev and writes
// it into the rows it touches, so that another process reads what is new and
// nothing else. The three numbers of meta: the last rev, the last rev that
// touched the allow list, and the highest rev among the rows pruned since.
const schema = `
CREATE TABLE meta (
	rev         INTEGER NOT NULL,
	allowed_rev INTEGER NOT NULL,
	pruned_rev  INTEGER NOT NULL
);
INSERT INTO meta VALUES (0, 0, 0);

CREATE TABLE ban (
	row         INTEGER PRIMARY KEY,
	id          TEXT    NOT NULL UNIQUE,
	key         BLOB    NOT NULL,
	services    TEXT    NOT NULL,  -- sorted, separated by commas; empty for all
	state       TEXT    NOT NULL,
	reason      TEXT    NOT NULL,
	origin      TEXT    NOT NULL,
	created     INTEGER NOT NULL,
	decided     INTEGER NOT NULL,
	expires     INTEGER NOT NULL,
	duration    INTEGER NOT NULL,
	quiet_until INTEGER NOT NULL,
	evidence    TEXT    NOT NULL,  -- JSON or empty
	rev         INTEGER NOT NULL
);
CREATE INDEX ban_key  ON ban (key);
CREATE INDEX ban_rev  ON ban (rev);
-- All that a start has to read, in the order in which it is wanted.
CREATE INDEX ban_live ON ban (key, services, expires) WHERE state = 'active';
CREATE INDEX ban_end  ON ban (expires) WHERE expires > 0 AND state IN ('active', 'suggested');
CREATE INDEX ban_past ON ban (decided) WHERE state IN ('rejected', 'lifted', 'expired');

-- Decisions that were answered by an entry of another id, or by none.
CREATE TABLE merged (
	id  TEXT    PRIMARY KEY,
	ban TEXT    NOT NULL,
	at  INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX merged_at ON merged (at);

CREATE TABLE allowed (
	key     BLOB    PRIMARY KEY,
	note    TEXT    NOT NULL,
	by      TEXT    NOT NULL,
	created INTEGER NOT NULL,
	expires INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE history (
	row        INTEGER PRIMARY KEY,
	at         INTEGER NOT NULL,
	id         TEXT    NOT NULL,
	key        BLOB    NOT NULL,
	from_state TEXT    NOT NULL,
	to_state   TEXT    NOT NULL,
	by         TEXT    NOT NULL,
	reason     TEXT    NOT NULL
);
CREATE INDEX history_key ON history (key);
CREATE INDEX history_at  ON history (at);
`

// prepareSchema makes the tables of a new file and checks an old one. It runs
// in one immediate transaction, so two processes that create the same file
// take turns. It reports whether it changed the file.
func prepareSchema(ctx context.Context, conn *sql.Conn) (bool, error) {
	var app, version, tables int
	for _, q := range []struct {
		query string
		to    *int
	}{
		{"PRAGMA application_id", &app},
		{"PRAGMA user_version", &version},
		{"SELECT count(*) FROM sqlite_master", &tables},
	} {
		if err := conn.QueryRowContext(ctx, q.query).Scan(q.to); err != nil {
			return false, err
		}
	}
	switch {
	case app == 0 && version == 0 && tables == 0:
		_, err := conn.ExecContext(ctx, fmt.Sprintf("%s\nPRAGMA application_id = %d; PRAGMA user_version = %d;",
			schema, applicationID, schemaVersion))
		return true, err
	case app != applicationID:
		return false, fmt.Errorf("%w: it is the database of another program", ErrDamaged)
	case version > schemaVersion:
		return false, fmt.Errorf("%w: the file has version %d, this program knows %d", ErrNewer, version, schemaVersion)
	case version < schemaVersion:
		return false, fmt.Errorf("%w: the file has version %d", ErrDamaged, version)
	}
	return false, nil
}
