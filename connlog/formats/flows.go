package formats

import (
	"time"
)

// Flow logs are made by watching the wire. They know every connection that was
// there and nothing of what it was for, so one that carried something in both
// directions counts as proven.
const eachFlow = "every TCP connection of the wire, known when it ends; carrying something both ways counts as proof"

// suricataFormat is the flow records of Suricata's EVE log. Its end is that of
// the last packet.
func suricataFormat() Format {
	return jsonFormat("suricata", "Suricata EVE, flow records",
		Gives{Opens: true, Durations: true, Outcomes: true, Clock: time.Microsecond, Note: eachFlow},
		&jsonLog{service: "tcp/", traffic: true, keys: []jsonKey{
			{path: "event_type", role: roleOnly, want: "flow"},
			{path: "proto", role: roleOnly, want: "TCP"},
			{path: "src_ip", role: roleAddr},
			{path: "src_port", role: rolePort},
			{path: "dest_port", role: roleTo},
			{path: "flow.start", role: roleBegin},
			{path: "flow.end", role: roleEnd},
			{path: "flow.bytes_toserver", role: roleIn},
			{path: "flow.bytes_toclient", role: roleOut},
		}})
}

// zeekLog is Zeek's conn.log, with dots or underscores in the names.
func zeekLog() *jsonLog {
	return &jsonLog{service: "tcp/", traffic: true, keys: []jsonKey{
		{path: "proto", role: roleOnly, want: "tcp"},
		{path: "ts", role: roleBegin},
		{path: "id.orig_h", role: roleAddr},
		{path: "id_orig_h", role: roleAddr},
		{path: "id.orig_p", role: rolePort},
		{path: "id_orig_p", role: rolePort},
		{path: "id.resp_p", role: roleTo},
		{path: "id_resp_p", role: roleTo},
		{path: "duration", role: roleTook, unit: 1},
		{path: "orig_bytes", role: roleIn},
		{path: "resp_bytes", role: roleOut},
		{path: "conn_state", role: roleState},
	}}
}

// zeekJSONFormat is Zeek's conn.log with an object a line.
func zeekJSONFormat() Format {
	return jsonFormat("zeek-json", "Zeek's conn.log as JSON",
		Gives{Opens: true, Durations: true, Outcomes: true, Clock: time.Microsecond, Note: eachFlow}, zeekLog())
}

// zeekFormat is Zeek's conn.log in columns, which its #fields line names.
func zeekFormat() Format {
	log := zeekLog()
	return Format{
		Name:    "zeek",
		Meaning: "Zeek's conn.log in columns",
		inOrder: true,
		Gives:   Gives{Opens: true, Durations: true, Outcomes: true, Clock: time.Microsecond, Note: eachFlow},
		read:    func(p *Parser, line []byte) error { return p.zeek(log, line) },
	}
}

// maxColumns is the number of columns that are looked at.
const maxColumns = 64

// zeek reads a line in columns as the JSON reader reads keys.
func (p *Parser) zeek(log *jsonLog, line []byte) error {
	if names, ok := after(line, "#fields\t"); ok {
		p.nameColumns(log, names)
		return ErrSkip
	}
	if len(line) == 0 || line[0] == '#' {
		return ErrSkip
	}
	l := &p.line
	*l = jsonLine{log: log, whole: true, asked: true}
	rest, more := line, true
	for _, k := range p.columns {
		if !more {
			return ErrMalformed
		}
		var value []byte
		value, rest, more = cutByte(rest, '\t')
		if k == nil || len(value) == 1 && value[0] == '-' {
			continue
		}
		if !l.set(p, k, value) {
			return ErrMalformed
		}
		l.has |= 1 << k.role
	}
	return p.jsonDone(l)
}

// nameColumns takes the names of columns.
func (p *Parser) nameColumns(log *jsonLog, names []byte) {
	p.columns = p.columns[:0]
	for more := true; more && len(p.columns) < maxColumns; {
		var name []byte
		name, names, more = cutByte(names, '\t')
		p.columns = append(p.columns, log.key(name))
	}
}

// key is that of a name, nil if it means nothing here.
func (l *jsonLog) key(name []byte) *jsonKey {
	for i := range l.keys {
		if l.keys[i].path == string(name) {
			return &l.keys[i]
		}
	}
	return nil
}
