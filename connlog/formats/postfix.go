package formats

import (
	"bytes"
	"math"
	"net/netip"
	"time"

	"overstay/connlog"
)

// postfixFormat is Postfix in a syslog file. Each smtpd serves one client at a
// time, so host and number of the process are the key of a session. A message
// counts when the queue manager has taken it.
//
// Clients are written as name[address]. The name comes from DNS, where a
// stranger may have it made, but Postfix lets no brackets and blanks into it.
func postfixFormat() Format {
	return Format{
		Name:    "postfix",
		Meaning: "Postfix (smtpd, postscreen, anvil) in a syslog file",
		inOrder: true,
		Gives: Gives{Opens: true, Durations: true, Outcomes: true, Refusals: true, Clock: time.Second,
			Note: "stamps of a second, unless syslog writes finer ones; a full server names nobody that it turns away"},
		read: (*Parser).postfix,
		idle: (*Parser).postfixIdle,
	}
}

func isPostfix(program []byte) bool { return bytes.HasPrefix(program, borrow("postfix")) }

func (p *Parser) postfix(line []byte) error {
	if err := p.syslog(line); err != nil {
		return err
	}
	if !isPostfix(p.head.program) {
		return ErrForeign
	}
	return p.postfixMessage(&p.head)
}

func (p *Parser) postfixMessage(h *syslogHead) error {
	slash := bytes.LastIndexByte(h.program, '/')
	switch string(h.program[slash+1:]) {
	case "smtpd":
		return p.smtpd(h, slash)
	case "qmgr":
		return p.qmgr(h)
	case "postscreen":
		return p.postscreen(h)
	case "anvil":
		return p.anvil(h)
	case "master":
		return p.limitReached(h)
	}
	return ErrSkip
}

// postfixIdle is true for lines of the programs that deliver mail, and of the
// queue manager but for those that postfixMessage looks at.
//
// Most other lines are smtpd's, and its name stands where the last name stood.
func (p *Parser) postfixIdle(line []byte) bool {
	const smtpd = "postfix/smtpd["
	if end := p.tag + len(smtpd); end <= len(line) && string(line[p.tag:end]) == smtpd {
		return false
	}
	if p.syslog(line) != nil || !isPostfix(p.head.program) {
		return false
	}
	p.tag = cap(line) - cap(p.head.program) // Both end where the text does.
	slash := bytes.LastIndexByte(p.head.program, '/')
	switch string(p.head.program[slash+1:]) {
	case "smtpd", "postscreen", "anvil", "master":
		return false
	case "qmgr":
		id, b, ok := cut(p.head.message, ": ")
		return !ok || len(id) > maxQueueID || !bytes.HasPrefix(b, borrow("from=<"))
	}
	return true
}

// limitReached reads a warning that all processes of a service are busy, which
// says how many these are. Clients wait, and the warning is not written again
// for each of them.
func (p *Parser) limitReached(h *syslogHead) error {
	b, _ := after(h.message, "warning: service \"")
	name, rest, ok := cut(b, "\" (")
	_, limit, reached := cut(rest, ") has reached its process limit \"")
	digits, _, _ := cutByte(limit, '"')
	threads, whole := number(digits)
	if !ok || !reached || !whole || threads < 1 || threads > math.MaxInt32 {
		return ErrSkip
	}
	service := ""
	switch string(name) {
	case "smtp", "smtpd", "25":
		service = "smtp"
	case "submission", "587":
		service = "submission"
	case "smtps", "submissions", "465":
		service = p.words.of(name)
	default:
		return ErrSkip // A service that no client connects to.
	}
	e := p.begin(connlog.Refuse, h.at, netip.Addr{}, service)
	e.Reason, e.Count, e.Busy, e.Threads = connlog.RefuseBusy, 1, int(threads), int(threads)
	p.send()
	return nil
}

// smtpService is smtp, or the name that a line like postfix/submission/smtpd
// gives.
func (p *Parser) smtpService(program []byte, slash int) string {
	if slash < 0 {
		return "smtp"
	}
	_, name, ok := cutByte(program[:slash], '/')
	if !ok || string(name) == "smtpd" {
		return "smtp"
	}
	return p.words.of(name)
}

