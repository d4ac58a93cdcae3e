package formats

import (
	"bytes"
	"net/netip"
	"time"

	"overstay/connlog"
)

// eximFormat is Exim's main log. A client is written as host (greeting)
// [address]:port, and senders, subjects and commands are strangers' as well: a
// line with two places for a client is refused.
func eximFormat() Format {
	return Format{
		Name:    "exim",
		Meaning: "Exim's main log",
		inOrder: true,
		Gives: Gives{Opens: true, Durations: true, Outcomes: true, Refusals: true, Clock: time.Second,
			Note: "openings need log_selector +smtp_connection; what is refused for want of room names an address, not a pool"},
		read: (*Parser).exim,
	}
}

const smtp = "smtp"

func (p *Parser) exim(line []byte) error {
	at, n, err := p.stamps.iso(line)
	if err != nil || n >= len(line) || line[n] != ' ' || line[10] != ' ' {
		return ErrMalformed
	}
	b := line[n+1:]
	if len(b) > 6 && (b[0] == '+' || b[0] == '-') && b[5] == ' ' { // log_timezone
		b = b[6:]
	}
	b = withoutSeverity(b)
	if rest, ok := after(b, "["); ok { // +pid
		if pid, rest, ok := cut(rest, "] "); ok {
			if _, ok := number(pid); ok {
				b = rest
			}
		}
	}
	if len(b) == 0 {
		return ErrSkip
	}
	switch b[0] {
	case 'S':
		if rest, ok := after(b, "SMTP connection from "); ok {
			return p.eximConnection(at, rest)
		}
		if rest, ok := after(b, "SMTP call from "); ok {
			return p.eximFailed(at, rest, connlog.FailCommand)
		}
	case 'C':
		if rest, ok := after(b, "Connection from "); ok {
			return p.eximRefused(at, rest)
		}
	case 'n':
		if rest, ok := after(b, "no MAIL in SMTP connection from "); ok {
			return p.eximIdle(at, rest)
		}
	}
	// The first word is an authenticator's name, a message's id, or H=.
	word, rest, _ := cutByte(b, ' ')
	if rest, ok := after(rest, "authenticator failed for "); ok {
		return p.eximLogin(at, rest)
	}
	if rest, ok := after(rest, "SA: Action: "); ok {
		return p.eximScanned(at, rest)
	}
	if rest, ok := after(rest, "<= "); ok && len(word) <= maxQueueID {
		return p.eximMessage(at, rest)
	}
	return p.eximRejected(at, b)
}

// withoutSeverity cuts off what syslog-ng writes: info exim[8003]:
func withoutSeverity(b []byte) []byte {
	word, rest, _ := cutByte(b, ' ')
	switch string(word) {
	case "info", "notice", "warning", "err", "alert":
	default:
		return b
	}
	if tag, rest, ok := cut(rest, ": "); ok && len(tag) < 32 && bytes.HasPrefix(tag, borrow("exim[")) {
		return rest
	}
	return b
}

// eximClient reads host (greeting) [address]:port at the beginning of b, of
// which host and greeting may be missing. A greeting may look like the end of
// one: where a second address follows upon parentheses, either may be forged.
func eximClient(b []byte) (addr netip.Addr, n uint16, rest []byte, err error) {
	if len(b) > 0 && b[0] != '(' && b[0] != '[' {
		_, b, _ = cutByte(b, ' ')
	}
	greeted := len(b) > 0 && b[0] == '('
	if greeted {
		var ok bool
		if _, b, ok = cut(b, ") "); !ok {
			return addr, 0, nil, ErrSkip
		}
	}
	addr, rest, ok := bracketed(b)
	if !ok {
		return addr, 0, nil, ErrSkip
	}
	for more := rest; greeted; {
		var second []byte
		if _, second, ok = cut(more, ") ["); !ok {
			break
		}
		more = second
		if a, _, ok := bracketed(b[len(b)-len(second)-1:]); ok && a != addr {
			return addr, 0, nil, ErrForged
		}
	}
	if digits, ok := after(rest, ":"); ok {
		if end := fraction(digits); end > 0 {
			n, rest = port(digits[:end]), digits[end:]
		}
	}
	return addr, n, rest, nil
}

// bracketed reads [address] at the beginning of b.
func bracketed(b []byte) (addr netip.Addr, rest []byte, ok bool) {
	b, ok = after(b, "[")
	text, rest, ok2 := cutByte(b, ']')
	addr, ok3 := address(text)
	return addr, rest, ok && ok2 && ok3
}

// eximLogin reads "CLIENT: 535 ... (set_id=user)".
func (p *Parser) eximLogin(at int64, b []byte) error {
	addr, n, rest, err := eximClient(b)
	if err != nil {
		return err
	}
	if contains(rest, " authenticator failed for ") {
		return ErrForged
	}
	_, user, _ := cut(rest, "(set_id=")
	user = bytes.TrimSuffix(user, borrow(")"))
	return p.failed(p.keys.endpoint('x', addr, n), at, addr, smtp, connlog.FailLogin, user)
}

