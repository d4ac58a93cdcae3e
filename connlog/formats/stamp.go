package formats

import (
	"errors"
	"time"
)

// stamps reads the times of lines, as microseconds since 1970. It remembers
// the last minute of each kind of stamp, because most lines are of the same
// minute as the line before.
type stamps struct {
	location *time.Location
	year     int // of the first stamp without one; 0: see now
	now      time.Time
	last     int64 // stamp without a year, seconds

	classic minute // Nov 23 12:35
	dated   minute // 2026-11-23T12:35, of the options' zone
	common  minute // 23/Nov/2026:12:35, of the options' zone

	written      [16]byte // Nov 23 12:35
	writtenYear  int64
	writtenBegin int64
}

// minute is a text that stands for a minute, and when that began.
type minute struct {
	text  [20]byte
	begin int64 // seconds since 1970
}

// knows says whether the minute is that of the text.
func (m *minute) knows(text []byte) bool { return string(m.text[:len(text)]) == string(text) }

func (m *minute) learn(text []byte, begin time.Time) {
	copy(m.text[:], text)
	m.begin = begin.Unix()
}

const second = 1_000_000 // microseconds

// errStamp is any text that is no stamp.
var errStamp = errors.New("formats: no stamp")

// two reads two digits, of which the first may be a space; -1 if it is none.
func two(b []byte) int {
	tens, ones := b[0]-'0', b[1]-'0'
	if b[0] == ' ' {
		tens = 0
	}
	if tens > 9 || ones > 9 {
		return -1
	}
	return int(tens)*10 + int(ones)
}

// month reads Jan to Dec; 0 if it is none.
func month(b []byte) time.Month {
	switch string(b[:3]) {
	case "Jan":
		return time.January
	case "Feb":
		return time.February
	case "Mar":
		return time.March
	case "Apr":
		return time.April
	case "May":
		return time.May
	case "Jun":
		return time.June
	case "Jul":
		return time.July
	case "Aug":
		return time.August
	case "Sep":
		return time.September
	case "Oct":
		return time.October
	case "Nov":
		return time.November
	case "Dec":
		return time.December
	}
	return 0
}

// syslog reads the stamp of RFC 3164 at the beginning of b, Nov 23 12:35:16,
// with a day of one digit padded or not. n is its length.
func (s *stamps) syslog(b []byte) (at int64, n int, err error) {
	const length = len("Nov 23 12:35:16")
	if len(b) >= length-1 && b[4]-'0' <= 9 && b[5] == ' ' { // Sep 8 07:46:30
		padded := [length]byte{}
		copy(padded[:4], b)
		padded[4] = ' '
		copy(padded[5:], b[4:length-1])
		at, _, err = s.syslog(padded[:])
		return at, length - 1, err
	}
	if len(b) < length || b[3] != ' ' || b[6] != ' ' || b[9] != ':' || b[12] != ':' {
		return 0, 0, errStamp
	}
	sec := two(b[13:])
	if sec < 0 || sec > 60 {
		return 0, 0, errStamp
	}
	if text := b[:12]; !s.classic.knows(text) {
		begin, err := s.yearless(month(b), two(b[4:]), two(b[7:]), two(b[10:]))
		if err != nil {
			return 0, 0, err
		}
		s.classic.learn(text, begin)
	}
	return (s.classic.begin + int64(sec)) * second, length, nil
}

// yearless finds the year of a date that has none.
func (s *stamps) yearless(m time.Month, day, hour, min int) (time.Time, error) {
	if m == 0 || day < 1 || day > 31 || hour < 0 || hour > 23 || min < 0 || min > 59 {
		return time.Time{}, errStamp
	}
	date := func(year int) (time.Time, bool) {
		t := time.Date(year, m, day, hour, min, 0, 0, s.location)
		return t, t.Day() == day // the 29th of February does not exist each year
	}
	if s.year != 0 {
		return s.nearest(date)
	}
	if s.now.IsZero() {
		return time.Time{}, ErrNoYear
	}
	// Eight years lie between two leap days around 1900 and 2100.
	for year := s.now.In(s.location).Year(); year > s.now.Year()-9; year-- {
		if t, ok := date(year); ok && !t.After(s.now) {
			return t, nil
		}
	}
	return time.Time{}, errStamp
}

// nearest takes the year in which a date lies nearest to the line before.
func (s *stamps) nearest(date func(year int) (time.Time, bool)) (time.Time, error) {
	var best time.Time
	for year := s.year - 1; year <= s.year+1; year++ {
		t, ok := date(year)
		if !ok || s.last == 0 && year != s.year {
			continue
		}
		if best.IsZero() || abs(t.Unix()-s.last) < abs(best.Unix()-s.last) {
			best = t
		}
	}
	if best.IsZero() {
		return best, errStamp
	}
	s.last, s.year = best.Unix(), best.Year()
	return best, nil
}