func (p *Parser) smtpd(h *syslogHead, slash int) error {
	b, service, k := h.message, p.smtpService(h.program, slash), p.keys.named('p', h.process, h.host)
	if rest, ok := after(b, "connect from "); ok {
		addr, _, ok := client(rest)
		if !ok {
			return ErrSkip // connect from unknown[unknown]
		}
		p.opened(k, h.at, addr, 0, service)
		return nil
	}
	if rest, ok := after(b, "disconnect from "); ok {
		return p.smtpLeft(h, k, service, rest)
	}
	if rest, ok := after(b, "warning: "); ok {
		return p.smtpWarning(h, k, service, rest)
	}
	b, _ = after(b, "NOQUEUE: ")
	if rest, ok := after(b, "lost connection after "); ok {
		return p.willEnd(h.at, k, rest, connlog.EndReset)
	}
	if rest, ok := after(b, "timeout after "); ok {
		return p.willEnd(h.at, k, rest, connlog.EndTimeout)
	}
	if rest, ok := after(b, "too many errors after "); ok {
		return p.willEnd(h.at, k, rest, connlog.EndServer)
	}
	if rest, ok := after(b, "improper command pipelining after "); ok {
		_, rest, _ = cut(rest, " from ")
		return p.smtpFailed(h, k, service, rest, connlog.FailCommand, nil)
	}
	if rest, ok := after(b, "SSL_accept error from "); ok {
		return p.smtpFailed(h, k, service, rest, connlog.FailTLS, nil)
	}
	return p.smtpMail(h, k, service)
}

// client reads name[address] at the beginning of b.
func client(b []byte) (addr netip.Addr, rest []byte, ok bool) {
	_, b, ok = cutByte(b, '[')
	inner, rest, ok2 := cutByte(b, ']')
	if !ok || !ok2 {
		return addr, nil, false
	}
	inner, _ = after(inner, "IPv6:")
	addr, ok = address(inner)
	return addr, rest, ok
}

func (p *Parser) smtpFailed(h *syslogHead, k key, service string, rest []byte, what connlog.What, user []byte) error {
	addr, _, ok := client(rest)
	if !ok {
		return ErrSkip
	}
	return p.failed(k, h.at, addr, service, what, user)
}

// willEnd notes how the session of a key ends; its disconnect follows.
func (p *Parser) willEnd(at int64, k key, b []byte, end connlog.End) error {
	_, rest, ok := cut(b, " from ")
	addr, _, ok2 := client(rest)
	if !ok || !ok2 {
		return ErrSkip
	}
	if s := p.open.get(k); s != nil && s.addr == addr {
		s.end = end
	}
	return p.named(at, addr)
}

// smtpLeft ends a session. The counts of commands behind the address, which
// Postfix writes since version 3.0, prove what no other line did.
func (p *Parser) smtpLeft(h *syslogHead, k key, service string, b []byte) error {
	addr, counts, ok := client(b)
	if !ok {
		return ErrSkip
	}
	s := p.open.get(k)
	if s == nil || s.addr != addr {
		return ErrOrphan
	}
	if !s.proven {
		var by connlog.By
		switch {
		case succeeded(counts, " data=") || succeeded(counts, " bdat="):
			by = connlog.ByMessage
		case succeeded(counts, " auth="):
			by = connlog.ByLogin
		}
		if by != "" {
			_ = p.proved(k, h.at, addr, service, by, nil)
		}
	}
	return p.closed(k, h.at, connlog.EndClient)
}

// succeeded says whether a command was taken: data=1 and data=1/2 say so,
// data=0/1 does not.
func succeeded(counts []byte, command string) bool {
	i := bytes.Index(counts, borrow(command))
	if i < 0 {
		return false
	}
	i += len(command)
	return i < len(counts) && counts[i] >= '1' && counts[i] <= '9'
}

func (p *Parser) smtpWarning(h *syslogHead, k key, service string, b []byte) error {
	for _, limit := range []string{"Connection concurrency limit exceeded: ", "Connection rate limit exceeded: "} {
		rest, ok := after(b, limit)
		if !ok {
			continue
		}
		_, rest, _ = cut(rest, " from ")
		addr, _, ok := client(rest)
		if !ok {
			return ErrSkip
		}
		return p.refused(h.at, addr, service, connlog.RefuseSessions)
	}
	if rest, ok := after(b, "non-SMTP command from "); ok {
		return p.smtpFailed(h, k, service, rest, connlog.FailCommand, nil)
	}
	if rest, ok := after(b, "hostname "); ok {
		return p.smtpNameless(h, rest)
	}
	// warning: name[address]: SASL LOGIN authentication failed: why, sasl_username=user
	name, rest, ok := cut(b, ": SASL ")
	if !ok || bytes.IndexByte(name, ' ') >= 0 || !contains(rest, " authentication failed") {
		return ErrSkip
	}
	_, user, _ := cut(rest, ", sasl_username=")
	return p.smtpFailed(h, k, service, name, connlog.FailLogin, user)
}

