package formats

import (
	"bytes"
	"errors"
	"net/netip"
	"time"

	"overstay/connlog"
)

// proftpdFormat is ProFTPD, in its own log or in a syslog file. Each process
// serves one client, whose address stands in parentheses before all that the
// client says.
func proftpdFormat() Format {
	return Format{
		Name:    "proftpd",
		Meaning: "ProFTPD, own log or syslog",
		inOrder: true,
		Gives: Gives{Opens: true, Durations: true, Outcomes: true, Refusals: true, Clock: time.Second,
			Note: "in its own log stamps of a millisecond"},
		read: (*Parser).proftpd,
	}
}

func (p *Parser) proftpd(line []byte) error {
	at, n, err := p.stamps.syslog(line)
	if errors.Is(err, errStamp) {
		at, n, err = p.stamps.iso(line)
	}
	if errors.Is(err, ErrNoYear) {
		return err
	}
	if err != nil || n >= len(line) || line[n] != ' ' {
		return ErrMalformed
	}
	host, b, ok := cutByte(line[n+1:], ' ')
	b, ok2 := after(b, "proftpd[")
	if !ok || !ok2 {
		return ErrForeign
	}
	pid, b, ok := cutByte(b, ']')
	name, b, ok2 := cut(b, " (")
	if !ok || !ok2 || len(name) > 256 {
		return ErrSkip
	}
	_, b, ok = cutByte(b, '[')
	text, b, ok2 := cut(b, "])")
	addr, ok3 := address(text)
	if !ok || !ok2 || !ok3 {
		return ErrSkip
	}
	b = bytes.TrimLeft(b, ":- ")
	k := p.keys.named('f', pid, host)
	switch {
	case bytes.HasPrefix(b, borrow("FTP session opened")):
		p.opened(k, at, addr, 0, ftp)
		return nil
	case bytes.HasPrefix(b, borrow("FTP session closed")):
		return p.closed(k, at, connlog.EndClient)
	case bytes.HasPrefix(b, borrow("Connection refused (")):
		return p.ftpRefused(at, addr, b)
	}
	return p.ftpUser(at, k, addr, b)
}

// ftpRefused reads "Connection refused (max clients 30)", and the same of one
// host, as older and newer versions write it.
func (p *Parser) ftpRefused(at int64, addr netip.Addr, b []byte) error {
	switch {
	case contains(b, "per host"), contains(b, "PerHost"), contains(b, "per user"), contains(b, "PerUser"):
		return p.refused(at, addr, ftp, connlog.RefuseSessions)
	case contains(b, "(max clients "), contains(b, "(MaxClients "), contains(b, "(MaxInstances "):
		return p.refused(at, addr, ftp, connlog.RefuseBusy)
	}
	return p.named(at, addr)
}

func (p *Parser) ftpUser(at int64, k key, addr netip.Addr, b []byte) error {
	rest, ok := after(b, "USER ")
	if !ok {
		return ErrSkip
	}
	// A name may hold the words of an answer: what looks like a failure is one.
	for _, failure := range []string{" (Login failed)", ": no such user found from "} {
		if user, _, ok := cut(rest, failure); ok {
			return p.failed(k, at, addr, ftp, connlog.FailLogin, user)
		}
	}
	if user, ok := bytes.CutSuffix(bytes.TrimRight(rest, " "), borrow(": Login successful.")); ok {
		return p.proved(k, at, addr, ftp, connlog.ByLogin, user)
	}
	return ErrSkip
}
