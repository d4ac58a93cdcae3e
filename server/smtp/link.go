package smtp

import (
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"overstay/connlog"
	"overstay/server"
)

// The replies that ask the client for more.
const (
	replyChallenge = 334
	replyData      = 354
)

// link stands between an admitted connection and the library, and infers from
// what passes where the conversation is.
type link struct {
	*server.Conn
	protocol *Protocol

	receiving atomic.Bool  // a session is taking in a message
	broken    atomic.Bool  // a read has failed: what has come is not complete
	failures  atomic.Int64 // of the client, so far

	mu      sync.Mutex
	waiting bool // a read waits for a command
	inLine  bool // the last byte that came did not end a line

	inReply bool // the last byte that went did not end a line; only Write
}

func (p *Protocol) newLink(c *server.Conn) *link {
	l := &link{Conn: c, protocol: p}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.links[l] = struct{}{}
	return l
}

// Close closes the connection.
func (l *link) Close() error {
	l.protocol.mu.Lock()
	delete(l.protocol.links, l)
	l.protocol.mu.Unlock()
	return l.Conn.Close()
}

// Read reads from the client. The library reads only when it has dealt with
// everything that came before, so a read at the beginning of a line is the
// wait for a command.
func (l *link) Read(b []byte) (int, error) {
	waiting := l.beginRead()
	if waiting && l.protocol.stopping.Load() {
		return l.goodbye()
	}
	n, err := l.Conn.Read(b)
	l.endRead(b[:n])
	switch {
	case err == nil:
		if waiting && l.Stage() == connlog.StageIdle {
			l.Enter(connlog.StageCommand)
		}
		if l.protocol.stopping.Load() {
			_ = l.SetReadDeadline(time.Time{}) // It was woken too late: let it finish.
		}
	case waiting && l.protocol.stopping.Load() && errors.Is(err, os.ErrDeadlineExceeded):
		return l.goodbye()
	default:
		l.broken.Store(true)
	}
	return n, err
}

// beginRead tells whether this read waits for a command.
func (l *link) beginRead() bool {
	stage := l.Stage()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = !l.inLine && stage != connlog.StageData && stage != connlog.StageDeliver
	if l.waiting && stage == connlog.StageCommand {
		l.Enter(connlog.StageIdle)
	}
	return l.waiting
}

func (l *link) endRead(b []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = false
	if len(b) > 0 {
		l.inLine = b[len(b)-1] != '\n'
	}
}

// wake ends a read that waits for a command.
func (l *link) wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting {
		_ = l.SetReadDeadline(time.Unix(1, 0)) // A closed one is awake.
	}
}

// goodbye ends the conversation because the server stops.
func (l *link) goodbye() (int, error) {
	_, _ = io.WriteString(l.Conn, "421 4.3.2 Service shutting down\r\n") // Said or not, it ends.
	return 0, io.EOF
}

// Write writes to the client. The library writes a reply line at a time.
func (l *link) Write(b []byte) (int, error) {
	code, last := 0, false
	if !l.inReply {
		code, last = replyCode(b)
	}
	if len(b) > 0 {
		l.inReply = b[len(b)-1] != '\n'
	}
	if code >= 500 && code <= 504 && last {
		l.fail(connlog.FailCommand, "")
	}
	n, err := l.Conn.Write(b)
	if last {
		l.replied(code)
	}
	return n, err
}

// replied moves on after the last line of a reply.
func (l *link) replied(code int) {
	if l.failures.Load() >= int64(l.protocol.options.MaxErrors) {
		_, _ = io.WriteString(l.Conn, "421 4.7.0 Too many errors\r\n") // Said or not, it ends.
		_ = l.Close()                                                  // The library finds out at its next read.
		return
	}
	switch l.Stage() {
	case connlog.StageLogin, connlog.StageData, connlog.StageDeliver:
		if code != replyChallenge && code != replyData && !l.receiving.Load() {
			l.Enter(connlog.StageCommand)
		}
	}
}

// fail notes a failure of the client.
func (l *link) fail(what connlog.What, user string) {
	l.failures.Store(int64(l.Fail(what, user)))
}

// replyCode returns the code of a reply line, 0 if it is none, and whether it
// is the last line of the reply.
func replyCode(b []byte) (code int, last bool) {
	if len(b) < 4 || b[3] != ' ' && b[3] != '-' {
		return 0, false
	}
	for _, c := range b[:3] {
		if c < '0' || c > '9' {
			return 0, false
		}
		code = 10*code + int(c-'0')
	}
	return code, b[3] == ' '
}
