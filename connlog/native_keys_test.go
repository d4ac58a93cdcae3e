package connlog

// nativeKey is what Append writes after boot and seq, for each event in its
// order.
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