func abs(n int64) int64 { return max(n, -n) }

// iso reads the stamp of RFC 3339 at the beginning of b, with a T or a space
// between date and time, a point or a comma before the fraction, and with or
// without a zone. n is its length.
func (s *stamps) iso(b []byte) (at int64, n int, err error) {
	const length = len("2026-11-23T12:35:16")
	if len(b) < length || b[4] != '-' || b[7] != '-' || b[10] != 'T' && b[10] != ' ' || b[13] != ':' || b[16] != ':' {
		return 0, 0, errStamp
	}
	sec := two(b[17:])
	if sec < 0 || sec > 60 {
		return 0, 0, errStamp
	}
	if text := b[:16]; !s.dated.knows(text) {
		century, year := two(b), two(b[2:])
		begin, ok := s.date(century*100+year, time.Month(two(b[5:])), two(b[8:]), two(b[11:]), two(b[14:]))
		if century < 0 || year < 0 || !ok {
			return 0, 0, errStamp
		}
		s.dated.learn(text, begin)
	}
	at, n = (s.dated.begin+int64(sec))*second, length
	if n < len(b) && (b[n] == '.' || b[n] == ',') {
		digits := fraction(b[n+1:])
		micros, ok := decimal(append(append(make([]byte, 0, 16), "0."...), b[n+1:n+1+min(digits, 9)]...))
		if !ok {
			return 0, 0, errStamp
		}
		at, n = at+micros, n+1+digits
	}
	east, zone, ok := offset(b[n:])
	if ok {
		// The minute was taken as of the options' zone.
		_, local := time.Unix(s.dated.begin, 0).In(s.location).Zone()
		at += (int64(local) - east) * second
	}
	return at, n + zone, nil
}

// fraction is the number of digits at the beginning of b.
func fraction(b []byte) int {
	n := 0
	for n < len(b) && b[n]-'0' <= 9 {
		n++
	}
	return n
}

// date is time.Date for a date that exists, in the options' zone.
func (s *stamps) date(year int, m time.Month, day, hour, min int) (time.Time, bool) {
	if m < 1 || m > 12 || day < 1 || hour < 0 || hour > 23 || min < 0 || min > 59 {
		return time.Time{}, false
	}
	t := time.Date(year, m, day, hour, min, 0, 0, s.location)
	return t, t.Day() == day
}

// offset reads Z, +01:00, +0100 or +01 at the beginning of b as seconds east.
func offset(b []byte) (east int64, n int, ok bool) {
	if len(b) > 0 && b[0] == 'Z' {
		return 0, 1, true
	}
	if len(b) < 3 || b[0] != '+' && b[0] != '-' {
		return 0, 0, false
	}
	hours, minutes := two(b[1:]), 0
	n = 3
	switch {
	case len(b) >= 6 && b[3] == ':':
		minutes, n = two(b[4:]), 6
	case len(b) >= 5 && b[3]-'0' <= 9:
		minutes, n = two(b[3:]), 5
	}
	if hours < 0 || minutes < 0 {
		return 0, 0, false
	}
	east = int64(hours*3600 + minutes*60)
	if b[0] == '-' {
		east = -east
	}
	return east, n, true
}

// clf reads the stamp of the common log format at the beginning of b, without
// its brackets: 23/Nov/2026:12:35:16, with a fraction as HAProxy writes it or
// a zone as everybody else does. n is its length.
func (s *stamps) clf(b []byte) (at int64, n int, err error) {
	const length = len("23/Nov/2026:12:35:16")
	if len(b) < length || b[2] != '/' || b[6] != '/' || b[11] != ':' || b[14] != ':' || b[17] != ':' {
		return 0, 0, errStamp
	}
	sec := two(b[18:])
	if sec < 0 || sec > 60 {
		return 0, 0, errStamp
	}
	if text := b[:17]; !s.common.knows(text) {
		century, year := two(b[7:]), two(b[9:])
		begin, ok := s.date(century*100+year, month(b[3:]), two(b), two(b[12:]), two(b[15:]))
		if century < 0 || year < 0 || !ok {
			return 0, 0, errStamp
		}
		s.common.learn(text, begin)
	}
	at, n = (s.common.begin+int64(sec))*second, length
	if n+3 < len(b) && b[n] == '.' {
		millis, ok := number(b[n+1 : n+4])
		if !ok {
			return 0, 0, errStamp
		}
		at, n = at+millis*1000, n+4
	}
	if n < len(b) && b[n] == ' ' {
		east, zone, ok := offset(b[n+1:])
		if ok {
			_, local := time.Unix(s.common.begin, 0).In(s.location).Zone()
			at, n = at+(int64(local)-east)*second, n+1+zone
		}
	}
	return at, n, nil
}
