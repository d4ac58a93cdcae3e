package formats

import (
	"math"
	"strconv"

	"overstay/connlog"
)

// role is what a key of a JSON line means.
type role uint8

const (
	roleAddr    role = iota // the client's address
	rolePeer                // its address and port, 192.0.2.7:4711
	rolePort                // its port
	roleBegin               // when it began
	roleEnd                 // when it ended
	roleEndFine             // the same, and to be taken where there are both
	roleTook                // how long it took, in the key's unit
	roleStatus              // of HTTP
	roleUser                // who asked, or "-"
	roleRequest             // what was asked; empty if nothing was
	roleWhole               // "OK" if the answer went out whole
	roleIn                  // bytes from the client
	roleOut                 // bytes to the client
	roleTo                  // the port that it came to
	roleOnly                // the line is of interest if the key has the value wanted
	roleState               // how the connection ended, in Zeek's words
)

// jsonKey says where a role stands.
type jsonKey struct {
	path string
	role role
	unit float64 // of roleTook, and of roleBegin if it counts from 1970, in seconds
	want string  // of roleOnly
}

// jsonLog is a kind of log with one JSON object a line, each of which tells of
// one connection or request in full.
type jsonLog struct {
	service string
	keys    []jsonKey
	traffic bool // no HTTP: who sends and is sent something is proven
	silent  bool // it may say nothing of how it went
}

// jsonLine is what the keys of a line say.
type jsonLine struct {
	log  *jsonLog
	seen uint32 // keys, by their place
	has  uint32 // roles
	bad  bool
	skip bool

	visit      visit
	begin, end int64
	fine, took int64
	code       int64
	to         int64
	whole      bool
	asked      bool
	user       [maxUser]byte
}

const maxUser = 128

// jsonVisit reads a line of a log. An address or a time that comes twice makes
// it malformed: one of the two may be a stranger's.
func (p *Parser) jsonVisit(log *jsonLog, line []byte) error {
	l := &p.line // kept, so that a line costs no memory
	*l = jsonLine{log: log, whole: true, asked: true}
	if !p.json.each(line, func(path, value []byte) { l.take(p, path, value) }) || l.bad {
		return ErrMalformed
	}
	return p.jsonDone(l)
}

// jsonDone tells what a line says that was read in full.
func (p *Parser) jsonDone(l *jsonLine) error {
	if l.skip {
		if !l.hasAny(roleAddr, rolePeer) {
			return ErrForeign
		}
		return ErrSkip
	}
	if !l.hasAny(roleAddr, rolePeer) || !l.hasAny(roleBegin, roleEnd, roleEndFine) {
		return ErrMalformed
	}
	l.times()
	v, log := &l.visit, l.log
	v.service = log.service
	if l.hasAny(roleTo) {
		p.name = strconv.AppendInt(append(p.name[:0], log.service...), l.to, 10)
		v.service = p.words.of(p.name)
	}
	switch {
	case log.traffic:
		v.end = connlog.EndClient
		if v.bytesIn > 0 && v.bytesOut > 0 {
			v.proven = connlog.ByTransfer
		}
	case l.hasAny(roleStatus):
		v.answered(l.code, l.asked)
	case log.silent:
		v.end = connlog.EndClient
	default:
		return ErrMalformed
	}
	if !l.whole && v.proven != "" {
		v.proven, v.end = "", connlog.EndReset
	}
	p.tell(v)
	return nil
}

func (l *jsonLine) hasAny(roles ...role) bool {
	for _, r := range roles {
		if l.has&(1<<r) != 0 {
			return true
		}
	}
	return false
}

// times sets from and to by what the line has of begin, end and duration.
func (l *jsonLine) times() {
	v := &l.visit
	if l.hasAny(roleEndFine) {
		l.end, l.has = l.fine, l.has|1<<roleEnd
	}
	switch {
	case l.hasAny(roleBegin) && l.hasAny(roleEnd):
		v.from, v.to = l.begin, max(l.end, l.begin)
	case l.hasAny(roleBegin):
		v.from, v.to = l.begin, l.begin+l.took
	default:
		v.from, v.to = l.end-l.took, l.end
	}
}

