package formats

import (
	"bytes"
	"net/netip"
)

// dovecotAuth reads what the processes say that check passwords:
//
//	pam(alice,192.0.2.7): unknown user
//	conn unix:auth-worker (pid=1,uid=2): auth-worker<3>: sql(alice,192.0.2.7,<session>): Password mismatch
//
// The login process writes a line of the same attempts when the client leaves.
// Names may look like all of it, so a line with two addresses is refused.
func (p *Parser) dovecotAuth(h *syslogHead, b []byte) error {
	if bytes.HasPrefix(b, borrow("pam_unix(dovecot:auth): ")) {
		r, err := pamRefusal(b)
		if err != nil {
			return err
		}
		return p.named(h.at, r.addr)
	}
	if !contains(b, "unknown user") && !contains(b, "assword mismatch") && !contains(b, "authentication failure") && !contains(b, "Authentication failure") {
		return ErrSkip
	}
	var about netip.Addr
	found := 0
	for rest := b; ; {
		var ok bool
		if _, rest, ok = cutByte(rest, ','); !ok {
			break
		}
		end := bytes.IndexAny(rest, ",)")
		if end < 0 {
			break
		}
		if addr, ok := address(rest[:end]); ok {
			about = addr
			found++
		}
	}
	switch found {
	case 0:
		return ErrSkip
	case 1:
		return p.named(h.at, about)
	}
	return ErrForged
}
