package formats

import (
	"net/netip"
	"time"

	"overstay/connlog"
)

// traefikTCPFormat is what Traefik says of TCP at level debug. It has no access
// log of it, and says nothing of the end of a connection.
//
//	time="2026-11-23T12:35:16Z" level=debug msg="Handling TCP connection from ADDRESS:PORT to ADDRESS:PORT"
func traefikTCPFormat() Format {
	return Format{
		Name:    "traefik-tcp",
		Meaning: "Traefik's own log of TCP connections, level debug",
		Gives: Gives{Opens: true, Clock: time.Second,
			Note: "no ends: who holds threads cannot be seen"},
		read: (*Parser).traefikTCP,
	}
}

func (p *Parser) traefikTCP(line []byte) error {
	text, b, ok := after2(line, `time="`, `" level=`)
	at, n, err := p.stamps.iso(text)
	if !ok || err != nil || n != len(text) {
		return ErrMalformed
	}
	_, b, _ = cutByte(b, ' ')
	if b, ok = after(b, `msg="Handling `); !ok {
		return ErrSkip
	}
	if rest, ok := after(b, "UDP stream from "); ok {
		if addr, _, _, ok := fromTo(rest); ok {
			return p.named(at, addr)
		}
		return ErrSkip
	}
	rest, ok := after(b, "TCP connection from ")
	addr, n16, to, ok2 := fromTo(rest)
	if !ok || !ok2 {
		return ErrSkip
	}
	p.tell(&visit{addr: addr, port: n16, service: p.joined("tcp/", to), from: at, to: at, end: connlog.EndClient})
	return nil
}

// fromTo reads ADDRESS:PORT to ADDRESS:PORT", and returns the port behind.
func fromTo(b []byte) (addr netip.Addr, n uint16, to []byte, ok bool) {
	from, rest, ok := cut(b, " to ")
	addr, n, ok2 := addressPort(from)
	rest, _, ok3 := cutByte(rest, '"')
	_, to, ok4 := cutLast(rest, ":")
	if len(to) > len("65535") {
		return addr, 0, nil, false
	}
	return addr, n, to, ok && ok2 && ok3 && ok4
}
