package smtp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	gosmtp "github.com/emersion/go-smtp"

	"overstay/connlog"
	"overstay/server"
)

// Users are the people whose mail is received; *mailstore.Users satisfies it.
type Users interface {
	Exists(name string) bool
	// Authenticate returns the user's canonical name, or mailstore.ErrLogin or
	// mailstore.ErrBusy.
	Authenticate(ctx context.Context, name, password string) (string, error)
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

// Options are the settings of the protocol.
type Options struct {
	// Hostname is the name in the greeting and in Received lines. The default
	// is this host's.
	Hostname string
	// Domains are those that mail is received for. The default is Hostname
	// and localhost.
	Domains []string
	Users   Users
	Store   Store

	MaxMessageBytes int64 // 25 MB by default
	MaxRecipients   int   // of one message, 100 by default
	// MaxErrors is how many failures one connection may make before it is
	// closed, 10 by default.
	MaxErrors int
	// AllowPlainAuth takes passwords in the clear from everywhere. Without
	// it, AUTH is offered to this host only.
	AllowPlainAuth bool
	// BanSilently closes a connection from a banned source without a word.
	BanSilently bool
	// Words replaces what clients are told that are turned away: a code and a
	// text, without the line end.
	Words map[connlog.Reason]string

	Logger *slog.Logger // nil discards
}

// What a client is told that is turned away.
const (
	busyWords     = "421 4.3.2 Too busy, please try later"
	sessionsWords = "421 4.7.0 Too many sessions from your address"
	bannedWords   = "554 5.7.1 Your address is banned"
)

// maxLineBytes bounds a line of the conversation, and of a message: there the
// limit is 1000 (RFC 5321, 4.5.3.1.6), but not everybody keeps it.
const maxLineBytes = 16 << 10

// ErrOptions is the error of New when the options do not fit together.
var ErrOptions = errors.New("smtp: bad options")

// errNotAdmitted is the error of Serve on a listener that is not the server's.
var errNotAdmitted = errors.New("smtp: connection was not admitted by the server")

// Protocol speaks SMTP. It implements [server.Protocol].
type Protocol struct {
	options Options
	domains map[string]bool
	library *gosmtp.Server

	// ctx ends when the server stops, and with it what sessions wait for.
	ctx      context.Context
	cancel   context.CancelFunc
	stopping atomic.Bool

	serving sync.WaitGroup // calls of Serve

	mu        sync.Mutex
	listeners []net.Listener
	links     map[*link]struct{}
}

// New returns the protocol.
func New(o Options) (*Protocol, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	p := &Protocol{options: o, domains: make(map[string]bool), links: make(map[*link]struct{})}
	for _, d := range o.Domains {
		p.domains[strings.ToLower(d)] = true
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	s := gosmtp.NewServer(gosmtp.BackendFunc(p.newSession))
	s.Domain = o.Hostname
	s.MaxLineLength = maxLineBytes
	s.MaxRecipients = o.MaxRecipients
	s.MaxMessageBytes = o.MaxMessageBytes
	s.AllowInsecureAuth = true // Each session decides.
	s.ErrorLog = libraryLog{o.Logger}
	p.library = s
	return p, nil
}

func (o *Options) complete() error {
	if o.Users == nil || o.Store == nil {
		return fmt.Errorf("%w: users and store are needed", ErrOptions)
	}
	for reason, words := range o.Words {
		if strings.ContainsAny(words, "\r\n") || len(words) < 4 {
			return fmt.Errorf("%w: words for %s: %q is not one line of a reply", ErrOptions, reason, words)
		}
	}
	if o.Hostname == "" {
		o.Hostname = "localhost"
		if host, err := os.Hostname(); err == nil && host != "" {
			o.Hostname = host
		}
	}
	if len(o.Domains) == 0 {
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
	return nil
}

// Refusal returns the reply for a client that is turned away.
func (p *Protocol) Refusal(r connlog.Reason) []byte {
	if r == connlog.RefuseBanned && p.options.BanSilently {
		return nil
	}
	words, ok := p.options.Words[r]
	if !ok {
		switch r {
		case connlog.RefuseBusy:
			words = busyWords
		case connlog.RefuseSessions:
			words = sessionsWords
		default:
			words = bannedWords
		}
	}
	return []byte(words + "\r\n")
}

// SpeaksFirst is true: an SMTP server greets.
func (p *Protocol) SpeaksFirst() bool { return true }

// Serve serves the connections that l hands out.
func (p *Protocol) Serve(l net.Listener) error {
	p.mu.Lock()
	if p.stopping.Load() {
		p.mu.Unlock()
		return server.ErrClosed
	}
	p.listeners = append(p.listeners, l)
	p.serving.Add(1)
	p.mu.Unlock()
	defer p.serving.Done()
	err := p.library.Serve(&linkListener{Listener: l, protocol: p})
	if p.stopping.Load() {
		return nil
	}
	return err
}

// Shutdown lets each client finish what it is doing, tells it that the service
// closes, and waits until all have gone or ctx ends.
func (p *Protocol) Shutdown(ctx context.Context) error {
	defer p.cancel()
	p.mu.Lock()
	p.stopping.Store(true)
	for _, l := range p.listeners {
		_ = l.Close() // Serve returns in any case.
	}
	for l := range p.links {
		l.wake()
	}
	p.mu.Unlock()
	// The library must not be asked to wait while it still accepts.
	p.serving.Wait()
	if err := p.library.Shutdown(ctx); err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return nil
}

// linkListener puts a link around each connection.
type linkListener struct {
	net.Listener
	protocol *Protocol
}

func (l *linkListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	admitted, ok := c.(*server.Conn)
	if !ok {
		return nil, errors.Join(errNotAdmitted, c.Close())
	}
	return l.protocol.newLink(admitted), nil
}

// libraryLog passes on what the library has to say.
type libraryLog struct{ logger *slog.Logger }

func (l libraryLog) Printf(format string, v ...any) {
	l.logger.Warn("smtp library", "error", fmt.Sprintf(format, v...))
}

func (l libraryLog) Println(v ...any) {
	l.logger.Warn("smtp library", "error", strings.TrimSpace(fmt.Sprintln(v...)))
}
