package formats

import (
	"bytes"
	"time"

	"overstay/connlog"
)

// cowrieFormat is the JSON log of the honeypot Cowrie. Its users are all
// strangers: a login that succeeds is proof as the honeypot sees it.
func cowrieFormat() Format {
	return Format{
		Name:    "cowrie",
		Meaning: "the honeypot Cowrie, JSON",
		inOrder: true,
		Gives: Gives{Opens: true, Durations: true, Outcomes: true, Clock: time.Microsecond,
			Note: "a honeypot lets in whom it likes: its proofs are none"},
		read: (*Parser).cowrie,
	}
}

// cowrieLine is what the keys of a line say.
type cowrieLine struct {
	ours    bool
	event   string
	session [64]byte
	id      []byte
	user    [maxUser]byte
	name    []byte
	visit   visit
	at      int64
	held    int64
	known   bool // that there is an address, or none that could be read
	bad     bool
}

func (p *Parser) cowrie(line []byte) error {
	l := &p.trap
	*l = cowrieLine{}
	if !p.json.each(line, func(path, value []byte) { l.take(p, path, value) }) {
		return ErrMalformed
	}
	switch {
	case !l.ours:
		return ErrForeign
	case l.event == "" || len(l.id) == 0:
		return ErrSkip
	case l.bad || l.at == 0:
		return ErrMalformed
	}
	k, v := p.keys.named('c', l.id, nil), &l.visit
	switch l.event {
	case "cowrie.session.connect":
		if !l.known {
			return ErrMalformed
		}
		p.opened(k, l.at, v.addr, v.port, v.service)
		return nil
	case "cowrie.session.closed":
		if p.closed(k, l.at, connlog.EndClient) == nil {
			return nil
		}
		if !l.known || l.held == 0 {
			return ErrOrphan
		}
		v.from, v.to, v.end = l.at-l.held, l.at, connlog.EndClient
		p.tell(v)
		return nil
	}
	if !l.known {
		return ErrMalformed
	}
	if l.event == "cowrie.login.failed" {
		return p.failed(k, l.at, v.addr, v.service, connlog.FailLogin, l.name)
	}
	return p.proved(k, l.at, v.addr, v.service, connlog.ByLogin, l.name)
}

func (l *cowrieLine) take(p *Parser, path, value []byte) {
	ok := true
	if l.visit.service == "" {
		l.visit.service = ssh
	}
	switch string(path) {
	case "eventid":
		l.ours = bytes.HasPrefix(value, borrow("cowrie."))
		switch string(value) {
		case "cowrie.session.connect", "cowrie.session.closed", "cowrie.login.failed", "cowrie.login.success":
			l.event = p.words.of(value)
		}
	case "session":
		l.id = l.session[:copy(l.session[:], value)]
	case "src_ip":
		l.bad = l.bad || l.known
		l.visit.addr, l.known = address(value)
	case "src_port":
		l.visit.port = port(value)
	case "timestamp":
		l.at, ok = p.moment(value)
	case "duration":
		l.held, ok = span(value, 1)
	case "protocol":
		if string(value) == "telnet" {
			l.visit.service = "telnet"
		}
	case "username":
		l.name = l.user[:copy(l.user[:], value)]
	}
	l.bad = l.bad || !ok
}