// eximConnection reads the lines of a connection's beginning and end.
func (p *Parser) eximConnection(at int64, b []byte) error {
	addr, n, rest, err := eximClient(b)
	if err != nil {
		return err
	}
	if n == 0 {
		return ErrSkip
	}
	k := p.keys.endpoint('x', addr, n)
	switch {
	case contains(rest, "(TCP/IP connection count = "):
		p.opened(k, at, addr, n, smtp)
		return nil
	case contains(rest, " lost"):
		return p.closed(k, at, connlog.EndReset)
	case contains(rest, " closed by "):
		return p.closed(k, at, connlog.EndClient)
	}
	return ErrSkip
}

// eximRefused reads "Connection from CLIENT refused: too many connections".
func (p *Parser) eximRefused(at int64, b []byte) error {
	addr, _, rest, err := eximClient(b)
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(rest, borrow(" refused: too many connections")) {
		return ErrSkip
	}
	if contains(rest, "from that IP address") {
		return p.refused(at, addr, smtp, connlog.RefuseSessions)
	}
	return p.refused(at, addr, smtp, connlog.RefuseBusy)
}

// eximIdle reads the end of a connection that sent no mail, with its length.
func (p *Parser) eximIdle(at int64, b []byte) error {
	addr, n, rest, err := eximClient(b)
	if err != nil {
		return err
	}
	_, took, ok := cut(rest, " D=")
	took, _, ok2 := cutByte(took, 's')
	held, ok3 := decimal(took)
	if !ok || !ok2 || !ok3 || held > maxSpan {
		return ErrSkip
	}
	if s := p.open.get(p.keys.endpoint('x', addr, n)); s != nil && n > 0 {
		return ErrSkip // its end follows
	}
	p.tell(&visit{addr: addr, port: n, service: smtp, from: at - held, to: at, end: connlog.EndClient})
	return nil
}

func (p *Parser) eximFailed(at int64, b []byte, what connlog.What) error {
	addr, n, _, err := eximClient(b)
	if err != nil {
		return err
	}
	return p.failed(p.keys.endpoint('x', addr, n), at, addr, smtp, what, nil)
}

// eximHost finds the client behind H=, of which there may be one.
func eximHost(b []byte) (addr netip.Addr, n uint16, rest []byte, err error) {
	i := bytes.Index(b, borrow("H="))
	if i < 0 || i > 0 && b[i-1] != ' ' {
		return addr, 0, nil, ErrSkip
	}
	addr, n, rest, err = eximClient(b[i+len("H="):])
	if err != nil {
		return addr, 0, nil, err
	}
	if contains(rest, " H=") {
		return addr, 0, nil, ErrForged
	}
	return addr, n, rest, nil
}

// eximMessage reads "sender H=CLIENT ...": a message that was taken.
func (p *Parser) eximMessage(at int64, b []byte) error {
	addr, n, _, err := eximHost(b)
	if err != nil {
		return err
	}
	return p.proved(p.keys.endpoint('x', addr, n), at, addr, smtp, connlog.ByMessage, nil)
}

// eximScanned reads what sa-exim thinks of a message: ... From <SENDER>
// (host=NAME [ADDRESS]) for RECIPIENTS.
func (p *Parser) eximScanned(at int64, b []byte) error {
	_, b, ok := cut(b, " (host=")
	if contains(b, " (host=") {
		return ErrForged
	}
	_, b, ok2 := cut(b, " [")
	text, _, ok3 := cut(b, "]) for ")
	addr, ok4 := address(text)
	if !ok || !ok2 || !ok3 || !ok4 {
		return ErrSkip
	}
	return p.named(at, addr)
}

// eximRejected reads "H=CLIENT ... rejected RCPT ..." and what is like it.
func (p *Parser) eximRejected(at int64, b []byte) error {
	addr, n, rest, err := eximHost(b)
	if err != nil {
		return err
	}
	var what connlog.What
	switch {
	case contains(rest, " contains a virus"):
		what = connlog.FailVirus
	case contains(rest, " rejected after DATA: "), contains(rest, " rejected by local_scan(): "):
		return p.named(at, addr) // spam, as somebody thinks
	case contains(rest, " rejected RCPT "), contains(rest, " sender verify fail for "):
		what = connlog.FailRecipient
	case bytes.HasPrefix(b, borrow("SMTP protocol ")), contains(rest, " rejected EHLO"), contains(rest, " rejected HELO"):
		what = connlog.FailCommand
	default:
		return ErrSkip
	}
	return p.failed(p.keys.endpoint('x', addr, n), at, addr, smtp, what, nil)
}
