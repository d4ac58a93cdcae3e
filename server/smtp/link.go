package smtp

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"overstay/connlog"
	"overstay/server"
)

// The replies that ask the client for more.
const (
	replyChallenge = 334
	replyData      = 354
)

// maxHeldBytes is how much of our replies waits until the client has to be
// waited for.
const maxHeldBytes = 8 << 10

// link stands between an admitted connection and the library. It takes the
// client's text apart: the library gets one command line at a time, and the
// text of a message up to its end and not a byte beyond it. So it is always
// known where the conversation is, and what is not for the library (STARTTLS,
// lines that are none) is answered here.
//
// All methods but wake are called by the library's goroutine.
type link struct {
	*server.Conn
	protocol  *Protocol
	transport net.Conn      // the connection itself, or TLS over it
	in        *bufio.Reader // of what receive gets

	out     []byte // replies that have not been sent
	inReply bool   // the last piece of a reply did not end a line
	silent  bool   // the next reply is not for the client

	line      []byte // a line that has not come whole
	pending   []byte // of a line, for the library
	challenge bool   // the next line is not a command, but an answer to AUTH
	text      *text  // of the last message, nil before the first
	extended  bool   // it greeted with EHLO
	failures  int    // of the client, so far
	putOff    int    // logins that were not checked
	over      bool   // there is nothing more to read
	handed    bool   // another link has the connection

	mu      sync.Mutex
	waiting bool // a read waits for a command
}

func (p *Protocol) newLink(c *server.Conn, transport net.Conn) *link {
	l := &link{Conn: c, protocol: p, transport: transport}
	l.in = bufio.NewReaderSize(receiver{l}, 4<<10)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.links[l] = struct{}{}
	return l
}

// Close closes the connection.
func (l *link) Close() error {
	l.over = true
	l.protocol.mu.Lock()
	delete(l.protocol.links, l)
	l.protocol.mu.Unlock()
	if l.handed {
		return nil
	}
	_ = l.flush() // It is being closed.
	return l.transport.Close()
}

// Read gives the library the next line, or the next piece of a message.
func (l *link) Read(b []byte) (int, error) {
	for len(l.pending) == 0 {
		if l.over {
			return 0, io.EOF
		}
		if l.inText() {
			return l.text.read(l.in, b)
		}
		if err := l.nextLine(); err != nil {
			return 0, err
		}
	}
	n := copy(b, l.pending)
	l.pending = l.pending[n:]
	return n, nil
}

// inText tells whether a message comes in.
func (l *link) inText() bool { return l.text != nil && !l.text.done() }

// receiver is a link as the source of its own buffer.
type receiver struct{ *link }

func (r receiver) Read(b []byte) (int, error) { return r.receive(b) }

// receive reads from the client, who has all our replies then.
func (l *link) receive(b []byte) (int, error) {
	if err := l.flush(); err != nil {
		return 0, err
	}
	waiting := l.beginRead()
	if waiting && l.protocol.stopping.Load() {
		return l.goodbye()
	}
	n, err := l.transport.Read(b)
	l.endRead()
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
		l.over = true // The library would wait again, for the rest of a message.
	}
	return n, err
}

// beginRead tells whether this read waits for a command.
func (l *link) beginRead() bool {
	waiting := !l.inText() && len(l.line) == 0 && l.in.Buffered() == 0
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = waiting
	if waiting && l.Stage() == connlog.StageCommand {
		l.Enter(connlog.StageIdle)
	}
	return waiting
}

func (l *link) endRead() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = false
}

// cut tells whether the server has cut the connection, by a ban or at its end.
func (l *link) cut() bool { return l.SetWriteDeadline(time.Time{}) != nil }

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
	l.over = true
	_, _ = io.WriteString(l.transport, "421 4.3.2 Service shutting down\r\n") // Said or not, it ends.
	return 0, io.EOF
}

// Write takes a piece of a reply. The library writes a line at a time, if it is
// not very long, and does not ask whether it arrived.
func (l *link) Write(b []byte) (int, error) {
	code, last := 0, false
	if !l.inReply {
		code, last = replyCode(b)
	}
	if len(b) > 0 {
		l.inReply = b[len(b)-1] != '\n'
	}
	if l.silent {
		l.silent = !last
		return len(b), nil
	}
	l.out = append(l.out, l.edit(b)...)
	if code >= 500 && code <= 504 && last {
		l.fail(connlog.FailCommand, "")
	}
	if last {
		l.replied(code)
	}
	if len(l.out) > maxHeldBytes {
		return len(b), l.flush()
	}
	return len(b), nil
}

// edit makes a line of the library's true. It cannot know of STARTTLS, messages
// in chunks are not taken, and there is no queue.
func (l *link) edit(line []byte) []byte {
	switch {
	case string(line) == "250-CHUNKING\r\n":
		if l.protocol.options.TLS == nil || l.secure() {
			return nil
		}
		return []byte("250-STARTTLS\r\n")
	case bytes.HasPrefix(line, []byte("250 2.0.0 Roger")):
		return []byte("250 2.1.0 Sender accepted\r\n")
	case bytes.HasPrefix(line, []byte("250 2.0.0 I'll make sure")):
		return []byte("250 2.1.5 Recipient accepted\r\n")
	case string(line) == "250 2.0.0 OK: queued\r\n":
		return []byte("250 2.0.0 Message accepted\r\n")
	}
	return line
}

// reply answers in the library's place.
func (l *link) reply(s string) { _, _ = l.Write([]byte(s + "\r\n")) } // The next read fails as well.

// flush sends what waits to be sent.
func (l *link) flush() error {
	if len(l.out) == 0 {
		return nil
	}
	_, err := l.transport.Write(l.out)
	l.out = l.out[:0]
	return err
}

// replied moves on after the last line of a reply.
func (l *link) replied(code int) {
	l.challenge = code == replyChallenge
	switch {
	case l.failures+l.putOff >= l.protocol.options.MaxErrors:
		if !l.over {
			l.over = true
			l.out = append(l.out, "421 4.7.0 Too many errors\r\n"...)
		}
		return
	case code == replyData:
		l.text = &text{fix: l.protocol.options.FixBareLF}
		return
	case code == replyChallenge:
		return
	}
	switch l.Stage() {
	case connlog.StageGreeting, connlog.StageIdle, connlog.StageCommand:
	default:
		l.Enter(connlog.StageCommand)
	}
}

// fail notes a failure of the client.
func (l *link) fail(what connlog.What, user string) { l.failures = l.Fail(what, user) }

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
