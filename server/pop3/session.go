package pop3

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"overstay/connlog"
	"overstay/server"
)

const (
	// maxCommandBytes bounds a command with its line end (RFC 2449, section 4).
	maxCommandBytes = 255
	// maxLineBytes bounds what may carry credentials: AUTH, and the answer to
	// its challenge.
	maxLineBytes = 2 << 10
	// outBytes is how much is written at a time.
	outBytes = 32 << 10
)

// denial is an answer of -ERR.
type denial struct {
	text string
	what connlog.What // the failure it is of the client; empty if it is none
	user string
	ends bool // the session ends with it
}

func (d *denial) Error() string { return d.text }

// fault is the denial of a command that should not have been sent.
func fault(text string) error { return &denial{text: text, what: connlog.FailCommand} }

// deny is the denial of a command that cannot be done.
func deny(text string) error { return &denial{text: text} }

var (
	// errEnd ends a session in order.
	errEnd = errors.New("pop3: end of the session")
	// errStopping ends a session because the server stops.
	errStopping = errors.New("pop3: server stops")
)

// session is one client's conversation. But for wake, its methods are called
// from its own goroutine only.
type session struct {
	protocol *Protocol
	link     *server.Conn
	conn     net.Conn // link, or TLS over it
	secure   bool
	in       *bufio.Reader
	out      *bufio.Writer // nil while there is nothing to say

	name   string // what USER said
	drop   Maildrop
	marked []bool // for deletion

	failures int
	putOff   int // logins that were not checked

	mu      sync.Mutex
	waiting bool // for a command
}

func (p *Protocol) newSession(c net.Conn, link *server.Conn) *session {
	return &session{
		protocol: p, link: link, conn: c, secure: c != net.Conn(link),
		in: bufio.NewReaderSize(c, maxLineBytes),
	}
}

// serve holds the conversation, and closes the connection.
func (s *session) serve() {
	defer func() { _ = s.conn.Close() }() // It is over, one way or the other.
	defer s.survive()
	s.converse()
}

// converse answers one command after the other until the session ends.
func (s *session) converse() {
	defer s.leave()
	s.printf("+OK %s POP3 server ready", s.protocol.options.Hostname)
	for {
		line, err := s.command()
		if errors.Is(err, errStopping) {
			_, _ = s.writer().WriteString(stoppingWords) // flush has the error.
		}
		if err == nil {
			err = s.answer(s.do(line))
		}
		if err != nil {
			_ = s.flush() // Said or not, it ends.
			return
		}
	}
}

// survive makes a bug of one session that session's loss alone.
func (s *session) survive() {
	if v := recover(); v != nil {
		s.protocol.options.Logger.Error("panic in a session", "conn", s.link.ID(), "panic", fmt.Sprint(v))
		s.printf("-ERR [SYS/TEMP] Internal error")
		_ = s.flush() // Said or not, it ends.
	}
}

// leave gives the mailbox back.
func (s *session) leave() {
	if s.drop != nil {
		s.drop.Close()
		s.drop = nil
	}
}

// do does one command.
func (s *session) do(line []byte) error {
	name, argument, more := strings.Cut(string(line), " ")
	name = strings.ToUpper(name)
	if len(line)+2 > maxCommandBytes && name != "AUTH" {
		return fault("Line too long")
	}
	v, known := s.protocol.verbs[name]
	switch {
	case !known:
		return fault("Unknown command")
	case v.state&s.state() == 0:
		return fault("Not now")
	}
	arguments := strings.Fields(argument)
	if v.raw && more {
		arguments = []string{argument}
	}
	if len(arguments) < v.least || len(arguments) > v.most {
		return fault("Wrong number of arguments")
	}
	return v.do(s, arguments)
}

// answer says what a command failed with, and returns what ends the session.
func (s *session) answer(err error) error {
	var no *denial
	if !errors.As(err, &no) {
		return err
	}
	if no.what != "" {
		s.link.Fail(no.what, no.user)
		s.failures++
	}
	ends := no.ends
	text := no.text
	if s.failures+s.putOff >= s.protocol.options.MaxErrors {
		ends = true
		text += ", and too many errors"
	}
	s.printf("-ERR %s", text)
	if ends {
		return errEnd
	}
	return nil
}

// command waits for the next command and returns its line.
func (s *session) command() ([]byte, error) {
	if s.in.Buffered() == 0 {
		if err := s.wait(); err != nil {
			return nil, err
		}
	}
	s.link.Enter(connlog.StageCommand)
	return s.line()
}

// wait waits until something comes, as the one thing that the end of the
// server interrupts.
func (s *session) wait() error {
	if err := s.flush(); err != nil {
		return err
	}
	s.link.Enter(connlog.StageIdle)
	s.setWaiting(true)
	if s.protocol.stopping.Load() {
		s.setWaiting(false)
		return errStopping
	}
	_, err := s.in.Peek(1)
	s.setWaiting(false)
	if s.protocol.stopping.Load() {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return errStopping
		}
		_ = s.link.SetReadDeadline(time.Time{}) // It was woken too late: let it finish.
	}
	return err
}

func (s *session) setWaiting(waiting bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting = waiting
}

// wake ends a wait for a command. It may be called at any time.
func (s *session) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting {
		_ = s.link.SetReadDeadline(time.Unix(1, 0)) // A closed one is awake.
	}
}

// line reads a line and returns it without its end. It is valid until the next
// read.
func (s *session) line() ([]byte, error) {
	if buffered, _ := s.in.Peek(s.in.Buffered()); bytes.IndexByte(buffered, '\n') < 0 {
		if err := s.flush(); err != nil {
			return nil, err
		}
	}
	line, err := s.in.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		_ = s.answer(fault("Line too long")) // Where the next command begins, nobody knows.
		return nil, errEnd
	case err != nil:
		return nil, err
	}
	line = bytes.TrimSuffix(line[:len(line)-1], []byte{'\r'})
	if bytes.ContainsAny(line, "\x00\r") {
		_ = s.answer(fault("Not a line of text")) // It is no client of this protocol.
		return nil, errEnd
	}
	return line, nil
}

// printf says a line. Its error shows at the next flush.
func (s *session) printf(format string, a ...any) {
	_, _ = fmt.Fprintf(s.writer(), format+"\r\n", a...)
}

// writer returns what is written to. Sessions that wait have no buffer.
func (s *session) writer() *bufio.Writer {
	if s.out == nil {
		w, ok := s.protocol.writers.Get().(*bufio.Writer)
		if !ok {
			w = bufio.NewWriterSize(nil, outBytes)
		}
		w.Reset(s.conn)
		s.out = w
	}
	return s.out
}

// flush sends what was said.
func (s *session) flush() error {
	if s.out == nil {
		return nil
	}
	err := s.out.Flush()
	s.out.Reset(io.Discard) // The connection must not stay with it.
	s.protocol.writers.Put(s.out)
	s.out = nil
	return err
}
