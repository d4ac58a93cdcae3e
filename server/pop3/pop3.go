package pop3

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
	"sync"
	"sync/atomic"

	"overstay/connlog"
	"overstay/server"
)

// Users are the people who have mail here; *mailstore.Users satisfies it.
type Users interface {
	// Authenticate returns the user's canonical name, or mailstore.ErrLogin,
	// mailstore.ErrBusy or mailstore.ErrCrowd.
	Authenticate(ctx context.Context, source netip.Prefix, name, password string) (string, error)
}

// Options are the settings of the protocol.
type Options struct {
	// Hostname is the name in the greeting. The default is this host's.
	Hostname string
	// Domains are those that may stand behind a user's name at a login, as in
	// anna@example.org.
	Domains []string
	Users   Users
	Store   Store

	// TLS is what STLS begins. nil: it is not offered.
	TLS *tls.Config
	// AllowPlainAuth takes passwords in the clear from everywhere. Without it
	// they are taken under TLS and from this host.
	AllowPlainAuth bool
	// MaxErrors is how many failures one connection may make before it is
	// closed, 10 by default.
	MaxErrors int
	// Words replaces what clients are told that are turned away.
	Words server.Words

	Logger *slog.Logger // nil discards
}

// maxHostnameBytes leaves room for the rest of the greeting, which is one line
// of 512 octets (RFC 2449, section 4).
const maxHostnameBytes = 400

// stoppingWords are the last that are said when the server stops.
const stoppingWords = "-ERR [SYS/TEMP] Service shutting down\r\n"

// ErrOptions is the error of New when the options do not fit together.
var ErrOptions = errors.New("pop3: bad options")

// errNotAdmitted is the error of Serve on a listener that is not the server's.
var errNotAdmitted = errors.New("pop3: connection was not admitted by the server")

// Protocol speaks POP3. It implements [server.Protocol].
type Protocol struct {
	options Options
	domains map[string]bool
	verbs   map[string]verb
	writers sync.Pool // of *bufio.Writer: only a session that talks has one
	buffers sync.Pool // of *[]byte, for messages on their way

	stopping atomic.Bool

	running sync.WaitGroup // sessions

	mu        sync.Mutex
	listeners []net.Listener
	sessions  map[*session]struct{}
}

// New returns the protocol.
func New(o Options) (*Protocol, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	p := &Protocol{options: o, domains: make(map[string]bool), verbs: verbs(), sessions: make(map[*session]struct{})}
	for _, d := range o.Domains {
		p.domains[strings.ToLower(d)] = true
	}
	return p, nil
}

func (o *Options) complete() error {
	if o.Users == nil || o.Store == nil {
		return fmt.Errorf("%w: users and store are needed", ErrOptions)
	}
	if err := o.Words.Check(); err != nil {
		return fmt.Errorf("%w: %w", ErrOptions, err)
	}
	if strings.ContainsFunc(o.Hostname, func(r rune) bool { return r < ' ' || r == 0x7f }) || len(o.Hostname) > maxHostnameBytes {
		return fmt.Errorf("%w: %.100q cannot stand on a line of a reply", ErrOptions, o.Hostname)
	}
	if o.Hostname == "" {
		o.Hostname = "localhost"
		if host, err := os.Hostname(); err == nil && host != "" {
			o.Hostname = host
		}
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
	own := p.options.Words
	code, words := "[SYS/TEMP]", "Too busy, please try later"
	switch r {
	case connlog.RefuseBusy:
		words = orElse(own.Busy, words)
	case connlog.RefuseSessions:
		code, words = "[IN-USE]", orElse(own.Sessions, "Too many sessions from your address")
	default:
		if own.BanSilently {
			return nil
		}
		code, words = "[SYS/PERM]", orElse(own.Banned, "Your address is banned")
	}
	return []byte("-ERR " + code + " " + words + "\r\n")
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// SpeaksFirst is true: a POP3 server greets.
func (p *Protocol) SpeaksFirst() bool { return true }

// Serve serves the connections that l hands out.
func (p *Protocol) Serve(l net.Listener) error {
	p.mu.Lock()
	p.listeners = append(p.listeners, l)
	p.mu.Unlock()
	if p.stopping.Load() {
		return server.ErrClosed
	}
	for {
		c, err := l.Accept()
		if err != nil {
			if p.stopping.Load() {
				return nil
			}
			return err
		}
		if !p.begin(c) {
			return errors.Join(errNotAdmitted, c.Close())
		}
	}
}

// begin starts a session with an admitted connection.
func (p *Protocol) begin(c net.Conn) bool {
	link, ok := server.Admitted(c)
	if !ok {
		return false
	}
	s := p.newSession(c, link)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopping.Load() {
		_, _ = io.WriteString(c, stoppingWords) // There is room for it, and it need not be heard.
		_ = c.Close()
		return true
	}
	p.sessions[s] = struct{}{}
	p.running.Go(func() {
		defer p.forget(s)
		s.serve()
	})
	return true
}

func (p *Protocol) forget(s *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.sessions, s)
}

// Shutdown lets each client finish what it is doing, tells it that the service
// closes, and waits until all have gone or ctx ends. What was marked as
// deleted stays.
func (p *Protocol) Shutdown(ctx context.Context) error {
	p.mu.Lock()
	p.stopping.Store(true)
	for _, l := range p.listeners {
		_ = l.Close() // Serve returns in any case.
	}
	for s := range p.sessions {
		s.wake()
	}
	p.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		p.running.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
