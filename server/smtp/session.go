package smtp

import (
	"errors"
	"slices"
	"strings"

	gosmtp "github.com/emersion/go-smtp"

	"overstay/connlog"
	"overstay/server/mailstore"
)

// The answers to an envelope.
var (
	errLoginFirst = &gosmtp.SMTPError{Code: 530, EnhancedCode: gosmtp.EnhancedCode{5, 7, 0}, Message: "Authentication required"}
	errSender     = &gosmtp.SMTPError{Code: 503, EnhancedCode: gosmtp.EnhancedCode{5, 5, 1}, Message: "The sender is known already"}
	errNobody     = &gosmtp.SMTPError{Code: 503, EnhancedCode: gosmtp.EnhancedCode{5, 5, 1}, Message: "No recipient"}
	errRelay      = &gosmtp.SMTPError{Code: 550, EnhancedCode: gosmtp.EnhancedCode{5, 7, 1}, Message: "Relaying denied"}
	errNoUser     = &gosmtp.SMTPError{Code: 550, EnhancedCode: gosmtp.EnhancedCode{5, 1, 1}, Message: "No such user here"}
)

// maxHeadBytes is what is written above a message, at most.
const maxHeadBytes = 4 << 10

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
// goroutine.
type session struct {
	protocol *Protocol
	link     *link
	library  *gosmtp.Conn
	user     string // who has logged in, empty if nobody

	begun      bool // a message
	from       string
	options    gosmtp.MailOptions
	recipients []string     // users, none twice
	tight      bool         // one of them may have no room, so there is no other
	relayed    *transaction // for all other recipients, nil without any
}

func (p *Protocol) newSession(c *gosmtp.Conn) (gosmtp.Session, error) {
	l, ok := c.Conn().(*link)
	if !ok {
		return nil, errNotAdmitted
	}
	l.Enter(connlog.StageCommand)
	return &session{protocol: p, link: l, library: c}, nil
}

// Reset forgets the message.
func (s *session) Reset() {
	s.begun, s.from, s.options, s.recipients, s.tight = false, "", gosmtp.MailOptions{}, nil, false
	if s.relayed != nil {
		s.relayed.end()
		s.relayed = nil
	}
}

// Logout ends the conversation.
func (s *session) Logout() error {
	s.Reset()
	return nil
}

// Mail begins a message.
func (s *session) Mail(from string, o *gosmtp.MailOptions) error {
	if s.protocol.options.RequireAuth && s.user == "" {
		s.link.fail(connlog.FailCommand, "")
		return errLoginFirst
	}
	if s.begun {
		return errSender // The library would keep the recipients it has.
	}
	s.begun, s.from, s.options = true, from, *o
	return nil
}

// Rcpt adds a recipient, who must be a user of this host, or one that is
// relayed to and that the upstream takes.
func (s *session) Rcpt(to string, _ *gosmtp.RcptOptions) error {
	name, domain := splitAddress(to)
	switch {
	case s.protocol.domains[domain]:
		return s.local(name, to)
	case s.protocol.relays(domain, s.user):
		return s.relay(to)
	}
	s.link.fail(connlog.FailRecipient, to)
	return errRelay
}

func (s *session) local(name, to string) error {
	if !mailstore.ValidName(name) || !s.protocol.options.Users.Exists(name) {
		s.link.fail(connlog.FailRecipient, to)
		return errNoUser
	}
	if slices.Contains(s.recipients, name) {
		return nil
	}
	if q, ok := s.protocol.options.Store.(Quotas); ok {
		if err := s.room(q, name); err != nil {
			return err
		}
	}
	s.recipients = append(s.recipients, name)
	return nil
}

// room asks whether a user has room for the message. There is one answer to
// all recipients in the end, so those without room must be known before: a full
// mailbox would keep the mail from the others, at every try. If the client does
// not say how large the message is, a user who has no room for the largest gets
// it alone.
func (s *session) room(q Quotas, name string) error {
	size, known := s.options.Size, s.options.Size > 0
	if !known {
		size = s.protocol.options.MaxMessageBytes
	}
	err := q.Room(name, size+maxHeadBytes)
	tight := !known && errors.Is(err, mailstore.ErrQuota)
	if tight {
		err = q.Room(name, 0)
	}
	switch {
	case err != nil:
		return s.notStored(err)
	case s.tight, tight && s.addressed():
		return errOnePerMail
	}
	s.tight = tight
	return nil
}

// addressed tells whether the message has a recipient.
func (s *session) addressed() bool {
	return len(s.recipients) > 0 || s.relayed != nil && len(s.relayed.recipients) > 0
}

// relay asks the upstream whether it takes a recipient.
func (s *session) relay(to string) error {
	if s.tight {
		return errOnePerMail
	}
	s.link.Enter(connlog.StageUpstream)
	if s.relayed == nil {
		s.relayed = s.protocol.upstream.begin(s.link.Context(), s.from, s.options)
	}
	err := s.relayed.add(to)
	if err == nil {
		return nil
	}
	err = s.notRelayed(err)
	var reply *gosmtp.SMTPError
	if errors.As(err, &reply) && !reply.Temporary() {
		s.link.fail(connlog.FailRecipient, to)
	}
	return err
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
