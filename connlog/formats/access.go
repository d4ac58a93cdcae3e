package formats

import (
	"bytes"
	"time"

	"overstay/connlog"
)

// combinedFormat is the access log that nginx and Apache write by default, and
// the common one without referrer and agent.
//
// It says when a request was answered and not how long that took, so requests
// hold nothing. The address is the first word. A user name may hold blanks and
// brackets but no bare quote, so the stamp is found before the first quote.
func combinedFormat() Format {
	return Format{
		Name:    "combined",
		Meaning: "nginx and Apache access log, combined or common",
		Gives: Gives{Opens: true, Outcomes: true, Clock: time.Second,
			Note: "each request is a connection that holds nothing; one that is never answered is in no line"},
		read: func(p *Parser, line []byte) error { return p.unwrapped(line, p.combined) },
	}
}

// vhostFormat is Apache's vhost_combined: the name of the virtual host stands
// before the address. A client may have chosen that name, so it is no address
// even if it looks like one.
func vhostFormat() Format {
	return Format{
		Name:    "vhost",
		Meaning: "Apache access log, vhost_combined",
		Gives: Gives{Opens: true, Outcomes: true, Clock: time.Second,
			Note: "each request is a connection that holds nothing; one that is never answered is in no line"},
		read: func(p *Parser, line []byte) error { return p.unwrapped(line, p.vhost) },
	}
}

// nginxTimedFormat is the combined log with $request_time behind it.
func nginxTimedFormat() Format {
	return Format{
		Name:    "nginx-time",
		Meaning: "nginx access log, combined with $request_time at the end",
		Gives: Gives{Opens: true, Durations: true, Outcomes: true, Clock: time.Second,
			Note: "each request is a connection, known when it is answered or given up"},
		read: func(p *Parser, line []byte) error { return p.unwrapped(line, p.nginxTimed) },
	}
}

func (p *Parser) combined(line []byte) error { return p.access(line, false) }

func (p *Parser) nginxTimed(line []byte) error { return p.access(line, true) }

func (p *Parser) vhost(line []byte) error {
	_, rest, ok := cutByte(line, ' ')
	if !ok {
		return ErrMalformed
	}
	return p.access(rest, false)
}

func (p *Parser) access(line []byte, timed bool) error {
	v := visit{service: "www"}
	line, _ = after(line, `"`) // some write the whole line between quotes
	word, rest, ok := cutByte(line, ' ')
	if !ok {
		return ErrMalformed
	}
	if v.addr, ok = address(word); !ok {
		return ErrMalformed
	}
	if second, _, _ := cutByte(rest, ' '); len(second) > 1 {
		if _, two := address(second); two {
			return ErrForged // the first may be a virtual host of a stranger's choice
		}
	}
	quote := bytes.IndexByte(line, '"')
	begin := stampBefore(line, quote)
	if begin < len(word) {
		return ErrMalformed
	}
	at, n, err := p.stamps.clf(line[begin+1 : quote-2])
	if err != nil || n != quote-2-begin-1 {
		return ErrMalformed
	}
	request, rest, ok := quoted(line[quote+1:])
	if !ok || len(rest) == 0 || rest[0] != ' ' {
		return ErrMalformed
	}
	status, rest, _ := cutByte(rest[1:], ' ')
	size, rest, _ := cutByte(rest, ' ')
	code, ok := number(status)
	if len(status) == 1 && status[0] == '-' {
		code, ok = 0, true
	}
	if !ok || code > 999 {
		return ErrMalformed
	}
	v.bytesOut, _ = number(size) // "-" is none
	v.from, v.to = at, at
	if timed {
		took, ok := requestTime(rest)
		if !ok {
			return ErrMalformed
		}
		v.from -= took
	}
	v.user = remoteUser(line[len(word):begin])
	v.answered(code, len(request) > 0)
	p.tell(&v)
	return nil
}

// stampBefore finds the bracket that begins the stamp before a quote; its zone
// may be missing. It is -1 if there is none.
func stampBefore(line []byte, quote int) int {
	for _, n := range [...]int{len("[23/Nov/2026:12:35:16 +0000] "), len("[23/Nov/2026:12:35:16] ")} {
		if begin := quote - n; begin >= 0 && line[begin] == '[' && line[quote-2] == ']' && line[quote-1] == ' ' {
			return begin
		}
	}
	return -1
}

// requestTime reads the seconds behind the last quote of a line.
func requestTime(b []byte) (micros int64, ok bool) {
	i := bytes.LastIndexByte(b, '"')
	if i < 0 || i+2 > len(b) || b[i+1] != ' ' || bytes.IndexByte(b[i+2:], '.') < 0 {
		return 0, false
	}
	return decimal(b[i+2:])
}

// quoted returns what stands before the next quote that no backslash takes
// back, and what follows that.
func quoted(b []byte) (text, rest []byte, ok bool) {
	for i := 0; ; {
		n := bytes.IndexByte(b[i:], '"')
		if n < 0 {
			return nil, nil, false
		}
		i += n
		slashes := 0
		for slashes < i && b[i-1-slashes] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return b[:i], b[i+1:], true
		}
		i++
	}
}

// remoteUser is the third word of " - user ", nil if it is "-".
func remoteUser(b []byte) []byte {
	_, b, _ = cutByte(bytes.TrimLeft(b, " "), ' ')
	b = bytes.TrimRight(b, " ")
	if len(b) == 0 || len(b) == 1 && b[0] == '-' {
		return nil
	}
	return b
}

// answered says what a status makes of a visit. An answer below 400 is the
// proof that package www takes; a challenge to log in is a failure if a name
// was given with the request.
func (v *visit) answered(code int64, asked bool) {
	v.end = connlog.EndClient
	switch {
	case code == 408:
		v.end = connlog.EndTimeout
	case code == 499 || code == 0:
		v.end = connlog.EndReset
	case code == 444:
		v.end = connlog.EndServer
	case code == 400 || code == 414 || code == 431 || code >= 494 && code <= 497:
		v.fails, v.end = connlog.FailCommand, connlog.EndServer
	case code == 401 && len(v.user) > 0:
		v.fails = connlog.FailLogin
	case code < 400 && asked:
		v.proven = connlog.ByRequest
	default:
		v.user = nil
	}
}