// take notes the value of a key.
func (l *jsonLine) take(p *Parser, path, value []byte) {
	for i := range l.log.keys {
		k := &l.log.keys[i]
		if k.path != string(path) {
			continue
		}
		if string(value) == "null" {
			return
		}
		once := k.role <= roleTook || k.role == roleTo
		if l.seen&(1<<i) != 0 && once || !l.set(p, k, value) {
			l.bad = true
			return
		}
		l.seen |= 1 << i
		l.has |= 1 << k.role
		return
	}
}

// set puts a value in its place; ok is false if it is none of its kind.
func (l *jsonLine) set(p *Parser, k *jsonKey, value []byte) (ok bool) {
	v := &l.visit
	switch k.role {
	case roleAddr:
		v.addr, ok = address(value)
	case rolePeer:
		v.addr, v.port, ok = addressPort(value)
	case rolePort:
		v.port, ok = port(value), true
	case roleBegin:
		if k.unit > 0 {
			l.begin, ok = epoch(value, k.unit)
			break
		}
		l.begin, ok = p.moment(value)
	case roleEnd:
		l.end, ok = p.moment(value)
	case roleEndFine:
		l.fine, ok = p.moment(value)
	case roleTook:
		l.took, ok = span(value, k.unit)
	case roleStatus:
		l.code, ok = number(value)
	case roleIn:
		v.bytesIn, ok = number(value)
	case roleOut:
		v.bytesOut, ok = number(value)
	case roleTo:
		l.to, ok = number(value)
		ok = ok && l.to <= math.MaxUint16
	default:
		l.setWord(k, value)
		ok = true
	}
	return ok
}

// setWord is set for what is no number.
func (l *jsonLine) setWord(k *jsonKey, value []byte) {
	switch k.role {
	case roleUser:
		if string(value) != "-" {
			l.visit.user = l.user[:copy(l.user[:], value)]
		}
	case roleRequest:
		l.asked = len(value) > 0
	case roleWhole:
		l.whole = string(value) == "OK"
	case roleOnly:
		l.skip = l.skip || k.want != string(value)
	case roleState:
		// Never answered, or answered by no: no thread was held.
		l.skip = l.skip || string(value) == "S0" || string(value) == "REJ" || string(value) == "OTH"
	}
}

// moment reads a time as seconds since 1970, as RFC 3339 or as web servers
// write it.
func (p *Parser) moment(b []byte) (int64, bool) {
	if at, ok := decimal(b); ok {
		return at, at < lastMoment
	}
	if len(b) > 2 && b[2] == '/' {
		at, n, err := p.stamps.clf(b)
		return at, err == nil && n == len(b)
	}
	at, n, err := p.stamps.iso(b)
	return at, err == nil && n == len(b)
}

// epoch reads a whole number of milliseconds or microseconds since 1970.
func epoch(b []byte, unit float64) (int64, bool) {
	n, ok := number(b)
	each := int64(unit * second)
	if !ok || n > lastMoment/each {
		return 0, false
	}
	return n * each, true
}

// lastMoment is the year 10000, in microseconds.
const lastMoment = 253402300800 * second

// span reads a duration in units of so many seconds.
func span(b []byte, unit float64) (micros int64, ok bool) {
	if n, ok := decimal(b); ok && unit == 1 {
		return n, n < maxSpan
	}
	if len(b) > 32 {
		return 0, false
	}
	x, err := strconv.ParseFloat(string(b), 64)
	x *= unit * second
	if err != nil || !(x >= 0 && x < maxSpan) {
		return 0, false
	}
	return int64(math.Round(x)), true
}

// maxSpan is the longest duration that is believed: a year.
const maxSpan = 365 * 24 * 3600 * second
