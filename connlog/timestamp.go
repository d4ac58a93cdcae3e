package connlog

import (
	"encoding/binary"
	"time"
)

// A written timestamp has one form, 2006-01-02T15:04:05.000000Z. Package time
// takes five times as long for it, and every line has one.
const timestampLen = len("2006-01-02T15:04:05.000000Z")

// The seconds since 1970 of the first and the last moment that RFC 3339 can
// write.
const (
	minSecond = -62167219200 // 0000-01-01T00:00:00Z
	maxSecond = 253402300799 // 9999-12-31T23:59:59Z
)

const secondsPerDay = 24 * 60 * 60

// appendTime appends t in UTC with six digits of fraction. Times outside the
// years 0 to 9999 are moved to the nearest that can be written.
func appendTime(dst []byte, t time.Time) []byte {
	second, micro := t.Unix(), t.Nanosecond()/1000
	if second < minSecond {
		second, micro = minSecond, 0
	} else if second > maxSecond {
		second, micro = maxSecond, 999999
	}
	second -= minSecond // the year 0 begins a cycle of 400 years
	year, month, day := dateOf(int(second / secondsPerDay))
	of := int(second % secondsPerDay)

	var b [timestampLen]byte
	put2(&b, 0, year/100)
	put2(&b, 2, year%100)
	b[4] = '-'
	put2(&b, 5, month)
	b[7] = '-'
	put2(&b, 8, day)
	b[10] = 'T'
	put2(&b, 11, of/3600)
	b[13] = ':'
	put2(&b, 14, of/60%60)
	b[16] = ':'
	put2(&b, 17, of%60)
	b[19] = '.'
	put2(&b, 20, micro/10000)
	put2(&b, 22, micro/100%100)
	put2(&b, 24, micro%100)
	b[26] = 'Z'
	return append(dst, b[:]...)
}

func put2(b *[timestampLen]byte, at, n int) {
	b[at], b[at+1] = pairs[n*2], pairs[n*2+1]
}

// Days from 1 March to the first of each month, in a year that begins in
// March so that the leap day is its last.
func daysBeforeMonth(fromMarch int) int { return (153*fromMarch + 2) / 5 }

const (
	daysPer400Years = 146097
	daysPer100Years = 36524
	daysPer4Years   = 1461
	daysJanFeb      = 60 // of year 0, a leap year
)

// dateOf returns the Gregorian date of a day counted from 0000-01-01.
func dateOf(day int) (year, month, dayOfMonth int) {
	day -= daysJanFeb
	era := 0
	if day < 0 { // January and February of the year 0 belong to the cycle before
		day += daysPer400Years
		era = -1
	}
	era += day / daysPer400Years
	day %= daysPer400Years
	century := min(day/daysPer100Years, 3)
	day -= century * daysPer100Years
	four := day / daysPer4Years
	day -= four * daysPer4Years
	one := min(day/365, 3)
	day -= one * 365
	fromMarch := (5*day + 2) / 153
	dayOfMonth = day - daysBeforeMonth(fromMarch) + 1
	year = era*400 + century*100 + four*4 + one
	month = fromMarch + 3
	if month > 12 {
		month -= 12
		year++
	}
	return year, month, dayOfMonth
}

// dayOf is the inverse of dateOf. The date must exist.
func dayOf(year, month, dayOfMonth int) int {
	fromMarch := month - 3
	if month < 3 {
		fromMarch += 12
		year--
	}
	day := daysBeforeMonth(fromMarch) + dayOfMonth - 1 + daysJanFeb
	if year < 0 {
		return day - 366 // year 0 is a leap year
	}
	return day + year*365 + year/4 - year/100 + year/400
}

func daysIn(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// clock reads timestamps. It remembers the minute of the last one, because
// most lines are of the same minute as the line before.
type clock struct {
	date  uint64 // the bytes 2006-01-
	time  uint64 // the bytes 02T15:04; a colon follows
	begin int64  // of that minute, in seconds since 1970
}

// written reads a timestamp in the form that appendTime writes. ok is false
// for any other text.
func (c *clock) written(b []byte) (t time.Time, ok bool) {
	if len(b) != timestampLen || b[19] != '.' || b[26] != 'Z' {
		return t, false
	}
	if binary.LittleEndian.Uint64(b) != c.date || binary.LittleEndian.Uint64(b[8:]) != c.time || b[16] != ':' {
		if !c.minute(b) {
			return t, false
		}
	}
	second := get2(b, 17)
	micro := get2(b, 20)<<40 | get2(b, 22)<<20 | get2(b, 24)
	if uint(second) > 59 || micro < 0 {
		return t, false
	}
	micro = (micro>>40)*10000 + (micro>>20&0xff)*100 + micro&0xff
	return time.Unix(c.begin+int64(second), int64(micro)*1000).UTC(), true
}

// minute makes b's minute the remembered one.
func (c *clock) minute(b []byte) bool {
	if b[4] != '-' || b[7] != '-' || b[10] != 'T' || b[13] != ':' || b[16] != ':' {
		return false
	}
	century, year, month, day := get2(b, 0), get2(b, 2), get2(b, 5), get2(b, 8)
	hour, minute := get2(b, 11), get2(b, 14)
	if century|year|month|day|hour|minute < 0 {
		return false
	}
	year += century * 100
	if month < 1 || month > 12 || day < 1 || day > daysIn(year, month) || hour > 23 || minute > 59 {
		return false
	}
	c.date, c.time = binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
	c.begin = minSecond + int64(dayOf(year, month, day))*secondsPerDay + int64(hour*3600+minute*60)
	return true
}

// get2 returns the number that two digits make, or a negative one.
func get2(b []byte, at int) int {
	tens, ones := uint(b[at]-'0'), uint(b[at+1]-'0')
	if tens > 9 || ones > 9 {
		return -1
	}
	return int(tens*10 + ones)
}

// read reads any RFC 3339 timestamp, as package time does.
func (c *clock) read(b []byte) (t time.Time, ok bool) {
	if t, ok = c.written(b); ok {
		return t, true
	}
	if err := t.UnmarshalText(b); err != nil {
		return time.Time{}, false
	}
	t = t.UTC().Truncate(time.Microsecond)
	if t.Year() < 0 || t.Year() > 9999 { // an offset can lead out of the range
		return time.Time{}, false
	}
	return t, true
}
