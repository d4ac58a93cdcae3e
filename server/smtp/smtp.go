package smtp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"

	gosmtp "github.com/emersion/go-smtp"

	"overstay/connlog"
	"overstay/server"
)

// errNotAdmitted is the error of Serve on a listener that is not the server's.
var errNotAdmitted = errors.New("smtp: connection was not admitted by the server")

// Protocol speaks SMTP. It implements [server.Protocol].
type Protocol struct {
	options      Options
	domains      map[string]bool
	relayDomains map[string]bool
	upstream     *upstream // nil without a relay
	library      *gosmtp.Server

	stopping atomic.Bool

	serving   sync.WaitGroup // calls of Serve
	upgraded  *upgrades
	upgrading sync.Once

	mu        sync.Mutex
	listeners []net.Listener
	links     map[*link]struct{}
}

// New returns the protocol.
func New(o Options) (*Protocol, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	p := &Protocol{
		options: o, domains: setOf(o.Domains), upgraded: newUpgrades(), links: make(map[*link]struct{}),
	}
	if o.Relay != nil {
		p.relayDomains = setOf(o.Relay.Domains)
		p.upstream = &upstream{relay: o.Relay, hello: o.Hostname}
	}
	s := gosmtp.NewServer(gosmtp.BackendFunc(p.newSession))
	s.Domain = o.Hostname
	s.MaxLineLength = 0 // The link sees to that.
	s.MaxRecipients = o.MaxRecipients
	s.MaxMessageBytes = o.MaxMessageBytes
	s.AllowInsecureAuth = true // Each session decides.
	s.ErrorLog = libraryLog{o.Logger}
	p.library = s
	return p, nil
}

func setOf(domains []string) map[string]bool {
	set := make(map[string]bool)
	for _, d := range domains {
		set[strings.ToLower(d)] = true
	}
	return set
}

// Refusal returns the reply for a client that is turned away.
func (p *Protocol) Refusal(r connlog.Reason) []byte {
	words := &p.options.Words
	switch r {
	case connlog.RefuseBusy:
		return []byte("421 4.3.2 " + cmp.Or(words.Busy, "Too busy, please try later") + "\r\n")
	case connlog.RefuseSessions:
		return []byte("421 4.7.0 " + cmp.Or(words.Sessions, "Too many sessions from your address") + "\r\n")
	}
	if words.BanSilently {
		return nil
	}
	return []byte("554 5.7.1 " + cmp.Or(words.Banned, "Your address is banned") + "\r\n")
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
	p.upgrading.Do(func() {
		p.serving.Go(func() { _ = p.library.Serve(p.upgraded) }) // It ends with Shutdown only.
	})
	err := p.library.Serve(&linkListener{Listener: l, protocol: p})
	if p.stopping.Load() {
		return nil
	}
	return err
}

// Shutdown lets each client finish what it is doing, tells it that the service
// closes, and waits until all have gone or ctx ends.
func (p *Protocol) Shutdown(ctx context.Context) error {
	p.mu.Lock()
	p.stopping.Store(true)
	for _, l := range p.listeners {
		_ = l.Close() // Serve returns in any case.
	}
	_ = p.upgraded.Close() // Whoever is under way to it hangs up.
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
	admitted, ok := server.Admitted(c)
	if !ok {
		return nil, errors.Join(errNotAdmitted, c.Close())
	}
	return l.protocol.newLink(admitted, c), nil
}

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
	l.logger.Log(context.Background(), level, "smtp library", "error", fmt.Sprintf(format, v...))
}

func (l libraryLog) Println(v ...any) {
	l.logger.Warn("smtp library", "error", strings.TrimSpace(fmt.Sprintln(v...)))
}
