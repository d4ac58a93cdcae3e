package server

import (
	"time"

	"overstay/connlog"
)

const (
	defaultStressFrom = 0.8
	defaultTLSTotal   = 10 * time.Second
	defaultLoginTotal = 2 * time.Minute
)

// Limits are the times that a connection may take. 0 is the default, and a
// negative value is no limit.
//
// Two kinds of waiting are told apart. In the stage idle the client owes us
// nothing: it may be silent there for Idle or ProvenIdle, counted from the
// beginning of the stage, so an IMAP client that has said IDLE stays for half
// an hour. In the other stages a step is under way that the client has to
// finish: within Stage, and without a silence of Idle or ProvenIdle.
type Limits struct {
	// Unproven is the whole life of a connection that proves nothing. It
	// ends such a connection when it is next waited for. Two clients who may be
	// honest, with a slow line, have longer while the pool is not stressed (see
	// StressFrom): one in the middle of a message, in the stage data, of which
	// at least 4 KB a second have come, and which Stage ends; and one that
	// takes its answer, which nothing but Write and Total ends. In a stressed
	// pool neither outlives Unproven. Default 5 minutes.
	Unproven time.Duration
	// Idle is the longest silence of an unproven client when it is its turn.
	// Default 5 minutes (RFC 5321, 4.5.3.2.7).
	Idle time.Duration
	// ProvenIdle is the same for a proven client. The default is Idle; IMAP
	// wants half an hour (RFC 9051, 5.4).
	ProvenIdle time.Duration
	// StressedIdle is what Idle shrinks to while the pool fills up from
	// StressFrom to all of its threads. The default is a tenth of Idle, and
	// of an Idle without limit it is none. A negative value lets Idle be. It
	// also holds for who makes no room for an answer.
	StressedIdle time.Duration
	// StressFrom is the part of the pool's threads from which on the server
	// is stressed and loses patience. Default 0.8. With a negative value it
	// never is.
	StressFrom float64
	// Session is the whole life of a connection. It ends one when it is next
	// waited for, also by a write. By default there is no limit.
	Session time.Duration
	// Total is the time that one connection may spend in each stage, all
	// visits together. In the stages in which the client waits for us it is
	// seen to when the client is next waited for. By default there is no limit
	// but 10 seconds of tls and 2 minutes of login.
	Total [connlog.NumStages]time.Duration
	// Stage is the longest time one step may take that the client has to
	// finish, such as one command or one message, however steadily its bytes
	// drip in. Default 10 minutes.
	Stage time.Duration
	// Write is the longest time that the client may take to make room for one
	// write. Default 30 seconds.
	Write time.Duration
}

// withDefaults fills in what was not set, and turns "off" into zero.
func (l Limits) withDefaults() Limits {
	l.Unproven = setting(l.Unproven, 5*time.Minute)
	l.Idle = setting(l.Idle, 5*time.Minute)
	l.ProvenIdle = setting(l.ProvenIdle, l.Idle)
	l.StressedIdle = setting(l.StressedIdle, l.Idle/10)
	l.Session = setting(l.Session, 0)
	l.Stage = setting(l.Stage, 10*time.Minute)
	l.Write = setting(l.Write, 30*time.Second)
	for stage := range l.Total {
		var def time.Duration
		switch connlog.Stage(stage) {
		case connlog.StageTLS:
			def = defaultTLSTotal
		case connlog.StageLogin:
			def = defaultLoginTotal
		}
		l.Total[stage] = setting(l.Total[stage], def)
	}
	switch {
	case l.StressFrom < 0:
		l.StressedIdle = 0
	case l.StressFrom == 0:
		l.StressFrom = defaultStressFrom
	}
	return l
}

// Limits returns the limits that are in force for the connection now; 0 is none.
func (c *Conn) Limits() Limits { return c.service.current().limits }

// stressed tells whether a pool has few threads left.
func (l *Limits) stressed(busy, threads int) bool {
	return l.StressFrom >= 0 && (busy >= threads || float64(busy) > l.StressFrom*float64(threads))
}

// stress says how far a pool is on its way from StressFrom (0) to full (1).
func (l *Limits) stress(busy, threads int) float64 {
	if l.StressedIdle == 0 {
		return 0
	}
	if busy >= threads {
		return 1
	}
	from := l.StressFrom * float64(threads)
	if float64(busy) <= from {
		return 0
	}
	return (float64(busy) - from) / (float64(threads) - from)
}

// patience is how long an unproven client may be silent while busy of the
// pool's threads are held.
func (l *Limits) patience(busy, threads int) time.Duration {
	stress := l.stress(busy, threads)
	switch {
	case stress == 0:
		return l.Idle
	case l.Idle == 0:
		return l.StressedIdle // There is nothing that it could shrink from.
	}
	return l.Idle - time.Duration(stress*float64(l.Idle-min(l.StressedIdle, l.Idle)))
}
