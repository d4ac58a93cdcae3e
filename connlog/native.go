package connlog

import (
	"encoding/binary"
	"math"
	"math/bits"
	"time"
)

// What Append writes comes in one order, so a key is found by comparing with
// the one key that should come next. The comparisons are with constants of not
// more than sixteen bytes: of these the compiler makes one or two words.

// nativeBegin is what a native line begins with; others seldom do.
const nativeBegin = `{"time":"`

// native parses a line as Append writes it. The line begins with nativeBegin.
// It returns false for any other line, malformed or not, and leaves it to
// anyOrder to say which.
func (p *Parser) native(b []byte, e *Event) bool {
	const (
		timeAt  = len(nativeBegin)
		eventAt = timeAt + timestampLen + len(`","event":"`)
	)
	if len(b) < eventAt+8 || string(b[timeAt+timestampLen:eventAt]) != `","event":"` {
		return false
	}
	t, ok := p.clock.written(b[timeAt : timeAt+timestampLen])
	if !ok {
		return false
	}
	e.Time = t
	i := nativeKind(b, eventAt, &e.Kind)
	if i == bad {
		return false
	}
	if len(b)-i > 8 && string(b[i:i+8]) == `,"boot":` {
		if i = p.again(b, i+8, &e.Boot, &p.boot); i == bad {
			return false
		}
	}
	if len(b)-i > 7 && string(b[i:i+7]) == `,"seq":` {
		if e.Seq, i = nativeUint(b, i+7, math.MaxUint64); i == bad {
			return false
		}
	}
	switch e.Kind {
	case Open:
		i = p.nativeOpen(b, p.nativeSession(b, i, e), e)
	case Close:
		i = p.nativeClose(b, p.nativeSession(b, i, e), e)
	case Proven, Fail:
		i = p.nativeOutcome(b, p.nativeSession(b, i, e), e)
	case Refuse:
		i = p.nativeRefuse(b, p.nativeSession(b, i, e), e)
	}
	if i == len(b)-1 && b[i] == '}' {
		return true
	}
	return i != bad && p.nativeRest(b, i, e)
}

// nativeKind reads the name of an event, of which there are eight bytes, and
// the quote after it.
func nativeKind(b []byte, i int, to *Kind) int {
	const (
		open   = uint64('o') | 'p'<<8 | 'e'<<16 | 'n'<<24 | '"'<<32
		closed = uint64('c') | 'l'<<8 | 'o'<<16 | 's'<<24 | 'e'<<32 | '"'<<40
		proven = uint64('p') | 'r'<<8 | 'o'<<16 | 'v'<<24 | 'e'<<32 | 'n'<<40 | '"'<<48
		fail   = uint64('f') | 'a'<<8 | 'i'<<16 | 'l'<<24 | '"'<<32
		refuse = uint64('r') | 'e'<<8 | 'f'<<16 | 'u'<<24 | 's'<<32 | 'e'<<40 | '"'<<48
		start  = uint64('s') | 't'<<8 | 'a'<<16 | 'r'<<24 | 't'<<32 | '"'<<40
		beat   = uint64('b') | 'e'<<8 | 'a'<<16 | 't'<<24 | '"'<<32
		lost   = uint64('l') | 'o'<<8 | 's'<<16 | 't'<<24 | '"'<<32
		stop   = uint64('s') | 't'<<8 | 'o'<<16 | 'p'<<24 | '"'<<32
		five   = 1<<40 - 1
		six    = 1<<48 - 1
		seven  = 1<<56 - 1
	)
	w := binary.LittleEndian.Uint64(b[i:])
	switch w & five {
	case open:
		*to = Open
		return i + 5
	case fail:
		*to = Fail
		return i + 5
	case beat:
		*to = Beat
		return i + 5
	case lost:
		*to = Lost
		return i + 5
	case stop:
		*to = Stop
		return i + 5
	}
	switch {
	case w&six == closed:
		*to = Close
		return i + 6
	case w&seven == proven:
		*to = Proven
		return i + 7
	case w&seven == refuse:
		*to = Refuse
		return i + 7
	case w&six == start:
		*to = Start
		return i + 6
	}
	return bad
}

