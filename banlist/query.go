package banlist

import (
	"context"
	"fmt"
	"iter"
	"net/netip"
	"strings"
	"time"
)

// Filter says which entries to return. The zero value asks for all; the fields
// that are set must all hold.
type Filter struct {
	States   []State
	Within   netip.Prefix // entries inside this prefix
	Covering netip.Prefix // entries that hold this prefix
	Origin   string       // what the origin begins with, as "policy:"
	Service  string       // entries that concern it
	Banned   bool         // entries that were in force: no suggestion that nobody approved
	Brief    bool         // leave out the evidence
	Limit    int          // the oldest so many; 0 for all
}

// Get returns the entry of an id.
func (l *List) Get(ctx context.Context, id string) (Ban, error) {
	found, err := queryAll(ctx, l, scanBan, "SELECT"+banColumns+"FROM ban WHERE id = ?", id)
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("%w: %s", ErrNotFound, id)
	}
	if err != nil {
		return Ban{}, err
	}
	return found[0], nil
}

// Bans returns entries, the oldest first.
func (l *List) Bans(ctx context.Context, f Filter) ([]Ban, error) {
	var out []Ban
	for b, err := range l.All(ctx, f) {
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}

// pageRows is how many rows All holds at a time.
const pageRows = 1000

// All is Bans for a list that is too long to hold. It reads in pages, so
// entries that change meanwhile may be seen before or after the change. An
// error ends it.
func (l *List) All(ctx context.Context, f Filter) iter.Seq2[Ban, error] {
	return func(yield func(Ban, error) bool) {
		var after int64
		for left := f.Limit; ; {
			n := 0
			query, args := f.query(after, time.Now())
			page, err := queryAll(ctx, l, scanNumbered, query, args...)
			if err != nil {
				yield(Ban{}, err)
				return
			}
			for _, b := range page {
				n++
				after = b.number
				if f.Service != "" && !b.Covers(f.Service) || f.Within.IsValid() && !inside(b.Prefix, normalPrefix(f.Within)) {
					continue
				}
				if !yield(b.Ban, nil) {
					return
				}
				if left--; left == 0 {
					return
				}
			}
			if n < pageRows {
				return
			}
		}
	}
}

// query is the SQL for one page of the filter. An active entry whose end has
// come is an expired one, although the sweep has not been by.
func (f Filter) query(after int64, now time.Time) (string, []any) {
	columns := banColumns
	if f.Brief {
		columns = briefColumns
	}
	columns = strings.Replace(columns, " state,", " state_now,", 1)
	q := "SELECT" + columns + `, row FROM (SELECT *, CASE WHEN state IN ('active', 'suggested')
		AND expires > 0 AND expires <= ? THEN 'expired' ELSE state END AS state_now FROM ban) AS ended WHERE row > ?`
	args := []any{now.UnixMicro(), after}
	if len(f.States) > 0 {
		q += " AND state_now IN (" + marks(len(f.States)) + ")"
		for _, s := range f.States {
			args = append(args, string(s))
		}
	}
	if f.Within.IsValid() {
		lo, hi := keyRange(normalPrefix(f.Within))
		q += " AND key BETWEEN ? AND ?"
		args = append(args, lo, hi)
	}
	if f.Covering.IsValid() {
		keys := coveringKeys(normalPrefix(f.Covering))
		q += " AND key IN (" + marks(len(keys)) + ")"
		args = append(args, keys...)
	}
	if f.Origin != "" {
		q += " AND substr(origin, 1, ?) = ?"
		args = append(args, len([]rune(f.Origin)), f.Origin)
	}
	if f.Banned {
		q += " AND " + wasBanned
	}
	return q + " ORDER BY row LIMIT ?", append(args, pageRows)
}

// wasBanned picks entries that are or were bans. One that has expired was one
// if it became active before, or if it came when its time was over: then it
// still has the end of a ban, and not that of a suggestion.
const wasBanned = `(state IN ('active', 'lifted') OR state = 'expired' AND (expires - decided = duration
	OR EXISTS (SELECT 1 FROM history WHERE history.key = ended.key AND history.id = ended.id AND to_state = 'active')))`

// numbered is an entry with one number more: its row, by which pages go on, or
// its rev.
type numbered struct {
	Ban
	number int64
}

func scanNumbered(row scanner) (numbered, error) {
	var n numbered
	b, err := scanBan(scanFunc(func(dest ...any) error { return row.Scan(append(dest, &n.number)...) }))
	n.Ban = b
	return n, err
}

type scanFunc func(dest ...any) error

func (f scanFunc) Scan(dest ...any) error { return f(dest...) }

// Answer is what the list says about an address.
type Answer struct {
	Blocked bool
	// Ban is the ban in force with the longest prefix that holds the address
	// and concerns the service, nil when there is none. It may be there and
	// not block.
	Ban *Ban
	// Allowed is the entry of the allow list that covers the address, nil
	// when there is none.
	Allowed *Allowance
}

// Check asks the file about an address, and explains the answer.
func (l *List) Check(ctx context.Context, addr netip.Addr, service string) (Answer, error) {
	if !addr.IsValid() {
		return Answer{}, fmt.Errorf("%w: no address", ErrInvalid)
	}
	p, now := hostPrefix(addr), time.Now()
	query, args := coveringBans(p, now)
	bans, err := queryAll(ctx, l, scanBan, query, args...)
	if err != nil {
		return Answer{}, err
	}
	query, args = coveringAllowance(p, now)
	allowed, err := queryAll(ctx, l, scanAllowance, query, args...)
	if err != nil {
		return Answer{}, err
	}
	var a Answer
	if len(allowed) > 0 {
		a.Allowed = &allowed[0]
	}
	for i := range bans {
		if bans[i].Covers(service) {
			a.Ban = &bans[i]
			break
		}
	}
	a.Blocked = a.Ban != nil && a.Allowed == nil
	return a, nil
}
