package formats

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"
)

// ErrLayout is a layout that cannot be read back for certain.
var ErrLayout = errors.New("formats: bad layout")

// layout is a line's plan: texts that stand in every line, and between them
// what is written of each request.
type layout struct {
	begin string
	parts []layoutPart
	log   jsonLog
}

type layoutPart struct {
	key    *jsonKey // nil: of no interest
	until  string   // the text behind it; empty at the end of the line
	quoted bool     // it stands between quotes, and holds none that is bare
	loose  bool     // it may hold anything but a bare quote
}

// Layout is the format of an access log that a server was told to write: the
// text of an nginx log_format ($remote_addr ...) or of an Apache LogFormat
// (%h ...), or the whole line of the server's configuration. It needs an
// address and a time.
//
// A line is read back from its beginning. What strangers write may hold any
// text unless it is between quotes, so the address and the time must stand
// before all of that; else the error is an ErrLayout.
func Layout(text string) (Format, error) {
	l, err := parseLayout(layoutText(text))
	if err != nil {
		return Format{}, err
	}
	gives := Gives{Opens: true, Outcomes: l.gives(roleStatus), Durations: l.gives(roleTook), Clock: time.Second,
		Note: eachRequest}
	if l.gives(roleEndFine) {
		gives.Clock = time.Millisecond
	}
	return Format{Name: "layout", Meaning: "access log of the layout " + text, Gives: gives,
		read: func(p *Parser, line []byte) error { return p.laidOut(l, line) }}, nil
}

func (l *layout) gives(r role) bool {
	for _, p := range l.parts {
		if p.key != nil && p.key.role == r {
			return true
		}
	}
	return false
}

func parseLayout(text string) (*layout, error) {
	l := &layout{log: jsonLog{service: "www", silent: true}}
	word := nginxWord
	if !strings.Contains(text, "$") {
		word = apacheWord
	}
	rest := text
	literal := ""
	for rest != "" {
		name, tail, ok := word(rest)
		if !ok {
			literal, rest = literal+rest[:1], rest[1:]
			continue
		}
		if name == "t" { // Apache writes the brackets itself
			literal, tail = literal+"[", "]"+tail
		}
		if n := len(l.parts); n == 0 {
			l.begin = literal
		} else if literal == "" {
			return nil, fmt.Errorf("%w: nothing stands before %q", ErrLayout, name)
		} else {
			l.parts[n-1].until = literal
		}
		part := layoutPart{key: layoutKey(name), quoted: strings.HasSuffix(literal, `"`) && strings.HasPrefix(tail, `"`)}
		part.loose = !part.quoted && !harmless(name)
		l.parts = append(l.parts, part)
		literal, rest = "", tail
	}
	if n := len(l.parts); n > 0 {
		l.parts[n-1].until = literal
	}
	return l, l.check()
}

// nginxWord reads $name or ${name} at the beginning of s.
func nginxWord(s string) (name, rest string, ok bool) {
	if !strings.HasPrefix(s, "$") {
		return "", "", false
	}
	s = s[1:]
	if inner, braced := strings.CutPrefix(s, "{"); braced {
		return strings.Cut(inner, "}")
	}
	n := 0
	for n < len(s) && (s[n] == '_' || s[n]-'0' <= 9 || s[n]|0x20-'a' < 26) {
		n++
	}
	return s[:n], s[n:], n > 0
}

// apacheWord reads %>s, %{ms}T, %!200,304{Referer}i and the like at the
// beginning of s.
func apacheWord(s string) (name, rest string, ok bool) {
	if !strings.HasPrefix(s, "%") || len(s) < 2 {
		return "", "", false
	}
	s = strings.TrimLeft(s[1:], "<>!,0123456789")
	if inner, braced := strings.CutPrefix(s, "{"); braced {
		argument, tail, ok := strings.Cut(inner, "}")
		if !ok || tail == "" {
			return "", "", false
		}
		return "{" + argument + "}" + tail[:1], tail[1:], true
	}
	if s == "" {
		return "", "", false
	}
	return s[:1], s[1:], true
}

