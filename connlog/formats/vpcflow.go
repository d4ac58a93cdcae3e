package formats

import (
	"bytes"
	"time"

	"overstay/connlog"
)

// vpcFlowFormat is AWS VPC flow logs in their default format. A record is what
// one side sent within some minutes, so a connection is several records, and
// only those towards the lower port, which is the server's, are taken.
func vpcFlowFormat() Format {
	return Format{
		Name:    "aws-vpc",
		Meaning: "AWS VPC flow logs, version 2",
		Gives: Gives{Opens: true, Durations: true, Clock: time.Second,
			Note: "a long connection is several, and none is proven; what was rejected is left out"},
		read: (*Parser).vpcFlow,
	}
}

func (p *Parser) vpcFlow(b []byte) error {
	if bytes.HasPrefix(b, borrow("version account-id ")) {
		return ErrSkip
	}
	var field [14][]byte
	more := true
	for i := range field {
		if !more {
			return ErrMalformed
		}
		field[i], b, more = cutByte(b, ' ')
	}
	const version, source, from, to, protocol, size, start, end, action, status = 0, 3, 5, 6, 7, 9, 10, 11, 12, 13
	if more || string(field[version]) != "2" {
		return ErrMalformed
	}
	if string(field[status]) != "OK" || string(field[action]) != "ACCEPT" || string(field[protocol]) != "6" {
		return ErrSkip
	}
	v := visit{port: port(field[from]), end: connlog.EndClient}
	to16 := port(field[to])
	if to16 >= v.port {
		return ErrSkip
	}
	begin, ok := number(field[start])
	until, ok2 := number(field[end])
	var ok3, ok4 bool
	v.addr, ok3 = address(field[source])
	v.bytesIn, ok4 = number(field[size])
	if !ok || !ok2 || !ok3 || !ok4 || begin > lastMoment/second || until > lastMoment/second || until-begin > maxSpan/second {
		return ErrMalformed
	}
	v.service = p.joined("tcp/", field[to])
	v.from, v.to = begin*second, until*second
	p.tell(&v)
	return nil
}