// nativeSession reads the keys that all lines about a connection have.
func (p *Parser) nativeSession(b []byte, i int, e *Event) int {
	if i == bad {
		return bad
	}
	if len(b)-i > 11 && string(b[i:i+11]) == `,"service":` {
		if i = p.again(b, i+11, &e.Service, &p.served); i == bad {
			return bad
		}
	}
	if len(b)-i > 8 && string(b[i:i+8]) == `,"conn":` {
		if e.Conn, i = nativeUint(b, i+8, math.MaxUint64); i == bad {
			return bad
		}
	}
	if len(b)-i > 13 && string(b[i:i+13]) == `,"client_ip":` {
		i = p.addr(b, i+13, &e.ClientIP)
	}
	return i
}

func (p *Parser) nativeOpen(b []byte, i int, e *Event) int {
	if i == bad {
		return bad
	}
	if len(b)-i > 15 && string(b[i:i+15]) == `,"client_port":` {
		var port uint64
		if port, i = nativeUint(b, i+15, math.MaxUint16); i == bad {
			return bad
		}
		e.ClientPort = uint16(port)
	}
	return nativeBusy(b, i, e)
}

// nativeBusy reads what a line says of the pool.
func nativeBusy(b []byte, i int, e *Event) int {
	if len(b)-i > 8 && string(b[i:i+8]) == `,"busy":` {
		var n uint64
		if n, i = nativeUint(b, i+8, math.MaxInt); i == bad {
			return bad
		}
		e.Busy = int(n)
	}
	if len(b)-i > 11 && string(b[i:i+11]) == `,"threads":` {
		var n uint64
		if n, i = nativeUint(b, i+11, math.MaxInt); i == bad {
			return bad
		}
		e.Threads = int(n)
	}
	return i
}

func (p *Parser) nativeClose(b []byte, i int, e *Event) int {
	if i == bad {
		return bad
	}
	if len(b)-i > 11 && string(b[i:i+11]) == `,"held_us":` {
		if i = nativeDuration(b, i+11, &e.Held); i == bad {
			return bad
		}
	}
	if len(b)-i > 13 && string(b[i:i+13]) == `,"stages_us":` {
		if i = p.nativeStages(b, i+13, e); i == bad {
			return bad
		}
	}
	if len(b)-i > 12 && string(b[i:i+12]) == `,"bytes_in":` {
		var n uint64
		if n, i = nativeUint(b, i+12, math.MaxInt64); i == bad {
			return bad
		}
		e.BytesIn = int64(n)
	}
	if len(b)-i > 13 && string(b[i:i+13]) == `,"bytes_out":` {
		var n uint64
		if n, i = nativeUint(b, i+13, math.MaxInt64); i == bad {
			return bad
		}
		e.BytesOut = int64(n)
	}
	if len(b)-i > 7 && string(b[i:i+7]) == `,"end":` {
		if i = p.again(b, i+7, (*string)(&e.End), &p.end); i == bad {
			return bad
		}
	}
	if len(b)-i > 14 && string(b[i:i+14]) == `,"proven":true` {
		e.Proven = true
		i += 14
	}
	return i
}

// nativeStages reads a stages_us object. What it does not know it leaves to
// stages.
func (p *Parser) nativeStages(b []byte, from int, e *Event) int {
	i := from
	if b[i] != '{' {
		return p.stages(b, from, &e.Stages)
	}
	for {
		i++ // the brace, or a comma
		stage, at := nativeStage(b, i)
		if at == bad {
			return p.stages(b, from, &e.Stages)
		}
		if i = nativeDuration(b, at, &e.Stages[stage]); i == bad || i >= len(b) {
			return bad
		}
		switch b[i] {
		case '}':
			return i + 1
		case ',':
		default:
			return p.stages(b, from, &e.Stages)
		}
	}
}

