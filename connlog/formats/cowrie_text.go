package formats

import (
	"bytes"
	"net/netip"
	"time"

	"overstay/connlog"
)

// cowrieTextFormat is Cowrie's log for people, its own or in a syslog file.
//
//	STAMP [cowrie.ssh.factory.CowrieSSHFactory] New connection: ADDRESS:PORT (...) [session: ID]
//	STAMP [HoneyPotSSHTransport,NUMBER,ADDRESS] Connection lost after 3 seconds
//
// A connection is numbered by the lines that follow its first one, which does
// not say the number. Numbers count connections, so the distance between the
// two counts is learnt from the first line that says one.
func cowrieTextFormat() Format {
	return Format{
		Name:    "cowrie-text",
		Meaning: "the honeypot Cowrie, text",
		inOrder: true,
		Gives: Gives{Opens: true, Durations: true, Outcomes: true, Clock: time.Microsecond,
			Note: "a honeypot lets in whom it likes: its proofs are none"},
		read: (*Parser).cowrieText,
	}
}

// cowrieCount is how many connections of a service there were, and how far the
// numbers are ahead of that.
type cowrieCount struct {
	service string
	count   int64
	ahead   int64
}

func (p *Parser) cowrieText(line []byte) error {
	if len(line) > 0 && line[0] == '\t' {
		return ErrForeign // goes on with the line before
	}
	at, n, err := p.stamps.iso(line)
	if err != nil {
		if err := p.syslog(line); err != nil {
			return err
		}
		if string(p.head.program) != "cowrie" {
			return ErrForeign
		}
		line = p.head.message
		if at, n, err = p.stamps.iso(line); err != nil {
			return ErrSkip
		}
	}
	system, b, ok := after2(line[n:], " [", "] ")
	if !ok {
		return ErrMalformed
	}
	c := p.cowrieCount(system)
	if rest, ok := after(b, "New connection: "); ok {
		return p.cowrieCaught(at, c, rest)
	}
	i := bytes.LastIndex(system, borrow("Transport,"))
	if i < 0 {
		if len(system) == 1 || bytes.HasPrefix(system, borrow("cowrie.")) || bytes.HasPrefix(system, borrow("twisted.")) {
			return ErrSkip
		}
		return ErrForeign
	}
	digits, text, ok := cutByte(system[i+len("Transport,"):], ',')
	number, ok2 := number(digits)
	addr, ok3 := address(text)
	if !ok || !ok2 || !ok3 {
		return ErrSkip
	}
	return p.cowrieSays(at, c, p.cowrieKey(c, number, addr), addr, b)
}

// cowrieCount is that of the service which a line's system names.
func (p *Parser) cowrieCount(system []byte) *cowrieCount {
	c := &p.caught[0]
	c.service = ssh
	if contains(system, "elnet") {
		c = &p.caught[1]
		c.service = "telnet"
	}
	return c
}

// cowrieCaught reads ADDRESS:PORT (...) [session: ID].
func (p *Parser) cowrieCaught(at int64, c *cowrieCount, b []byte) error {
	word, _, _ := cutByte(b, ' ')
	addr, n, ok := addressPort(word)
	if !ok {
		return ErrMalformed
	}
	c.count++
	p.opened(p.cowrieNumbered(c, c.count), at, addr, n, c.service)
	if p.queue.limit == 0 {
		p.queue.limit = p.open.limit
	}
	p.queue.crowded()
	p.queue.put(p.cowrieLast(c, addr), session{opened: c.count})
	return nil
}

func (p *Parser) cowrieNumbered(c *cowrieCount, n int64) key {
	var digits [8]byte
	for i := range digits {
		digits[i] = byte(n >> (8 * i))
	}
	return p.keys.named('c', digits[:], borrow(c.service))
}

// cowrieLast is the key of the last connection of an address.
func (p *Parser) cowrieLast(c *cowrieCount, addr netip.Addr) key {
	return p.keys.endpoint(c.service[0], addr, 0)
}

// cowrieKey is the key of the connection of a number. If that is not of the
// address which the line names, the numbers have begun anew.
func (p *Parser) cowrieKey(c *cowrieCount, number int64, addr netip.Addr) key {
	k := p.cowrieNumbered(c, number-c.ahead)
	if s := p.open.get(k); s != nil && s.addr == addr {
		return k
	}
	last := p.queue.get(p.cowrieLast(c, addr))
	if last == nil {
		return 0
	}
	k = p.cowrieNumbered(c, last.opened)
	if p.open.get(k) == nil {
		return 0
	}
	c.ahead = number - last.opened
	return k
}

func (p *Parser) cowrieSays(at int64, c *cowrieCount, k key, addr netip.Addr, b []byte) error {
	if rest, ok := after(b, "login attempt ["); ok {
		user, _, _ := cutByte(rest, '/')
		user = bytes.TrimSuffix(bytes.TrimPrefix(user, borrow("b'")), borrow("'"))
		switch {
		case endsWith(rest, "] failed"):
			return p.failed(k, at, addr, c.service, connlog.FailLogin, user)
		case endsWith(rest, "] succeeded"):
			return p.proved(k, at, addr, c.service, connlog.ByLogin, user)
		}
		return ErrSkip
	}
	rest, ok := after(b, "Connection lost after ")
	digits, ok2 := bytes.CutSuffix(rest, borrow(" seconds"))
	held, ok3 := decimal(digits)
	if !ok || !ok2 || !ok3 {
		return ErrSkip
	}
	if k != 0 {
		return p.closed(k, at, connlog.EndClient)
	}
	p.tell(&visit{addr: addr, service: c.service, from: at - held, to: at, end: connlog.EndClient})
	return nil
}
