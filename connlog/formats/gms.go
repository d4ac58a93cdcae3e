package formats

import (
	"bytes"
	"net/netip"
	"time"

	"overstay/connlog"
)

// gmsFormat is the log of Gordano's GMS: service, date and time, type of entry,
// code, number of the thread, and text.
//
//	SMTP 14 Mar 2002 11:10:44 A 3084 1227 RCPT TO:<user@example.org>
//
// The head and the alerts (codes 8000 to 8999) are described in its knowledge
// base (articles 445 and what-is-alert-NNNN); the words with which a thread
// says whom it serves are not. Those that are read are in gmsBegins and
// gmsEnds. A thread serves one client at a time, so it is the session's key.
func gmsFormat() Format {
	return Format{
		Name:    "gms",
		Meaning: "Gordano GMS",
		inOrder: true,
		Gives: Gives{Opens: true, Durations: true, Outcomes: true, Refusals: true, Clock: time.Second,
			Note: "needs the entries of type I, and that they say \"Connection from\" and \"Connection closed\""},
		read: (*Parser).gms,
	}
}

var (
	gmsBegins = []string{"Connection from ", "Connect from ", "Connected from "}
	gmsEnds   = []string{"Connection closed", "Connection lost", "Disconnect", "Closed connection"}
)

func (p *Parser) gms(line []byte) error {
	service, b, ok := cutByte(line, ' ')
	if !ok || len(service) == 0 || len(service) > 8 || bytes.IndexFunc(service, notUpper) >= 0 {
		return ErrMalformed
	}
	at, n, err := p.stamps.british(b)
	if err != nil || len(b) < n+3 || b[n] != ' ' || b[n+1]-'A' >= 26 || b[n+2] != ' ' {
		return ErrMalformed
	}
	text, b, ok := cutByte(b[n+3:], ' ')
	code, ok2 := number(text)
	if !ok || !ok2 || len(text) < 4 || len(text) > 5 {
		return ErrMalformed
	}
	thread, b, ok := cutByte(b, ' ')
	if _, ok2 := number(thread); !ok || !ok2 {
		return ErrSkip // of no thread
	}
	p.name = append(p.name[:0], service...)
	for i, c := range p.name {
		p.name[i] = c | 0x20 // they are letters
	}
	return p.gmsSays(at, p.words.of(p.name), code, p.keys.named('g', thread, service), b)
}

func notUpper(r rune) bool { return r < 'A' || r > 'Z' }

func (p *Parser) gmsSays(at int64, service string, code int64, k key, b []byte) error {
	for _, begin := range gmsBegins {
		if rest, ok := after(b, begin); ok {
			word, _, _ := cutByte(rest, ' ')
			addr, ok := address(bytes.Trim(word, "[],."))
			if !ok {
				return ErrSkip
			}
			p.opened(k, at, addr, 0, service)
			return nil
		}
	}
	for _, end := range gmsEnds {
		if _, ok := after(b, end); ok {
			return p.closed(k, at, connlog.EndClient)
		}
	}
	s := p.open.get(k)
	// Alerts: no free thread for POP3, too many of one address, guessing.
	switch code {
	case 8202:
		addr := netip.Addr{}
		if s != nil {
			addr = s.addr
		}
		return p.refused(at, addr, service, connlog.RefuseBusy)
	case 8201:
		if s != nil {
			return p.refused(at, s.addr, service, connlog.RefuseSessions)
		}
	case 8160:
		if s != nil {
			return p.failed(k, at, s.addr, service, connlog.FailLogin, nil)
		}
	}
	if s == nil {
		return ErrSkip
	}
	return p.named(at, s.addr)
}

// british reads 14 Mar 2002 11:10:44 at the beginning of b.
func (s *stamps) british(b []byte) (at int64, n int, err error) {
	const length = len("14 Mar 2002 11:10:44")
	if len(b) > 1 && b[1] == ' ' && len(b) >= length-1 { // 4 Mar 2002
		at, _, err = s.british(append([]byte{' '}, b[:length-1]...))
		return at, length - 1, err
	}
	if len(b) < length || b[2] != ' ' || b[6] != ' ' || b[11] != ' ' || b[14] != ':' || b[17] != ':' {
		return 0, 0, errStamp
	}
	sec := two(b[18:])
	if sec < 0 || sec > 60 {
		return 0, 0, errStamp
	}
	if text := b[:17]; !s.common.knows(text) {
		century, year := two(b[7:]), two(b[9:])
		begin, ok := s.date(century*100+year, month(b[3:]), two(b), two(b[12:]), two(b[15:]))
		if century < 0 || year < 0 || !ok {
			return 0, 0, errStamp
		}
		s.common.learn(text, begin)
	}
	return (s.common.begin + int64(sec)) * second, length, nil
}
