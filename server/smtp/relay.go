package smtp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	gosmtp "github.com/emersion/go-smtp"
)

// RelayTLS says what is wanted of the way to the upstream.
type RelayTLS int

const (
	// TLSOpportunistic uses STARTTLS where it is offered, and believes any
	// certificate: it helps against those who only listen.
	TLSOpportunistic RelayTLS = iota
	// TLSRequired passes nothing on without STARTTLS and a certificate that
	// is right for the upstream's name.
	TLSRequired
	// TLSOff never asks.
	TLSOff
)

// UnmarshalText takes off, opportunistic or required.
func (r *RelayTLS) UnmarshalText(text []byte) error {
	for i, name := range []string{"opportunistic", "required", "off"} {
		if string(text) == name {
			*r = RelayTLS(i)
			return nil
		}
	}
	return fmt.Errorf("%w: TLS of a relay is off, opportunistic or required, not %q", ErrOptions, text)
}

// Relay is a server that mail is passed on to.
type Relay struct {
	// Address is where it listens: host:port, or "unix:" and a path.
	Address string
	// LMTP tells that it speaks LMTP (RFC 2033).
	LMTP bool
	TLS  RelayTLS
	// TLSConfig is for a root or a name that is not the usual one.
	TLSConfig *tls.Config
	// User and Password are for an upstream that wants to know who we are.
	// They are only shown to it under TLS or within this host.
	User, Password string
	// Domains are those that mail is passed on for, whoever sends it. Which
	// recipients there are, the upstream knows.
	Domains []string
	// ForUsers passes on mail for all other domains too, if the client has
	// logged in.
	ForUsers bool
	// Timeout is how long the upstream may take for one step, 30 seconds by
	// default.
	Timeout time.Duration
	// AnswerTimeout is how long it may think about a message, 5 minutes by
	// default.
	AnswerTimeout time.Duration
}

// The answers to what the upstream does.
var (
	errUpstream   = &gosmtp.SMTPError{Code: 451, EnhancedCode: gosmtp.EnhancedCode{4, 4, 1}, Message: "The next server does not answer, please try later"}
	errOnePerMail = &gosmtp.SMTPError{Code: 452, EnhancedCode: gosmtp.EnhancedCode{4, 5, 3}, Message: "One recipient at a time, please send the rest again"}
	errAddress    = &gosmtp.SMTPError{Code: 553, EnhancedCode: gosmtp.EnhancedCode{5, 1, 3}, Message: "Address not understood"}
)

// relays tells whether mail for a domain is passed on for a user, empty if
// nobody has logged in.
func (p *Protocol) relays(domain, user string) bool {
	r := p.options.Relay
	return r != nil && domain != "" && (p.relayDomains[domain] || r.ForUsers && user != "")
}

// notRelayed returns what the client is told when the upstream did not do what
// it should: its own answer, if it is one about the message.
func (s *session) notRelayed(err error) error {
	var answer *gosmtp.SMTPError
	if errors.As(err, &answer) {
		return answer
	}
	var refused *refusal
	if errors.As(err, &refused) && refused.forClient() {
		return refused.reply()
	}
	if s.link.Context().Err() != nil {
		return errUpstream // Nobody hears it.
	}
	s.protocol.options.Logger.Error("message not passed on", "conn", s.link.ID(), "upstream", s.protocol.options.Relay.Address, "error", err)
	return errUpstream
}

// errHungUp means that the dialogue with the upstream is over.
var errHungUp = errors.New("smtp: the upstream has hung up")

// transaction is one message on its way to the upstream. Every step is done
// there before the client hears of it here.
type transaction struct {
	upstream   *upstream
	ctx        context.Context
	from       string
	options    gosmtp.MailOptions
	recipients []string // that it has taken

	dialogue *dialogue // nil while there is none
	failed   error     // how the last one ended, if it broke
}

