package formats

import (
	"bytes"
	"net/netip"

	"overstay/connlog"
)

// sshProcess is the key of the process that wrote a line, 0 if it names none.
func (p *Parser) sshProcess(h *syslogHead) key {
	if len(h.process) == 0 {
		return 0
	}
	return p.keys.named('s', h.process, h.host)
}

// sshAttempt is the key of the attempt that a process is at: what one line told
// of it is not told again by the next. Where no process is named, the
// connection stands for it.
func (p *Parser) sshAttempt(h *syslogHead, kind byte, connection key) key {
	if len(h.process) == 0 {
		return connection ^ key(kind)
	}
	return p.keys.named(kind, h.process, h.host)
}

// sshReceived reads "Received disconnect from ADDRESS port PORT:14: ...": a
// failure of clients that have no way to log in. The end of others follows.
func (p *Parser) sshReceived(h *syslogHead, b []byte) error {
	addr, n, rest, ok := sshHead(b)
	if !ok {
		return ErrSkip
	}
	why, _, _ := cutByte(bytes.TrimLeft(rest, ": "), ':')
	if string(why) != "14" {
		return p.named(h.at, addr)
	}
	return p.failed(p.sshKey(addr, n), h.at, addr, ssh, connlog.FailCommand, nil)
}

// sshUnknown is a name that is no user's. The failed password that follows it
// is the same attempt.
func (p *Parser) sshUnknown(h *syslogHead, b []byte) error {
	user, tail, ok := cutLast(b, " from ")
	addr, n, ok2 := sshTail(tail)
	if !ok || !ok2 {
		return ErrSkip
	}
	k := p.sshKey(addr, n)
	p.served.note(p.sshProcess(h), h.at, addr, n)
	p.told.put(p.sshAttempt(h, 'u', k), struct{}{})
	return p.failed(k, h.at, addr, ssh, connlog.FailLogin, user)
}

// sshAsked reads "Authentication failure for [illegal user] NAME from ADDRESS
// [via ADDRESS]", which sshd writes of what PAM asked for and was answered.
func (p *Parser) sshAsked(h *syslogHead, b []byte) error {
	what, rest, ok := cut(b, " for ")
	user, tail, ok2 := cutLast(rest, " from ")
	if !ok || !ok2 || !bytes.HasPrefix(bytes.ToLower(what), borrow("authentication ")) {
		return ErrSkip
	}
	user, _ = after(user, "illegal user ")
	tail, _, _ = cut(tail, " via ")
	s, known := p.served.of(p.sshProcess(h), h.at)
	if addr, ok := address(tail); ok {
		if !known || s.addr != addr {
			s = servant{addr: addr}
		}
	} else if !known {
		return ErrSkip // a name
	}
	k := p.sshKey(s.addr, s.port)
	p.told.put(p.sshAttempt(h, 'p', k), struct{}{})
	if p.told.forget(p.sshAttempt(h, 'u', k)) {
		return p.named(h.at, s.addr)
	}
	return p.failed(k, h.at, s.addr, ssh, connlog.FailLogin, user)
}

// sshRepeated reads "message repeated 5 times: [ ... ]", by which rsyslog
// stands for lines that are the same.
func (p *Parser) sshRepeated(h *syslogHead, b []byte) error {
	text, b, ok := cut(b, " times: [ ")
	times, ok2 := number(text)
	b, ok3 := bytes.CutSuffix(b, borrow("]"))
	if _, again := after(b, "message repeated "); !ok || !ok2 || !ok3 || again || len(b) == 0 {
		return ErrSkip
	}
	h.message = b
	if len(b) > maxRepeated {
		times = 1
	}
	for range min(times, maxFails) - 1 {
		_ = p.opensshMessage(h) // As for the last of them.
	}
	return p.opensshMessage(h)
}

// maxRepeated is longer than any line that is read more than once.
const maxRepeated = 2048

// sshBroken is a failure of whom the text begins with.
func (p *Parser) sshBroken(h *syslogHead, b []byte) error {
	addr, n, _, ok := sshHead(b)
	if !ok {
		return ErrSkip
	}
	return p.failed(p.sshKey(addr, n), h.at, addr, ssh, connlog.FailCommand, nil)
}

// sshUnwelcome reads "root from ADDRESS not allowed because ...", whose user
// exists.
func (p *Parser) sshUnwelcome(h *syslogHead, b []byte) error {
	rest, _, ok := cutLast(b, " not allowed because ")
	user, text, ok2 := cutLast(rest, " from ")
	addr, ok3 := address(text)
	if !ok || !ok2 || !ok3 {
		return ErrSkip
	}
	return p.failed(0, h.at, addr, ssh, connlog.FailLogin, user)
}

// sshDisconnecting reads "Disconnecting [invalid user NAME ADDRESS port PORT]:
// why", which follows upon a failure that has been told. Both the name and
// the reason are a stranger's, so it is asked whom the process serves.
func (p *Parser) sshDisconnecting(h *syslogHead, b []byte) error {
	if s, ok := p.served.of(p.sshProcess(h), h.at); ok {
		return p.named(h.at, s.addr)
	}
	head, _, ok := cut(b, " port ")
	if bytes.Count(b, borrow(" port ")) > 1 {
		return ErrForged
	}
	addr, ok2 := address(head[bytes.LastIndexByte(head, ' ')+1:])
	if !ok || !ok2 {
		return ErrSkip
	}
	return p.named(h.at, addr)
}

