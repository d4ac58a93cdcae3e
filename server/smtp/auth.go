package smtp

import (
	"bytes"
	"context"
	"errors"

	"github.com/emersion/go-sasl"
	gosmtp "github.com/emersion/go-smtp"

	"overstay/connlog"
	"overstay/server/mailstore"
)

var (
	errEncryption = &gosmtp.SMTPError{Code: 538, EnhancedCode: gosmtp.EnhancedCode{5, 7, 11}, Message: "Not without encryption"}
	errLogins     = &gosmtp.SMTPError{Code: 454, EnhancedCode: gosmtp.EnhancedCode{4, 7, 0}, Message: "Too many logins at a time, please try later"}
	errSyntax     = &gosmtp.SMTPError{Code: 501, EnhancedCode: gosmtp.EnhancedCode{5, 5, 2}, Message: "Malformed credentials"}
)

// maxPutOff is how many logins that came in a crowd of their source are put off
// until it is a failure of the client: an office arrives all at once, but it
// does not go on.
const maxPutOff = 2

// AuthMechanisms returns what is offered to this client.
func (s *session) AuthMechanisms() []string {
	if !s.mayAuth() {
		return nil
	}
	return []string{sasl.Plain, sasl.Login}
}

// mayAuth tells whether a password may be taken: under TLS, or from this host
// itself, because it comes in the clear.
func (s *session) mayAuth() bool {
	o := &s.protocol.options
	return o.Users != nil && (s.link.secure() || o.AllowPlainAuth || s.link.Peer().Addr().IsLoopback())
}

// Auth begins a login.
func (s *session) Auth(mechanism string) (sasl.Server, error) {
	if !s.mayAuth() {
		return nil, errEncryption
	}
	switch mechanism {
	case sasl.Plain:
		s.link.Enter(connlog.StageLogin)
		return &plain{check: s.login}, nil
	case sasl.Login:
		s.link.Enter(connlog.StageLogin)
		return &login{check: s.login}, nil
	}
	return nil, gosmtp.ErrAuthUnknownMechanism
}

// login checks a password.
func (s *session) login(user, password string) error {
	name := user
	if local, domain := splitAddress(user); s.protocol.domains[domain] {
		name = local
	}
	source := connlog.AddressLevel.Source(s.link.Peer().Addr())
	name, err := s.protocol.options.Users.Authenticate(s.link.Context(), source, name, password)
	switch {
	case err == nil:
		s.user = name
		s.link.Proven(connlog.ByLogin, name)
		return nil
	case errors.Is(err, mailstore.ErrLogin):
		s.link.fail(connlog.FailLogin, user)
		return gosmtp.ErrAuthFailed
	case errors.Is(err, mailstore.ErrCrowd) && s.link.putOff >= maxPutOff:
		s.link.fail(connlog.FailLogin, user)
		return errLogins
	case !errors.Is(err, mailstore.ErrBusy) && !errors.Is(err, context.Canceled):
		s.protocol.options.Logger.Error("login not checked", "conn", s.link.ID(), "error", err)
	}
	s.link.putOff++
	return errLogins
}

// plain is the server's side of PLAIN (RFC 4616).
type plain struct {
	check func(user, password string) error
}

// Next takes the client's only message.
func (p *plain) Next(response []byte) (challenge []byte, done bool, err error) {
	if response == nil {
		return nil, false, nil
	}
	parts := bytes.Split(response, []byte{0})
	if len(parts) != 3 || len(parts[1]) == 0 {
		return nil, false, errSyntax
	}
	if len(parts[0]) > 0 && !bytes.Equal(parts[0], parts[1]) {
		return nil, false, gosmtp.ErrAuthFailed // Nobody acts for somebody else here.
	}
	return nil, true, p.check(string(parts[1]), string(parts[2]))
}

// login is the server's side of LOGIN, as clients speak it; there is no RFC.
type login struct {
	check func(user, password string) error
	asked bool
	user  []byte // nil until it came
}

// Next takes the user's name, then the password.
func (l *login) Next(response []byte) (challenge []byte, done bool, err error) {
	switch {
	case l.user == nil && response == nil && !l.asked:
		l.asked = true
		return []byte("Username:"), false, nil
	case l.user == nil:
		if len(response) == 0 {
			return nil, false, errSyntax
		}
		l.user = bytes.Clone(response)
		return []byte("Password:"), false, nil
	}
	return nil, true, l.check(string(l.user), string(response))
}
