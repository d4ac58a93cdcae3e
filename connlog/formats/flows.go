package formats

import (
	"bytes"
	"time"
)

// Flow logs are made by watching the wire. They know every connection that was
// there and nothing of what it was for, so one that carried something in both
// directions counts as proven. One that the server did not take held no thread;
// it is skipped.
const eachFlow = "every TCP connection of the wire, known when it ends; carrying something both ways counts as proof; " +
	"what was not answered, or rejected, or began before the watching is skipped"

// suricataFormat is the flow records of Suricata's EVE log. Its end is that of
// the last packet.
func suricataFormat() Format {
	return flowFormat("suricata", "Suricata EVE, flow records",
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
	return flowFormat("zeek-json", "Zeek's conn.log as JSON", zeekLog())
}

// flowFormat is a Format of flows, an object a line.
func flowFormat(name, meaning string, log *jsonLog) Format {
	f := jsonFormat(name, meaning, Gives{Opens: true, Durations: true, Outcomes: true, Clock: time.Microsecond, Note: eachFlow}, log)
	f.read = func(p *Parser, line []byte) error {
		return p.unwrapped(line, func(line []byte) error { return p.flow(log, line) })
	}
	return f
}

// flow is jsonVisit for what was seen on the wire.
func (p *Parser) flow(log *jsonLog, line []byte) error {
	l := &p.line
	*l = jsonLine{log: log, whole: true, asked: true}
	var w watched
	if !p.json.each(line, func(path, value []byte) { w.take(path, value); l.take(p, path, value) }) || l.bad {
		return ErrMalformed
	}
	w.judge(l)
	return p.jsonDone(l)
}

// watched is what the wire tells of how a connection came about.
type watched struct {
	untaken bool  // no server took it
	asked   bool  // the client said something, as the protocol tells
	in, out int64 // packets
}

// take notes the value of a key. A server that takes a connection sends a SYN,
// and the client answers that, or the kernel keeps it from the server.
func (w *watched) take(path, value []byte) {
	switch string(path) {
	case "conn_state":
		w.untaken = w.untaken || untaken(value)
	case "tcp.state":
		w.untaken = w.untaken || string(value) == "syn_sent" || string(value) == "syn_recv"
	case "tcp.tcp_flags_tc":
		w.untaken = w.untaken || len(value) == 2 && !hasSYN(value[1])
	case "app_proto":
		w.asked = string(value) == "http" || string(value) == "http2" || string(value) == "tls"
	case "flow.pkts_toserver":
		w.in, _ = number(value)
	case "flow.pkts_toclient":
		w.out, _ = number(value)
	}
}

// hasSYN reports whether the lower half of TCP's flags, a hexadecimal digit,
// has the second bit.
func hasSYN(digit byte) bool { return bytes.IndexByte(borrow("2367abefABEF"), digit) >= 0 }

// untaken reports whether a connection of a state in Zeek's words held no
// thread: it was never answered, or by no. Of one whose beginning was not seen
// (OTH) it is not known who began it.
func untaken(state []byte) bool {
	switch string(state) {
	case "S0", "REJ", "SH", "RSTOS0", "OTH":
		return true
	}
	return false
}

// judge says what is to become of a line. Suricata counts whole packets, so
// that whoever shakes hands and falls silent has sent and was sent something:
// what the headers may take is no traffic. But who is sent more than a greeting
// has asked for it, in however small packets.
func (w *watched) judge(l *jsonLine) {
	l.skip = l.skip || w.untaken
	if w.in == 0 && w.out == 0 {
		return
	}
	v := &l.visit
	head := headBytes
	if v.addr.Is6() {
		head += moreBytes6
	}
	in, out := payload(v.bytesIn, w.in, head), payload(v.bytesOut, w.out, head)
	if w.asked || out > greetingBytes {
		in = max(in, payload(v.bytesIn, w.in, head-stampBytes), 1)
	}
	v.bytesIn, v.bytesOut = in, out
}

// Bytes before the data of a packet, and those by which the first one's are
// more.
const (
	headBytes     int64 = 14 + 20 + 20 + stampBytes // Ethernet, IPv4, TCP
	moreBytes6    int64 = 20                        // of IPv6
	stampBytes    int64 = 12                        // of TCP, which not everybody sends
	helloBytes    int64 = 16
	greetingBytes int64 = 4096 // more than a server says unasked
)

// payload is what packets carried at the least, in all.
func payload(bytes, packets, head int64) int64 {
	if packets > bytes/head {
		return 0
	}
	return max(bytes-packets*head-helloBytes, 0)
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
		if k.role == roleState {
			l.skip = l.skip || untaken(value)
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