// sshOdd reads what becomes of those who do not speak the protocol, and of
// those for whom there was no room.
func (p *Parser) sshOdd(h *syslogHead, b []byte) error {
	if rest, ok := after(b, "Bad protocol version identification "); ok {
		_, rest, _ = cutLast(rest, " from ")
		return p.sshFailed(h, rest)
	}
	if rest, ok := after(b, "Magic value check failed "); ok {
		return p.sshFailed(h, rest)
	}
	if rest, ok := after(b, "Unable to negotiate with "); ok {
		return p.sshBroken(h, rest)
	}
	if rest, ok := after(b, "banner exchange: Connection from "); ok {
		return p.sshBroken(h, rest)
	}
	if rest, ok := after(b, "ROOT LOGIN REFUSED FROM "); ok {
		addr, n, _, ok := sshHead(rest)
		if !ok {
			return ErrSkip
		}
		return p.failed(p.sshKey(addr, n), h.at, addr, ssh, connlog.FailLogin, borrow("root"))
	}
	if rest, ok := after(b, "refused connect from "); ok { // by TCP wrappers
		_, text, ok := cutLast(rest, " (")
		addr, ok2 := address(bytes.TrimSuffix(text, borrow(")")))
		if !ok || !ok2 {
			return ErrSkip
		}
		return p.failed(0, h.at, addr, ssh, connlog.FailCommand, nil)
	}
	if rest, ok := after(b, "drop connection #"); ok {
		return p.sshDropped(h, rest)
	}
	if rest, ok := after(b, "exited MaxStartups throttling after "); ok {
		return p.sshThrottled(h, rest)
	}
	return p.sshNameless(h, b)
}

// sshDropped reads "10 from [ADDRESS]:PORT on ... past MaxStartups", or
// "... penalty: failed authentication", by which sshd bans.
func (p *Parser) sshDropped(h *syslogHead, b []byte) error {
	_, rest, ok := cut(b, " from ")
	word, rest, _ := cutByte(rest, ' ')
	addr, _, ok2 := addressPort(word)
	switch {
	case !ok || !ok2:
		return ErrSkip
	case endsWith(rest, " past MaxStartups"):
		p.dropped++
		return p.refused(h.at, addr, ssh, connlog.RefuseBusy)
	case contains(rest, " penalty: "):
		return p.refused(h.at, addr, ssh, connlog.RefuseBanned)
	}
	return p.named(h.at, addr)
}

// sshThrottled reads "after 00:01:02, 17 connections dropped": of these only
// some were named.
func (p *Parser) sshThrottled(h *syslogHead, b []byte) error {
	_, b, ok := cut(b, ", ")
	text, _, ok2 := cut(b, " connections dropped")
	n, ok3 := number(text)
	if !ok || !ok2 || !ok3 || n > maxDropped {
		return ErrSkip
	}
	n -= p.dropped
	p.dropped = 0
	if n <= 0 {
		return ErrSkip
	}
	e := p.begin(connlog.Refuse, h.at, netip.Addr{}, ssh)
	e.Reason, e.Count = connlog.RefuseBusy, uint64(n)
	p.send()
	return nil
}

// maxDropped is the number of connections that one line is believed.
const maxDropped = 1_000_000

// sshNameless reads lines that name no client: it is the one that their process
// serves.
func (p *Parser) sshNameless(h *syslogHead, b []byte) error {
	if rest, ok := after(b, "SSH: Server;Ltype: "); ok { // of the HPN patches
		_, rest, _ = cut(rest, ";Remote: ")
		text, _, _ := cutByte(rest, ';')
		host, digits, ok := cutLast(text, "-")
		addr, ok2 := address(host)
		if !ok || !ok2 {
			return ErrSkip
		}
		p.served.note(p.sshProcess(h), h.at, addr, port(digits))
		return p.named(h.at, addr)
	}
	broken := bytes.HasPrefix(b, borrow("Unable to negotiate a key exchange method"))
	lost := bytes.HasPrefix(b, borrow("Read from socket failed: ")) || bytes.HasPrefix(b, borrow("Write failed: "))
	if !broken && !lost && !bytes.HasPrefix(b, borrow("kex_exchange_identification: ")) {
		return ErrSkip
	}
	s, ok := p.served.of(p.sshProcess(h), h.at)
	if !ok {
		return ErrSkip
	}
	k := p.sshKey(s.addr, s.port)
	switch {
	case broken:
		return p.failed(k, h.at, s.addr, ssh, connlog.FailCommand, nil)
	case lost && p.closed(k, h.at, connlog.EndReset) == nil:
		return nil
	}
	return p.named(h.at, s.addr)
}

// servants remembers whom a process serves, for lines that say only the
// process.
type servants struct{ recent[servant] }

type servant struct {
	at   int64
	addr netip.Addr
	port uint16
}

// maxGrace is the time within which a process is that of the line that named
// its client: longer than anybody is given to log in.
const maxGrace = 10 * 60 * second

func (t *servants) note(process key, at int64, addr netip.Addr, port uint16) {
	if s, ok := t.get(process); ok && port == 0 && s.addr == addr {
		port = s.port // a line that does not name it
	}
	t.put(process, servant{at: at, addr: addr, port: port})
}

func (t *servants) of(process key, at int64) (s servant, ok bool) {
	if s, ok = t.get(process); process == 0 || !ok || abs(at-s.at) > maxGrace {
		return servant{}, false
	}
	return s, true
}
