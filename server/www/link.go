package www

import (
	"bytes"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"overstay/connlog"
	"overstay/server"
)

// link stands between an admitted connection and the library. Under TLS it is
// the clear text that passes through it.
type link struct {
	*server.Conn
	wire  net.Conn             // the same, or TLS over it
	state *tls.ConnectionState // nil without TLS
	h2    bool                 // HTTP/2, as was agreed in the handshake
	since time.Time            // the handshake
	first time.Time            // until when the first request of HTTP/2 must have come

	// answered is set while an answer with a good status has been handed to
	// the library and not yet all written. Only HTTP/1.1.
	answered atomic.Bool
	cut      atomic.Bool // a write has failed
	good     atomic.Bool // the client was proven

	greeted bool   // a byte has come; only Read
	sent    frames // only Write

	fresh *fresh // those that it is one of until its first request

	mu    sync.Mutex
	begun bool           // a request has come
	doing [numDoings]int // open requests by what is done about them
	stage connlog.Stage  // that they make
}

func (p *Protocol) newLink(c net.Conn) (*link, error) {
	admitted, ok := server.Admitted(c)
	if !ok {
		return nil, errors.Join(errNotAdmitted, c.Close())
	}
	l := &link{Conn: admitted, wire: c, fresh: &p.fresh}
	l.fresh.add(l)
	if t, ok := c.(*tls.Conn); ok {
		state := t.ConnectionState()
		l.state = &state
		l.h2 = state.NegotiatedProtocol == protocolHTTP2
		l.since = time.Now()
		l.first = l.since.Add(p.options.HeaderTime)
	}
	return l, nil
}

// Read reads from the client. The first bytes after a pause begin a request;
// in HTTP/2 they may be anything, and only a request is one.
func (l *link) Read(b []byte) (int, error) {
	n, err := l.wire.Read(b)
	if n == 0 {
		return n, err
	}
	switch l.Stage() {
	case connlog.StageIdle:
		if !l.h2 {
			l.Enter(connlog.StageCommand)
		}
	case connlog.StageGreeting, connlog.StageTLS:
		l.Enter(connlog.StageCommand)
	}
	if l.h2 && !l.greeted && !bytes.HasPrefix([]byte(preface), b[:min(n, len(preface))]) {
		l.Fail(connlog.FailCommand, "")
	}
	l.greeted = true
	return n, err
}

// preface begins a connection of HTTP/2 (RFC 9113, 3.4).
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// Write writes to the client. What the library writes in a stage in which no
// handler was asked is its own complaint about something that is no request.
func (l *link) Write(b []byte) (int, error) {
	switch {
	case l.h2:
		if l.sent.complain(b) {
			l.Fail(connlog.FailCommand, "")
		}
	case l.Stage() != connlog.StageDeliver && isComplaint(b):
		l.Fail(connlog.FailCommand, "")
	}
	n, err := l.wire.Write(b)
	if err != nil {
		l.cut.Store(true)
	}
	return n, err
}

// isComplaint tells whether b begins a response with a status of 400 or more.
func isComplaint(b []byte) bool {
	const start = "HTTP/1.1 "
	return len(b) > len(start) && string(b[:len(start)]) == start && b[len(start)] >= '4'
}

// SetReadDeadline sets the library's deadline. It has none of its own for the
// first request of HTTP/2.
func (l *link) SetReadDeadline(t time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.h2 && !l.begun && (t.IsZero() || t.After(l.first)) {
		t = l.first
	}
	return l.wire.SetReadDeadline(t)
}

// SetDeadline sets both deadlines of the library.
func (l *link) SetDeadline(t time.Time) error {
	return errors.Join(l.SetReadDeadline(t), l.SetWriteDeadline(t))
}

// unproven tells whether a client of HTTP/2 has proven nothing for longer than
// a real one would. One of HTTP/1.1 is waited for between two requests, where
// the connection ends by itself; in HTTP/2 there may be no between.
func (l *link) unproven(now time.Time) bool {
	limit := l.Limits().Unproven
	return l.h2 && limit > 0 && !l.good.Load() && now.After(l.since.Add(limit))
}

// prove is called when the library is done with an answer.
func (l *link) prove() {
	if l.answered.Swap(false) && !l.cut.Load() {
		l.good.Store(true)
		l.Proven(connlog.ByRequest, "")
	}
}

// Close closes the connection. It is the end of the last answer, too.
func (l *link) Close() error {
	l.fresh.remove(l)
	l.prove()
	return l.wire.Close()
}

// CloseWrite is what the library does after the last answer and before it
// waits a moment for the client to take it.
func (l *link) CloseWrite() error {
	l.prove()
	if t, ok := l.wire.(*tls.Conn); ok {
		_ = t.CloseWrite() // The end is said in any case.
	}
	return l.Conn.CloseWrite()
}

// connState notes that an answer is complete and the next request waited for.
func connState(c net.Conn, state http.ConnState) {
	if l, ok := c.(*link); ok && state == http.StateIdle {
		l.prove()
		l.rest()
	}
}
