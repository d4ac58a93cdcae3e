package smtp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"overstay/server"
	"overstay/server/scan"
)

// Users are the people whose mail is received; *mailstore.Users satisfies it.
type Users interface {
	Exists(name string) bool
	// Authenticate returns the user's canonical name, or mailstore.ErrLogin,
	// mailstore.ErrBusy or mailstore.ErrCrowd.
	Authenticate(ctx context.Context, source netip.Prefix, name, password string) (string, error)
}

// Store takes messages; [Maildirs] satisfies it.
type Store interface {
	// Begin starts the delivery of one message to the users.
	Begin(users []string) (Delivery, error)
}

// Delivery is one message on its way to its recipients. Commit returns nil
// only when it is safe on the disk.
type Delivery interface {
	io.Writer
	Commit() error
	Abort()
}

// Quotas is what a [Store] may be beside: one that has limits. *mailstore.Store
// satisfies it.
type Quotas interface {
	// Room returns mailstore.ErrQuota if the user has no room for a message of
	// size bytes, 0 if that is not known.
	Room(user string, size int64) error
}

// Options are the settings of the protocol.
type Options struct {
	// Hostname is the name in the greeting and in Received lines. The default
	// is this host's.
	Hostname string
	// Domains are those that mail is received for, into Store. The default is
	// Hostname and localhost, or none without a Store.
	Domains []string
	// Users are the recipients in Domains, and who may log in.
	Users Users
	Store Store
	// Relay is the server that takes all other mail; nil: there is none.
	Relay *Relay
	// RequireAuth takes mail only from clients who have logged in.
	RequireAuth bool

	// TLS makes STARTTLS work; nil: it is not offered.
	TLS *tls.Config

	// Scanners look at each message before it is accepted; nil: nobody does.
	Scanners *scan.Scanners
	// PassUnscanned delivers messages that could not be scanned because the
	// scanner is down or busy, with a header line that says so. Otherwise the
	// client is told to come back later.
	PassUnscanned bool
	// PassTooLarge does the same for messages that are too large to be
	// scanned, which are refused otherwise.
	PassTooLarge bool

	// FixBareLF mends messages that have a CR or LF alone, which are refused
	// otherwise.
	FixBareLF bool
	// SpoolDir is where large messages stay until they are delivered: the
	// system's folder for temporary files by default.
	SpoolDir string

	MaxMessageBytes int64 // 25 MB by default
	MaxRecipients   int   // of one message, 100 by default
	// MaxErrors is how many failures one connection may make before it is
	// closed, 10 by default.
	MaxErrors int
	// AllowPlainAuth takes passwords in the clear from everywhere. Without it
	// they are taken under TLS, and from this host itself.
	AllowPlainAuth bool
	// Words replaces what clients are told that are turned away.
	Words server.Words

	Logger *slog.Logger // nil discards
}

// ErrOptions is the error of New when the options do not fit together.
var ErrOptions = errors.New("smtp: bad options")

// complete fills in what was not set.
func (o *Options) complete() error {
	if err := o.check(); err != nil {
		return err
	}
	if o.Hostname == "" {
		o.Hostname = "localhost"
		if host, err := os.Hostname(); err == nil && host != "" {
			o.Hostname = host
		}
	}
	if len(o.Domains) == 0 && o.Store != nil {
		o.Domains = []string{o.Hostname, "localhost"}
	}
	if o.MaxMessageBytes <= 0 {
		o.MaxMessageBytes = 25 << 20
	}
	if o.MaxRecipients <= 0 {
		o.MaxRecipients = 100
	}
	if o.MaxErrors <= 0 {
		o.MaxErrors = 10
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o.completeRelay()
}

func (o *Options) check() error {
	switch {
	case o.Store == nil && o.Relay == nil:
		return fmt.Errorf("%w: there is nowhere to put mail", ErrOptions)
	case o.Store != nil && o.Users == nil:
		return fmt.Errorf("%w: a store is of no use without users", ErrOptions)
	case o.Store == nil && len(o.Domains) > 0:
		return fmt.Errorf("%w: domains without a store", ErrOptions)
	case o.RequireAuth && o.Users == nil:
		return fmt.Errorf("%w: nobody can log in without users", ErrOptions)
	}
	if err := o.Words.Check(); err != nil {
		return fmt.Errorf("%w: %w", ErrOptions, err)
	}
	return nil
}

// completeRelay does it with a copy of the relay.
func (o *Options) completeRelay() error {
	if o.Relay == nil {
		return nil
	}
	r := *o.Relay
	network, address := r.network()
	if _, _, err := net.SplitHostPort(address); address == "" || network == "tcp" && err != nil {
		return fmt.Errorf("%w: relay address %q is neither host:port nor unix:path", ErrOptions, r.Address)
	}
	for _, d := range r.Domains {
		for _, own := range o.Domains {
			if strings.EqualFold(d, own) {
				return fmt.Errorf("%w: mail for %s is both kept and passed on", ErrOptions, d)
			}
		}
	}
	if r.Timeout <= 0 {
		r.Timeout = 30 * time.Second
	}
	if r.AnswerTimeout <= 0 {
		r.AnswerTimeout = 5 * time.Minute
	}
	o.Relay = &r
	return nil
}

// postmasterDomain is where the postmaster lives who is written to without a
// domain.
func (o *Options) postmasterDomain() string {
	switch {
	case len(o.Domains) > 0:
		return o.Domains[0]
	case len(o.Relay.Domains) > 0:
		return o.Relay.Domains[0]
	}
	return o.Hostname
}
