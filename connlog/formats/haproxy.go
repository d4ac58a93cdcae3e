package formats

import (
	"bytes"
	"time"

	"overstay/connlog"
)

// haproxyFormat is option tcplog and option httplog, through syslog or bare,
// and the notices of connections that never got so far.
//
// The address is the first word and the accept date the second, before
// anything that a client can choose. Of HTTP the time is that of the request,
// from its first byte to the last of the answer (%Ta), so what a connection
// idles between two requests is in no line.
func haproxyFormat() Format {
	return Format{
		Name:    "haproxy",
		Meaning: "HAProxy, option tcplog or httplog",
		Gives: Gives{Opens: true, Durations: true, Outcomes: true, Refusals: true, Clock: time.Millisecond,
			Note: "a connection is known when it ends; of HTTP each request is one"},
		read: (*Parser).haproxy,
	}
}

func isHAProxy(program []byte) bool { return string(program) == "haproxy" }

func (p *Parser) haproxy(line []byte) error {
	if bare(line) {
		return p.haproxyMessage(line)
	}
	if err := p.syslog(line); err != nil {
		return err
	}
	if !isHAProxy(p.head.program) {
		return ErrForeign
	}
	return p.haproxyMessage(p.head.message)
}

// bare says that a line begins with an address and port, not with a stamp.
func bare(line []byte) bool {
	word, rest, _ := cutByte(line, ' ')
	if len(rest) == 0 || rest[0] != '[' {
		return false
	}
	_, _, ok := addressPort(word)
	return ok
}

func (p *Parser) haproxyMessage(b []byte) error {
	word, b, ok := cutByte(b, ' ')
	if !ok || len(b) < 2 || b[0] != '[' {
		return ErrSkip // a notice
	}
	v := visit{}
	if v.addr, v.port, ok = addressPort(word); !ok {
		return ErrSkip
	}
	b = b[1:]
	at, n, err := p.stamps.clf(b)
	if err != nil {
		return ErrMalformed
	}
	if b, ok = after(b[n:], "] "); !ok {
		return ErrMalformed
	}
	v.from = at
	frontend, b, ok := cutByte(b, ' ')
	if !ok {
		return ErrMalformed
	}
	if n := len(frontend); n > 1 && frontend[n-1] == ':' {
		return p.haproxyFailed(&v, frontend[:n-1], b)
	}
	if n := len(frontend); n > 1 && frontend[n-1] == '~' { // TLS
		frontend = frontend[:n-1]
	}
	_, b, ok = cutByte(b, ' ') // backend/server
	timers, b, ok2 := cutByte(b, ' ')
	third, b, ok3 := cutByte(b, ' ')
	if !ok || !ok2 || !ok3 {
		return ErrSkip // a format of one's own
	}
	v.service = p.words.of(frontend)
	switch bytes.Count(timers, borrow("/")) {
	case 2:
		return p.haproxyTCP(&v, timers, third, b)
	case 4:
		return p.haproxyHTTP(&v, timers, third, b)
	}
	return ErrSkip
}

// haproxyFailed is a connection that a listener gave up before it was one.
func (p *Parser) haproxyFailed(v *visit, listener, why []byte) error {
	name, _, _ := cutByte(listener, '/')
	v.service, v.to, v.end = p.words.of(name), v.from, connlog.EndError
	v.fails = connlog.FailCommand
	if contains(why, "SSL") || contains(why, "TLS") {
		v.fails = connlog.FailTLS
	}
	p.tell(v)
	return nil
}

// total reads the last of the timers, in milliseconds.
func total(timers []byte) (int64, bool) {
	ms, ok := signed(timers[bytes.LastIndexByte(timers, '/')+1:])
	return ms, ok && ms < maxSpan/1000
}

func (p *Parser) haproxyTCP(v *visit, timers, size, b []byte) error {
	ms, ok := total(timers)
	sent, ok2 := signed(size)
	state, _, ok3 := cutByte(b, ' ')
	if !ok || !ok2 || !ok3 || ms < 0 || len(state) != 2 {
		return ErrMalformed
	}
	v.to, v.bytesOut, v.end = v.from+ms*1000, max(sent, 0), haproxyEnd(state)
	if state[0] == '-' && v.bytesOut > 0 {
		v.proven = connlog.ByTransfer
	}
	p.tell(v)
	return nil
}

func (p *Parser) haproxyHTTP(v *visit, timers, status, b []byte) error {
	size, b, ok := cutByte(b, ' ')
	_, b, ok2 := cutByte(b, ' ') // the captured cookies
	_, b, ok3 := cutByte(b, ' ')
	state, _, ok4 := cutByte(b, ' ')
	ms, ok5 := total(timers)
	code, ok6 := signed(status)
	sent, ok7 := signed(size)
	if !ok || !ok2 || !ok3 || !ok4 || !ok5 || !ok6 || !ok7 || ms < 0 || len(state) != 4 {
		return ErrMalformed
	}
	v.to, v.bytesOut, v.end = v.from+ms*1000, max(sent, 0), haproxyEnd(state)
	switch {
	case code == 503 && state[1] == 'Q':
		return p.refused(v.to, v.addr, v.service, connlog.RefuseBusy)
	case state[0] == '-' && code > 0 && code < 400:
		v.proven = connlog.ByRequest
	case state[0] == 'P' && code == 400:
		v.fails = connlog.FailCommand
	}
	p.tell(v)
	return nil
}

// haproxyEnd is the first letter of the state: who or what ended it.
func haproxyEnd(state []byte) connlog.End {
	switch state[0] {
	case 'C':
		return connlog.EndReset
	case 'c':
		return connlog.EndTimeout
	case '-':
		return connlog.EndClient
	case 'P', 'L':
		return connlog.EndServer
	case 'K', 'U', 'D':
		return connlog.EndShutdown
	}
	return connlog.EndError
}
