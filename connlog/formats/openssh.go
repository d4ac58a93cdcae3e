package formats

import (
	"bytes"
	"net/netip"
	"time"

	"overstay/connlog"
)

// opensshFormat is sshd in a syslog file. Address and port of the client are
// the key of a session, because several processes serve one. The opening is
// written from LogLevel VERBOSE on.
//
// The user's name stands before the address in nearly all lines and may look
// like one. So the address is read from the end of the line; where text of the
// client can follow it as well and there are two that it could be, the line is
// refused.
func opensshFormat() Format {
	return Format{
		Name:    "openssh",
		Meaning: "OpenSSH's sshd in a syslog file",
		inOrder: true,
		Gives: Gives{Opens: true, Durations: true, Outcomes: true, Refusals: true, Clock: time.Second,
			Note: "openings and durations need LogLevel VERBOSE; stamps of a second, unless syslog writes finer ones"},
		read: (*Parser).openssh,
	}
}

func isOpenSSH(program []byte) bool {
	switch string(program) {
	case "sshd", "sshd-session", "sshd-auth", "sshd(pam_unix)":
		return true
	}
	return false
}

func (p *Parser) openssh(line []byte) error {
	if err := p.syslog(line); err != nil {
		return err
	}
	if !isOpenSSH(p.head.program) {
		return ErrForeign
	}
	return p.opensshMessage(&p.head)
}

const ssh = "ssh"

func (p *Parser) opensshMessage(h *syslogHead) error {
	b := h.message
	if isPAM(h.program, b) {
		return p.sshPAM(h)
	}
	p.spoke |= sshSpeaks
	if rest, ok := after(b, "[ID "); ok { // Solaris
		_, b, _ = cut(rest, "] ")
	}
	if rest, ok := after(b, "message repeated "); ok {
		return p.sshRepeated(h, rest)
	}
	b, _ = after(b, "error: ")
	b, _ = after(b, "fatal: ")
	b, early := bytes.CutSuffix(bytes.TrimRight(b, " "), borrow(" [preauth]"))
	if len(b) == 0 {
		return ErrSkip
	}
	return p.sshSays(h, b, early)
}

// sshSays reads what is left of a line, by its first letter.
func (p *Parser) sshSays(h *syslogHead, b []byte, early bool) error {
	switch b[0] {
	case 'A', 'F':
		return p.sshLogin(h, b)
	case 'C', 'D':
		if rest, ok := after(b, "Disconnecting"); ok {
			return p.sshDisconnecting(h, rest)
		}
		return p.sshConnection(h, b, early)
	case 'R':
		if rest, ok := after(b, "Received disconnect from "); ok {
			return p.sshReceived(h, rest)
		}
	case 'm':
		if rest, ok := after(b, "maximum authentication attempts exceeded for "); ok {
			return p.sshTooMany(h, rest)
		}
	case 'I':
		if rest, ok := after(b, "Invalid user "); ok {
			return p.sshUnknown(h, rest)
		}
	case 'U':
		if rest, ok := after(b, "User "); ok {
			return p.sshUnwelcome(h, rest)
		}
	case 'T':
		if rest, ok := after(b, "Timeout before authentication for "); ok {
			return p.sshLeft(h, rest, connlog.EndTimeout, true)
		}
	case 's':
		if rest, ok := after(b, "ssh_dispatch_run_fatal: Connection from "); ok {
			return p.sshBroken(h, rest)
		}
	case 'P':
		if rest, ok := after(b, "PAM: "); ok {
			return p.sshAsked(h, rest)
		}
	}
	return p.sshOdd(h, b)
}

func (p *Parser) sshKey(addr netip.Addr, port uint16) key { return p.keys.endpoint('s', addr, port) }

// sshTail reads the address and port that a line ends with: [...] 192.0.2.7
// port 46039. Older versions write no port.
func sshTail(b []byte) (addr netip.Addr, n uint16, ok bool) {
	before, text, ported := cutLast(b, " port ")
	if ported {
		if _, ok := number(text); !ok {
			return addr, 0, false
		}
		b, n = before, port(text)
	}
	addr, ok = address(b[bytes.LastIndexByte(b, ' ')+1:])
	return addr, n, ok
}

// sshHead reads the address and port that text begins with, and returns what
// follows them.
func sshHead(b []byte) (addr netip.Addr, n uint16, rest []byte, ok bool) {
	word, rest, _ := cutByte(b, ' ')
	word = bytes.TrimRight(word, ":")
	if addr, ok = address(word); !ok {
		return addr, 0, nil, false
	}
	if text, ok := after(rest, "port "); ok {
		digits := fraction(text)
		n, rest = port(text[:digits]), text[digits:]
	}
	return addr, n, rest, true
}

