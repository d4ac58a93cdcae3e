package connlog

import (
	"net/netip"
	"time"
)

// SchemaVersion is written in every start line. It grows only when a reader
// of the older schema would misread a line, not when fields are added.
const SchemaVersion = 1

// Kind says what an event tells. Its text is the value of the key "event".
type Kind uint8

// The events of the log. An Event of kind Unknown was read from a line whose
// event this version does not know: its head (time, boot, seq) is set, the
// rest is not.
const (
	Unknown Kind = iota
	Start        // a server started, or a rotated file begins
	Open         // a connection took a thread
	Proven       // a connection did what only a real client does
	Fail         // a connection failed at something
	Close        // a connection gave its thread back
	Refuse       // a connection, or count of them, was turned away
	Beat         // nothing else happened for a while
	Lost         // the writer had to drop count lines
	Stop         // the server stopped in order
)

// By is what proved a connection.
type By string

// What proves a connection.
const (
	ByLogin    By = "login"
	ByMessage  By = "message"
	ByRequest  By = "request"
	ByTransfer By = "transfer"
)

// What is what a connection failed at.
type What string

// What a connection can fail at.
const (
	FailLogin     What = "login"
	FailCommand   What = "command"
	FailRecipient What = "recipient"
	FailTLS       What = "tls"
	FailVirus     What = "virus"
)

// End is how a connection ended.
type End string

// How a connection can end.
const (
	EndClient   End = "client"   // the client closed it
	EndServer   End = "server"   // the server closed it, all said
	EndTimeout  End = "timeout"  // the client was silent, or too slow
	EndReset    End = "reset"    // the client reset it
	EndBanned   End = "banned"   // its source was banned while it was open
	EndShutdown End = "shutdown" // the server stopped
	EndError    End = "error"    // anything else
)

// Reason is why a connection was turned away, or why a server stopped.
type Reason string

// Why a connection is turned away.
const (
	RefuseBusy     Reason = "busy"     // no free thread
	RefuseSessions Reason = "sessions" // its source holds too many already
	RefuseBanned   Reason = "banned"   // its source is banned
)

// Stage is a part of a connection's life; close lines give the time spent in
// each.
type Stage uint8

// The stages, in the order of the log's stages_us.
const (
	StageGreeting Stage = iota
	StageLogin
	StageCommand
	StageData
	StageScanWait
	StageScan
	StageDeliver
	StageUpstream
	StageIdle
	StageTLS
	NumStages = 10
)

// Service describes one service in a start or beat line.
type Service struct {
	Service string // smtp, pop3, imap, www, or a proxy's name
	Pool    string // the pool it takes threads from; empty: one of its own, named as the service
	Listen  string // start only: host:port
	Threads int    // size of its pool
	// SessionsPerSource is the limit of connections of one address, 0 for
	// none. Start only.
	SessionsPerSource int
	Busy              int    // beat only: threads of its pool held now
	Refused           uint64 // beat only: connections turned away since the start
}

// Event is one line of the connection log. Which fields mean something
// depends on Kind; docs/connlog.md has the table. The zero value of a field
// is not written, and an absent key reads as the zero value.
//
// An Event may be copied, but Services is shared by the copies, and Parse
// reuses it.
type Event struct {
	Time time.Time // UTC, whole microseconds
	Boot string    // random id of the server process
	Seq  uint64    // +1 for each line within a boot
	Kind Kind

	// open, proven, fail, close, refuse
	Service    string
	Conn       uint64     // unique within a boot; 0 in refuse lines
	ClientIP   netip.Addr // unmapped
	ClientPort uint16     // open

	Busy    int // open, refuse: threads of the pool held, this one included
	Threads int // open, refuse: size of the pool

	// Held is how long the thread was held: in a close line, and in an open
	// line that is carried over into a new file.
	Held time.Duration

	By   By     // proven
	What What   // fail
	User string // proven, fail: as the client gave it, never trusted

	// close
	Stages   [NumStages]time.Duration
	BytesIn  int64
	BytesOut int64
	End      End
	Proven   bool // also in an open line that is carried over
	Fails    int

	// Reason of a refuse or stop line.
	Reason Reason
	// Count of refusals folded into this refuse line (0 and 1 mean one), or
	// of lines dropped in a lost line.
	Count uint64

	// start
	Schema    int
	Version   string
	Host      string
	Services  []Service // start, beat
	Continued bool      // start at the head of a rotated file, or after a loss
}

// Level is a size of source: how many leading bits of an address name it.
type Level struct {
	V4 int // bits of an IPv4 address, 0 to 32
	V6 int // bits of an IPv6 address, 0 to 128
}

// The two levels that sources are ranked at, with their usual sizes. One IPv6
// host owns its whole /64, so that is an address.
var (
	AddressLevel = Level{V4: 32, V6: 64}
	NetLevel     = Level{V4: 24, V6: 48}
)

// Source returns the source that addr belongs to at this level. A mapped IPv4
// address counts as IPv4, and a zone is dropped. The result is invalid if
// addr is.
func (l Level) Source(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	bits := l.V6
	if addr.Is4() {
		bits = l.V4
	}
	p, err := addr.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}
