package formats

import (
	"bytes"
	"net/netip"
	"time"

	"overstay/connlog"
)

// dovecotFormat is Dovecot in a syslog file or in one of its own. A login
// opens the session that its id names, and the mail process closes it; who
// never logs in is known when it leaves, with the seconds that it stayed.
//
// A line ends with rip=address and what Dovecot itself knows, so the last rip=
// is the client's, whatever its name for a user says.
func dovecotFormat() Format {
	return Format{
		Name:    "dovecot",
		Meaning: "Dovecot (imap, pop3, managesieve, submission), own log or syslog",
		inOrder: true,
		Gives: Gives{Opens: true, Durations: true, Outcomes: true, Refusals: true, Clock: time.Second,
			Note: "a session counts from its login; one without login is known when it ends; a full service names nobody"},
		read: (*Parser).dovecot,
	}
}

// isDovecot knows the name in syslog, and those of the processes that write to
// a log of their own.
func isDovecot(program []byte) bool {
	if string(program) == "dovecot" || endsWith(program, "-login") {
		return true
	}
	switch name, _, _ := cutByte(program, '('); string(name) {
	case "imap", "pop3", "managesieve", "submission", "lmtp", "master", "auth", "auth-worker", "anvil", "config", "log", "stats":
		return true
	}
	return false
}

func (p *Parser) dovecot(line []byte) error {
	if len(line) > 0 && line[0] == '@' {
		return p.dovecotTAI(line[1:])
	}
	if err := p.syslog(line); err != nil {
		return err
	}
	if !isDovecot(p.head.program) {
		return ErrForeign
	}
	return p.dovecotMessage(&p.head)
}

// dovecotTAI reads a line that multilog has stamped: @, TAI64N, and a message.
func (p *Parser) dovecotTAI(b []byte) error {
	at, n, err := tai64n(b)
	if err != nil || n >= len(b) || b[n] != ' ' {
		return ErrMalformed
	}
	p.head = syslogHead{at: at}
	if err := p.head.tagged(b[n+1:]); err != nil {
		return err
	}
	if !isDovecot(p.head.program) {
		return ErrForeign
	}
	return p.dovecotMessage(&p.head)
}

func (p *Parser) dovecotMessage(h *syslogHead) error {
	process, b := h.program, h.message
	if string(process) == "dovecot" {
		var ok bool
		if process, b, ok = cut(b, ": "); !ok {
			return ErrSkip
		}
	}
	b, _ = after(b, "Info: ")
	if name, ok := bytes.CutSuffix(process, borrow("-login")); ok {
		return p.dovecotLogin(h.at, p.words.of(name), b)
	}
	if contains(b, "process_limit") && contains(b, "client connections are being dropped") {
		return p.refused(h.at, netip.Addr{}, p.dropping(b), connlog.RefuseBusy)
	}
	if bytes.HasPrefix(process, borrow("auth")) {
		return p.dovecotAuth(h, b)
	}
	return p.dovecotLeft(h.at, process, b)
}

// dropping is the service that a warning of a reached limit names.
func (p *Parser) dropping(b []byte) string {
	_, b, _ = cut(b, "service(")
	name, _, _ := cutByte(b, ')')
	name = bytes.TrimSuffix(name, borrow("-login"))
	if len(name) == 0 || len(name) > 32 {
		return "imap"
	}
	return p.words.of(name)
}

// remote finds the client's address, and what stands before it.
func remote(b []byte) (addr netip.Addr, before []byte, ok bool) {
	i := bytes.LastIndex(b, borrow(" rip="))
	if i < 0 {
		return addr, nil, false
	}
	text, _, _ := cutByte(b[i+len(" rip="):], ',')
	addr, ok = address(text)
	return addr, b[:i], ok
}

func (p *Parser) dovecotLogin(at int64, service string, b []byte) error {
	addr, before, ok := remote(b)
	if !ok {
		return ErrSkip
	}
	v := visit{addr: addr, service: service, from: at, to: at, user: dovecotUser(before)}
	if _, ok := after(b, "Login: "); ok {
		_, id, ok := cutLast(b, " session=<")
		if !ok {
			v.proven, v.end = connlog.ByLogin, connlog.EndClient
			p.tell(&v) // nothing will name its end
			return nil
		}
		id, _, _ = cutByte(id, '>')
		k := p.keys.named('d', id, nil)
		p.opened(k, at, addr, 0, service)
		return p.proved(k, at, addr, service, connlog.ByLogin, v.user)
	}
	// What the server says of the end stands before the user's name.
	why, _, _ := cut(before, "user=<")
	if contains(why, "Maximum number of connections from user+IP exceeded") {
		return p.refused(at, addr, service, connlog.RefuseSessions)
	}
	v.from = at - stayed(why)*second
	v.end = dovecotEnd(why)
	v.fails, v.times = dovecotFailure(why)
	p.tell(&v)
	return nil
}

// dovecotUser is what stands in user=<...>.
func dovecotUser(before []byte) []byte {
	_, user, ok := cut(before, "user=<")
	user, _, ok2 := cutLast(user, ">")
	if !ok || !ok2 {
		return nil
	}
	return user
}

// maxStay is the longest time before a login that is believed, in seconds.
const maxStay = 24 * 60 * 60

// stayed reads the seconds of "(no auth attempts in 58 secs)".
func stayed(why []byte) int64 {
	before, _, ok := cutLast(why, " secs")
	if !ok {
		return 0
	}
	n, ok := number(before[bytes.LastIndexByte(before, ' ')+1:])
	if !ok {
		return 0
	}
	return min(n, maxStay)
}

func dovecotEnd(why []byte) connlog.End {
	switch {
	case contains(why, "Inactivity"), contains(why, "idle"):
		return connlog.EndTimeout
	case contains(why, "Too many"):
		return connlog.EndServer
	case contains(why, "reset by peer"):
		return connlog.EndReset
	}
	return connlog.EndClient
}

// dovecotFailure reads "(auth failed, 3 attempts in 6 secs)".
func dovecotFailure(why []byte) (connlog.What, int) {
	if _, rest, ok := cut(why, "auth failed, "); ok {
		text, _, _ := cutByte(rest, ' ')
		n, _ := number(text)
		return connlog.FailLogin, int(min(n, maxFails))
	}
	switch {
	case contains(why, "auth failed"), contains(why, "disallowed"):
		return connlog.FailLogin, 1
	case contains(why, "SSL_accept"), contains(why, "tls_handshake"), contains(why, "TLS handshak"):
		return connlog.FailTLS, 1
	case contains(why, "Too many invalid commands"), contains(why, "Too many bad commands"):
		return connlog.FailCommand, 1
	}
	return "", 0
}

// dovecotLeft ends the session of imap(user)<process><session>.
func (p *Parser) dovecotLeft(at int64, process, b []byte) error {
	if _, ok := after(b, "Disconnected"); !ok {
		if _, ok := after(b, "Logged out"); !ok {
			if _, ok := after(b, "Connection closed"); !ok {
				return ErrSkip
			}
		}
	}
	n := len(process)
	if n == 0 || process[n-1] != '>' {
		return ErrSkip // a version that names no session
	}
	id := process[bytes.LastIndexByte(process, '<')+1 : n-1]
	return p.closed(p.keys.named('d', id, nil), at, dovecotEnd(b))
}
