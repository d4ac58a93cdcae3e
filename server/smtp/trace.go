package smtp

import (
	"crypto/tls"
	"fmt"
	"strings"
	"time"
)

// maxHops is how many servers a message may have passed: a higher number is a
// loop (RFC 5321, 6.3).
const maxHops = 100

// received returns the line that each server adds (RFC 5321, 4.4).
func (s *session) received(now time.Time) string {
	ip := s.link.Peer().Addr()
	literal := ip.String()
	if ip.Is6() {
		literal = "IPv6:" + literal
	}
	with, by := "SMTP", ""
	if s.link.extended {
		with = "ESMTP" // And more of RFC 3848.
	}
	if c, ok := s.link.transport.(*tls.Conn); ok {
		state := c.ConnectionState()
		with += "S"
		by = fmt.Sprintf("\n\t(%s, %s)", tls.VersionName(state.Version), tls.CipherSuiteName(state.CipherSuite))
	}
	if s.user != "" {
		with += "A"
	}
	return fmt.Sprintf("Received: from %s ([%s])%s\n\tby %s with %s id %d;\n\t%s\n",
		printable(s.library.Hostname()), literal, by, s.protocol.options.Hostname, with, s.link.ID(), now.Format(time.RFC1123Z))
}

// returnPath returns the sender as it may stand in a header line.
func returnPath(from string) string {
	if path, ok := mailbox(from); ok {
		return path
	}
	return printable(from) // Empty, or not an address that others would know.
}

// printable makes what a client sent safe in a header line.
func printable(s string) string {
	if len(s) > 255 {
		s = s[:255]
	}
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' || strings.ContainsRune("()<>;", r) {
			return '?'
		}
		return r
	}, s)
}

// hops counts the Received lines in a header. The zero value is ready.
type hops struct {
	n    int
	body bool    // the header is over
	name [9]byte // the beginning of this line
	at   int     // in this line
}

func (h *hops) add(b []byte) {
	for _, c := range b {
		switch {
		case h.body:
			return
		case c == '\n':
			h.body = h.at == 0
			h.at = 0
			continue
		case h.at < len(h.name):
			h.name[h.at] = c
		}
		h.at++
		if h.at == len(h.name) && strings.EqualFold(string(h.name[:]), "received:") {
			h.n++
		}
	}
}
