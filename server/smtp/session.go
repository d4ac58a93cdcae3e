package smtp

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	gosmtp "github.com/emersion/go-smtp"

	"overstay/connlog"
	"overstay/server/mailstore"
)

// The replies of a session.
var (
	errRelay     = &gosmtp.SMTPError{Code: 550, EnhancedCode: gosmtp.EnhancedCode{5, 7, 1}, Message: "Relaying denied"}
	errNoUser    = &gosmtp.SMTPError{Code: 550, EnhancedCode: gosmtp.EnhancedCode{5, 1, 1}, Message: "No such user here"}
	errFull      = &gosmtp.SMTPError{Code: 452, EnhancedCode: gosmtp.EnhancedCode{4, 3, 1}, Message: "No space left, please try later"}
	errStore     = &gosmtp.SMTPError{Code: 451, EnhancedCode: gosmtp.EnhancedCode{4, 3, 0}, Message: "Message not stored, please try later"}
	errLine      = &gosmtp.SMTPError{Code: 554, EnhancedCode: gosmtp.EnhancedCode{5, 6, 0}, Message: "Line too long"}
	errTruncated = &gosmtp.SMTPError{Code: 451, EnhancedCode: gosmtp.EnhancedCode{4, 4, 2}, Message: "Message not complete"}
)

// Maildirs is a [Store] of Maildirs.
type Maildirs struct{ *mailstore.Store }

// Begin starts the delivery of one message.
func (m Maildirs) Begin(users []string) (Delivery, error) {
	d, err := m.Store.Begin(users)
	if err != nil {
		return nil, err // Not d, which would be a nil pointer in an interface.
	}
	return d, nil
}

// session is one client's conversation. The library calls it from one
// goroutine, but for Data of a message that comes in chunks (BDAT).
type session struct {
	protocol *Protocol
	link     *link
	helo     string
	user     atomic.Pointer[string] // who has logged in, nil if nobody

	mu         sync.Mutex // held while a message is taken in
	from       string
	recipients []string // users, none twice
}

func (p *Protocol) newSession(c *gosmtp.Conn) (gosmtp.Session, error) {
	l, ok := c.Conn().(*link)
	if !ok {
		return nil, errNotAdmitted
	}
	l.Enter(connlog.StageCommand)
	return &session{protocol: p, link: l, helo: c.Hostname()}, nil
}

// Reset forgets the message.
func (s *session) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.from, s.recipients = "", nil
}

// Logout waits for a message that is being taken in; the library has cut its
// reader.
func (s *session) Logout() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return nil
}

// Mail begins a message.
func (s *session) Mail(from string, _ *gosmtp.MailOptions) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.from, s.recipients = from, nil
	return nil
}

// Rcpt adds a recipient, who must be a user of this host.
func (s *session) Rcpt(to string, _ *gosmtp.RcptOptions) error {
	name, domain := splitAddress(to)
	if !s.protocol.domains[domain] {
		s.link.fail(connlog.FailRecipient, to)
		return errRelay
	}
	if !mailstore.ValidName(name) || !s.protocol.options.Users.Exists(name) {
		s.link.fail(connlog.FailRecipient, to)
		return errNoUser
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(s.recipients, name) {
		s.recipients = append(s.recipients, name)
	}
	return nil
}

// splitAddress returns both parts of an address in lower case.
func splitAddress(a string) (name, domain string) {
	a = strings.ToLower(a)
	i := strings.LastIndexByte(a, '@')
	if i < 0 {
		return a, ""
	}
	return a[:i], a[i+1:]
}

// Data takes in a message. It returns nil only if the message is on the disk
// of all its recipients.
func (s *session) Data(r io.Reader) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.link.receiving.Store(true)
	defer s.link.receiving.Store(false)
	s.link.Enter(connlog.StageData)

	d, err := s.protocol.options.Store.Begin(s.recipients)
	if err != nil {
		return s.notStored(err)
	}
	defer d.Abort()
	if err := s.copyMessage(d, r); err != nil {
		return err
	}
	s.link.Enter(connlog.StageDeliver)
	if err := d.Commit(); err != nil {
		return s.notStored(err)
	}
	s.link.Proven(connlog.ByMessage, s.from)
	return nil
}

// copyMessage writes our header lines and the message.
func (s *session) copyMessage(d Delivery, r io.Reader) error {
	source := &source{r: r}
	out := bufio.NewWriterSize(d, 32<<10)
	_, err := io.WriteString(out, s.trace(time.Now()))
	if err == nil {
		text := &newlines{w: out}
		_, err = io.Copy(text, source)
		err = errors.Join(err, text.flush())
	}
	var reply *gosmtp.SMTPError
	switch {
	case errors.As(source.err, &reply):
		return reply // It is too large.
	case errors.Is(source.err, gosmtp.ErrTooLongLine):
		return errLine
	case source.err != nil, s.link.broken.Load():
		// The library takes a last chunk (BDAT) for complete even if the
		// connection broke within it.
		return errTruncated
	case err != nil:
		return s.notStored(err)
	}
	return nil
}

// notStored logs why a message could not be stored, and returns what the
// client is told.
func (s *session) notStored(err error) error {
	s.protocol.options.Logger.Error("message not stored", "conn", s.link.ID(), "error", err)
	if errors.Is(err, mailstore.ErrFull) {
		return errFull
	}
	return errStore
}

// trace returns the lines that a delivery adds (RFC 5321, 4.4).
func (s *session) trace(now time.Time) string {
	with := "ESMTP"
	if s.user.Load() != nil {
		with = "ESMTPA" // RFC 3848
	}
	ip := s.link.Peer().Addr()
	literal := ip.String()
	if ip.Is6() {
		literal = "IPv6:" + literal
	}
	return fmt.Sprintf("Return-Path: <%s>\nReceived: from %s ([%s])\n\tby %s with %s id %d;\n\t%s\n",
		printable(s.from), printable(s.helo), literal,
		s.protocol.options.Hostname, with, s.link.ID(), now.Format(time.RFC1123Z))
}

// printable makes what a client sent safe in a header line.
func printable(s string) string {
	if len(s) > 255 {
		s = s[:255]
	}
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' || strings.ContainsRune("()<>;", r) {
			return '?'
		}
		return r
	}, s)
}

// source remembers how reading ended, to tell it from how writing did.
type source struct {
	r   io.Reader
	err error // other than the end
}

func (s *source) Read(b []byte) (int, error) {
	n, err := s.r.Read(b)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// newlines turns the line ends of the network into those of this host.
type newlines struct {
	w  *bufio.Writer
	cr bool // a CR was held back
}

func (n *newlines) Write(b []byte) (int, error) {
	for _, c := range b {
		if n.cr && c != '\n' {
			_ = n.w.WriteByte('\r') // An error stays, and the next call has it.
		}
		if n.cr = c == '\r'; n.cr {
			continue
		}
		if err := n.w.WriteByte(c); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

func (n *newlines) flush() error {
	if n.cr {
		_ = n.w.WriteByte('\r') // Flush has the error.
	}
	return n.w.Flush()
}
