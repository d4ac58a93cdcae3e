package connlog

// What Append writes after boot and seq, for each event in its order, so that
// a key is found by comparing with the one key that should come next.
type nativeKey struct {
	text  string
	field field
}

func nativeKeys(k Kind) []nativeKey {
	switch k {
	case Open:
		return openKeys[:]
	case Proven:
		return provenKeys[:]
	case Fail:
		return failKeys[:]
	case Close:
		return closeKeys[:]
	case Refuse:
		return refuseKeys[:]
	case Start:
		return startKeys[:]
	case Beat:
		return beatKeys[:]
	case Lost:
		return lostKeys[:]
	case Stop:
		return stopKeys[:]
	}
	return nil
}

// These never change.
var (
	openKeys = [...]nativeKey{
		{`,"service":`, fieldService}, {`,"conn":`, fieldConn}, {`,"client_ip":`, fieldClientIP},
		{`,"client_port":`, fieldClientPort}, {`,"busy":`, fieldBusy}, {`,"threads":`, fieldThreads},
		{`,"held_us":`, fieldHeld}, {`,"proven":`, fieldProven}, {`,"fails":`, fieldFails},
	}
	provenKeys = [...]nativeKey{
		{`,"service":`, fieldService}, {`,"conn":`, fieldConn}, {`,"client_ip":`, fieldClientIP},
		{`,"by":`, fieldBy}, {`,"user":`, fieldUser},
	}
	failKeys = [...]nativeKey{
		{`,"service":`, fieldService}, {`,"conn":`, fieldConn}, {`,"client_ip":`, fieldClientIP},
		{`,"what":`, fieldWhat}, {`,"user":`, fieldUser},
	}
	closeKeys = [...]nativeKey{
		{`,"service":`, fieldService}, {`,"conn":`, fieldConn}, {`,"client_ip":`, fieldClientIP},
		{`,"held_us":`, fieldHeld}, {`,"stages_us":`, fieldStages}, {`,"bytes_in":`, fieldBytesIn},
		{`,"bytes_out":`, fieldBytesOut}, {`,"end":`, fieldEnd}, {`,"proven":`, fieldProven},
		{`,"fails":`, fieldFails},
	}
	refuseKeys = [...]nativeKey{
		{`,"service":`, fieldService}, {`,"conn":`, fieldConn}, {`,"client_ip":`, fieldClientIP},
		{`,"reason":`, fieldReason}, {`,"busy":`, fieldBusy}, {`,"threads":`, fieldThreads},
		{`,"count":`, fieldCount},
	}
	startKeys = [...]nativeKey{
		{`,"schema":`, fieldSchema}, {`,"version":`, fieldVersion}, {`,"host":`, fieldHost},
		{`,"services":`, fieldServices}, {`,"continued":`, fieldContinued},
	}
	beatKeys = [...]nativeKey{{`,"services":`, fieldServices}}
	lostKeys = [...]nativeKey{{`,"count":`, fieldCount}}
	stopKeys = [...]nativeKey{{`,"reason":`, fieldReason}}
)

// nativeBegin is what a native line begins with; others seldom do.
const nativeBegin = `{"time":"`

// native parses a line as Append writes it. The line begins with nativeBegin. It returns false for any other
// line, malformed or not, and leaves it to anyOrder to say which.
func (p *Parser) native(b []byte, e *Event) bool {
	const (
		timeAt  = len(nativeBegin)
		eventAt = timeAt + timestampLen + len(`","event":`)
	)
	if len(b) < eventAt+4 || string(b[timeAt+timestampLen:eventAt]) != `","event":` {
		return false
	}
	t, ok := p.clock.written(b[timeAt : timeAt+timestampLen])
	if !ok {
		return false
	}
	e.Time = t
	i := p.kind(b, eventAt, &e.Kind)
	if i == bad || e.Kind == Unknown {
		return false
	}
	if at := skipWord(b, i, `,"boot":`); at != bad {
		if i = p.bootID(b, at, &e.Boot); i == bad {
			return false
		}
	}
	if at := skipWord(b, i, `,"seq":`); at != bad {
		if i = p.value(fieldSeq, b, at, e); i == bad {
			return false
		}
	}
	keys := nativeKeys(e.Kind)
	for k := range keys {
		at := skipWord(b, i, keys[k].text)
		if at == bad {
			continue
		}
		if i = p.value(keys[k].field, b, at, e); i == bad {
			return false
		}
	}
	return i == len(b)-1 && b[i] == '}'
}