// begin begins a message. The upstream hears of it with its first recipient.
func (u *upstream) begin(ctx context.Context, from string, o gosmtp.MailOptions) *transaction {
	return &transaction{upstream: u, ctx: ctx, from: from, options: o}
}

// add adds a recipient.
func (t *transaction) add(to string) error {
	path, ok := mailbox(to)
	switch {
	case !ok:
		return errAddress
	case slices.Contains(t.recipients, path):
		return nil
	case len(t.recipients) > 0 && t.upstream.relay.LMTP:
		// It will answer for each, and there is one answer for the client.
		return errOnePerMail
	}
	if t.failed != nil {
		return t.failed // Not every recipient waits for it anew.
	}
	if t.dialogue == nil {
		if err := t.open(); err != nil {
			return t.note(err)
		}
	}
	if err := t.dialogue.rcpt(path); err != nil {
		return t.note(err)
	}
	t.recipients = append(t.recipients, path)
	return nil
}

// open connects and says who the sender is, and the recipients so far.
func (t *transaction) open() error {
	path := ""
	if t.from != "" {
		var ok bool
		if path, ok = mailbox(t.from); !ok {
			return errAddress
		}
	}
	d, err := t.upstream.connect(t.ctx)
	if err != nil {
		return err
	}
	t.dialogue = d
	if err := d.mail(path, &t.options); err != nil {
		t.drop()
		return err
	}
	for _, to := range t.recipients {
		if err := d.rcpt(to); err != nil {
			t.drop()
			return &setback{"a recipient that it has taken before", err}
		}
	}
	return nil
}

// send passes the message on. When it returns nil the upstream has taken it.
// The upstream may have lost patience while the message came in; as it has
// taken nothing by then, all is said again.
func (t *transaction) send(text io.Reader) error {
	err := errHungUp
	if t.dialogue != nil {
		err = t.dialogue.data()
	}
	if broken(err) {
		t.drop()
		if err = t.open(); err == nil {
			err = t.dialogue.data()
		}
	}
	if err == nil {
		err = t.dialogue.text(text)
	}
	return t.note(err)
}

// note hangs up if the dialogue is broken.
func (t *transaction) note(err error) error {
	if broken(err) {
		t.drop()
		t.failed = err
	}
	return err
}

// drop hangs up.
func (t *transaction) drop() {
	if t.dialogue != nil {
		t.dialogue.close()
		t.dialogue = nil
	}
}

// end ends the transaction, whatever became of it.
func (t *transaction) end() {
	if t.dialogue != nil {
		t.dialogue.quit()
		t.dialogue = nil
	}
}

// mailbox returns an address as it may stand between angle brackets
// (RFC 5321, 4.1.2). The library takes quotes off, and does not look at what
// is in a domain.
func mailbox(a string) (string, bool) {
	i := strings.LastIndexByte(a, '@')
	if i <= 0 || len(a) > 320 {
		return "", false
	}
	local, domain := a[:i], a[i+1:]
	for _, c := range []byte(domain) {
		if !isAlphanumeric(c) && !strings.ContainsRune("-.:[]", rune(c)) {
			return "", false
		}
	}
	atom := local[0] != '.' && local[len(local)-1] != '.' && !strings.Contains(local, "..")
	for _, c := range []byte(local) {
		switch {
		case isAlphanumeric(c), strings.IndexByte("!#$%&'*+-/=?^_`{|}~.", c) >= 0:
		case c < ' ' || c > '~':
			return "", false
		default:
			atom = false
		}
	}
	if !atom {
		local = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(local) + `"`
	}
	return local + "@" + domain, domain != ""
}

func isAlphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// network returns what to dial.
func (r *Relay) network() (network, address string) {
	if path, ok := strings.CutPrefix(r.Address, "unix:"); ok {
		return "unix", path
	}
	return "tcp", r.Address
}

// host returns the name that the upstream's certificate should have.
func (r *Relay) host() string {
	host, _, err := net.SplitHostPort(r.Address)
	if err != nil {
		return "localhost" // A socket of this host.
	}
	return host
}
