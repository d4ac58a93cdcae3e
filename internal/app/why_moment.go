package app

import (
	"fmt"
	"time"
)

// Moment is a time as a person gives it: in full, as a time of day, or as a
// length of time back. The last two mean something only beside a log, because
// they count from its end. The zero value is none.
type Moment struct {
	at    time.Time
	back  time.Duration
	clock time.Duration // since midnight
	kind  momentKind
}

type momentKind uint8

const (
	noMoment momentKind = iota
	absolute
	backwards
	ofDay
)

// What a person may write, in local time where the zone is not said.
var momentLayouts = []string{
	time.RFC3339Nano, "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04", time.DateOnly,
}

// ParseMoment reads a time: RFC 3339, or the same without a zone in local
// time; "15:04" or "15:04:05", the last such time of a log; "2h" or "7d", so
// long before its end.
func ParseMoment(s string) (Moment, error) {
	for _, layout := range momentLayouts {
		if t, err := time.ParseInLocation(layout, s, time.Local); err == nil {
			return Moment{kind: absolute, at: t}, nil
		}
	}
	for _, layout := range []string{"15:04", "15:04:05"} {
		if t, err := time.Parse(layout, s); err == nil {
			return Moment{kind: ofDay, clock: t.Sub(t.Truncate(24 * time.Hour))}, nil
		}
	}
	if d, err := ParseDuration(s); err == nil {
		return Moment{kind: backwards, back: d}, nil
	}
	return Moment{}, fmt.Errorf("%q is not a time such as 15:04, 2h (ago) or 2026-01-02T15:04:05Z", s)
}

// IsZero reports whether no moment was given.
func (m Moment) IsZero() bool { return m.kind == noMoment }

// isRelative reports whether it means something only beside a log.
func (m Moment) isRelative() bool { return m.kind == backwards || m.kind == ofDay }

// At is the moment beside a log that ends at end.
func (m Moment) At(end time.Time) time.Time {
	switch m.kind {
	case absolute:
		return m.at
	case backwards:
		return end.Add(-m.back)
	case ofDay:
		return m.on(end, 0, func(at time.Time) bool { return !at.After(end) })
	}
	return time.Time{}
}

// AtEnd is the moment as the end of a time that begins with from, beside a log
// that ends at end: a time of day is the next one after from, or without one
// that which is nearest to the end.
func (m Moment) AtEnd(from Moment, end time.Time) time.Time {
	if m.kind != ofDay {
		return m.At(end)
	}
	if !from.IsZero() {
		begin := from.At(end)
		return m.on(begin, 1, func(at time.Time) bool { return at.Sub(begin) <= 24*time.Hour })
	}
	return m.on(end, 1, func(at time.Time) bool { return at.Sub(end) <= 12*time.Hour })
}

// on is the time of day on the last day, from some days after that of t on
// backwards, on which it is one that is wanted.
func (m Moment) on(t time.Time, days int, wanted func(time.Time) bool) time.Time {
	local := t.Local()
	for ; ; days-- {
		at := time.Date(local.Year(), local.Month(), local.Day()+days, 0, 0, int(m.clock/time.Second), int(m.clock%time.Second), time.Local)
		if wanted(at) {
			return at
		}
	}
}

// earliest is a time that the moment is not before, if the log ends now.
func (m Moment) earliest(now time.Time) time.Time {
	if m.kind == ofDay {
		return now.Add(-25 * time.Hour) // A day with a change of clocks in it.
	}
	return m.At(now)
}
