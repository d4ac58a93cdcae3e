package pop3

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"overstay/connlog"
	"overstay/server/mailstore"
)

// The answers of a login. Their codes are those of RFC 2449 and RFC 3206.
var (
	errEncryption = deny("Not without encryption")
	errLogins     = deny("[SYS/TEMP] Too many logins at a time, please try later")
	errMailbox    = deny("[SYS/TEMP] Mailbox cannot be opened, please try later")
	errInUse      = deny("[IN-USE] Mailbox is in use by another session")
)

// maxPutOff is how many logins that came in a crowd of their source are put off
// until it is a failure of the client: an office arrives all at once, but it
// does not go on.
const maxPutOff = 2

// mayLogin tells whether a password may be taken here.
func (s *session) mayLogin() bool {
	return s.secure || s.protocol.options.AllowPlainAuth || s.link.Peer().Addr().IsLoopback()
}

// mayStartTLS tells whether STLS would be accepted.
func (s *session) mayStartTLS() bool { return s.protocol.options.TLS != nil && !s.secure }

// capa says what can be done here and now (RFC 2449, section 5).
func (s *session) capa([]string) error {
	s.printf("+OK Capability list follows")
	if s.mayLogin() {
		s.printf("USER")
		s.printf("SASL PLAIN")
	}
	if s.mayStartTLS() && s.drop == nil {
		s.printf("STLS")
	}
	for _, c := range []string{"TOP", "UIDL", "PIPELINING", "RESP-CODES", "AUTH-RESP-CODE", "EXPIRE NEVER", "."} {
		s.printf("%s", c)
	}
	return nil
}

// user takes a name. Whether there is such a user is not told.
func (s *session) user(arguments []string) error {
	if !s.mayLogin() {
		return errEncryption
	}
	s.name = arguments[0]
	s.printf("+OK Password?")
	return nil
}

func (s *session) pass(arguments []string) error {
	if s.name == "" {
		return fault("USER first")
	}
	name := s.name
	s.name = ""
	return s.login(name, arguments[0])
}

// auth is SASL (RFC 5034). Without a mechanism it lists those that there are,
// as clients expect that are older than CAPA.
func (s *session) auth(arguments []string) error {
	if len(arguments) == 0 {
		s.printf("+OK Mechanisms follow")
		if s.mayLogin() {
			s.printf("PLAIN")
		}
		s.printf(".")
		return nil
	}
	switch {
	case !strings.EqualFold(arguments[0], "PLAIN"):
		return fault("Unknown mechanism")
	case !s.mayLogin():
		return errEncryption
	}
	response, err := s.response(arguments[1:])
	if err != nil {
		return err
	}
	user, password, err := plain(response)
	if err != nil {
		return err
	}
	return s.login(user, password)
}

// response returns the client's message: the initial one, or what it answers
// to an empty challenge.
func (s *session) response(initial []string) (string, error) {
	switch {
	case len(initial) == 0:
		s.link.Enter(connlog.StageLogin)
		s.printf("+ ")
		line, err := s.line()
		if err != nil {
			return "", err
		}
		if string(line) == "*" {
			return "", deny("Cancelled")
		}
		return string(line), nil
	case initial[0] == "=":
		return "", nil
	}
	return initial[0], nil
}

// plain reads the message of PLAIN (RFC 4616).
func plain(response string) (user, password string, err error) {
	text, err := base64.StdEncoding.DecodeString(response)
	parts := bytes.Split(text, []byte{0})
	if err != nil || len(parts) != 3 || len(parts[1]) == 0 {
		return "", "", fault("Malformed credentials")
	}
	if len(parts[0]) > 0 && !bytes.Equal(parts[0], parts[1]) {
		return "", "", fault("Nobody acts for somebody else here")
	}
	return string(parts[1]), string(parts[2]), nil
}

// login checks a password and takes the mailbox.
func (s *session) login(user, password string) error {
	s.link.Enter(connlog.StageLogin)
	name := user
	if i := strings.LastIndexByte(user, '@'); i >= 0 && s.protocol.domains[strings.ToLower(user[i+1:])] {
		name = user[:i]
	}
	source := connlog.AddressLevel.Source(s.link.Peer().Addr())
	name, err := s.protocol.options.Users.Authenticate(s.link.Context(), source, name, password)
	switch {
	case errors.Is(err, mailstore.ErrLogin):
		return &denial{text: "[AUTH] Wrong user or password", what: connlog.FailLogin, user: user}
	case errors.Is(err, mailstore.ErrCrowd) && s.putOff >= maxPutOff:
		return &denial{text: errLogins.Error(), what: connlog.FailLogin, user: user}
	case err != nil:
		if !errors.Is(err, mailstore.ErrBusy) && !errors.Is(err, context.Canceled) {
			s.protocol.options.Logger.Error("login not checked", "conn", s.link.ID(), "error", err)
		}
		s.putOff++
		return errLogins
	}
	s.link.Proven(connlog.ByLogin, name)
	s.link.Enter(connlog.StageCommand)
	return s.enter(name)
}

// enter takes the mailbox of a user who has logged in.
func (s *session) enter(user string) error {
	drop, err := s.protocol.options.Store.Open(user)
	switch {
	case errors.Is(err, ErrInUse):
		return errInUse
	case err != nil:
		s.protocol.options.Logger.Error("mailbox not opened", "conn", s.link.ID(), "user", user, "error", err)
		return errMailbox
	}
	s.drop, s.marked = drop, make([]bool, drop.Len())
	n, size := s.total()
	s.printf("+OK %d messages (%d octets)", n, size)
	return nil
}

// stls begins TLS (RFC 2595, section 4). What was learned in the clear is
// forgotten.
func (s *session) stls([]string) error {
	if !s.mayStartTLS() {
		return fault("No TLS to begin")
	}
	if s.in.Buffered() > 0 {
		return &denial{text: "Nothing may follow STLS in the clear", what: connlog.FailCommand, ends: true}
	}
	s.printf("+OK Begin TLS")
	if err := s.flush(); err != nil {
		return err
	}
	t, err := s.link.StartTLS(s.protocol.options.TLS)
	if err != nil {
		return fmt.Errorf("%w: %w", errEnd, err)
	}
	s.conn, s.secure, s.name = t, true, ""
	s.in.Reset(t)
	return nil
}
