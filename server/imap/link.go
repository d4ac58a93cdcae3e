package imap

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"overstay/connlog"
	"overstay/server"
)

// link stands between an admitted connection and the library. It hands the
// library one whole line, or one piece of a literal, at a time, so it knows to
// which command everything belongs that passes. The library looks at a command
// only when it has all of it, wherever that came from; so what it must not have
// is stopped here.
type link struct {
	net.Conn // the admitted connection, or TLS over it
	admitted *server.Conn
	protocol *Protocol
	offered  offer
	silent   bool // the greeting is not sent: there was one before TLS

	failures atomic.Int64 // of the client, so far
	putOff   atomic.Int64 // logins that were not checked
	loggedIn atomic.Bool
	name     atomic.Pointer[string] // the command that is being dealt with

	// Only the reader, which is the library's main loop, touches these.
	lines   lines
	held    []byte // of a line that has not come whole
	whole   []byte // of one that has, and is not handed out yet
	pending []byte // what came behind it
	ended   bool   // the conversation goes on elsewhere, or not at all

	mu       sync.Mutex
	waiting  bool   // a read waits for a command, or for the end of IDLE
	tag      string // of the command that is not answered yet
	answered bool

	inReply bool // the last byte that went did not end a line; only Write
	greeted bool
}

func newLink(p *Protocol, c net.Conn, admitted *server.Conn) *link {
	return &link{Conn: c, admitted: admitted, protocol: p, answered: true}
}

// Close closes the connection, unless it was handed over.
func (l *link) Close() error {
	l.protocol.forget(l)
	if l.ended {
		return nil
	}
	return l.Conn.Close()
}

// Read hands out the next line or piece of a literal.
func (l *link) Read(b []byte) (int, error) {
	for {
		if l.ended {
			return 0, io.EOF
		}
		if len(l.whole) > 0 {
			return l.handOut(b), nil
		}
		if l.isAnswered() {
			l.lines.answered()
		}
		n, err := l.fill(b)
		if n == 0 {
			return 0, err
		}
		l.lines.known = l.loggedIn.Load()
		hand, event := l.lines.next(b[:n])
		l.keep(b[hand:n])
		first := l.isAnswered()
		switch event {
		case lineTooLong:
			l.fail(connlog.FailCommand, "")
			l.bye("Line too long")
			return 0, io.EOF
		case lineBegins, lineEnds:
			if done := l.command(event == lineEnds); done {
				return 0, io.EOF
			}
		}
		switch {
		case l.lines.skipped:
			continue
		case l.lines.body:
			return hand, nil
		}
		l.held = append(l.held, b[:hand]...)
		if !l.lines.ended {
			continue
		}
		l.whole, l.held = l.held, nil
		if why := l.unwanted(); why != "" {
			l.whole = nil
			if err := l.turnDown(why, first && l.lines.pieces == 1); err != nil {
				return 0, err
			}
		}
	}
}

// handOut gives the library what there is of a line.
func (l *link) handOut(b []byte) int {
	n := copy(b, l.whole)
	if l.whole = l.whole[n:]; len(l.whole) == 0 {
		l.whole = nil
	}
	return n
}

// unwanted returns why the command must not go on with the line that has come.
func (l *link) unwanted() string {
	name := l.commandName()
	switch {
	case needsLogin(name) && !l.lines.known:
		return "BAD [CLIENTBUG] Not before a login"
	case l.lines.tooLarge(name):
		return "NO [TOOBIG] Literals are limited to 4096 bytes, and together to 65536"
	case l.lines.tooDeep(l.whole):
		return "NO [LIMIT] Too much in one command"
	}
	return ""
}

// turnDown refuses a command with its first line, of which the library need not
// know. Later it would wait for the rest, so there is nothing but to end.
func (l *link) turnDown(why string, first bool) error {
	if first {
		return l.refuse(why)
	}
	l.fail(connlog.FailCommand, "")
	_, words, _ := strings.Cut(why, "] ")
	l.bye(words)
	return io.EOF
}

// fill gets what comes next: kept from before, or from the client.
func (l *link) fill(b []byte) (int, error) {
	if len(l.pending) > 0 {
		n := copy(b, l.pending)
		if l.pending = l.pending[n:]; len(l.pending) == 0 {
			l.pending = nil
		}
		return n, nil
	}
	if !l.beginRead() {
		l.bye("Server shutting down")
		return 0, io.EOF
	}
	n, err := l.Conn.Read(b)
	stopping := l.endRead()
	switch {
	case n > 0:
		return n, nil // An error will be there again.
	case !errors.Is(err, os.ErrDeadlineExceeded):
		return 0, err
	case stopping:
		l.bye("Server shutting down")
	default:
		l.bye("Timeout")
	}
	return 0, io.EOF
}

// keep stores what is not handed out yet, before what is stored already.
func (l *link) keep(rest []byte) {
	if len(rest) > 0 {
		l.pending = append(append(make([]byte, 0, len(rest)+len(l.pending)), rest...), l.pending...)
	}
}

// beginRead is false if the server stops and the client is not in the middle
// of something.
func (l *link) beginRead() bool {
	idle := l.commandName() == "IDLE"
	stage := l.admitted.Stage()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = l.answered && l.lines.atStart() || idle
	if l.waiting && l.protocol.stopping.Load() {
		return false
	}
	if l.waiting && stage != connlog.StageIdle && stage != connlog.StageGreeting {
		l.admitted.Enter(connlog.StageIdle)
	}
	return true
}

// endRead tells whether the read may have been woken because the server stops.
func (l *link) endRead() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	woken := l.waiting && l.protocol.stopping.Load()
	l.waiting = false
	if woken {
		_ = l.SetReadDeadline(time.Time{}) // If it came too late: let it finish.
	}
	return woken
}

