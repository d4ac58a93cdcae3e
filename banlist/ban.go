package banlist

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Errors that callers tell apart with errors.Is.
var (
	// ErrNotFound is wrapped when no entry answers to an id or prefix.
	ErrNotFound = errors.New("banlist: no such entry")
	// ErrInvalid is wrapped when an entry is not well formed.
	ErrInvalid = errors.New("banlist: entry is not valid")
	// ErrTooWide is wrapped when a prefix covers more than a ban may.
	ErrTooWide = errors.New("banlist: prefix is too wide")
	// ErrAllowed is wrapped when the allow list forbids a ban.
	ErrAllowed = errors.New("banlist: prefix is on the allow list")
	// ErrFull is wrapped when the list holds as many bans as it may.
	ErrFull = errors.New("banlist: list is full")
	// ErrState is wrapped when an entry is not in the state that a call needs.
	ErrState = errors.New("banlist: entry is in another state")
)

// State is where an entry stands.
type State string

// The states of an entry.
const (
	Suggested State = "suggested" // waits for a person
	Active    State = "active"    // blocks until it expires
	Rejected  State = "rejected"  // a person said no
	Lifted    State = "lifted"    // was active, and was ended early
	Expired   State = "expired"   // its time is over
)

// Where an entry comes from: the first part of Ban.Origin, up to the colon.
const (
	OriginPolicy   = "policy:"   // a detector's policy
	OriginOperator = "operator:" // a person
	OriginImport   = "import:"   // a file
	OriginFleet    = "fleet:"    // another node
)

// Limits of what an entry may hold.
const (
	maxServices      = 32
	maxNameBytes     = 64
	maxIDBytes       = 128
	maxOriginBytes   = 200
	maxReasonBytes   = 500
	maxEvidenceBytes = 64 << 10
	maxDuration      = 100 * 365 * 24 * time.Hour
)

// Ban is one entry of the list. Times are UTC in whole microseconds.
type Ban struct {
	ID     string
	Prefix netip.Prefix // masked, IPv4 never mapped into IPv6
	// Services that the entry concerns, sorted; empty for all.
	Services []string
	State    State
	Reason   string          // one line, for people
	Evidence json.RawMessage // what the detector saw; any JSON value
	Origin   string          // policy:<name>, operator:<who>, import:<file>, fleet:<node>

	Created time.Time // when the entry came to be
	Decided time.Time // when it last got its state, or its end was set anew
	// Expires is when an active ban ends, or a suggestion is dropped; zero
	// for never.
	Expires time.Time
	// Duration of the ban, counted from Decided; 0 for no end. A suggestion's
	// begins to count when it is approved.
	Duration time.Duration
	// QuietUntil is set in a rejected entry: until then its origin cannot
	// suggest the same prefix again.
	QuietUntil time.Time
}

// Covers reports whether the entry concerns the service. An empty service
// asks for any.
func (b *Ban) Covers(service string) bool {
	return len(b.Services) == 0 || service == "" || slices.Contains(b.Services, service)
}

// coversAll reports whether the entry concerns each of the services, where no
// services means all there are.
func (b *Ban) coversAll(services []string) bool {
	if len(b.Services) == 0 {
		return true
	}
	if len(services) == 0 {
		return false
	}
	for _, s := range services {
		if !slices.Contains(b.Services, s) {
			return false
		}
	}
	return true
}

// blocks reports whether the entry is a ban in force at now.
func (b *Ban) blocks(now time.Time) bool {
	return b.State == Active && !over(b.Expires, now)
}

// over reports whether an end has come. A zero end never does.
func over(end, now time.Time) bool {
	return !end.IsZero() && !end.After(now)
}

// endsLater reports whether end a comes after end b, zero meaning never.
func endsLater(a, b time.Time) bool {
	if a.IsZero() || b.IsZero() {
		return a.IsZero() && !b.IsZero()
	}
	return a.After(b)
}

// endOf returns the end of something that begins at t and lasts d, zero when
// it has none.
func endOf(t time.Time, d time.Duration) time.Time {
	if d == 0 {
		return time.Time{}
	}
	return t.Add(d)
}

// ParsePrefix reads an address or a prefix. An address is a prefix of its full
// length. The result is masked, and IPv4 is never mapped into IPv6.
func ParsePrefix(s string) (netip.Prefix, error) {
	if strings.Contains(s, "/") {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return netip.Prefix{}, fmt.Errorf("%w: %q is not a prefix", ErrInvalid, s)
		}
		return normalPrefix(p), nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%w: %q is not an address", ErrInvalid, s)
	}
	return hostPrefix(a), nil
}

// hostPrefix returns the prefix of one address.
func hostPrefix(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	return netip.PrefixFrom(a, a.BitLen())
}

// normalPrefix masks a prefix and unmaps an IPv4 one.
func normalPrefix(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked()
}

