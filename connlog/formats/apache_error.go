package formats

import (
	"bytes"
	"net/netip"
	"time"

	"overstay/connlog"
)

// apacheErrorFormat is the error log of Apache 2.2 and 2.4, its own or in a
// syslog file: a stamp, level and process between brackets, and the client
// between the next ones, before all that a stranger may have written.
func apacheErrorFormat() Format {
	return Format{
		Name:    "apache-error",
		Meaning: "Apache error log",
		Gives: Gives{Outcomes: true, Refusals: true, Clock: time.Second,
			Note: "only what went wrong; nobody is seen to hold anything; a full server names nobody"},
		read: (*Parser).apacheError,
	}
}

func isApache(program []byte) bool {
	switch string(program) {
	case "httpd", "apache2", "apache":
		return true
	}
	return false
}

func (p *Parser) apacheError(line []byte) error {
	b, ok := after(line, "[")
	if !ok {
		if err := p.syslog(line); err != nil {
			return err
		}
		if !isApache(p.head.program) {
			return ErrForeign
		}
		return p.apacheSays(p.head.at, p.head.message)
	}
	at, n, err := p.stamps.ctime(b)
	if err != nil {
		return ErrMalformed
	}
	if b, ok = after(b[n:], "] "); !ok {
		return ErrMalformed
	}
	return p.apacheSays(at, b)
}

// apacheSays reads what follows the stamp.
func (p *Parser) apacheSays(at int64, b []byte) error {
	if len(b) == 0 || b[0] != '[' {
		return ErrMalformed
	}
	ported := false // versions that write the module write the port
	for {
		if rest, ok := after(b, "[client "); ok {
			return p.apacheOf(at, rest, ported)
		}
		if len(b) > 0 && b[0] == '(' { // what the system calls the error
			_, rest, ok := cut(b, ": [client ")
			if !ok {
				return ErrSkip
			}
			return p.apacheOf(at, rest, ported)
		}
		group, rest, ok := after2(b, "[", "] ")
		if !ok {
			return p.apacheFull(at, b)
		}
		ported = ported || bytes.IndexByte(group, ':') > 0
		b = rest
	}
}

// apacheFull reads a line of no client.
func (p *Parser) apacheFull(at int64, b []byte) error {
	b = withoutCode(b)
	if bytes.HasPrefix(b, borrow("server reached Max")) || bytes.HasPrefix(b, borrow("scoreboard is full")) {
		return p.refused(at, netip.Addr{}, www, connlog.RefuseBusy)
	}
	return ErrSkip
}

// withoutCode cuts AH01617: off.
func withoutCode(b []byte) []byte {
	if len(b) > 9 && b[0] == 'A' && b[1] == 'H' && fraction(b[2:]) == 5 && b[7] == ':' {
		return b[9:]
	}
	return b
}

// apacheOf reads a line from the client on.
func (p *Parser) apacheOf(at int64, b []byte, ported bool) error {
	text, b, ok := cut(b, "] ")
	if !ok {
		return ErrSkip
	}
	addr, ok := address(text)
	if !ok || ported && addr.Is6() {
		// An IPv6 address with its port looks like a longer one.
		var ok2 bool
		if addr, _, ok2 = addressPort(text); !ok2 {
			return ErrSkip
		}
	}
	b = withoutCode(b)
	starts := func(s string) bool { return bytes.HasPrefix(b, borrow(s)) }
	switch {
	case starts("user "):
		return p.failed(0, at, addr, www, connlog.FailLogin, apacheUser(b))
	case starts("Invalid method in request"), starts("Invalid URI in request"), starts("invalid URI path"), starts("request failed: "),
		starts("Request header read timeout"), starts("Request body read timeout"):
		return p.failed(0, at, addr, www, connlog.FailCommand, nil)
	case starts("SSL handshake "), starts("SSL Library Error"):
		return p.failed(0, at, addr, www, connlog.FailTLS, nil)
	case starts("mod_qos("):
		return p.apacheLimited(at, addr, b)
	}
	return p.named(at, addr)
}

// apacheLimited reads "mod_qos(031): access denied, QS_SrvMaxConnPerIP rule: ...".
func (p *Parser) apacheLimited(at int64, addr netip.Addr, b []byte) error {
	_, b, _ = cut(b, "): ")
	rule, ok := after(b, "access denied, QS_")
	switch {
	case ok && bytes.HasPrefix(rule, borrow("SrvMaxConnPerIP")):
		return p.refused(at, addr, www, connlog.RefuseSessions)
	case ok && (bytes.HasPrefix(rule, borrow("SrvMaxConn")) || bytes.HasPrefix(rule, borrow("LocRequestLimit"))):
		return p.refused(at, addr, www, connlog.RefuseBusy)
	}
	return p.named(at, addr)
}

// apacheUser is the name in "user name: password mismatch: /" and the like.
func apacheUser(b []byte) []byte {
	name, _ := after(b, "user ")
	for _, end := range []string{" not found", ": ", "' in realm "} {
		if before, _, ok := cut(name, end); ok {
			name = before
		}
	}
	return bytes.TrimPrefix(name, borrow("`"))
}
