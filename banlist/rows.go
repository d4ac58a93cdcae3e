package banlist

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// scanner is a row of a result.
type scanner interface{ Scan(dest ...any) error }

// keyBytes is the length of a prefix as it is stored; see schema.
const keyBytes = 17

// keyOf returns a prefix as it is stored.
func keyOf(p netip.Prefix) []byte {
	a := p.Addr().As16()
	bits := p.Bits()
	if p.Addr().Is4() {
		bits += 96
	}
	return append(a[:], byte(bits))
}

// prefixOf reads a stored prefix. Whatever does not come from keyOf is damage.
func prefixOf(key []byte) (netip.Prefix, error) {
	if len(key) != keyBytes {
		return netip.Prefix{}, fmt.Errorf("%w: a prefix of %d bytes", ErrDamaged, len(key))
	}
	a, bits := netip.AddrFrom16([16]byte(key)), int(key[16])
	if a.Is4In6() && bits >= 96 {
		a, bits = a.Unmap(), bits-96
	}
	p := netip.PrefixFrom(a, bits)
	if !p.IsValid() || p != p.Masked() {
		return netip.Prefix{}, fmt.Errorf("%w: prefix %x", ErrDamaged, key)
	}
	return p, nil
}

// coveringKeys returns the keys of all prefixes that hold p, p included.
func coveringKeys(p netip.Prefix) []any {
	keys := make([]any, 0, p.Bits()+1)
	for bits := p.Bits(); bits >= 0; bits-- {
		keys = append(keys, keyOf(netip.PrefixFrom(p.Addr(), bits).Masked()))
	}
	return keys
}

// keyRange returns the least and the greatest key that a prefix inside p can
// have. Between those of an IPv6 net that holds the mapped addresses lie also
// keys of IPv4, which are not inside.
func keyRange(p netip.Prefix) (lo, hi []byte) {
	lo = keyOf(p)
	hi = keyOf(p)
	for bit := int(lo[16]); bit < 128; bit++ {
		hi[bit/8] |= 0x80 >> (bit % 8)
	}
	hi[16] = 128
	return lo, hi
}

// inside reports whether q lies in p.
func inside(q, p netip.Prefix) bool {
	return q.Bits() >= p.Bits() && p.Contains(q.Addr())
}

// marks returns n question marks for an SQL list.
func marks(n int) string {
	return strings.TrimSuffix(strings.Repeat("?,", n), ",")
}

// micros is a time as it is stored.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// fromMicros reads a stored time.
func fromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

func joinServices(names []string) string { return strings.Join(names, ",") }

func splitServices(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}

// banColumns are what scanBan reads, in its order.
const banColumns = ` id, key, services, state, reason, origin, created, decided, expires, duration, quiet_until, evidence `

// briefColumns are banColumns without the evidence, which is long.
const briefColumns = ` id, key, services, state, reason, origin, created, decided, expires, duration, quiet_until, '' `

// scanBan reads a row of banColumns.
func scanBan(row scanner) (Ban, error) {
	var (
		b                                            Ban
		key                                          sql.RawBytes
		services, evidence                           string
		created, decided, expires, duration, quietTo int64
	)
	err := row.Scan(&b.ID, &key, &services, &b.State, &b.Reason, &b.Origin,
		&created, &decided, &expires, &duration, &quietTo, &evidence)
	if err != nil {
		return b, err
	}
	if b.Prefix, err = prefixOf(key); err != nil {
		return b, err
	}
	if !knownState(b.State) {
		return b, fmt.Errorf("%w: state %q", ErrDamaged, b.State)
	}
	b.Services = splitServices(services)
	b.Created, b.Decided = fromMicros(created), fromMicros(decided)
	b.Expires, b.QuietUntil = fromMicros(expires), fromMicros(quietTo)
	b.Duration = time.Duration(duration) * time.Microsecond
	if evidence != "" {
		b.Evidence = json.RawMessage(evidence)
	}
	return b, nil
}

