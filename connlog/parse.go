package connlog

import (
	"encoding/binary"
	"fmt"
	"math"
)

// SyntaxError says why a line is not a line of the log, and at which byte.
type SyntaxError struct {
	Offset int
	What   string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("connlog: byte %d: %s", e.Offset, e.What)
}

// Parser reads lines. The zero value is ready. It keeps the strings that come
// again and again (boot, service, user and the like), boundedly, so that in
// the long run parsing allocates nothing. It must not be used by two
// goroutines at once; the events it fills are the caller's.
type Parser struct {
	clock clock
	// Of the last lines that had them, if they were written without escapes.
	boot, served, by, what, end, reason string

	names interner
	users interner // apart, so that a flood of made-up names evicts no service
	buf   []byte   // a string whose escapes are resolved
}

// maxServices bounds the services of one line.
const maxServices = 1024

// Parse fills e with what line says, and forgets what e held, but for the
// room of e.Services. The line is one JSON object; white space around it does
// not matter. Its keys may come in any order. Of a key that comes twice the
// last one counts, null counts as absent, and unknown keys are skipped. A line
// of an unknown event fills only the head of e.
//
// The error is a *SyntaxError: the line is not JSON, nests deeper than 64, has
// no time or event, or a key of the schema has a value that is not of its
// type. Then e holds nothing of use.
func (p *Parser) Parse(line []byte, e *Event) error {
	e.reset()
	if len(line) > len(nativeBegin) && string(line[:len(nativeBegin)]) == nativeBegin {
		if p.native(line, e) {
			return nil
		}
		e.reset()
	}
	return p.anyOrder(line, e)
}

// reset forgets everything but the room for services.
func (e *Event) reset() {
	services := e.Services[:0]
	*e = Event{}
	e.Services = services
}

// field is a key of the schema.
type field uint8

const (
	fieldNone field = iota
	fieldTime
	fieldEvent
	fieldBoot
	fieldSeq
	fieldService
	fieldConn
	fieldClientIP
	fieldClientPort
	fieldBusy
	fieldThreads
	fieldHeld
	fieldProven
	fieldFails
	fieldBy
	fieldUser
	fieldWhat
	fieldStages
	fieldBytesIn
	fieldBytesOut
	fieldEnd
	fieldReason
	fieldCount
	fieldSchema
	fieldVersion
	fieldHost
	fieldServices
	fieldContinued
)

func fieldOf(key []byte) field {
	switch string(key) {
	case "time":
		return fieldTime
	case "event":
		return fieldEvent
	case "boot":
		return fieldBoot
	case "seq":
		return fieldSeq
	case "service":
		return fieldService
	case "conn":
		return fieldConn
	case "client_ip":
		return fieldClientIP
	case "client_port":
		return fieldClientPort
	case "busy":
		return fieldBusy
	case "threads":
		return fieldThreads
	case "held_us":
		return fieldHeld
	case "proven":
		return fieldProven
	case "fails":
		return fieldFails
	case "by":
		return fieldBy
	case "user":
		return fieldUser
	case "what":
		return fieldWhat
	case "stages_us":
		return fieldStages
	case "bytes_in":
		return fieldBytesIn
	case "bytes_out":
		return fieldBytesOut
	case "end":
		return fieldEnd
	case "reason":
		return fieldReason
	case "count":
		return fieldCount
	case "schema":
		return fieldSchema
	case "version":
		return fieldVersion
	case "host":
		return fieldHost
	case "services":
		return fieldServices
	case "continued":
		return fieldContinued
	}
	return fieldNone
}

// anyOrder parses any line. A value of the wrong type is remembered rather
// than returned at once: an event of a later schema may use a key otherwise,
// and which event it is may come last.
func (p *Parser) anyOrder(b []byte, e *Event) error {
	i := skipSpace(b, 0)
	if i >= len(b) || b[i] != '{' {
		return &SyntaxError{i, "not a JSON object"}
	}
	i++
	var hasTime, hasEvent bool
	var headErr, restErr *SyntaxError
	for first := true; ; first = false {
		key, at := p.key(b, i, first)
		if at == bad {
			return &SyntaxError{i, "malformed JSON"}
		}
		if key == nil {
			i = at
			break
		}
		f := fieldOf(key)
		next := p.value(f, b, at, e)
		if next == bad {
			if next = skipValue(b, at, 1); next == bad {
				return &SyntaxError{at, "malformed JSON"}
			}
			err := &SyntaxError{at, "unexpected value of " + string(key)}
			if f <= fieldSeq && headErr == nil {
				headErr = err
			} else if restErr == nil {
				restErr = err
			}
		}
		switch f {
		case fieldTime:
			hasTime = !isNull(b, at)
		case fieldEvent:
			hasEvent = !isNull(b, at)
		}
		i = next
	}
	switch {
	case skipSpace(b, i) != len(b):
		return &SyntaxError{i, "more after the object"}
	case headErr != nil:
		return headErr
	case !hasTime:
		return &SyntaxError{i, "no time"}
	case !hasEvent:
		return &SyntaxError{i, "no event"}
	case e.Kind == Unknown:
		*e = Event{Time: e.Time, Boot: e.Boot, Seq: e.Seq, Services: e.Services[:0]}
	case restErr != nil:
		return restErr
	}
	return nil
}

