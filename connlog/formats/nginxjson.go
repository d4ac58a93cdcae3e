package formats

import (
	"time"

	"overstay/connlog"
)

// nginxJSONFormat is an nginx log_format that writes JSON, with the names of
// nginx's variables as keys: remote_addr, and msec, time_iso8601 or time, and
// best with request_time. Keys that come twice make a line malformed: one of
// them may be a stranger's.
func nginxJSONFormat() Format {
	return Format{
		Name:    "nginx-json",
		Meaning: "nginx access log as JSON, keys named as nginx's variables",
		Gives: Gives{Opens: true, Durations: true, Outcomes: true, Clock: time.Millisecond,
			Note: "each request is a connection, known when it is answered; durations if there is request_time, milliseconds if there is msec"},
		read: (*Parser).nginxJSON,
	}
}

// The keys that are looked at, as bits, to see that each comes once.
const (
	keyAddr = 1 << iota
	keyPort
	keyMsec
	keyTime
	keyTook
	keyStatus
	keyUser
	keyDone
	keyRequest
)

// nginxLine is what the keys of a line say.
type nginxLine struct {
	seen       int
	bad        bool
	msec, iso  int64
	took, code int64
	cut        bool // the answer did not go out whole
	asked      bool
	visit      visit
	user       [maxUser]byte
}

const maxUser = 128

func (p *Parser) nginxJSON(line []byte) error {
	l := &p.nginx // kept, so that a line costs no memory
	*l = nginxLine{asked: true, visit: visit{service: "www"}}
	ok := p.json.each(line, func(path, value []byte) { l.take(p, path, value) })
	if !ok || l.bad || l.seen&keyAddr == 0 || l.seen&(keyMsec|keyTime) == 0 || l.seen&keyStatus == 0 {
		return ErrMalformed
	}
	v := &l.visit
	v.to = l.msec
	if l.seen&keyMsec == 0 {
		v.to = l.iso
	}
	v.from = v.to - l.took
	v.answered(l.code, l.asked)
	if l.cut && v.proven != "" {
		v.proven, v.end = "", connlog.EndReset
	}
	p.tell(v)
	return nil
}

// take notes the value of a key.
func (l *nginxLine) take(p *Parser, path, value []byte) {
	var ok bool
	var bit int
	v := &l.visit
	switch string(path) {
	case "remote_addr":
		bit = keyAddr
		v.addr, ok = address(value)
	case "remote_port":
		bit, ok = keyPort, true
		v.port = port(value)
	case "msec":
		bit = keyMsec
		l.msec, ok = decimal(value)
	case "time", "time_iso8601", "@timestamp", "timestamp":
		bit = keyTime
		var err error
		l.iso, _, err = p.stamps.iso(value)
		ok = err == nil
	case "request_time":
		bit = keyTook
		l.took, ok = decimal(value)
	case "status":
		bit = keyStatus
		l.code, ok = number(value)
	case "bytes", "bytes_sent", "body_bytes_sent":
		ok = true // there may be several of these
		v.bytesOut, _ = number(value)
	case "remote_user":
		bit, ok = keyUser, true
		if string(value) != "-" {
			v.user = l.user[:copy(l.user[:], value)]
		}
	case "request_completion":
		bit, ok = keyDone, true
		l.cut = string(value) != "OK"
	case "request":
		bit, ok = keyRequest, true
		l.asked = len(value) > 0
	default:
		return
	}
	if l.seen&bit != 0 || !ok {
		l.bad = true
	}
	l.seen |= bit
}
