package formats

import (
	"bytes"
	"time"

	"overstay/connlog"
)

// vsftpdFormat is vsftpd's own log. It names a process, but not the same one
// for a connection and for its login, and no end of anything: connections hold
// nothing, and logins are of an address.
//
// Neither users nor paths are quoted so that they could be told from the rest:
// a line in which a client could be named twice is refused.
func vsftpdFormat() Format {
	return Format{
		Name:    "vsftpd",
		Meaning: "vsftpd's own log (vsftpd_log_file)",
		inOrder: true,
		Gives: Gives{Opens: true, Outcomes: true, Refusals: true, Clock: time.Second,
			Note: "no ends: who holds threads cannot be seen"},
		read: (*Parser).vsftpd,
	}
}

const ftp = "ftp"

func (p *Parser) vsftpd(line []byte) error {
	at, n, err := p.stamps.ctime(line)
	if err != nil {
		return ErrMalformed
	}
	b, ok := after(line[n:], " [pid ")
	_, b, ok2 := cut(b, "] ")
	if !ok || !ok2 {
		return ErrMalformed
	}
	const client = `: Client "`
	switch bytes.Count(b, borrow(client)) {
	case 0:
		return ErrSkip
	case 1:
	default:
		return ErrForged
	}
	what, b, _ := cut(b, client)
	text, why, ok := cutByte(b, '"')
	addr, ok2 := address(text)
	if !ok || !ok2 {
		return ErrSkip
	}
	if string(what) == "CONNECT" {
		if contains(why, "too many sessions for this address") {
			return p.refused(at, addr, ftp, connlog.RefuseSessions)
		}
		if contains(why, "too many sessions") {
			return p.refused(at, addr, ftp, connlog.RefuseBusy)
		}
		p.tell(&visit{addr: addr, service: ftp, from: at, to: at})
		return nil
	}
	user, ok := after(what, "[")
	if !ok {
		return ErrSkip
	}
	if name, ok := bytes.CutSuffix(user, borrow("] FAIL LOGIN")); ok {
		return p.failed(0, at, addr, ftp, connlog.FailLogin, name)
	}
	if name, ok := bytes.CutSuffix(user, borrow("] OK LOGIN")); ok {
		return p.proved(0, at, addr, ftp, connlog.ByLogin, name)
	}
	return ErrSkip
}

// ctime reads Mon Nov 23 12:35:36 2026 at the beginning of b.
func (s *stamps) ctime(b []byte) (at int64, n int, err error) {
	const length = len("Mon Nov 23 12:35:36 2026")
	// Days of one digit are padded with a blank, or not.
	short := len(b) > 10 && b[9] == ' '
	n = length
	if short {
		n--
	}
	if len(b) < n || b[3] != ' ' || b[7] != ' ' {
		return 0, 0, errStamp
	}
	year, ok := number(b[n-4 : n])
	day, clock := 0, b[n-13:n-5]
	if short {
		day = two([]byte{' ', b[8]})
	} else {
		day = two(b[8:])
	}
	if !ok || b[n-5] != ' ' || clock[2] != ':' || clock[5] != ':' {
		return 0, 0, errStamp
	}
	sec := two(clock[6:])
	if sec < 0 || sec > 60 {
		return 0, 0, errStamp
	}
	text := b[4 : n-8]
	if string(text) != string(s.written[:len(text)]) || s.writtenYear != year {
		begin, ok := s.date(int(year), month(b[4:]), day, two(clock), two(clock[3:]))
		if !ok {
			return 0, 0, errStamp
		}
		s.written, s.writtenYear, s.writtenBegin = [16]byte{}, year, begin.Unix()
		copy(s.written[:], text)
	}
	return (s.writtenBegin + int64(sec)) * second, n, nil
}
