package formats

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"
)

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	l, err := time.LoadLocation(name)
	if err != nil {
		t.Skip(err)
	}
	return l
}

// TestYears holds the rule for stamps without a year.
func TestYears(t *testing.T) {
	at := func(s string) time.Time {
		got, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	zurich := zone(t, "Europe/Zurich")
	tests := []struct {
		name   string
		stamps stamps
		lines  []string
		want   []string
	}{
		{"the latest that is not a day after now", stamps{location: zurich, now: at("2005-08-14T12:00:00+02:00")},
			[]string{"Aug 14 11:59:59", "Aug 15 11:59:00", "Aug 15 12:01:00", "Dec 31 23:59:59", "Jan  1 00:00:00", "Jan 1 00:00:00", "Feb 29 12:00:00"},
			[]string{"2005-08-14T11:59:59+02:00", "2005-08-15T11:59:00+02:00", "2004-08-15T12:01:00+02:00", "2004-12-31T23:59:59+01:00", "2005-01-01T00:00:00+01:00", "2005-01-01T00:00:00+01:00", "2004-02-29T12:00:00+01:00"}},
		{"New Year's Eve, where the server is ahead", stamps{location: time.UTC, now: at("2025-12-31T23:59:58Z")},
			[]string{"Dec 31 23:59:59", "Jan  1 00:00:01", "Jan  2 00:00:00"}, []string{"2025-12-31T23:59:59Z", "2026-01-01T00:00:01Z", "2025-01-02T00:00:00Z"}},
		{"with a fraction", stamps{location: time.UTC, now: at("2026-12-01T00:00:00Z")},
			[]string{"Nov 23 12:35:16.250000", "Nov  3 12:35:16,5", "Nov 3 12:35:16.000001"}, []string{"2026-11-23T12:35:16.25Z", "2026-11-03T12:35:16.5Z", "2026-11-03T12:35:16.000001Z"}},
		{"a year, and over New Year", stamps{location: time.UTC, year: 2023},
			[]string{"Nov 30 00:00:00", "Dec 31 23:59:59", "Jan  1 00:00:01", "Dec 31 23:59:58", "Feb 29 10:00:00", "Aug  1 00:00:00", "Dec 31 00:00:00", "Jan 02 00:00:00"},
			[]string{"2023-11-30T00:00:00Z", "2023-12-31T23:59:59Z", "2024-01-01T00:00:01Z", "2023-12-31T23:59:58Z", "2024-02-29T10:00:00Z", "2024-08-01T00:00:00Z", "2024-12-31T00:00:00Z", "2025-01-02T00:00:00Z"}},
	}
	for _, tt := range tests {
		for i, line := range tt.lines {
			got, n, err := tt.stamps.syslog([]byte(line))
			if err != nil || n != len(line) || !time.UnixMicro(got).Equal(at(tt.want[i])) {
				t.Errorf("%s: %q is %v (%v), want %s", tt.name, line, time.UnixMicro(got).UTC(), err, tt.want[i])
			}
		}
	}
	if _, _, err := (&stamps{location: time.UTC}).syslog([]byte("Nov 23 12:35:16")); !errors.Is(err, ErrNoYear) {
		t.Errorf("neither year nor now: %v", err)
	}
}

// TestStampsAreThoseOfPackageTime reads what package time wrote, over
// changes of the clock, in any order.
func TestStampsAreThoseOfPackageTime(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 1))
	locations := []*time.Location{time.UTC, zone(t, "Europe/Zurich"), zone(t, "America/St_Johns"), time.FixedZone("", -3600*9-1800)}
	begin := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, l := range locations {
		s := stamps{location: l, now: begin.AddDate(1, 0, -2)} // What is of the next day may be of this year, or of the last one.
		for range 4000 {
			want := begin.Add(time.Duration(random.Int64N(int64(360 * 24 * time.Hour)))).In(l).Truncate(time.Millisecond)
			check := func(layout string, fine time.Duration, read func([]byte) (int64, int, error)) {
				text := want.Format(layout)
				got, n, err := read([]byte(text))
				// An hour that comes twice is the first or the second.
				off := time.UnixMicro(got).Sub(want.Truncate(fine)).Abs()
				if err != nil || n != len(text) || off != 0 && (off != time.Hour || time.UnixMicro(got).In(l).Format(layout) != text) {
					t.Fatalf("seed %d: %q is %v (%v), want %v", seed, text, time.UnixMicro(got).In(l), err, want)
				}
			}
			check("Jan _2 15:04:05", time.Second, s.syslog)
			check("2006-01-02T15:04:05.000Z07:00", time.Millisecond, s.iso)
			check("2006-01-02 15:04:05,000", time.Millisecond, s.iso)
			check("2006-01-02T15:04:05-0700", time.Second, s.iso)
			check("02/Jan/2006:15:04:05 -0700", time.Second, s.clf)
			check("02/Jan/2006:15:04:05.000", time.Millisecond, s.clf)
			check("Mon Jan _2 15:04:05 2006", time.Second, s.ctime)
			check("Mon Jan 2 15:04:05 2006", time.Second, s.ctime)
		}
	}
}

func TestNoStamps(t *testing.T) {
	s := stamps{location: time.UTC, now: now()}
	for _, text := range []string{
		"", "Nov", "Nov 31 12:00:00", "Nov 23 24:00:00", "Nov 23 12:60:00", "Nov 23 12:00:61", "Foo 23 12:00:00", "Nov  0 12:00:00", "     1 12:00:00", "Nov    12:00:00",
		"2026-02-29T12:00:00Z", "2026-13-01T12:00:00Z", "2026-00-01T12:00:00Z", "2026-01-01T12:00", "23/Foo/2026:12:35:16", "31/Nov/2026:12:35:16", "Mon Nov 31 12:35:36 2026", "Mon Nov 23 12:35:36 x026",
	} {
		for name, read := range map[string]func([]byte) (int64, int, error){"syslog": s.syslog, "iso": s.iso, "clf": s.clf, "ctime": s.ctime} {
			if at, n, err := read([]byte(text)); err == nil {
				t.Errorf("%s reads %q as %v (%d)", name, text, time.UnixMicro(at).UTC(), n)
			}
		}
	}
}