// sshLogin reads "Failed password for [invalid user] NAME from ADDRESS port
// PORT ssh2: details", and the same with Accepted.
func (p *Parser) sshLogin(h *syslogHead, b []byte) error {
	b, failed := after(b, "Failed ")
	if !failed {
		var ok bool
		if b, ok = after(b, "Accepted "); !ok {
			return ErrSkip
		}
	}
	method, b, ok := cut(b, " for ")
	if !ok || bytes.IndexByte(method, ' ') >= 0 {
		return ErrSkip
	}
	addr, n, user, err := sshFrom(b)
	if err != nil {
		return err
	}
	k := p.sshKey(addr, n)
	p.served.note(p.sshProcess(h), h.at, addr, n)
	user, unknown := after(user, "invalid user ")
	switch {
	case !failed:
		return p.proved(k, h.at, addr, ssh, connlog.ByLogin, user)
	case string(method) == "none", string(method) == "publickey" && !unknown:
		return p.named(h.at, addr) // what every client tries first, one key after the other
	case unknown && p.told.forget(p.sshAttempt(h, 'u', k)), p.told.forget(p.sshAttempt(h, 'p', k)):
		return p.named(h.at, addr) // another line told of this attempt
	}
	return p.failed(k, h.at, addr, ssh, connlog.FailLogin, user)
}

// sshFrom finds " from ADDRESS port PORT ssh2" at the end of b, or, where
// details follow it, the only one there is. user is what stands before it.
func sshFrom(b []byte) (addr netip.Addr, n uint16, user []byte, err error) {
	found := 0
	for rest, end := b, len(b); ; end = len(rest) {
		i := bytes.LastIndex(rest, borrow(" from "))
		if i < 0 {
			break
		}
		rest = b[:i]
		a, port, tail, ok := sshHead(b[i+len(" from ") : max(end, i+len(" from "))])
		if !ok || port == 0 || !sshProtocol(tail) {
			continue
		}
		found++
		addr, n, user = a, port, b[:i]
		if len(tail) == len(" ssh2") && end == len(b) {
			return addr, n, user, nil
		}
	}
	switch found {
	case 0:
		return addr, 0, nil, ErrSkip
	case 1:
		return addr, n, user, nil
	}
	return addr, 0, nil, ErrForged
}

// sshProtocol says whether b begins with " ssh1" or " ssh2", and ends there or
// goes on with details.
func sshProtocol(b []byte) bool {
	rest, ok := after(b, " ssh")
	return ok && len(rest) > 0 && (rest[0] == '1' || rest[0] == '2') && (len(rest) == 1 || rest[1] == ':')
}

// sshConnection reads the lines of a connection's beginning and end. One that
// ends early, before its login, and whose beginning the log does not tell, has
// at least failed.
func (p *Parser) sshConnection(h *syslogHead, b []byte, early bool) error {
	if rest, ok := after(b, "Connection from "); ok {
		addr, n, _, ok := sshHead(rest)
		if !ok {
			return ErrSkip
		}
		p.served.note(p.sshProcess(h), h.at, addr, n)
		if n == 0 {
			return p.named(h.at, addr) // of a version that names no port its end would not be found
		}
		p.opened(p.sshKey(addr, n), h.at, addr, n, ssh)
		return nil
	}
	end := connlog.EndClient
	rest, ok := after(b, "Connection closed by ")
	if !ok {
		rest, ok = after(b, "Disconnected from ")
	}
	if !ok {
		if rest, ok = after(b, "Connection reset by "); ok {
			end = connlog.EndReset
		}
	}
	if !ok {
		if rest, ok := after(b, "Did not receive identification string from "); ok {
			return p.sshFailed(h, rest)
		}
		return ErrSkip
	}
	return p.sshLeft(h, rest, end, early)
}

// sshLeft ends the session of whom the line's end names.
func (p *Parser) sshLeft(h *syslogHead, b []byte, end connlog.End, early bool) error {
	addr, n, ok := sshTail(b)
	if !ok {
		return ErrSkip
	}
	k := p.sshKey(addr, n)
	if early && p.open.get(k) == nil {
		return p.failed(k, h.at, addr, ssh, connlog.FailCommand, nil)
	}
	return p.closed(k, h.at, end)
}

func (p *Parser) sshTooMany(h *syslogHead, b []byte) error {
	addr, n, _, err := sshFrom(b)
	if err != nil {
		return err
	}
	return p.failed(p.sshKey(addr, n), h.at, addr, ssh, connlog.FailCommand, nil)
}

// sshFailed is a failure of whom the line's end names.
func (p *Parser) sshFailed(h *syslogHead, b []byte) error {
	addr, n, ok := sshTail(b)
	if !ok {
		return ErrSkip
	}
	return p.failed(p.sshKey(addr, n), h.at, addr, ssh, connlog.FailCommand, nil)
}
