package formats

import (
	"errors"
	"time"
)

// syslogHead is what stands before the message of a line that went through
// syslog.
type syslogHead struct {
	at      int64
	host    []byte // empty if the line names none
	program []byte // postfix/smtpd
	process []byte // its number; empty if it has none
	message []byte
}

// syslog reads the head of a line into p.head: the classic stamp and that of
// RFC 3339, and RFC 5424, each with or without a priority before it. A line
// that a program wrote itself, without host and name, has an empty program.
func (p *Parser) syslog(b []byte) error {
	if at, rest, ok := p.stamps.sameMinute(b); ok {
		if n := len(p.host); len(rest) > n && string(rest[:n]) == string(p.host) && n > 0 {
			p.head = syslogHead{at: at, host: rest[1 : n-1]}
			return p.head.named(rest[n:])
		}
	}
	b = withoutPriority(b)
	versioned := len(b) > 2 && b[0] == '1' && b[1] == ' '
	if versioned {
		b = b[2:]
	}
	at, n, err := p.stamps.syslog(b)
	if errors.Is(err, errStamp) {
		at, n, err = p.stamps.iso(b)
	}
	if errors.Is(err, ErrNoYear) {
		return err
	}
	if err != nil || n >= len(b) || b[n] != ' ' {
		return ErrMalformed
	}
	p.head = syslogHead{at: at}
	b = b[n+1:]
	if versioned {
		return p.head.structured(b)
	}
	err = p.head.tagged(b)
	p.host = append(append(append(p.host[:0], ' '), p.head.host...), ' ')
	if len(p.head.host) == 0 {
		p.host = p.host[:0]
	}
	return err
}

// withoutPriority cuts <38> off.
func withoutPriority(b []byte) []byte {
	if len(b) < 3 || b[0] != '<' {
		return b
	}
	for i := 1; i < len(b) && i < 5; i++ {
		if b[i] == '>' {
			return b[i+1:]
		}
	}
	return b
}

// structured reads what follows the stamp in RFC 5424: host, program, process,
// message id and structured data, of which each may be "-".
func (h *syslogHead) structured(b []byte) error {
	h.host, b, _ = cutByte(b, ' ')
	h.program, b, _ = cutByte(b, ' ')
	h.process, b, _ = cutByte(b, ' ')
	_, b, ok := cutByte(b, ' ')
	if !ok {
		return ErrMalformed
	}
	if len(h.process) == 1 && h.process[0] == '-' {
		h.process = nil
	}
	if rest, ok := after(b, "- "); ok {
		b = rest
	} else if len(b) > 0 && b[0] == '[' {
		if _, b, ok = cut(b, "] "); !ok {
			return ErrMalformed
		}
	}
	h.message = trimBOM(b)
	return nil
}

const bom = "\xEF\xBB\xBF"

// trimBOM cuts off what some editors begin a file with, and RFC 5424 a message.
func trimBOM(b []byte) []byte {
	b, _ = after(b, bom)
	return b
}

// tagged reads what follows the stamp elsewhere: host program[process]: message.
// The host may be missing.
func (h *syslogHead) tagged(b []byte) error {
	for len(b) > 0 && b[0] == ' ' { // a host that was empty
		b = b[1:]
	}
	if h.named(b) == nil {
		return nil
	}
	var ok bool
	if h.host, b, ok = cutByte(b, ' '); !ok {
		h.host = nil
		return ErrForeign
	}
	return h.named(b)
}

// named reads program[process]: message.
func (h *syslogHead) named(b []byte) error {
	word, rest, _ := cutByte(b, ' ')
	n := len(word)
	if n > 1 && word[n-1] == ':' {
		h.name(word[:n-1])
		h.message = rest
		return nil
	}
	if n > 2 && word[0] == '[' && word[n-1] == ']' { // Metalog
		h.program, h.message = word[1:n-1], rest
		return nil
	}
	return ErrForeign // syslogd 1.4.1: restart.
}

// name splits program[process].
func (h *syslogHead) name(tag []byte) {
	h.program = tag
	if n := len(tag); tag[n-1] == ']' {
		if program, process, ok := cutByte(tag[:n-1], '['); ok {
			h.program, h.process = program, process
		}
	}
}

// syslogFormat is a file that several programs write to.
func syslogFormat() Format {
	return Format{
		Name:    "syslog",
		Meaning: "a syslog file of several of Postfix, Dovecot, OpenSSH, HAProxy, ProFTPD, vsftpd and ftpd",
		inOrder: true,
		Gives:   Gives{Opens: true, Durations: true, Outcomes: true, Refusals: true, Clock: time.Second, Note: "as much as each of the programs tells"},
		read:    (*Parser).anyProgram,
		weight:  -1, // who writes alone is called by name
	}
}

// anyProgram reads a line of any of the programs that write to syslog.
func (p *Parser) anyProgram(line []byte) error {
	if err := p.syslog(line); err != nil {
		return err
	}
	h := &p.head
	switch {
	case isPostfix(h.program):
		return p.postfixMessage(h)
	case isDovecot(h.program):
		return p.dovecotMessage(h)
	case isOpenSSH(h.program):
		return p.opensshMessage(h)
	case isHAProxy(h.program):
		return p.haproxyMessage(h.message)
	case isVsftpd(h.program):
		return p.vsftpdProgram(h)
	case string(h.program) == "proftpd":
		return p.proftpd(line)
	case string(h.program) == "ftpd":
		return p.ftpd(h)
	}
	return ErrForeign
}

// ftpd reads "connection from ADDRESS (NAME) at DATE" of the FTP servers of old;
// the end of a connection is in no line.
func (p *Parser) ftpd(h *syslogHead) error {
	b, ok := after(h.message, "connection from ")
	text, _, ok2 := cutByte(b, ' ')
	addr, ok3 := address(text)
	if !ok || !ok2 || !ok3 {
		return ErrSkip
	}
	p.tell(&visit{addr: addr, service: ftp, from: h.at, to: h.at})
	return nil
}