// layoutKey is the meaning of nginx's and Apache's words; nil for the others.
// nginx tells when a request was answered, Apache when it came.
func layoutKey(name string) *jsonKey {
	switch name {
	case "remote_addr", "h", "a", "{c}a":
		return &jsonKey{role: roleAddr}
	case "remote_port", "{remote}p":
		return &jsonKey{role: rolePort}
	case "time_local", "time_iso8601":
		return &jsonKey{role: roleEnd}
	case "msec":
		return &jsonKey{role: roleEndFine}
	case "t", "{sec}t", "{begin:sec}t":
		return &jsonKey{role: roleBegin}
	case "{msec}t", "{begin:msec}t":
		return &jsonKey{role: roleBegin, unit: 1e-3}
	case "{usec}t", "{begin:usec}t":
		return &jsonKey{role: roleBegin, unit: 1e-6}
	case "{end:sec}t":
		return &jsonKey{role: roleEnd}
	case "request_time", "T", "{s}T":
		return &jsonKey{role: roleTook, unit: 1}
	case "{ms}T":
		return &jsonKey{role: roleTook, unit: 1e-3}
	case "D", "{us}T":
		return &jsonKey{role: roleTook, unit: 1e-6}
	case "status", "s":
		return &jsonKey{role: roleStatus}
	case "remote_user", "u":
		return &jsonKey{role: roleUser}
	case "request", "r":
		return &jsonKey{role: roleRequest}
	case "request_completion":
		return &jsonKey{role: roleWhole}
	case "bytes_sent", "body_bytes_sent", "b", "B", "O":
		return &jsonKey{role: roleOut}
	case "request_length", "I":
		return &jsonKey{role: roleIn}
	}
	return nil
}

// harmless says that a word becomes text without blanks, quotes and brackets:
// what is behind it is found, whoever chose it.
func harmless(name string) bool {
	switch name {
	case "v", "V", "p", "P", "l", "host", "server_name", "server_port", "connection", "connection_requests", "pid", "m", "request_method":
		return true
	}
	k := layoutKey(name)
	return k != nil && k.role != roleUser && k.role != roleRequest
}

// check wants an address and a time, each once, and the address before all
// that can be mistaken for it.
func (l *layout) check() error {
	var seen uint32
	loose := false
	for _, p := range l.parts {
		if k := p.key; k != nil {
			once := k.role <= roleTook
			if once && seen&(1<<k.role) != 0 {
				return fmt.Errorf("%w: it has the same twice", ErrLayout)
			}
			if k.role == roleAddr && loose {
				return fmt.Errorf("%w: a stranger's text stands before the address, and not between quotes", ErrLayout)
			}
			seen |= 1 << k.role
		}
		loose = loose || p.loose
	}
	if seen&(1<<roleAddr) == 0 || seen&(1<<roleBegin|1<<roleEnd|1<<roleEndFine) == 0 {
		return fmt.Errorf("%w: it needs an address and a time", ErrLayout)
	}
	return nil
}

// laidOut reads a line by its plan.
func (p *Parser) laidOut(l *layout, line []byte) error {
	b, ok := after(line, l.begin)
	if !ok {
		return ErrMalformed
	}
	v := &p.line
	*v = jsonLine{log: &l.log, whole: true, asked: true}
	for i := range l.parts {
		part := &l.parts[i]
		var value []byte
		if value, b, ok = part.cut(b); !ok {
			return ErrMalformed
		}
		if part.key == nil || len(value) == 1 && value[0] == '-' {
			continue
		}
		if !v.set(p, part.key, value) {
			return ErrMalformed
		}
		v.has |= 1 << part.key.role
	}
	return p.jsonDone(v)
}

// cut takes what is of the part from the beginning of b, and the text behind.
func (part *layoutPart) cut(b []byte) (value, rest []byte, ok bool) {
	switch {
	case part.quoted:
		value, rest, ok = quoted(b)
		if !ok {
			return nil, nil, false
		}
		rest, ok = after(rest, part.until[1:])
		return value, rest, ok
	case part.until == "":
		return b, nil, true
	case part.loose:
		// A quote that is bare is the server's own: the part ends before it.
		head := b
		if i := bytes.IndexByte(b, '"'); i >= 0 {
			head = b[:min(i+1, len(b))]
		}
		i := bytes.LastIndex(head, borrow(part.until))
		if i < 0 {
			return nil, nil, false
		}
		return b[:i], b[i+len(part.until):], true
	}
	return cut(b, part.until)
}
