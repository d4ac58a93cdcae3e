package app

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"overstay/banlist"
	"overstay/detector"
)

// Duration is a time.Duration that is written as text: "90s", "1h30m", "7d".
type Duration time.Duration

// UnmarshalText reads what time.ParseDuration does, and whole days as "7d".
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := ParseDuration(string(text))
	if err != nil {
		return err
	}
	*d = Duration(v)
	return nil
}

// MarshalText writes days where they are whole, and drops zero units.
func (d Duration) MarshalText() ([]byte, error) {
	const day = 24 * time.Hour
	v := time.Duration(d)
	if v != 0 && v%day == 0 {
		return []byte(strconv.Itoa(int(v/day)) + "d"), nil
	}
	s := v.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return []byte(s), nil
}

// ParseDuration reads a length of time that is not negative: what
// time.ParseDuration knows, and whole days as "7d".
func ParseDuration(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return 0, fmt.Errorf("%q is not a number of days", s)
		}
		return time.Duration(n) * 24 * time.Hour, nil
	}
	v, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("%q is not a length of time such as 90s, 1h30m or 7d", s)
	}
	if v < 0 {
		return 0, fmt.Errorf("%q is negative", s)
	}
	return v, nil
}

// Source is an address or a prefix: "192.0.2.7", "2001:db8::/32".
type Source netip.Prefix

// UnmarshalText reads an address or a prefix.
func (s *Source) UnmarshalText(text []byte) error {
	p, err := banlist.ParsePrefix(string(text))
	if err != nil {
		return err
	}
	*s = Source(p)
	return nil
}

// MarshalText writes a single address without its length.
func (s Source) MarshalText() ([]byte, error) {
	p := netip.Prefix(s)
	if p.IsSingleIP() {
		return p.Addr().MarshalText()
	}
	return p.MarshalText()
}

// Condition is a policy's condition, checked when it is read. It is no string
// type because the TOML library does not ask those how they are read.
type Condition struct{ Text string }

// UnmarshalText refuses a condition that the detector could not evaluate.
func (c *Condition) UnmarshalText(text []byte) error {
	rule := detector.Policy{Name: "condition", When: string(text), Action: detector.Suggest, Duration: time.Minute}
	if err := rule.Check(); err != nil {
		return err
	}
	c.Text = string(text)
	return nil
}

// MarshalText returns the condition as it is written.
func (c Condition) MarshalText() ([]byte, error) { return []byte(c.Text), nil }