// key reads the next key of an object and its colon: first directly after the
// opening brace, else after a value. The index is that of the value. At the
// closing brace the key is nil and the index is the one after it.
func (p *Parser) key(b []byte, i int, first bool) (key []byte, at int) {
	if !first {
		if key, at = shortKey(b, i); at != bad {
			return key, at
		}
	}
	if i = skipSpace(b, i); i >= len(b) {
		return nil, bad
	}
	if b[i] == '}' {
		return nil, i + 1
	}
	if !first {
		if b[i] != ',' {
			return nil, bad
		}
		i = skipSpace(b, i+1)
	}
	key, _, i = readString(b, i, &p.buf)
	if i == bad {
		return nil, bad
	}
	if i = skipSpace(b, i); i >= len(b) || b[i] != ':' {
		return nil, bad
	}
	return key, skipSpace(b, i+1)
}

// shortKey is key for the most usual case: no white space around it, and no
// more than two words to look at.
func shortKey(b []byte, i int) (key []byte, at int) {
	const longest = 16
	from := i + len(`,"`)
	if len(b)-from < longest+len(`":0`) || b[i] != ',' || b[i+1] != '"' {
		return nil, bad
	}
	end := from
	m := notPlain(binary.LittleEndian.Uint64(b[end:]))
	if m == 0 {
		end += 8
		m = notPlain(binary.LittleEndian.Uint64(b[end:]))
	}
	end += firstByte(m)
	if b[end] != '"' || b[end+1] != ':' || b[end+2] <= ' ' {
		return nil, bad
	}
	return b[from:end], end + 2
}

// value reads the value of f at b[i] into e and returns the index after it,
// or bad if it is not of f's type.
func (p *Parser) value(f field, b []byte, i int, e *Event) int {
	switch f {
	case fieldTime:
		return p.time(b, i, &e.Time)
	case fieldEvent:
		return p.kind(b, i, &e.Kind)
	case fieldBoot:
		return p.again(b, i, &e.Boot, &p.boot)
	case fieldSeq:
		return number(b, i, &e.Seq, math.MaxUint64)
	case fieldService:
		return p.text(b, i, &e.Service, &p.names)
	case fieldConn:
		return number(b, i, &e.Conn, math.MaxUint64)
	case fieldClientIP:
		return p.addr(b, i, &e.ClientIP)
	case fieldClientPort:
		return number(b, i, &e.ClientPort, math.MaxUint16)
	case fieldBusy:
		return number(b, i, &e.Busy, math.MaxInt)
	case fieldThreads:
		return number(b, i, &e.Threads, math.MaxInt)
	case fieldHeld:
		return duration(b, i, &e.Held)
	case fieldProven:
		return truth(b, i, &e.Proven)
	case fieldFails:
		return number(b, i, &e.Fails, math.MaxInt)
	case fieldBy:
		return p.text(b, i, (*string)(&e.By), &p.names)
	case fieldUser:
		return p.text(b, i, &e.User, &p.users)
	case fieldWhat:
		return p.text(b, i, (*string)(&e.What), &p.names)
	case fieldStages:
		return p.stages(b, i, &e.Stages)
	case fieldBytesIn:
		return number(b, i, &e.BytesIn, math.MaxInt64)
	case fieldBytesOut:
		return number(b, i, &e.BytesOut, math.MaxInt64)
	case fieldEnd:
		return p.text(b, i, (*string)(&e.End), &p.names)
	case fieldReason:
		return p.text(b, i, (*string)(&e.Reason), &p.names)
	case fieldCount:
		return number(b, i, &e.Count, math.MaxUint64)
	case fieldSchema:
		return number(b, i, &e.Schema, math.MaxInt)
	case fieldVersion:
		return p.text(b, i, &e.Version, &p.names)
	case fieldHost:
		return p.text(b, i, &e.Host, &p.names)
	case fieldServices:
		return p.services(b, i, &e.Services)
	case fieldContinued:
		return truth(b, i, &e.Continued)
	}
	return skipValue(b, i, 1)
}