// anvil reads "statistics: max connection count 2 for (smtp:ADDRESS) at DATE",
// which adds up what smtpd has told.
func (p *Parser) anvil(h *syslogHead) error {
	_, b, ok := cut(h.message, " for (")
	_, b, ok2 := cutByte(b, ':')
	text, _, ok3 := cut(b, ") at ")
	addr, ok4 := address(text)
	if !ok || !ok2 || !ok3 || !ok4 {
		return ErrSkip
	}
	return p.named(h.at, addr)
}

// smtpNameless reads "name does not resolve to address ADDRESS: why".
func (p *Parser) smtpNameless(h *syslogHead, b []byte) error {
	_, b, _ = cutByte(b, ' ')
	b, ok := after(b, "does not resolve to address ")
	text, _, _ := cut(b, ": ")
	addr, ok2 := address(text)
	if !ok || !ok2 {
		return ErrSkip
	}
	return p.named(h.at, addr)
}

// smtpMail reads lines that begin with a queue id, or with NOQUEUE.
func (p *Parser) smtpMail(h *syslogHead, k key, service string) error {
	id, b, ok := cut(h.message, ": ")
	if !ok || len(id) > maxQueueID {
		return ErrSkip
	}
	if rest, ok := after(b, "client="); ok {
		return p.smtpMessage(h, k, service, id, rest)
	}
	for _, verdict := range []string{"reject: ", "milter-reject: "} {
		rest, ok := after(b, verdict)
		if !ok {
			continue
		}
		stage, rest, _ := cut(rest, " from ")
		what := connlog.FailCommand
		if string(stage) == "RCPT" {
			what = connlog.FailRecipient
		}
		return p.smtpFailed(h, k, service, rest, what, nil)
	}
	return ErrSkip
}

// maxQueueID is longer than any queue id, the long ones as well.
const maxQueueID = 24

// smtpMessage notes which session a message comes from, and that a client
// which may send under a name has logged in.
func (p *Parser) smtpMessage(h *syslogHead, k key, service string, id, b []byte) error {
	addr, rest, ok := client(b)
	if !ok {
		return ErrSkip
	}
	if p.queue.limit == 0 {
		p.queue.limit = p.open.limit
	}
	p.queue.crowded()
	p.queue.put(p.keys.named('q', id, h.host), session{by: k, addr: addr, service: service})
	if _, user, ok := cut(rest, ", sasl_username="); ok {
		user, _, _ = cut(user, ", sasl_sender=")
		return p.proved(k, h.at, addr, service, connlog.ByLogin, user)
	}
	return ErrSkip
}

// qmgr takes a message over: from here on it is accepted mail.
func (p *Parser) qmgr(h *syslogHead) error {
	id, b, ok := cut(h.message, ": ")
	if !ok || len(id) > maxQueueID || !bytes.HasPrefix(b, borrow("from=<")) {
		return ErrSkip
	}
	m, ok := p.queue.take(p.keys.named('q', id, h.host))
	if !ok {
		return ErrSkip // made here, or taken over before
	}
	return p.proved(m.by, h.at, m.addr, m.service, connlog.ByMessage, nil)
}

// postscreen turns clients away before they get to a smtpd.
func (p *Parser) postscreen(h *syslogHead) error {
	for _, hasty := range []string{"PREGREET ", "HANGUP after "} {
		if rest, ok := after(h.message, hasty); ok {
			_, rest, _ = cut(rest, " from ")
			return p.smtpFailed(h, 0, "smtp", rest, connlog.FailCommand, nil)
		}
	}
	rest, ok := after(h.message, "NOQUEUE: reject: CONNECT from ")
	if !ok {
		return ErrSkip
	}
	addr, rest, ok := client(rest)
	if !ok {
		return ErrSkip
	}
	switch {
	case contains(rest, "all server ports busy"), contains(rest, "all screening ports busy"):
		return p.refused(h.at, addr, "smtp", connlog.RefuseBusy)
	case contains(rest, "too many connections"):
		return p.refused(h.at, addr, "smtp", connlog.RefuseSessions)
	}
	return ErrSkip
}
