package formats

import (
	"bytes"
	"net/netip"

	"overstay/connlog"
)

// PAM writes a line of its own for each password that it refuses, into the log
// of authentications. Where the server writes one as well, that is the better
// one, and PAM's would be the same failure twice; so it counts only as long as
// the server has said nothing.
type speaks uint8

const (
	sshSpeaks speaks = 1 << iota
	ftpSpeaks
)

// isPAM knows the lines of PAM's modules.
func isPAM(program, message []byte) bool {
	return bytes.HasPrefix(message, borrow("pam_")) || bytes.HasPrefix(message, borrow("PAM ")) ||
		bytes.HasPrefix(message, borrow("(pam_")) || bytes.HasPrefix(message, borrow("authentication failure; ")) ||
		endsWith(program, "(pam_unix)")
}

// refusal is a password that PAM refused.
type refusal struct {
	addr  netip.Addr
	times int
	user  []byte
}

// pamRefusal reads "authentication failure; ... ruser=NAME rhost=ADDRESS
// user=NAME" or "2 more authentication failures; ...". A name may look like
// an address: where there are two of these, the line is refused.
func pamRefusal(message []byte) (r refusal, err error) {
	r.times = 1
	before, b, ok := cut(message, "authentication failure")
	if before, more := bytes.CutSuffix(before, borrow(" more ")); more {
		n, ok := number(before[bytes.LastIndexByte(before, ' ')+1:])
		if !ok {
			return r, ErrSkip
		}
		r.times = int(min(n, maxFails))
	}
	_, b, ok2 := cutByte(b, ';')
	if !ok || !ok2 {
		return r, ErrSkip
	}
	const host = " rhost="
	switch bytes.Count(b, borrow(host)) {
	case 0:
		return r, ErrSkip
	case 1:
	default:
		return r, ErrForged
	}
	_, b, _ = cut(b, host)
	text, b, _ := cutByte(b, ' ')
	_, r.user, _ = cut(b, "user=")
	if r.addr, ok = address(text); !ok {
		return r, ErrSkip // none, or a name
	}
	return r, nil
}

// refusedByPAM tells of a refusal.
func (p *Parser) refusedByPAM(at int64, service string, r *refusal) error {
	for range r.times {
		_ = p.failed(0, at, r.addr, service, connlog.FailLogin, r.user)
	}
	return nil
}

// sshPAM reads a line of PAM in sshd's name.
func (p *Parser) sshPAM(h *syslogHead) error {
	r, err := pamRefusal(h.message)
	if err != nil {
		return err
	}
	p.served.note(p.sshProcess(h), h.at, r.addr, 0)
	if p.spoke&sshSpeaks != 0 {
		return p.named(h.at, r.addr)
	}
	p.told.put(p.sshAttempt(h, 'p', p.sshKey(r.addr, 0)), struct{}{})
	return p.refusedByPAM(h.at, ssh, &r)
}
