package formats

import (
	"bytes"
	"time"

	"overstay/connlog"
)

// squidFormat is Squid's native access log. Time, duration and address stand
// before all that a client writes.
func squidFormat() Format {
	return Format{
		Name:    "squid",
		Meaning: "Squid's native access log",
		Gives: Gives{Opens: true, Durations: true, Outcomes: true, Clock: time.Millisecond,
			Note: "each request is a connection, known when it ends"},
		read: (*Parser).squid,
	}
}

func (p *Parser) squid(b []byte) error {
	stamp, b, _ := cutByte(b, ' ')
	at, ok := decimal(stamp)
	took, b, _ := cutByte(bytes.TrimLeft(b, " "), ' ')
	ms, ok2 := number(took)
	word, b, _ := cutByte(b, ' ')
	addr, ok3 := address(word)
	result, b, ok4 := cutByte(b, ' ')
	tag, status, ok5 := cutByte(result, '/')
	code, ok6 := number(status)
	size, _, ok7 := cutByte(b, ' ')
	sent, ok8 := number(size)
	if !ok || !ok2 || !ok3 || !ok4 || !ok5 || !ok6 || !ok7 || !ok8 || bytes.IndexByte(stamp, '.') < 0 || ms > maxSpan/1000 {
		return ErrMalformed
	}
	v := visit{addr: addr, service: "proxy", from: at - ms*1000, to: at, bytesOut: sent, end: connlog.EndClient}
	switch {
	case contains(tag, "ABORTED"):
		v.end = connlog.EndReset
	case contains(tag, "TIMEDOUT"):
		v.end = connlog.EndTimeout
	case contains(tag, "DENIED"):
		v.end = connlog.EndServer
	case code == 400:
		v.fails = connlog.FailCommand
	case code > 0 && code < 400:
		v.proven = connlog.ByRequest
	}
	p.tell(&v)
	return nil
}
