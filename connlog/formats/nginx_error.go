package formats

import (
	"bytes"
	"net/netip"
	"time"

	"overstay/connlog"
)

// nginxErrorFormat is nginx's error log, its own or in a syslog file. Of what
// its access log tells nothing: who is held back by limit_conn and limit_req,
// who was too slow, and when there were no connections left.
//
// The client stands in the middle of a line, behind a message that may hold a
// path or a user name and before the request. Where there are two that differ,
// the line is refused.
func nginxErrorFormat() Format {
	return Format{
		Name:    "nginx-error",
		Meaning: "nginx error log",
		Gives: Gives{Outcomes: true, Refusals: true, Clock: time.Second,
			Note: "only what went wrong, and of that some only from level info on; nobody is seen to hold anything"},
		read: (*Parser).nginxError,
	}
}

func (p *Parser) nginxError(line []byte) error {
	if len(line) < 5 || line[4] != '/' {
		if err := p.syslog(line); err != nil {
			return err
		}
		if string(p.head.program) != "nginx" {
			return ErrForeign
		}
		line = p.head.message
	}
	at, n, err := p.stamps.slashed(line)
	if err != nil {
		return ErrMalformed
	}
	_, b, ok := after2(line[n:], " [", "] ")
	_, b, ok2 := cut(b, "#")
	_, b, ok3 := cut(b, ": ")
	if !ok || !ok2 || !ok3 {
		return ErrMalformed
	}
	if len(b) > 0 && b[0] == '*' { // the number of the connection
		_, b, _ = cutByte(b, ' ')
	} else if !endsWith(b, "worker_connections are not enough") {
		return ErrSkip // of no client
	}
	return p.nginxSays(at, b)
}

// after2 returns what stands between two texts, the first of which begins b,
// and what follows them.
func after2(b []byte, begin, end string) (between, rest []byte, ok bool) {
	if b, ok = after(b, begin); !ok {
		return nil, nil, false
	}
	return cut(b, end)
}

// nginxClient finds ", client: ADDRESS".
func nginxClient(b []byte) (addr netip.Addr, message []byte, err error) {
	err = ErrSkip
	for rest := b; ; {
		i := bytes.Index(rest, borrow(", client: "))
		if i < 0 {
			return addr, message, err
		}
		head := b[:len(b)-len(rest)+i]
		rest = rest[i+len(", client: "):]
		text, _, _ := cutByte(rest, ',')
		a, ok := address(text)
		switch {
		case !ok:
		case err != nil:
			addr, message, err = a, head, nil
		case a != addr:
			return addr, nil, ErrForged
		}
	}
}

func (p *Parser) nginxSays(at int64, b []byte) error {
	addr, message, err := nginxClient(b)
	if contains(b, " worker_connections are not enough") && b[0]-'0' <= 9 {
		if err != nil {
			addr = netip.Addr{}
		}
		return p.refused(at, addr, www, connlog.RefuseBusy)
	}
	if err != nil {
		return err
	}
	starts := func(s string) bool { return bytes.HasPrefix(message, borrow(s)) }
	switch {
	case contains(message, ", dry run"):
	case starts("limiting connections "), starts("limiting requests"):
		return p.refused(at, addr, www, connlog.RefuseSessions)
	case starts(`user "`):
		return p.failed(0, at, addr, www, connlog.FailLogin, nginxUser(message))
	case starts("client sent "), starts("client timed out "):
		return p.failed(0, at, addr, www, connlog.FailCommand, nil)
	case starts("SSL_do_handshake() failed"), starts("SSL_read() failed"), endsWith(message, "while SSL handshaking"):
		return p.failed(0, at, addr, www, connlog.FailTLS, nil)
	}
	return p.named(at, addr)
}

const www = "www"

// nginxUser is the name in user "name": password mismatch and the like.
func nginxUser(message []byte) []byte {
	name, ok := after(message, `user "`)
	name, _, ok2 := cutLast(name, `": password mismatch`)
	if !ok2 {
		name, _, ok2 = cutLast(name, `" was not found in "`)
	}
	if !ok || !ok2 {
		return nil
	}
	return name
}
