package smtp

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	gosmtp "github.com/emersion/go-smtp"
)

// upstream is a relay as it is used.
type upstream struct {
	relay *Relay
	hello string // our name
}

var (
	errNoSTARTTLS = errors.New("STARTTLS is not offered")
	errNotSecure  = errors.New("no password goes to it in the clear")
)

// connect begins a dialogue.
func (u *upstream) connect(ctx context.Context) (*dialogue, error) {
	network, address := u.relay.network()
	mode := u.relay.TLS
	if mode == TLSOpportunistic && network == "unix" {
		mode = TLSOff // It does not leave this host.
	}
	d, err := u.try(ctx, network, address, mode)
	var handshake *handshakeError
	if mode == TLSOpportunistic && errors.As(err, &handshake) {
		d, err = u.try(ctx, network, address, TLSOff)
	}
	if err != nil {
		return nil, &setback{"connect", err}
	}
	return d, nil
}

// setback is trouble with the upstream that the client has no part in: it does
// not unwrap to an answer of the upstream's.
type setback struct {
	doing string
	err   error
}

func (s *setback) Error() string { return "smtp: upstream: " + s.doing + ": " + s.err.Error() }

// handshakeError says that STARTTLS was offered and does not work.
type handshakeError struct{ err error }

func (e *handshakeError) Error() string { return "STARTTLS: " + e.err.Error() }

func (u *upstream) try(ctx context.Context, network, address string, mode RelayTLS) (*dialogue, error) {
	dialer := net.Dialer{Timeout: u.relay.Timeout}
	c, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	d := newDialogue(ctx, c, u.relay)
	err = u.greet(ctx, d, mode)
	if err == nil && u.relay.User != "" {
		err = u.login(d, network)
	}
	if err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

// login tells the upstream who we are.
func (u *upstream) login(d *dialogue, network string) error {
	if _, secure := d.conn.(*tls.Conn); !secure && network != "unix" {
		if a, err := netip.ParseAddrPort(d.conn.RemoteAddr().String()); err != nil || !a.Addr().IsLoopback() {
			return errNotSecure
		}
	}
	secret := base64.StdEncoding.EncodeToString([]byte("\x00" + u.relay.User + "\x00" + u.relay.Password))
	return d.command(235, "AUTH PLAIN %s", secret)
}

// greet says hello, under TLS if that is wanted.
func (u *upstream) greet(ctx context.Context, d *dialogue, mode RelayTLS) error {
	if err := d.answer(220, u.relay.Timeout); err != nil {
		return err
	}
	if err := d.hello(u.hello); err != nil {
		return err
	}
	switch _, offered := d.extensions["STARTTLS"]; {
	case mode == TLSOff, mode == TLSOpportunistic && !offered:
		return nil
	case !offered:
		return errNoSTARTTLS
	}
	if err := d.command(220, "STARTTLS"); err != nil {
		return &handshakeError{err}
	}
	if err := d.startTLS(ctx, u.tlsConfig(mode)); err != nil {
		return &handshakeError{err}
	}
	return d.hello(u.hello)
}

func (u *upstream) tlsConfig(mode RelayTLS) *tls.Config {
	config := &tls.Config{}
	if u.relay.TLSConfig != nil {
		config = u.relay.TLSConfig.Clone()
	}
	if config.ServerName == "" {
		config.ServerName = u.relay.host()
	}
	if mode == TLSOpportunistic {
		config.InsecureSkipVerify = true // Better than in the clear, which is what else it would be.
	}
	return config
}

// refusal is an answer of the upstream that is not the one hoped for.
type refusal struct {
	code int
	text string // of all lines
}

func (r *refusal) Error() string { return fmt.Sprintf("it says %d %s", r.code, r.text) }

// forClient tells whether the answer is about the client's message, and not
// about how we speak to the upstream.
func (r *refusal) forClient() bool {
	return r.code >= 400 && r.code != 421 && (r.code < 500 || r.code > 504) && r.code/10 != 53
}

// reply returns the answer as one of ours.
func (r *refusal) reply() *gosmtp.SMTPError {
	reply := &gosmtp.SMTPError{Code: r.code, Message: printableText(r.text)}
	code, text, _ := strings.Cut(reply.Message, " ")
	var e gosmtp.EnhancedCode
	if n, err := fmt.Sscanf(code, "%d.%d.%d", &e[0], &e[1], &e[2]); err == nil && n == len(e) && e[0] == r.code/100 {
		reply.EnhancedCode, reply.Message = e, text
	}
	return reply
}

// broken tells whether an error ends the dialogue.
func broken(err error) bool {
	var refused *refusal
	if errors.As(err, &refused) {
		return refused.code == 421
	}
	var reply *gosmtp.SMTPError
	return err != nil && !errors.As(err, &reply)
}

// printableText makes what the upstream said safe for a reply.
func printableText(s string) string {
	if len(s) > maxUpstreamText {
		s = s[:maxUpstreamText]
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
}