// checkWidth refuses a prefix that is wider than its origin may ban. A person
// can ban more than a machine, and force lets a person ban anything.
func checkWidth(p netip.Prefix, origin string, force bool) error {
	least4, least6 := 16, 32
	if strings.HasPrefix(origin, OriginOperator) || strings.HasPrefix(origin, OriginImport) {
		if force {
			return nil
		}
		least4, least6 = 8, 16
	}
	least := least6
	if p.Addr().Is4() {
		least = least4
	}
	if p.Bits() < least {
		return fmt.Errorf("%w: %v; the widest is /%d", ErrTooWide, p, least)
	}
	return nil
}

// normal returns the entry in the form in which it is stored, or an error that
// wraps ErrInvalid or ErrTooWide.
func (b Ban) normal(force bool) (Ban, error) {
	if !b.Prefix.IsValid() {
		return b, fmt.Errorf("%w: no prefix", ErrInvalid)
	}
	b.Prefix = normalPrefix(b.Prefix)
	if err := checkID(b.ID); err != nil {
		return b, err
	}
	var err error
	if b.Services, err = normalServices(b.Services); err != nil {
		return b, err
	}
	b.Origin = oneLine(b.Origin, maxOriginBytes)
	if !knownOrigin(b.Origin) {
		return b, fmt.Errorf("%w: origin %q", ErrInvalid, b.Origin)
	}
	if err := checkWidth(b.Prefix, b.Origin, force); err != nil {
		return b, err
	}
	b.Reason = oneLine(b.Reason, maxReasonBytes)
	if b.Evidence, err = normalEvidence(b.Evidence); err != nil {
		return b, err
	}
	if b.Duration < 0 || b.Duration > maxDuration {
		return b, fmt.Errorf("%w: duration %v; 0 is without end, the longest is 100 years", ErrInvalid, b.Duration)
	}
	b.Duration = b.Duration.Truncate(time.Microsecond)
	for _, t := range []*time.Time{&b.Created, &b.Decided, &b.Expires, &b.QuietUntil} {
		if *t, err = normalTime(*t); err != nil {
			return b, err
		}
	}
	return b, nil
}

// knownState reports whether an entry can be in the state.
func knownState(s State) bool {
	switch s {
	case Suggested, Active, Rejected, Lifted, Expired:
		return true
	}
	return false
}

// knownOrigin reports whether the origin begins as one of the four does.
func knownOrigin(origin string) bool {
	for _, p := range []string{OriginPolicy, OriginOperator, OriginImport, OriginFleet} {
		if strings.HasPrefix(origin, p) {
			return true
		}
	}
	return false
}

// checkID refuses an id that is empty, too long, unprintable, or that reads as
// an address, because Lift takes both.
func checkID(id string) error {
	if id == "" || len(id) > maxIDBytes {
		return fmt.Errorf("%w: id of %d bytes", ErrInvalid, len(id))
	}
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' {
			return fmt.Errorf("%w: id %q", ErrInvalid, id)
		}
	}
	if !strings.ContainsAny(id, ".:") {
		return nil // Nearly all of them.
	}
	if _, err := ParsePrefix(id); err == nil {
		return fmt.Errorf("%w: id %q is an address", ErrInvalid, id)
	}
	return nil
}

// normalServices sorts names and drops repeated ones. The result is nil when
// there are none.
func normalServices(names []string) ([]string, error) {
	if len(names) == 0 {
		return nil, nil
	}
	if len(names) > maxServices {
		return nil, fmt.Errorf("%w: %d services", ErrInvalid, len(names))
	}
	out := slices.Clone(names)
	for _, n := range out {
		if n == "" || len(n) > maxNameBytes || strings.ContainsFunc(n, notInName) {
			return nil, fmt.Errorf("%w: service %q", ErrInvalid, n)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

func notInName(r rune) bool {
	return r <= ' ' || r > '~' || r == ','
}

// normalEvidence returns the JSON value in the one form that encoding/json
// writes, so that an export reads back as the same bytes.
func normalEvidence(e json.RawMessage) (json.RawMessage, error) {
	if len(e) == 0 {
		return nil, nil
	}
	out, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("%w: evidence is not JSON", ErrInvalid)
	}
	if len(out) > maxEvidenceBytes {
		return nil, fmt.Errorf("%w: evidence of %d bytes", ErrInvalid, len(out))
	}
	if string(out) == "null" {
		return nil, nil
	}
	return out, nil
}

// normalTime returns t in UTC and whole microseconds, as it is stored.
func normalTime(t time.Time) (time.Time, error) {
	if t.IsZero() {
		return time.Time{}, nil
	}
	if y := t.Year(); y < 1971 || y > 9000 {
		return t, fmt.Errorf("%w: time in the year %d", ErrInvalid, y)
	}
	return t.UTC().Truncate(time.Microsecond), nil
}

// oneLine returns s as one clean line of at most limit bytes: what it holds
// came from a network or a file, and is shown on terminals.
func oneLine(s string, limit int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	s = strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, s)
	s = strings.TrimSpace(s)
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return strings.TrimSpace(s[:limit])
}
