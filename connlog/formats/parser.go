package formats

import (
	"cmp"
	"math"
	"net/netip"
	"time"

	"overstay/connlog"
)

// Parser turns the lines of one log into events. It is not for concurrent use.
type Parser struct {
	read    func(*Parser, []byte) error
	service string
	boot    string

	stamps stamps
	head   syslogHead
	host   []byte // that the last head of syslog named, between blanks
	words  words
	keys   keys
	name   []byte // of a service, as it is put together
	open   sessions
	queue  sessions // messages on their way, by queue id
	json   jsonReader
	line   jsonLine
	own    connlog.Parser
	trap   cowrieLine

	caught [2]cowrieCount // by ssh and telnet

	columns []*jsonKey // of a log that names them
	header  []byte     // the line that named them

	told          recent[struct{}] // attempts to log in of which one line told
	served        servants         // whom SSH's processes serve
	dropped       int64            // by SSH, and named, since it began to
	spoke         speaks           // who writes of itself what PAM writes of it
	about         Named
	busy, threads int // that the line of an opening tells

	firstConn, nextConn uint64
	tag                 int // where the program's name stood in the last line

	emit   func(*connlog.Event)
	event  connlog.Event
	visits func(*connlog.Visit) // nil: as events
	visit  connlog.Visit
}

// Parse gives the events of one line to emit. An event is valid until emit
// returns. The line has no line end, or one that is cut off.
//
// A line without events is an error that says why: ErrSkip, ErrForeign,
// ErrOrphan, ErrForged or ErrMalformed; none of them changes how the next line
// is read. The line is only read, and not kept.
func (p *Parser) Parse(line []byte, emit func(*connlog.Event)) error {
	return p.parse(line, emit, nil)
}

// Visits is Parse for who needs no more of a connection that one line tells in
// full than a [connlog.Visit] has: visit is given that in place of its events.
// It is valid until visit returns.
func (p *Parser) Visits(line []byte, emit func(*connlog.Event), visit func(*connlog.Visit)) error {
	return p.parse(line, emit, visit)
}

func (p *Parser) parse(line []byte, emit func(*connlog.Event), visits func(*connlog.Visit)) error {
	for n := len(line); n > 0 && (line[n-1] == '\n' || line[n-1] == '\r'); n-- {
		line = line[:n-1]
	}
	if len(line) > maxLine {
		return ErrMalformed
	}
	p.emit, p.visits = emit, visits
	if len(line) > 0 && line[0] == bom[0] {
		line = trimBOM(line)
	}
	return p.read(p, line)
}

// Named is what Parse returns for a line that names a client, and tells nothing
// of it that another line does not, or that is an event: it says whom the line
// is about. It is an ErrSkip, and valid until the next line is parsed.
type Named struct {
	Client netip.Addr
	Time   time.Time
}

func (*Named) Error() string { return "formats: a line that names a client and tells nothing new" }

// Is makes it an ErrSkip.
func (*Named) Is(target error) bool { return target == ErrSkip }

func (p *Parser) named(at int64, addr netip.Addr) error {
	p.about = Named{Client: addr, Time: time.UnixMicro(at).UTC()}
	return &p.about
}

// maxLine is the length of a line that is looked at.
const maxLine = 1 << 20

// Open is the number of connections that are open as far as the log has told.
func (p *Parser) Open() int { return p.open.size() }

// joined is the word that two parts make.
func (p *Parser) joined(a string, b []byte) string {
	p.name = append(append(p.name[:0], a...), b...)
	return p.words.of(p.name)
}

// begin clears the event that the next send gives away.
func (p *Parser) begin(kind connlog.Kind, at int64, addr netip.Addr, service string) *connlog.Event {
	e := &p.event
	*e = connlog.Event{Kind: kind, Time: time.UnixMicro(at).UTC(), Boot: p.boot, ClientIP: addr, Service: service}
	if p.service != "" {
		e.Service = p.service
	}
	return e
}

func (p *Parser) send() { p.emit(&p.event) }

func (p *Parser) number() uint64 {
	n := p.nextConn
	p.nextConn++
	return n
}

// visit is a connection that one line tells in full.
type visit struct {
	addr     netip.Addr
	port     uint16
	service  string
	from, to int64      // microseconds
	proven   connlog.By // when it ended
	fails    connlog.What
	times    int // of the failure
	user     []byte
	end      connlog.End
	bytesIn  int64
	bytesOut int64
}

