package imap

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"

	goimap "github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"

	"overstay/connlog"
	"overstay/server/mailstore"
)

// session is one client's conversation. The library calls it from one
// goroutine, but for Idle, which goes on for a moment when the line is cut.
type session struct {
	protocol *Protocol
	link     *link
	idling   sync.WaitGroup

	mu     sync.Mutex // held by each command, and by Idle while it writes
	user   string     // empty before login
	view   *view      // of the selected mailbox, nil if none is
	closed bool
}

// maxPutOff is how many logins that came in a crowd of their source are put off
// until it is a failure of the client: an office arrives all at once, but it
// does not go on.
const maxPutOff = 2

var errLogins = no(goimap.ResponseCodeUnavailable, "Too many logins at a time, please try later")

var (
	_ imapserver.SessionMove        = (*session)(nil)
	_ imapserver.SessionNamespace   = (*session)(nil)
	_ imapserver.SessionAppendLimit = (*session)(nil)
)

func (p *Protocol) newSession(c *imapserver.Conn) (imapserver.Session, *imapserver.GreetingData, error) {
	l, ok := c.NetConn().(*link)
	if !ok {
		return nil, nil, errNotAdmitted
	}
	return &session{protocol: p, link: l}, nil, nil
}

// Close ends the session.
func (s *session) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.idling.Wait()
	return s.Unselect()
}

// Login checks a password.
func (s *session) Login(name, password string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.link.offered.login {
		return no(goimap.ResponseCodePrivacyRequired, "Not without TLS")
	}
	local, domain, found := cutLast(name, '@')
	if found && s.protocol.domains[strings.ToLower(domain)] {
		name = local
	}
	source := connlog.AddressLevel.Source(s.link.admitted.Peer().Addr())
	user, err := s.protocol.options.Users.Authenticate(s.link.admitted.Context(), source, name, password)
	switch {
	case err == nil:
		s.user = user
		s.link.loggedIn.Store(true)
		s.link.admitted.Proven(connlog.ByLogin, user)
		return nil
	case errors.Is(err, mailstore.ErrLogin):
		s.link.fail(connlog.FailLogin, name)
		return imapserver.ErrAuthFailed
	case errors.Is(err, mailstore.ErrCrowd) && s.link.putOff.Load() >= maxPutOff:
		s.link.fail(connlog.FailLogin, name)
		return errLogins
	case !errors.Is(err, mailstore.ErrBusy) && !errors.Is(err, context.Canceled):
		s.protocol.options.Logger.Error("login not checked", "conn", s.link.admitted.ID(), "error", err)
	}
	s.link.putOff.Add(1)
	return errLogins
}

func cutLast(s string, sep byte) (before, after string, found bool) {
	i := strings.LastIndexByte(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

// AppendLimit returns how large a message may be.
func (s *session) AppendLimit() uint32 { return uint32(s.protocol.options.MaxMessageBytes) }

// Namespace returns the only one there is.
func (s *session) Namespace() (*goimap.NamespaceData, error) {
	return &goimap.NamespaceData{Personal: []goimap.NamespaceDescriptor{{Delim: delimiter}}}, nil
}

// Append stores a message.
func (s *session) Append(folder string, r goimap.LiteralReader, o *goimap.AppendOptions) (*goimap.AppendData, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, err := s.protocol.options.Store.OpenFolder(s.user, folder)
	if err != nil {
		return nil, s.refusal(err, true)
	}
	defer m.Close()
	whole := &literal{r: r, left: r.Size(), end: func() { s.link.admitted.Enter(connlog.StageDeliver) }}
	validity, uid, err := m.Append(flagsOf(o.Flags), o.Time, whole)
	if err != nil {
		return nil, s.refusal(err, true)
	}
	if uid == 0 {
		return nil, nil // Somebody has taken it away already.
	}
	return &goimap.AppendData{UIDValidity: validity, UID: goimap.UID(uid)}, nil
}

// literal reads a literal, and fails if it is not complete: to the library a
// line that was cut is the end of it.
type literal struct {
	r    io.Reader
	left int64
	end  func()
}

func (l *literal) Read(b []byte) (int, error) {
	n, err := l.r.Read(b)
	l.left -= int64(n)
	if err == io.EOF {
		if l.left > 0 {
			return n, io.ErrUnexpectedEOF
		}
		l.end()
	}
	return n, err
}

// refusal returns what the client is told of an error. With tryCreate, a
// folder that does not exist is one that the client could make.
func (s *session) refusal(err error, tryCreate bool) error {
	var own *goimap.Error
	switch {
	case errors.As(err, &own):
		return own
	case errors.Is(err, mailstore.ErrNoFolder) && tryCreate:
		return no(goimap.ResponseCodeTryCreate, "No such mailbox")
	case errors.Is(err, mailstore.ErrNoFolder):
		return no(goimap.ResponseCodeNonExistent, "No such mailbox")
	case errors.Is(err, mailstore.ErrFolderExists):
		return no(goimap.ResponseCodeAlreadyExists, "Mailbox exists")
	case errors.Is(err, mailstore.ErrFolderName):
		return no(goimap.ResponseCodeCannot, "Not a name for a mailbox")
	case errors.Is(err, mailstore.ErrFolders):
		return no(goimap.ResponseCodeLimit, "Too many mailboxes")
	case errors.Is(err, mailstore.ErrQuota):
		return no(goimap.ResponseCodeOverQuota, "Over quota")
	case errors.Is(err, mailstore.ErrGone):
		return no("EXPUNGEISSUED", "Some of the messages are gone")
	}
	s.protocol.options.Logger.Error("mailbox", "conn", s.link.admitted.ID(), "user", s.user, "error", err)
	if errors.Is(err, mailstore.ErrFull) {
		return no(goimap.ResponseCodeUnavailable, "No space left, please try later")
	}
	return no(goimap.ResponseCodeUnavailable, "Mailbox not available, please try later")
}

func no(code goimap.ResponseCode, text string) error {
	return &goimap.Error{Type: goimap.StatusResponseTypeNo, Code: code, Text: text}
}

func bad(text string) error {
	return &goimap.Error{Type: goimap.StatusResponseTypeBad, Code: goimap.ResponseCodeClientBug, Text: text}
}
