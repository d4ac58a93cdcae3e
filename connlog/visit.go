package connlog

import "net/netip"

// Visit is a connection that a log tells of when it is over, in one line. It
// stands for the connection's events: its opening, its failures and its proof
// when it ended, and its close.
type Visit struct {
	Conn     uint64
	Client   netip.Addr
	Service  string
	From, To int64 // microseconds since 1970, From not after To
	Fails    int
	Proven   bool
}

// Events is how many it stands for.
func (v *Visit) Events() int {
	n := 2 + v.Fails
	if v.Proven {
		n++
	}
	return n
}
