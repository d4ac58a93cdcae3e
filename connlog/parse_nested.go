package connlog

import (
	"math"
	"time"
)

// stages reads a stages_us object: what stages it does not name are zero.
func (p *Parser) stages(b []byte, i int, to *[NumStages]time.Duration) int {
	*to = [NumStages]time.Duration{}
	if isNull(b, i) {
		return skipWord(b, i, "null")
	}
	if i >= len(b) || b[i] != '{' {
		return bad
	}
	i++
	for first := true; ; first = false {
		key, at := p.key(b, i, first)
		if key == nil {
			return at // after the object, or bad
		}
		if s, ok := stageOf(key); ok {
			i = duration(b, at, &to[s])
		} else {
			i = skipValue(b, at, 2)
		}
		if i == bad {
			return bad
		}
	}
}

// services reads the array of a start or beat line into the room of to.
func (p *Parser) services(b []byte, i int, to *[]Service) int {
	*to = (*to)[:0]
	if isNull(b, i) {
		return skipWord(b, i, "null")
	}
	if i >= len(b) || b[i] != '[' {
		return bad
	}
	if i = skipSpace(b, i+1); i < len(b) && b[i] == ']' {
		return i + 1
	}
	for len(*to) < maxServices {
		*to = append(*to, Service{})
		if i = p.service(b, skipSpace(b, i), &(*to)[len(*to)-1]); i == bad {
			return bad
		}
		if i = skipSpace(b, i); i >= len(b) {
			return bad
		}
		switch b[i] {
		case ']':
			return i + 1
		case ',':
			i++
		default:
			return bad
		}
	}
	return bad
}

func (p *Parser) service(b []byte, i int, to *Service) int {
	if isNull(b, i) {
		return skipWord(b, i, "null")
	}
	if i >= len(b) || b[i] != '{' {
		return bad
	}
	i++
	for first := true; ; first = false {
		key, at := p.key(b, i, first)
		if key == nil {
			return at
		}
		switch string(key) {
		case "service":
			i = p.text(b, at, &to.Service, &p.names)
		case "pool":
			i = p.text(b, at, &to.Pool, &p.names)
		case "listen":
			i = p.text(b, at, &to.Listen, &p.names)
		case "threads":
			i = number(b, at, &to.Threads, math.MaxInt)
		case "sessions_per_source":
			i = number(b, at, &to.SessionsPerSource, math.MaxInt)
		case "busy":
			i = number(b, at, &to.Busy, math.MaxInt)
		case "refused":
			i = number(b, at, &to.Refused, math.MaxUint64)
		default:
			i = skipValue(b, at, 3)
		}
		if i == bad {
			return bad
		}
	}
}