// nativeStage reads the key of a stage and its colon.
func nativeStage(b []byte, i int) (s Stage, next int) {
	if len(b)-i < 16 {
		return 0, bad
	}
	switch b[i+1] {
	case 'g':
		if string(b[i:i+11]) == `"greeting":` {
			return StageGreeting, i + 11
		}
	case 'l':
		if string(b[i:i+8]) == `"login":` {
			return StageLogin, i + 8
		}
	case 'c':
		if string(b[i:i+10]) == `"command":` {
			return StageCommand, i + 10
		}
	case 'd':
		if string(b[i:i+7]) == `"data":` {
			return StageData, i + 7
		}
		if string(b[i:i+10]) == `"deliver":` {
			return StageDeliver, i + 10
		}
	case 's':
		if string(b[i:i+7]) == `"scan":` {
			return StageScan, i + 7
		}
		if string(b[i:i+12]) == `"scan_wait":` {
			return StageScanWait, i + 12
		}
	case 'u':
		if string(b[i:i+11]) == `"upstream":` {
			return StageUpstream, i + 11
		}
	case 'i':
		if string(b[i:i+7]) == `"idle":` {
			return StageIdle, i + 7
		}
	case 't':
		if string(b[i:i+6]) == `"tls":` {
			return StageTLS, i + 6
		}
	}
	return 0, bad
}

// nativeOutcome reads the rest of a proven or fail line.
func (p *Parser) nativeOutcome(b []byte, i int, e *Event) int {
	if i == bad {
		return bad
	}
	if len(b)-i > 6 && string(b[i:i+6]) == `,"by":` && e.Kind == Proven {
		i = p.again(b, i+6, (*string)(&e.By), &p.by)
	} else if len(b)-i > 8 && string(b[i:i+8]) == `,"what":` && e.Kind == Fail {
		i = p.again(b, i+8, (*string)(&e.What), &p.what)
	}
	if i != bad && len(b)-i > 8 && string(b[i:i+8]) == `,"user":` {
		i = p.text(b, i+8, &e.User, &p.users)
	}
	return i
}

func (p *Parser) nativeRefuse(b []byte, i int, e *Event) int {
	if i == bad {
		return bad
	}
	if len(b)-i > 10 && string(b[i:i+10]) == `,"reason":` {
		if i = p.again(b, i+10, (*string)(&e.Reason), &p.reason); i == bad {
			return bad
		}
	}
	return nativeBusy(b, i, e)
}

// nativeUint is readUint for what is followed by a comma or a brace: whoever
// reads on finds out if it is not.
func nativeUint(b []byte, i int, limit uint64) (n uint64, next int) {
	if i+8 > len(b) {
		return readUint(b, i, limit)
	}
	m, digits := notDigit(binary.LittleEndian.Uint64(b[i:]))
	count := uint(bits.TrailingZeros64(m)) / 8
	if count-1 > 6 || count > 1 && b[i] == '0' { // none, many, or a zero in front
		return readUint(b, i, limit)
	}
	if n = eightDigits(digits << (64 - 8*count)); n > limit {
		return 0, bad
	}
	return n, i + int(count)
}

func nativeDuration(b []byte, i int, to *time.Duration) int {
	us, next := nativeUint(b, i, math.MaxInt64/1000)
	*to = time.Duration(us) * time.Microsecond
	return next
}

// nativeRest reads the keys that are left, of which most lines have none.
func (p *Parser) nativeRest(b []byte, i int, e *Event) bool {
	for {
		key, at := p.key(b, i, false)
		if key == nil {
			return at == len(b)
		}
		f := fieldOf(key)
		if f != fieldNone && f <= fieldSeq { // These cannot come here in a native line.
			return false
		}
		if i = p.value(f, b, at, e); i == bad {
			return false
		}
	}
}
