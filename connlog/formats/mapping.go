package formats

import (
	"bytes"
	"errors"
	"fmt"
	"time"
)

// ErrMapping is a mapping that names too little, or one thing twice.
var ErrMapping = errors.New("formats: bad mapping")

// Mapping says which keys of a JSON object, or columns of a table, hold what.
// A key within another is written with a dot between them. What is empty is
// not there.
type Mapping struct {
	Address  string // of the client
	Peer     string // the same with its port, in place of Address
	Port     string
	Begin    string // RFC 3339, seconds since 1970, or as web servers write it
	End      string
	Duration string
	Unit     time.Duration // of Duration; seconds if zero
	Status   string        // of HTTP; without it, bytes both ways are proof
	User     string
	BytesIn  string
	BytesOut string
	Service  string // the name of the service, as it is; www or tcp if empty
}

// JSON is the format of a log with one JSON object a line.
func (m Mapping) JSON() (Format, error) {
	log, err := m.log()
	if err != nil {
		return Format{}, err
	}
	return jsonFormat("json", "JSON of one's own, by a mapping", m.gives(), log), nil
}

// CSV is the format of a table with commas, or of one with tabs or whatever
// else between its columns, whose first line names these. A value may stand
// between quotes, but hold no line end.
func (m Mapping) CSV(comma byte) (Format, error) {
	if comma == 0 {
		comma = ','
	}
	if comma == '"' || comma == '\n' || comma == '\r' {
		return Format{}, fmt.Errorf("%w: %q between columns", ErrMapping, comma)
	}
	log, err := m.log()
	if err != nil {
		return Format{}, err
	}
	return Format{Name: "csv", Meaning: "a table of one's own, by a mapping", Gives: m.gives(), inOrder: true,
		read: func(p *Parser, line []byte) error { return p.table(log, comma, line) }}, nil
}

func (m Mapping) gives() Gives {
	return Gives{Opens: true, Durations: m.Duration != "" || m.Begin != "" && m.End != "", Outcomes: m.Status != "" || m.BytesIn != "" && m.BytesOut != "",
		Clock: time.Microsecond, Note: "as much as the mapping names"}
}

func (m Mapping) log() (*jsonLog, error) {
	unit := m.Unit.Seconds()
	if unit <= 0 {
		unit = 1
	}
	log := &jsonLog{service: m.Service, traffic: m.Status == ""}
	if log.service == "" {
		log.service = "www"
		if log.traffic {
			log.service = "tcp"
		}
	}
	names := map[string]bool{}
	for _, k := range []jsonKey{
		{path: m.Address, role: roleAddr}, {path: m.Peer, role: rolePeer}, {path: m.Port, role: rolePort},
		{path: m.Begin, role: roleBegin}, {path: m.End, role: roleEnd}, {path: m.Duration, role: roleTook, unit: unit},
		{path: m.Status, role: roleStatus}, {path: m.User, role: roleUser}, {path: m.BytesIn, role: roleIn}, {path: m.BytesOut, role: roleOut},
	} {
		if k.path == "" {
			continue
		}
		if names[k.path] {
			return nil, fmt.Errorf("%w: %q is named twice", ErrMapping, k.path)
		}
		names[k.path] = true
		log.keys = append(log.keys, k)
	}
	if (m.Address == "") == (m.Peer == "") || m.Begin == "" && m.End == "" {
		return nil, fmt.Errorf("%w: it needs the client's address or its peer, and when it began or ended", ErrMapping)
	}
	return log, nil
}

// table reads a line of a table, the first as the names of its columns.
func (p *Parser) table(log *jsonLog, comma byte, line []byte) error {
	if p.columns == nil {
		for rest, more := line, true; more && len(p.columns) < maxColumns; {
			var name []byte
			var ok bool
			if name, rest, more, ok = p.cell(rest, comma); !ok {
				p.columns = nil
				return ErrMalformed
			}
			p.columns = append(p.columns, log.key(name))
		}
		p.header = append(p.header[:0], line...)
		return ErrSkip
	}
	if bytes.Equal(line, p.header) {
		return ErrSkip // the next file of a rotated table
	}
	l := &p.line
	*l = jsonLine{log: log, whole: true, asked: true}
	rest, more := line, true
	for _, k := range p.columns {
		if !more {
			return ErrMalformed
		}
		var value []byte
		var ok bool
		if value, rest, more, ok = p.cell(rest, comma); !ok {
			return ErrMalformed
		}
		if k == nil || len(value) == 0 {
			continue
		}
		if l.has&(1<<k.role) != 0 || !l.set(p, k, value) {
			return ErrMalformed
		}
		l.has |= 1 << k.role
	}
	return p.jsonDone(l)
}

// cell reads the cell at the beginning of b; more says that another follows.
func (p *Parser) cell(b []byte, comma byte) (value, rest []byte, more, ok bool) {
	if len(b) == 0 || b[0] != '"' {
		value, rest, more = cutByte(b, comma)
		return value, rest, more, true
	}
	text := p.json.text[:0]
	for i := 1; i < len(b); i++ {
		if b[i] != '"' {
			text = append(text, b[i])
			continue
		}
		if i+1 < len(b) && b[i+1] == '"' {
			text = append(text, '"')
			i++
			continue
		}
		p.json.text = text
		switch {
		case i+1 == len(b):
			return text, nil, false, true
		case b[i+1] == comma:
			return text, b[i+2:], true, true
		}
		break
	}
	return nil, nil, false, false
}