// wake ends a read that waits for a command.
func (l *link) wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting {
		_ = l.SetReadDeadline(time.Unix(1, 0)) // A closed one is awake.
	}
}

func (l *link) isAnswered() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.answered
}

func (l *link) commandName() string {
	if name := l.name.Load(); name != nil {
		return *name
	}
	return ""
}

// command looks at what has come of a line. It is true when the conversation
// does not go on here.
func (l *link) command(whole bool) (done bool) {
	if !l.isAnswered() {
		if whole && l.commandName() == "IDLE" {
			l.admitted.Enter(connlog.StageCommand)
		}
		return false // It belongs to the command before.
	}
	if !whole {
		if stage := l.admitted.Stage(); stage != connlog.StageCommand {
			l.admitted.Enter(connlog.StageCommand)
		}
		return false
	}
	tag, name, ok := parseCommand(l.lines.head)
	if !ok {
		l.fail(connlog.FailCommand, "")
		l.bye("Not a command")
		return true
	}
	if name == "STARTTLS" && l.offered.startTLS && !l.loggedIn.Load() {
		return l.startTLS(tag)
	}
	l.mu.Lock()
	l.tag, l.answered = tag, false
	l.mu.Unlock()
	l.name.Store(&name)
	l.admitted.Enter(stageOf(name))
	return false
}

// needsLogin tells whether it is a command that the library knows, and does
// only after a login. To others it has its own answer.
func needsLogin(name string) bool {
	switch strings.TrimPrefix(name, "UID ") {
	case "ENABLE", "SELECT", "EXAMINE", "CREATE", "DELETE", "RENAME", "SUBSCRIBE", "UNSUBSCRIBE", "LIST", "LSUB",
		"NAMESPACE", "STATUS", "APPEND", "IDLE", "CLOSE", "UNSELECT", "EXPUNGE", "SEARCH", "FETCH", "STORE", "COPY", "MOVE":
		return true
	}
	return false
}

// stageOf returns the stage that a command belongs to.
func stageOf(name string) connlog.Stage {
	switch strings.TrimPrefix(name, "UID ") {
	case "LOGIN", "AUTHENTICATE":
		return connlog.StageLogin
	case "FETCH":
		return connlog.StageDeliver
	case "APPEND":
		return connlog.StageData
	}
	return connlog.StageCommand
}

// startTLS begins TLS, and hands the client to a library that knows.
func (l *link) startTLS(tag string) (done bool) {
	if l.lines.extra("STARTTLS") || len(l.pending) > 0 {
		// Something came behind it, in the clear (RFC 9051, 11.1).
		l.fail(connlog.FailCommand, "")
		_, _ = io.WriteString(l.Conn, tag+" BAD Nothing may follow STARTTLS\r\n") // Said or not, it ends.
		l.bye("Goodbye")
		return true
	}
	if _, err := io.WriteString(l.Conn, tag+" OK Begin TLS negotiation now\r\n"); err != nil {
		return true
	}
	secure, err := l.admitted.StartTLS(l.protocol.options.TLS)
	if err != nil {
		return true // The library closes it.
	}
	next := newLink(l.protocol, net.Conn(secure), l.admitted)
	next.silent = true
	next.failures.Store(l.failures.Load())
	l.admitted.Enter(connlog.StageCommand)
	l.ended = true
	l.protocol.begin(next)
	return true
}

// Write writes to the client. The library writes a reply at a time, or a
// piece of one.
func (l *link) Write(b []byte) (int, error) {
	if !l.greeted {
		l.greeted = true
		if l.silent {
			return len(b), nil
		}
	}
	status := ""
	if !l.inReply {
		status = l.statusOf(b)
	}
	if len(b) > 0 {
		l.inReply = b[len(b)-1] != '\n'
	}
	n, err := l.Conn.Write(b)
	if status != "" && err == nil {
		l.replied(status)
	}
	return n, err
}

// refuse answers a command that the library does not get to see.
func (l *link) refuse(text string) error {
	l.mu.Lock()
	tag := l.tag
	l.mu.Unlock()
	_, err := io.WriteString(l.Conn, tag+" "+text+"\r\n")
	status, _, _ := strings.Cut(text, " ")
	l.replied(status)
	return err
}

// statusOf returns the status of the reply that answers the command.
func (l *link) statusOf(b []byte) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.answered || len(b) < len(l.tag)+4 || string(b[:len(l.tag)]) != l.tag || b[len(l.tag)] != ' ' {
		return ""
	}
	status, _, _ := strings.Cut(string(b[len(l.tag)+1:min(len(b), len(l.tag)+5)]), " ")
	switch status {
	case "OK", "NO", "BAD":
		return status
	}
	return ""
}

// replied moves on after the answer to a command.
func (l *link) replied(status string) {
	l.mu.Lock()
	l.answered = true
	l.mu.Unlock()
	if status == "BAD" {
		l.fail(connlog.FailCommand, "")
	}
	if l.failures.Load()+l.putOff.Load() >= int64(l.protocol.options.MaxErrors) {
		l.bye("Too many errors")
	}
}

// bye ends the conversation with a last word.
func (l *link) bye(text string) {
	_, _ = io.WriteString(l.Conn, "* BYE "+text+"\r\n") // Said or not, it ends.
	_ = l.Conn.Close()                                  // The library finds out at its next read.
}

// cut tells whether the server has ended the connection, while nobody reads
// from it or writes to it.
func (l *link) cut() bool { return errors.Is(l.SetWriteDeadline(time.Time{}), net.ErrClosed) }

// fail notes a failure of the client.
func (l *link) fail(what connlog.What, user string) {
	l.failures.Store(int64(l.admitted.Fail(what, user)))
}
