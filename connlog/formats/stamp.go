package formats

import (
	"errors"
	"strings"
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
	nginx   minute // 2026/11/23 12:35, of the options' zone

	written      [16]byte // Nov 23 12:35
	writtenYear  int64
	writtenBegin int64
}

// minute is a text that stands for a minute, and when that began.
type minute struct {
	text  [20]byte
	begin int64 // seconds since 1970
	east  int64 // seconds that the zone is ahead then
}

// knows says whether the minute is that of the text.
func (m *minute) knows(text []byte) bool { return string(m.text[:len(text)]) == string(text) }

func (m *minute) learn(text []byte, begin time.Time) {
	copy(m.text[:], text)
	m.begin = begin.Unix()
	_, east := begin.Zone()
	m.east = int64(east)
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
	micros, digits, ok := behindSeconds(b[n:])
	if !ok {
		return 0, 0, errStamp
	}
	at, n = at+micros, n+digits
	east, zone, ok := offset(b[n:])
	if ok {
		// The minute was taken as of the options' zone.
		at += (s.dated.east - east) * second
	}
	return at, n + zone, nil
}

// tai64n reads 24 hexadecimal digits, as multilog writes time: seconds from
// 2^62 and nanoseconds, ten seconds and the leap seconds since ahead of UTC.
// Like tai64nlocal, this takes ten.
func tai64n(b []byte) (at int64, n int, err error) {
	const length = 24
	if len(b) < length {
		return 0, 0, errStamp
	}
	var part [3]uint64
	for i := range length {
		digit := strings.IndexByte("0123456789abcdef", b[i])
		if digit < 0 {
			return 0, 0, errStamp
		}
		part[i/8] = part[i/8]<<4 | uint64(digit)
	}
	seconds := int64(part[0]&0xffff<<32 | part[1])
	if part[0]>>16 != 0x4000 || seconds > lastMoment/second || part[2] >= 1e9 {
		return 0, 0, errStamp
	}
	return (seconds-10)*second + int64(part[2]/1000), length, nil
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
			at, n = at+(s.common.east-east)*second, n+1+zone
		}
	}
	return at, n, nil
}

// ctime reads Mon Nov 23 12:35:36 2026 at the beginning of b, or the same with
// a fraction behind the seconds.
func (s *stamps) ctime(b []byte) (at int64, n int, err error) {
	const length = len("Mon Nov 23 12:35:36")
	// Days of one digit are padded with a blank, or not.
	short := len(b) > 10 && b[9] == ' '
	n = length
	if short {
		n--
	}
	if len(b) < n || b[3] != ' ' || b[7] != ' ' {
		return 0, 0, errStamp
	}
	clock, text := b[n-8:n], b[4:n-3]
	sec := two(clock[6:])
	micros, digits, ok := behindSeconds(b[n:])
	n += digits
	if !ok || len(b) < n+5 || b[n] != ' ' || clock[2] != ':' || clock[5] != ':' || sec < 0 || sec > 60 {
		return 0, 0, errStamp
	}
	year, ok := number(b[n+1 : n+5])
	if !ok {
		return 0, 0, errStamp
	}
	n += 5
	if string(text) != string(s.written[:len(text)]) || s.writtenYear != year {
		day := two(b[8:])
		if short {
			day = two([]byte{' ', b[8]})
		}
		begin, ok := s.date(int(year), month(b[4:]), day, two(clock), two(clock[3:]))
		if !ok {
			return 0, 0, errStamp
		}
		s.written, s.writtenYear, s.writtenBegin = [16]byte{}, year, begin.Unix()
		copy(s.written[:], text)
	}
	return (s.writtenBegin+int64(sec))*second + micros, n, nil
}

// behindSeconds reads a fraction with a point or a comma before it, of which
// there may be none.
func behindSeconds(b []byte) (micros int64, n int, ok bool) {
	if len(b) == 0 || b[0] != '.' && b[0] != ',' {
		return 0, 0, true
	}
	digits, scale := fraction(b[1:]), int64(100_000)
	for _, c := range b[1 : 1+digits] {
		micros += int64(c-'0') * scale
		scale /= 10
	}
	return micros, 1 + digits, digits > 0
}

// slashed reads 2026/11/23 12:35:16 at the beginning of b.
func (s *stamps) slashed(b []byte) (at int64, n int, err error) {
	const length = len("2026/11/23 12:35:16")
	if len(b) < length || b[4] != '/' || b[7] != '/' || b[10] != ' ' || b[13] != ':' || b[16] != ':' {
		return 0, 0, errStamp
	}
	sec := two(b[17:])
	if sec < 0 || sec > 60 {
		return 0, 0, errStamp
	}
	if text := b[:16]; !s.nginx.knows(text) {
		century, year := two(b), two(b[2:])
		begin, ok := s.date(century*100+year, time.Month(two(b[5:])), two(b[8:]), two(b[11:]), two(b[14:]))
		if century < 0 || year < 0 || !ok {
			return 0, 0, errStamp
		}
		s.nginx.learn(text, begin)
	}
	return (s.nginx.begin + int64(sec)) * second, length, nil
}
