package formats

import (
	"time"
)

// syslog reads the stamp of RFC 3164 at the beginning of b, Nov 23 12:35:16,
// with a day of one digit padded or not. n is its length.
func (s *stamps) syslog(b []byte) (at int64, n int, err error) {
	const length = len("Nov 23 12:35:16")
	if len(b) >= length-1 && b[4]-'0' <= 9 && b[5] == ' ' { // Sep 8 07:46:30
		padded := [length]byte{}
		copy(padded[:4], b)
		padded[4] = ' '
		copy(padded[5:], b[4:length-1])
		if at, _, err = s.syslog(padded[:]); err != nil {
			return 0, 0, err
		}
		micros, digits, ok := behindSeconds(b[length-1:])
		if !ok {
			return 0, 0, errStamp
		}
		return at + micros, length - 1 + digits, nil
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
	micros, digits, ok := behindSeconds(b[length:]) // as the journal writes it
	if !ok {
		return 0, 0, errStamp
	}
	return (s.classic.begin+int64(sec))*second + micros, length + digits, nil
}

// sameMinute reads a stamp of RFC 3164 that is of the minute of the last one,
// has no fraction, and is followed by a blank, with which rest begins.
func (s *stamps) sameMinute(b []byte) (at int64, rest []byte, ok bool) {
	const length = len("Nov 23 12:35:16")
	if len(b) <= length || b[12] != ':' || b[length] != ' ' || !s.classic.knows(b[:12]) {
		return 0, nil, false
	}
	sec := two(b[13:])
	if sec < 0 || sec > 60 || s.classic.text[0] == 0 {
		return 0, nil, false
	}
	return (s.classic.begin + int64(sec)) * second, b[length:], true
}

// yearless finds the year of a date that has none.
func (s *stamps) yearless(m time.Month, day, hour, min int) (time.Time, error) {
	if m < time.January || m > time.December || day < 1 || day > 31 || hour < 0 || hour > 23 || min < 0 || min > 59 {
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
	last := s.now.Add(ahead)
	for year := last.In(s.location).Year(); year > last.Year()-9; year-- {
		if t, ok := date(year); ok && !t.After(last) {
			return t, nil
		}
	}
	return time.Time{}, errStamp
}

// ahead is how far a server's clock, or its zone, may be ahead of Options.Now.
const ahead = 24 * time.Hour

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

// glog reads I1123 12:35:16.684962       1 client.go:58] at the beginning of b.
func (s *stamps) glog(b []byte) (at int64, n int, err error) {
	const length = len("I1123 12:35:16")
	if len(b) < length || b[0] != 'I' || b[5] != ' ' || b[8] != ':' || b[11] != ':' {
		return 0, 0, errStamp
	}
	sec := two(b[12:])
	micros, digits, ok := behindSeconds(b[length:])
	_, rest, ok2 := cut(b[length+digits:min(len(b), 100)], "] ")
	if sec < 0 || sec > 60 || !ok || !ok2 {
		return 0, 0, errStamp
	}
	begin, err := s.yearless(time.Month(two(b[1:])), two(b[3:]), two(b[6:]), two(b[9:]))
	if err != nil {
		return 0, 0, err
	}
	return (begin.Unix()+int64(sec))*second + micros, min(len(b), 100) - len(rest) - 1, nil
}
