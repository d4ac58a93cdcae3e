package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"time"

	"overstay/connlog"
)

// Banned says who is turned away. Blocked is called in the accept loop and
// must be fast; it may be called from many goroutines at once. The address is
// unmapped and has no zone.
type Banned interface {
	Blocked(addr netip.Addr, service string) bool
}

// Log takes the events of the connection log. Write may be called from many
// goroutines at once, must not wait for the disk, and must not keep e.
type Log interface {
	Write(e *connlog.Event)
}

// Protocol serves admitted connections.
type Protocol interface {
	// Serve serves the connections that l hands out until l is closed or
	// Shutdown is called. Each is a *Conn, or under Service.TLS a *tls.Conn
	// over one whose handshake is done (see [Admitted]), and must be closed.
	Serve(l net.Listener) error
	// Shutdown makes idle sessions end, waits for the others until ctx ends,
	// and returns ctx's error if some are left.
	Shutdown(ctx context.Context) error
	// Refusal returns what a client that is turned away is told; nil closes
	// the connection without a word. It is called once for each reason.
	Refusal(r connlog.Reason) []byte
	// SpeaksFirst tells whether the server is the first to speak. Where the
	// client is, a refusal waits for its first bytes: an answer that comes
	// before the question is not understood.
	SpeaksFirst() bool
}

// Service is one listening address and what is spoken there.
type Service struct {
	Name   string // as it appears in the log and in bans
	Listen string // host:port; port 0 takes a free one
	// Listener is used in place of Listen if it is not nil. It belongs to the
	// server from Listen on.
	Listener net.Listener

	// Pool is the pool that threads are taken from. Services that name the
	// same pool share it. The default is a pool of its own.
	Pool string
	// Threads is the size of the pool, 100 by default. Services that share a
	// pool say the same number, or all but one say none.
	Threads int

	// UnprovenPerSource is how many connections that have proven nothing one
	// address (IPv6: one /64) may hold in the pool while at least a half of its
	// threads are held: 0 is a tenth of the pool but at least 4, and -1 is no
	// limit. In a pool that is emptier they do no harm, and an office behind
	// one address has many for a moment when the disk is slow.
	UnprovenPerSource int
	// SessionsPerSource is how many connections one address may hold in the
	// pool, proven or not. 0 and -1 are no limit: an office of many people
	// behind one address is not the attacker it looks like.
	SessionsPerSource int
	// SessionsPerNet is the same for a whole net (/24, IPv6: /48).
	SessionsPerNet int

	// TLS makes every connection begin with a handshake, on its thread, in the
	// stage tls; the protocol is handed a *tls.Conn then. nil: it begins with
	// the protocol, which may know STARTTLS.
	TLS *tls.Config
	// ProxyFrom are peers that tell with the PROXY protocol (version 1 or 2)
	// who their client is, and must: one that does not is hung up on, and has
	// failed at a command under its own address. From all others it is an
	// error of the service's protocol, and their address is their own.
	ProxyFrom []netip.Prefix
	// GreetDelay is how long the client is made to wait for the greeting of a
	// protocol that speaks first. One that talks before it has failed at a
	// command, and is served on. 0: not at all.
	GreetDelay time.Duration

	Limits   Limits
	Protocol Protocol
}

// Words replaces what the clients of a service are told that are turned away:
// a line of text without the protocol's codes, which stay. Empty: the
// protocol's own.
type Words struct {
	Busy, Sessions, Banned string
	// BanSilently closes a connection from a banned source without a word.
	BanSilently bool
}

// maxWordsBytes keeps a refusal within one line of every protocol: SMTP and
// POP3 have 512 bytes.
const maxWordsBytes = 400

// Check finds words that would be more than one line, or not plain ASCII: what
// a reply could be cut in two by, or not every client shows. The error names
// the words as the configuration does.
func (w Words) Check() error {
	for _, one := range []struct{ key, text string }{
		{"busy", w.Busy}, {"sessions", w.Sessions}, {"banned", w.Banned},
	} {
		if len(one.text) > maxWordsBytes || strings.ContainsFunc(one.text, func(r rune) bool { return r < ' ' || r > '~' }) {
			return fmt.Errorf("words.%s: at most %d characters of plain ASCII on one line", one.key, maxWordsBytes)
		}
	}
	return nil
}

// Options are the settings of a server.
type Options struct {
	Services []Service
	Banned   Banned       // nil: nobody is
	Log      Log          // nil: none is kept
	Logger   *slog.Logger // diagnostics; nil discards them

	Version string // for the start event
	Host    string // for the start event

	// Beat is the time between two beat events, 5 s by default.
	Beat time.Duration
	// Refusers is how many refused connections are spoken to at a time, 256
	// by default and -1 for none. The others are closed without a word.
	Refusers int
	// Grace is how long sessions may go on after the context of Serve has
	// ended, 10 s by default.
	Grace time.Duration
}

// Errors of New, Serve and Shutdown.
var (
	ErrNoService = errors.New("server: no service to serve")
	ErrClosed    = errors.New("server: closed")
	// ErrStuck means that a protocol still worked at sessions long after
	// their connections were cut, and was left behind.
	ErrStuck = errors.New("server: a protocol does not end")
)

// ServiceError is what is wrong with the settings of one service.
type ServiceError struct {
	Service string
	Problem string
}

func (e *ServiceError) Error() string {
	return fmt.Sprintf("server: service %q: %s", e.Service, e.Problem)
}

// ListenError says that a service could not listen.
type ListenError struct {
	Service string
	Addr    string
	Err     error
}

func (e *ListenError) Error() string {
	return fmt.Sprintf("server: service %q: listen on %s: %v", e.Service, e.Addr, e.Err)
}

// Unwrap returns the cause.
func (e *ListenError) Unwrap() error { return e.Err }

const (
	defaultThreads     = 100
	minUnprovenDefault = 4 // a browser opens several connections at once
)

func (o Options) withDefaults() Options {
	o.Beat = setting(o.Beat, 5*time.Second)
	o.Refusers = setting(o.Refusers, 256)
	o.Grace = setting(o.Grace, 10*time.Second)
	if o.Banned == nil {
		o.Banned = nobody{}
	}
	if o.Log == nil {
		o.Log = noLog{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// setting returns v, or def if v is 0, or 0 if v is negative.
func setting[T int | time.Duration](v, def T) T {
	switch {
	case v == 0:
		return def
	case v < 0:
		return 0
	}
	return v
}

type nobody struct{}

func (nobody) Blocked(netip.Addr, string) bool { return false }

type noLog struct{}

func (noLog) Write(*connlog.Event) {}
