package banlist

import (
	"context"
	"database/sql"
	"net/netip"
	"time"
)

// Act says who does something, and why. It goes into the history.
type Act struct {
	By     string
	Reason string
}

func (a Act) normal() Act {
	return Act{By: oneLine(a.By, maxOriginBytes), Reason: oneLine(a.Reason, maxReasonBytes)}
}

// Allowed and Disallowed stand in the history, as the states that a prefix
// goes to when it enters and leaves the allow list. No entry has them.
const (
	Allowed    State = "allowed"
	Disallowed State = "disallowed"
)

// Transition is one step in the life of an entry.
type Transition struct {
	Time   time.Time
	ID     string // of the entry; empty for a step of the allow list
	Prefix netip.Prefix
	From   State // empty when the entry came to be
	To     State // the same as From when only its end changed
	By     string
	Reason string
}

// HistoryFilter says which steps to return. The zero value asks for all.
type HistoryFilter struct {
	// Prefix limits the answer to steps of this prefix and of those that
	// cover it: what could have been in the way of its hosts.
	Prefix netip.Prefix
	ID     string // of one entry
	Since  time.Time
	Limit  int // the newest so many; 0 for 10,000
}

// History returns steps, oldest first.
func (l *List) History(ctx context.Context, f HistoryFilter) ([]Transition, error) {
	if f.Limit <= 0 {
		f.Limit = 10_000
	}
	query := `SELECT at, id, key, from_state, to_state, by, reason FROM
		(SELECT * FROM history WHERE at >= ?`
	args := []any{micros(f.Since)}
	if f.ID != "" {
		query += " AND id = ?"
		args = append(args, f.ID)
	}
	if f.Prefix.IsValid() {
		keys := coveringKeys(normalPrefix(f.Prefix))
		query += " AND key IN (" + marks(len(keys)) + ")"
		args = append(args, keys...)
	}
	query += " ORDER BY row DESC LIMIT ?) ORDER BY row"
	return queryAll(ctx, l, scanTransition, query, append(args, f.Limit)...)
}

func scanTransition(row scanner) (Transition, error) {
	var (
		t   Transition
		at  int64
		key sql.RawBytes
	)
	err := row.Scan(&at, &t.ID, &key, &t.From, &t.To, &t.By, &t.Reason)
	if err != nil {
		return t, err
	}
	t.Time = fromMicros(at)
	t.Prefix, err = prefixOf(key)
	return t, err
}

// record writes a step into the history.
func (t *tx) record(s Transition) error {
	_, err := t.exec(`INSERT INTO history (at, id, key, from_state, to_state, by, reason)
		VALUES (?, ?, ?, ?, ?, ?, ?)`,
		micros(s.Time), s.ID, keyOf(s.Prefix), string(s.From), string(s.To), s.By, s.Reason)
	return err
}