// maxFails is the number of failures that one line is believed.
const maxFails = 100

// tell sends the events of a visit, or what stands for them.
func (p *Parser) tell(v *visit) {
	if v.from > v.to || v.to-v.from > maxSpan {
		v.from = v.to // nobody believes such a duration
	}
	n, times := p.number(), 0
	if v.fails != "" {
		times = min(max(v.times, 1), maxFails)
	}
	if p.visits != nil {
		p.visit = connlog.Visit{
			Conn: n, Client: v.addr, Service: cmp.Or(p.service, v.service), From: v.from, To: v.to, Fails: times, Proven: v.proven != "",
		}
		p.visits(&p.visit)
		return
	}
	e := p.begin(connlog.Open, v.from, v.addr, v.service)
	e.Conn, e.ClientPort = n, v.port
	p.send()
	for range times {
		e = p.begin(connlog.Fail, v.to, v.addr, v.service)
		e.Conn, e.What, e.User = n, v.fails, p.words.of(v.user)
		p.send()
	}
	if v.proven != "" {
		e = p.begin(connlog.Proven, v.to, v.addr, v.service)
		e.Conn, e.By, e.User = n, v.proven, p.words.of(v.user)
		p.send()
	}
	e = p.begin(connlog.Close, v.to, v.addr, v.service)
	e.Conn, e.Held, e.Proven = n, between(v.from, v.to), v.proven != ""
	e.Fails, e.End, e.BytesIn, e.BytesOut = times, v.end, v.bytesIn, v.bytesOut
	p.send()
}

// between is a time in microseconds as a duration; what does not fit is cut.
func between(from, to int64) time.Duration {
	const most = math.MaxInt64 / int64(time.Microsecond)
	return time.Duration(min(max(to-from, 0), most)) * time.Microsecond
}

// opened begins a connection that other lines will name by its key. One that
// has the same key is over: its end was not written.
func (p *Parser) opened(k key, at int64, addr netip.Addr, port uint16, service string) *session {
	if old, ok := p.open.take(k); ok {
		p.over(&old, at, connlog.EndError)
	}
	if old, ok := p.open.crowded(); ok {
		p.over(&old, at, connlog.EndError)
	}
	if p.service != "" {
		service = p.service
	}
	s := p.open.put(k, session{conn: p.number(), addr: addr, service: service, opened: at})
	e := p.begin(connlog.Open, at, addr, service)
	e.Conn, e.ClientPort, e.Busy, e.Threads = s.conn, port, p.busy, p.threads
	p.send()
	return s
}

// over closes a session that is no longer kept.
func (p *Parser) over(s *session, at int64, end connlog.End) {
	at = max(at, s.opened)
	e := p.begin(connlog.Close, at, s.addr, s.service)
	e.Conn, e.Held = s.conn, between(s.opened, at)
	e.Proven, e.Fails, e.End = s.proven, s.fails, end
	p.send()
}

// closed ends the session of a key.
func (p *Parser) closed(k key, at int64, end connlog.End) error {
	s, ok := p.open.take(k)
	if !ok {
		return ErrOrphan
	}
	if s.end != "" {
		end = s.end
	}
	p.over(&s, at, end)
	return nil
}

// failed tells of a failure: of the session of a key if its address is the
// one that the line names, else of that address alone.
func (p *Parser) failed(k key, at int64, addr netip.Addr, service string, what connlog.What, user []byte) error {
	e := p.begin(connlog.Fail, at, addr, service)
	if s := p.open.get(k); s != nil && s.addr == addr {
		s.fails++
		e.Conn, e.Service = s.conn, s.service
	}
	e.What, e.User = what, p.words.of(user)
	p.send()
	return nil
}

// proved is failed for a proof. A connection is proven once for each thing.
func (p *Parser) proved(k key, at int64, addr netip.Addr, service string, by connlog.By, user []byte) error {
	e := p.begin(connlog.Proven, at, addr, service)
	if s := p.open.get(k); s != nil && s.addr == addr {
		s.proven = true
		e.Conn, e.Service = s.conn, s.service
	}
	e.By, e.User = by, p.words.of(user)
	p.send()
	return nil
}

// refused tells of a connection that was turned away. The address may be
// unknown: logs often say only that somebody was.
func (p *Parser) refused(at int64, addr netip.Addr, service string, why connlog.Reason) error {
	e := p.begin(connlog.Refuse, at, addr, service)
	e.Reason, e.Count = why, 1
	p.send()
	return nil
}
