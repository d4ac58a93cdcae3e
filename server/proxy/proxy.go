package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"overstay/connlog"
	"overstay/server"
)

// What an upstream can speak.
const (
	SMTP = "smtp"
	POP3 = "pop3"
	IMAP = "imap"
	HTTP = "http"
	TCP  = "tcp" // anything
)

// Options are the settings of the protocol.
type Options struct {
	// Upstream is the server behind: host:port, or unix:/path.
	Upstream string
	// Speaks is the protocol that it speaks, TCP by default.
	Speaks string
	// ProxyHeader is the version of the PROXY protocol, 1 or 2, in which the
	// upstream is told who the client is. 0: it is not told.
	ProxyHeader int
	// ConnectTimeout is how long the upstream may take to accept a connection,
	// 10 s by default.
	ConnectTimeout time.Duration
	// ReplyTimeout is how long the upstream may be silent when it is its turn,
	// or may leave no room for what the client says. 5 minutes by default, as
	// long as a mail server may think about a message (RFC 5321, 4.5.3.2).
	ReplyTimeout time.Duration
	// ProveTurns is how often the client must have spoken and been answered
	// for a conversation that cannot be read to be proven. 4 by default, one
	// more than the longest handshake of TLS takes; -1 is never.
	ProveTurns int
	// ProveBytes is how much it must have been answered for the same. 16 KB by
	// default, more than the upstream says in a handshake; -1 is never.
	ProveBytes int64

	Words  server.Words
	Logger *slog.Logger // nil discards
}

// ErrOptions is the error of New when the options do not fit together.
var ErrOptions = errors.New("proxy: bad options")

// errNotAdmitted is the error of Serve on a listener that is not the server's.
var errNotAdmitted = errors.New("proxy: connection was not admitted by the server")

// Protocol passes connections on. It implements [server.Protocol].
type Protocol struct {
	options Options
	network string // of the upstream
	address string

	// ctx ends when the server cuts what is left.
	ctx    context.Context
	cancel context.CancelFunc

	running sync.WaitGroup // calls of Serve, and sessions

	mu        sync.Mutex
	stopping  bool
	listeners []net.Listener
	sessions  map[*session]struct{}
}

// New returns the protocol. The upstream need not be there yet.
func New(o Options) (*Protocol, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	p := &Protocol{options: o, network: "tcp", address: o.Upstream, sessions: make(map[*session]struct{})}
	if path, ok := strings.CutPrefix(o.Upstream, "unix:"); ok {
		p.network, p.address = "unix", path
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p, nil
}

func (o *Options) complete() error {
	if o.Speaks == "" {
		o.Speaks = TCP
	}
	if !slices.Contains([]string{SMTP, POP3, IMAP, HTTP, TCP}, o.Speaks) {
		return fmt.Errorf("%w: it speaks %q, which is none of smtp, pop3, imap, http and tcp", ErrOptions, o.Speaks)
	}
	if path, ok := strings.CutPrefix(o.Upstream, "unix:"); ok {
		if path == "" {
			return fmt.Errorf("%w: the upstream is a socket without a name", ErrOptions)
		}
	} else if _, port, err := net.SplitHostPort(o.Upstream); err != nil || port == "" {
		return fmt.Errorf("%w: upstream %q is neither host:port nor unix:/path", ErrOptions, o.Upstream)
	}
	if o.ProxyHeader < 0 || o.ProxyHeader > 2 {
		return fmt.Errorf("%w: there is no version %d of the PROXY protocol", ErrOptions, o.ProxyHeader)
	}
	if err := o.Words.Check(); err != nil {
		return fmt.Errorf("%w: %w", ErrOptions, err)
	}
	if o.ConnectTimeout <= 0 {
		o.ConnectTimeout = 10 * time.Second
	}
	if o.ReplyTimeout <= 0 {
		o.ReplyTimeout = 5 * time.Minute
	}
	if o.ProveTurns == 0 {
		o.ProveTurns = 4
	}
	if o.ProveBytes == 0 {
		o.ProveBytes = 16 << 10
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

// SpeaksFirst tells whether the upstream greets, as far as it is known.
func (p *Protocol) SpeaksFirst() bool {
	switch p.options.Speaks {
	case SMTP, POP3, IMAP:
		return true
	}
	return false
}

// Serve serves the connections that l hands out.
func (p *Protocol) Serve(l net.Listener) error {
	if !p.begin(func() { p.listeners = append(p.listeners, l) }) {
		return server.ErrClosed
	}
	defer p.running.Done()
	for {
		c, err := l.Accept()
		if err != nil {
			if p.isStopping() {
				return nil
			}
			return err
		}
		admitted, ok := server.Admitted(c)
		if !ok {
			return errors.Join(errNotAdmitted, c.Close())
		}
		s := newSession(p, c, admitted)
		if !p.begin(func() { p.sessions[s] = struct{}{} }) {
			_ = c.Close() // It has not even begun.
			continue
		}
		go func() {
			defer p.running.Done()
			defer p.forget(s)
			s.serve()
		}()
	}
}

// begin notes something that Shutdown has to wait for, unless it has begun.
func (p *Protocol) begin(note func()) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopping {
		return false
	}
	note()
	p.running.Add(1)
	return true
}

func (p *Protocol) forget(s *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.sessions, s)
}

func (p *Protocol) isStopping() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stopping
}

// Shutdown ends the sessions that wait for a command, each with the
// protocol's goodbye, and the others when they do so, and waits until all have
// gone or ctx ends. What cannot be read may be in the middle of anything, and
// is left to its end or to ctx's.
func (p *Protocol) Shutdown(ctx context.Context) error {
	p.mu.Lock()
	p.stopping = true
	for _, l := range p.listeners {
		_ = l.Close() // Serve returns in any case.
	}
	open := make([]*session, 0, len(p.sessions))
	for s := range p.sessions {
		open = append(open, s)
	}
	p.mu.Unlock()
	for _, s := range open {
		p.running.Go(s.stop) // One may be slow to take the words.
	}
	ended := make(chan struct{})
	go func() {
		p.running.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		p.cancel()
		return nil
	case <-ctx.Done():
	}
	// The server cuts the clients; this ends those who have none to lose.
	p.cancel()
	for _, s := range open {
		s.closeUpstream()
	}
	return ctx.Err()
}

// dial connects to the upstream and tells it who the client is.
func (p *Protocol) dial(client *server.Conn) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(p.ctx, p.options.ConnectTimeout)
	defer cancel()
	var d net.Dialer
	c, err := d.DialContext(ctx, p.network, p.address)
	if err != nil {
		return nil, err
	}
	if p.options.ProxyHeader == 0 {
		return c, nil
	}
	head := appendHeader(nil, p.options.ProxyHeader, client.Peer(), addrPort(client.LocalAddr()))
	deadline, _ := ctx.Deadline()
	if err := c.SetWriteDeadline(deadline); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	if _, err := c.Write(head); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

var _ server.Protocol = (*Protocol)(nil)

// Refusal returns what a client is told that is turned away.
func (p *Protocol) Refusal(r connlog.Reason) []byte {
	return refusal(p.options.Speaks, r, p.options.Words)
}