// entry reads the entry of an id, or an error that wraps ErrNotFound.
func (t *tx) entry(id string) (Ban, error) {
	found, err := t.bans("SELECT"+banColumns+"FROM ban WHERE id = ?", id)
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("%w: %s", ErrNotFound, id)
	}
	if err != nil {
		return Ban{}, err
	}
	return found[0], nil
}

// insert stores a new entry, and its first step.
func (t *tx) insert(b Ban, by string) error {
	if err := t.store(b); err != nil {
		return err
	}
	return t.record(Transition{Time: t.now, ID: b.ID, Prefix: b.Prefix, To: b.State, By: by, Reason: b.Reason})
}

// store stores a new entry.
func (t *tx) store(b Ban) error {
	rev, err := t.touch()
	if err != nil {
		return err
	}
	t.room--
	t.note(b, "")
	_, err = t.exec(`INSERT INTO ban
		(id, key, services, state, reason, origin, created, decided, expires, duration, quiet_until, evidence, rev)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		b.ID, keyOf(b.Prefix), joinServices(b.Services), string(b.State), b.Reason, b.Origin,
		micros(b.Created), micros(b.Decided), micros(b.Expires), b.Duration.Microseconds(),
		micros(b.QuietUntil), string(b.Evidence), rev)
	return err
}

// note keeps what the step of an entry means for the list in memory. An end
// that moves can move either way, and so needs a look at what else there is.
func (t *tx) note(b Ban, from State) {
	switch {
	case from == Active:
		t.more = true
	case b.State == Active:
		b.Evidence = nil
		t.banned = append(t.banned, b)
	}
	if (b.State == Active || b.State == Suggested) && endsLater(t.firstEnd, b.Expires) {
		t.firstEnd = b.Expires
	}
}

// update stores an entry that is there, and the step it took from its state
// before.
func (t *tx) update(b Ban, from State, at time.Time, a Act) error {
	rev, err := t.touch()
	if err != nil {
		return err
	}
	t.note(b, from)
	_, err = t.exec(`UPDATE ban SET services = ?, state = ?, reason = ?, origin = ?, decided = ?,
		expires = ?, duration = ?, quiet_until = ?, evidence = ?, rev = ? WHERE id = ?`,
		joinServices(b.Services), string(b.State), b.Reason, b.Origin, micros(b.Decided),
		micros(b.Expires), b.Duration.Microseconds(), micros(b.QuietUntil), string(b.Evidence), rev, b.ID)
	if err != nil {
		return err
	}
	return t.record(Transition{Time: at, ID: b.ID, Prefix: b.Prefix, From: from, To: b.State, By: a.By, Reason: a.Reason})
}

// merge remembers that a decision was answered by another entry, or by none.
func (t *tx) merge(id, ban string) error {
	if _, err := t.touch(); err != nil {
		return err
	}
	_, err := t.exec("INSERT INTO merged (id, ban, at) VALUES (?, ?, ?)", id, ban, micros(t.now))
	return err
}

// glance reports whether an id is known, and whether there are entries beside
// a prefix. Nearly always neither is, and this one question is all that is
// asked.
func (t *tx) glance(id string, p netip.Prefix) (known, beside bool, err error) {
	err = t.row(`SELECT EXISTS (SELECT 1 FROM ban WHERE id = ?1) OR EXISTS (SELECT 1 FROM merged WHERE id = ?1),
		EXISTS (SELECT 1 FROM ban WHERE key = ?2 AND state IN ('active', 'suggested', 'rejected'))`,
		[]any{id, keyOf(p)}, &known, &beside)
	return known, beside, err
}

// answered returns the entry that answered the decision of an id before. The
// entry is zero when none did, or when it was pruned since.
func (t *tx) answered(id string) (Ban, error) {
	found, err := t.bans("SELECT"+banColumns+`FROM ban WHERE id = ?1
		UNION ALL SELECT`+banColumns+`FROM ban WHERE id = (SELECT ban FROM merged WHERE id = ?1)`, id)
	if err != nil || len(found) == 0 {
		return Ban{}, err
	}
	return found[0], nil
}
