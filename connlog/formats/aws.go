package formats

import (
	"bytes"
	"time"

	"overstay/connlog"
)

// albFormat is the access log of an AWS Application Load Balancer, whose time
// is that of the answer.
func albFormat() Format {
	return Format{
		Name:    "aws-alb",
		Meaning: "AWS Application Load Balancer's access log",
		Gives:   Gives{Opens: true, Durations: true, Outcomes: true, Clock: time.Microsecond, Note: eachRequest},
		read: func(p *Parser, line []byte) error {
			kind, rest, ok := cutByte(line, ' ')
			switch string(kind) {
			case "http", "https", "h2", "ws", "wss", "grpcs":
				if ok {
					return p.balancer(rest, true)
				}
			}
			return ErrMalformed
		},
	}
}

// elbFormat is the access log of an AWS Classic Load Balancer, whose time is
// that of the request.
func elbFormat() Format {
	return Format{
		Name:    "aws-elb",
		Meaning: "AWS Classic Load Balancer's access log",
		Gives:   Gives{Opens: true, Durations: true, Outcomes: true, Clock: time.Microsecond, Note: eachRequest},
		read:    func(p *Parser, line []byte) error { return p.balancer(line, false) },
	}
}

// balancer reads time, name, client, target, three durations, the status to
// the client and that of the target, bytes, and the request between quotes:
// the client writes nothing before those.
func (p *Parser) balancer(b []byte, ended bool) error {
	var field [11][]byte
	for i := range field {
		var ok bool
		if field[i], b, ok = cutByte(b, ' '); !ok {
			return ErrMalformed
		}
	}
	v := visit{service: "www"}
	at, n, err := p.stamps.iso(field[0])
	if err != nil || n != len(field[0]) || n < len("2026-11-23T12:35:16Z") {
		return ErrMalformed
	}
	var ok bool
	if v.addr, v.port, ok = addressPort(field[2]); !ok {
		return ErrMalformed
	}
	took := int64(0)
	for _, text := range field[4:7] {
		if string(text) == "-1" { // there was no answer
			continue
		}
		n, ok := decimal(text)
		if !ok || n > maxSpan {
			return ErrMalformed
		}
		took += n
	}
	code, ok := number(field[7])
	if string(field[7]) == "-" { // of TCP, or the client went
		code, ok = 0, true
	}
	if !ok || len(b) == 0 || b[0] != '"' {
		return ErrMalformed
	}
	v.bytesIn, _ = number(field[9])
	v.bytesOut, _ = number(field[10])
	v.from, v.to = at, at+took
	if ended {
		v.from, v.to = at-took, at
	}
	request, _, _ := quoted(b[1:])
	if bytes.HasPrefix(request, borrow("- ")) && code == 0 && v.bytesIn > 0 && v.bytesOut > 0 { // a TCP listener
		v.proven, v.end = connlog.ByTransfer, connlog.EndClient
	} else {
		v.answered(code, len(request) > 0)
	}
	p.tell(&v)
	return nil
}
