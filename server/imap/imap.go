package imap

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"

	goimap "github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"

	"overstay/connlog"
	"overstay/server"
	"overstay/server/mailstore"
)

// Users are the people who have mail here; *mailstore.Users satisfies it.
type Users interface {
	// Authenticate returns the user's canonical name, or mailstore.ErrLogin,
	// mailstore.ErrBusy or mailstore.ErrCrowd.
	Authenticate(ctx context.Context, source netip.Prefix, name, password string) (string, error)
}

// Options are the settings of the protocol.
type Options struct {
	// Domains are those that may stand behind a user's name at a login, as in
	// anna@example.org.
	Domains []string
	Users   Users
	Store   *mailstore.Store

	// TLS is what STARTTLS begins. nil: it is not offered.
	TLS *tls.Config
	// AllowPlainAuth takes passwords in the clear from everywhere. Without it
	// they are taken under TLS and from this host.
	AllowPlainAuth bool
	// MaxErrors is how many failures one connection may make before it is
	// closed, 10 by default.
	MaxErrors int
	// MaxMessageBytes is how large a message may be that a client appends,
	// 25 MB by default.
	MaxMessageBytes int64
	// Words replaces what clients are told that are turned away.
	Words server.Words

	Logger *slog.Logger // nil discards
}

// ErrOptions is the error of New when the options do not fit together.
var ErrOptions = errors.New("imap: bad options")

// errNotAdmitted is the error of Serve on a listener that is not the server's.
var errNotAdmitted = errors.New("imap: connection was not admitted by the server")

// Protocol speaks IMAP. It implements [server.Protocol].
type Protocol struct {
	options   Options
	domains   map[string]bool
	libraries map[offer]*library

	stopping atomic.Bool

	mu        sync.Mutex
	listeners []net.Listener
	links     map[*link]struct{}
	empty     chan struct{} // closed when there are no links any more; nil until somebody waits
}

// offer is what a client is offered before it has logged in. The library has
// it in its settings, so there is one of it for each.
type offer struct{ login, startTLS bool }

// New returns the protocol.
func New(o Options) (*Protocol, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	p := &Protocol{
		options: o, domains: make(map[string]bool),
		libraries: make(map[offer]*library), links: make(map[*link]struct{}),
	}
	for _, d := range o.Domains {
		p.domains[strings.ToLower(d)] = true
	}
	for _, offered := range []offer{{true, true}, {true, false}, {false, true}, {false, false}} {
		p.libraries[offered] = p.newLibrary(offered)
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
	if o.MaxErrors <= 0 {
		o.MaxErrors = 10
	}
	if o.MaxMessageBytes <= 0 {
		o.MaxMessageBytes = 25 << 20
	}
	o.MaxMessageBytes = min(o.MaxMessageBytes, math.MaxUint32)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

// Refusal returns the reply for a client that is turned away.
func (p *Protocol) Refusal(r connlog.Reason) []byte {
	own := p.options.Words
	var code, words, text string
	switch r {
	case connlog.RefuseBusy:
		code, words, text = "UNAVAILABLE", "Too busy, please try later", own.Busy
	case connlog.RefuseSessions:
		code, words, text = "LIMIT", "Too many sessions from your address", own.Sessions
	default:
		if own.BanSilently {
			return nil
		}
		code, words, text = "NOPERM", "Your address is banned", own.Banned
	}
	if text != "" {
		words = text
	}
	return []byte("* BYE [" + code + "] " + words + "\r\n")
}

// SpeaksFirst is true: an IMAP server greets.
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
		admitted, ok := server.Admitted(c)
		if !ok {
			return errors.Join(errNotAdmitted, c.Close())
		}
		p.begin(newLink(p, c, admitted))
	}
}

// begin hands a link to the library that offers what this client may have.
func (p *Protocol) begin(l *link) {
	p.mu.Lock()
	p.links[l] = struct{}{}
	p.mu.Unlock()
	_, secure := l.Conn.(*tls.Conn)
	local := l.admitted.Peer().Addr().IsLoopback()
	l.offered = offer{
		login:    secure || local || p.options.AllowPlainAuth,
		startTLS: !secure && p.options.TLS != nil,
	}
	p.libraries[l.offered].serve(l)
}

func (p *Protocol) forget(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.links, l)
	if p.empty != nil && len(p.links) == 0 {
		close(p.empty)
		p.empty = nil
	}
}

// Shutdown tells clients that wait that the service closes, lets the others
// finish what they are doing, and waits until all have gone or ctx ends.
func (p *Protocol) Shutdown(ctx context.Context) error {
	p.mu.Lock()
	p.stopping.Store(true)
	for _, l := range p.listeners {
		_ = l.Close() // Serve returns in any case.
	}
	for l := range p.links {
		l.wake()
	}
	empty := p.empty
	if len(p.links) > 0 && empty == nil {
		empty = make(chan struct{})
		p.empty = empty
	}
	p.mu.Unlock()
	if empty == nil {
		return nil
	}
	select {
	case <-empty:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// library is one server of the library. It takes connections from a listener
// only, so each gets one that has nothing but that connection.
type library struct{ server *imapserver.Server }

func (p *Protocol) newLibrary(offered offer) *library {
	o := &imapserver.Options{
		NewSession:   p.newSession,
		Logger:       libraryLog{p.options.Logger},
		InsecureAuth: offered.login,
		Caps: goimap.CapSet{
			goimap.CapIMAP4rev1: {}, goimap.CapNamespace: {}, goimap.CapUIDPlus: {}, goimap.CapMove: {},
			goimap.CapESearch: {}, goimap.CapChildren: {}, goimap.CapStatusSize: {},
		},
	}
	if offered.startTLS {
		o.TLSConfig = p.options.TLS // To be offered; the link does it.
	}
	return &library{imapserver.New(o)}
}

// serve starts the conversation.
func (y *library) serve(l *link) {
	_ = y.server.Serve(&one{conn: l}) // It ends with net.ErrClosed after that one.
}

// one is a listener with one connection.
type one struct{ conn net.Conn }

// Accept implements net.Listener.
func (o *one) Accept() (net.Conn, error) {
	c := o.conn
	o.conn = nil
	if c == nil {
		return nil, net.ErrClosed
	}
	return c, nil
}

// Close implements net.Listener.
func (o *one) Close() error { return nil }

// Addr implements net.Listener.
func (o *one) Addr() net.Addr { return &net.TCPAddr{} }

// libraryLog passes on what the library has to say.
type libraryLog struct{ logger *slog.Logger }

// Printf is quiet about connections that broke: the connection log has them,
// and clients must not be able to fill this one.
func (l libraryLog) Printf(format string, v ...any) {
	level := slog.LevelWarn
	for _, a := range v {
		var broken *net.OpError
		if err, ok := a.(error); ok && errors.As(err, &broken) {
			level = slog.LevelDebug
		}
	}
	l.logger.Log(context.Background(), level, "imap library", "error", fmt.Sprintf(format, v...))
}
