package formats

import (
	"bytes"
	"time"

	"overstay/connlog"
)

// vsftpdFormat is vsftpd's own log, or what it writes to syslog (syslog_enable)
// and PAM in its name. It names a process, but not the same one
// for a connection and for its login, and no end of anything: connections hold
// nothing, and logins are of an address.
//
// Neither users nor paths are quoted so that they could be told from the rest:
// a line in which a client could be named twice is refused.
func vsftpdFormat() Format {
	return Format{
		Name:    "vsftpd",
		Meaning: "vsftpd, own log (vsftpd_log_file) or syslog",
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
		return p.vsftpdSyslog(line)
	}
	b, ok := after(line[n:], " [pid ")
	_, b, ok2 := cut(b, "] ")
	if !ok || !ok2 {
		return ErrMalformed
	}
	return p.vsftpdMessage(at, b)
}

// vsftpdSyslog reads a line of a syslog file. Of a password that is refused
// both PAM and vsftpd write, if both write to syslog.
func (p *Parser) vsftpdSyslog(line []byte) error {
	if err := p.syslog(line); err != nil {
		return err
	}
	if !isVsftpd(p.head.program) {
		return ErrForeign
	}
	return p.vsftpdProgram(&p.head)
}

func (p *Parser) vsftpdProgram(h *syslogHead) error {
	if !isPAM(h.program, h.message) {
		p.spoke |= ftpSpeaks
		return p.vsftpdMessage(h.at, h.message)
	}
	r, err := pamRefusal(h.message)
	switch {
	case err != nil:
		return err
	case p.spoke&ftpSpeaks != 0:
		return p.named(h.at, r.addr)
	}
	return p.refusedByPAM(h.at, ftp, &r)
}

func isVsftpd(program []byte) bool {
	return string(program) == "vsftpd" || string(program) == "vsftpd(pam_unix)"
}

// vsftpdMessage reads CONNECT: Client "ADDRESS", and [USER] OK LOGIN: Client
// "ADDRESS".
func (p *Parser) vsftpdMessage(at int64, b []byte) error {
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
	if endsWith(what, "] FTP response") {
		return p.named(at, addr)
	}
	return ErrSkip
}
