package www

import (
	"errors"
	"net"
	"net/http"
	"sync/atomic"

	"overstay/connlog"
	"overstay/server"
)

// link stands between an admitted connection and the library.
type link struct {
	*server.Conn
	// answered is set while an answer with a good status has been handed to
	// the library and not yet all written.
	answered atomic.Bool
	cut      atomic.Bool // a write has failed
}

type linkKey struct{} // of the link in a request's context

// linkOf returns the link that a request came in on.
func linkOf(r *http.Request) *link {
	l, _ := r.Context().Value(linkKey{}).(*link)
	return l
}

type linkListener struct{ net.Listener }

func (l linkListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	admitted, ok := c.(*server.Conn)
	if !ok {
		return nil, errors.Join(errNotAdmitted, c.Close())
	}
	return &link{Conn: admitted}, nil
}

// Read reads from the client. The first bytes after a pause begin a request.
func (l *link) Read(b []byte) (int, error) {
	n, err := l.Conn.Read(b)
	if n > 0 {
		switch l.Stage() {
		case connlog.StageGreeting, connlog.StageIdle:
			l.Enter(connlog.StageCommand)
		}
	}
	return n, err
}

// Write writes to the client. What the library writes in a stage in which no
// handler was asked is its own complaint about something that is no request.
func (l *link) Write(b []byte) (int, error) {
	if l.Stage() != connlog.StageDeliver && isComplaint(b) {
		l.Fail(connlog.FailCommand, "")
	}
	n, err := l.Conn.Write(b)
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

// prove is called when the library is done with an answer.
func (l *link) prove() {
	if l.answered.Swap(false) && !l.cut.Load() {
		l.Proven(connlog.ByRequest, "")
	}
}

// Close closes the connection. It is the end of the last answer, too.
func (l *link) Close() error {
	l.prove()
	return l.Conn.Close()
}

// CloseWrite is what the library does after the last answer and before it
// waits a moment for the client to take it.
func (l *link) CloseWrite() error {
	l.prove()
	return l.Conn.CloseWrite()
}

// connState notes that an answer is complete and the next request waited for.
func connState(c net.Conn, state http.ConnState) {
	if l, ok := c.(*link); ok && state == http.StateIdle {
		l.prove()
		l.Park()
	}
}
