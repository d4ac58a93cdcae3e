package www

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"overstay/connlog"
	"overstay/server"
)

const (
	maxHeaderBytes = 32 << 10
	maxBodyBytes   = 64 << 10 // of requests that should have none

	// What one client of HTTP/2 can make us keep.
	maxFrameBytes = 16 << 10
	streamBytes   = 128 << 10
	connBytes     = 512 << 10
)

// Options are the settings of the protocol.
type Options struct {
	// Root is the folder whose files are served. Empty: none.
	Root string
	// Status says what the status page shows. nil: there is no such page.
	Status func() server.Status
	// StatusFrom is who may see it. The default is this host itself.
	StatusFrom []netip.Prefix

	// HeaderTime is how long a client may take for the header of a request,
	// 20 s by default.
	HeaderTime time.Duration
	// RequestTime is how long it may take for the whole request, 5 minutes by
	// default.
	RequestTime time.Duration
	// MaxStreams is how many requests a client of HTTP/2 may have open at a
	// time, 32 by default.
	MaxStreams int
	// RetryAfter is what a client is told that finds no free thread, 10 s by
	// default.
	RetryAfter time.Duration

	// Upstream is a server that everything is asked of, in place of the files
	// and pages: http://host:port, with a path that is put before each
	// request's. nil: none.
	Upstream *url.URL
	// UpstreamConnect is how long it may take to accept a connection, 10 s by
	// default.
	UpstreamConnect time.Duration
	// UpstreamTime is how long it may be silent when it is to answer, and how
	// long a request may wait until it can be asked. 60 s by default.
	UpstreamTime time.Duration
	// UpstreamConns is how many requests it is asked at a time, 256 by
	// default. A half of them is for connections that have no other request
	// open, so twice the threads let every connection ask.
	UpstreamConns int
	// MaxBodyBytes is the largest request's body that is passed on to it,
	// 32 MB by default.
	MaxBodyBytes int64

	Words  server.Words
	Logger *slog.Logger // nil discards
}

// ErrOptions is the error of New when the options do not fit together.
var ErrOptions = errors.New("www: bad options")

// errNotAdmitted is the error of Serve on a listener that is not the server's.
var errNotAdmitted = errors.New("www: connection was not admitted by the server")

// Protocol speaks HTTP. It implements [server.Protocol].
type Protocol struct {
	options   Options
	root      *os.Root        // nil: none
	transport *http.Transport // to the upstream; nil: none
	slots     *slots          // likewise
	h1, h2    *http.Server
	fresh     fresh
	stopping  atomic.Bool
	serving   sync.WaitGroup // calls of Serve

	mu        sync.Mutex
	listeners []net.Listener
}

// New returns the protocol. The folder is opened now, and closed by Shutdown.
func New(o Options) (*Protocol, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	p := &Protocol{options: o}
	if o.Root != "" {
		root, err := os.OpenRoot(o.Root)
		if err != nil {
			return nil, fmt.Errorf("www: %w", err)
		}
		p.root = root
	}
	handler := p.handler()
	p.h1, p.h2 = p.library(handler), p.library(handler)
	p.h1.Protocols.SetHTTP1(true)
	// It is not over TLS as far as the library can see: see turnout.
	p.h2.Protocols.SetUnencryptedHTTP2(true)
	p.h2.HTTP2 = &http.HTTP2Config{
		MaxConcurrentStreams:          o.MaxStreams,
		MaxReadFrameSize:              maxFrameBytes,
		MaxReceiveBufferPerConnection: connBytes,
		MaxReceiveBufferPerStream:     streamBytes,
	}
	return p, nil
}

// library returns a server of the library.
func (p *Protocol) library(handler http.Handler) *http.Server {
	o := p.options
	return &http.Server{
		Handler:           handler,
		Protocols:         new(http.Protocols),
		ReadHeaderTimeout: o.HeaderTime,
		ReadTimeout:       o.RequestTime,
		IdleTimeout:       -1, // The service's limits are that.
		MaxHeaderBytes:    maxHeaderBytes,
		ConnState:         connState,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, linkKey{}, c)
		},
		// Or OPTIONS * would be answered past our handler.
		DisableGeneralOptionsHandler: true,

		ErrorLog: log.New(libraryLog{o.Logger}, "", 0),
	}
}

func (o *Options) complete() error {
	if o.StatusFrom == nil {
		o.StatusFrom = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	}
	for _, d := range []struct {
		setting *time.Duration
		def     time.Duration
	}{
		{&o.HeaderTime, 20 * time.Second},
		{&o.RequestTime, 5 * time.Minute},
		{&o.UpstreamConnect, 10 * time.Second},
		{&o.UpstreamTime, 60 * time.Second},
		{&o.RetryAfter, 10 * time.Second},
	} {
		if *d.setting <= 0 {
			*d.setting = d.def
		}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.MaxStreams = positive(o.MaxStreams, 32)
	o.UpstreamConns = positive(o.UpstreamConns, 256)
	o.MaxBodyBytes = positive(o.MaxBodyBytes, 32<<20)
	return o.check()
}

func positive[T int | int64](v, def T) T {
	if v <= 0 {
		return def
	}
	return v
}

func (o *Options) check() error {
	if err := o.Words.Check(); err != nil {
		return fmt.Errorf("%w: %w", ErrOptions, err)
	}
	if u := o.Upstream; u != nil {
		if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
			return fmt.Errorf("%w: upstream %q is not http://host:port/path", ErrOptions, u.Redacted())
		}
		if o.Root != "" {
			return fmt.Errorf("%w: either files or an upstream", ErrOptions)
		}
	}
	return nil
}

// What ALPN calls the two versions.
const (
	protocolHTTP1 = "http/1.1"
	protocolHTTP2 = "h2"
)

// TLS returns a copy of a service's TLS settings that offers HTTP/2 and
// HTTP/1.1, beside what it offers already.
func TLS(config *tls.Config) *tls.Config {
	config = config.Clone()
	offered := []string{protocolHTTP2, protocolHTTP1}
	for _, name := range config.NextProtos {
		if !slices.Contains(offered, name) {
			offered = append(offered, name)
		}
	}
	config.NextProtos = offered
	config.MinVersion = max(config.MinVersion, tls.VersionTLS12) // RFC 9113, 9.2.
	return config
}

// SpeaksFirst is false: in HTTP the client asks first.
func (p *Protocol) SpeaksFirst() bool { return false }

// Refusal returns the response for a client that is turned away.
func (p *Protocol) Refusal(r connlog.Reason) []byte {
	words := p.options.Words
	switch r {
	case connlog.RefuseBusy:
		return refusal(http.StatusServiceUnavailable, p.retryAfter(), cmp.Or(words.Busy, "Too busy, please try later"))
	case connlog.RefuseSessions:
		return refusal(http.StatusTooManyRequests, p.retryAfter(), cmp.Or(words.Sessions, "Too many sessions from your address"))
	}
	if words.BanSilently {
		return nil
	}
	return refusal(http.StatusForbidden, "", cmp.Or(words.Banned, "Your address is banned"))
}

func (p *Protocol) retryAfter() string {
	return strconv.Itoa(max(1, int(p.options.RetryAfter/time.Second)))
}

func refusal(status int, wait, words string) []byte {
	retry := ""
	if wait != "" {
		retry = "Retry-After: " + wait + "\r\n"
	}
	return fmt.Appendf(nil, "HTTP/1.1 %d %s\r\n"+
		"Content-Type: text/plain; charset=utf-8\r\n"+
		"Content-Length: %d\r\n"+
		"Cache-Control: no-store\r\n"+
		"%sConnection: close\r\n\r\n%s\n",
		status, http.StatusText(status), len(words)+1, retry, words)
}

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
	beside := newSiding(l.Addr())
	var other sync.WaitGroup
	other.Go(func() { _ = p.h2.Serve(beside) }) // It ends when it is told to.
	err := p.h1.Serve(&turnout{Listener: l, protocol: p, beside: beside})
	_ = beside.Close() // It never fails.
	other.Wait()
	if errors.Is(err, http.ErrServerClosed) || p.stopping.Load() {
		return nil
	}
	return err
}

// Shutdown closes idle connections and waits for the requests that are being
// answered until ctx ends, and a moment for the first ones of new connections.
func (p *Protocol) Shutdown(ctx context.Context) error {
	p.mu.Lock()
	p.stopping.Store(true)
	for _, l := range p.listeners {
		_ = l.Close() // Serve returns in any case.
	}
	p.mu.Unlock()
	p.serving.Wait() // Now all connections are known.
	p.h1.SetKeepAlivesEnabled(false)
	p.h2.SetKeepAlivesEnabled(false)
	p.fresh.wait(ctx)
	var other error
	var ending sync.WaitGroup
	ending.Go(func() { other = p.h2.Shutdown(ctx) })
	err := p.h1.Shutdown(ctx)
	ending.Wait()
	err = errors.Join(err, other)
	if p.transport != nil {
		p.transport.CloseIdleConnections()
	}
	if p.root != nil {
		_ = p.root.Close() // It was only read.
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// maySeeStatus tells whether the client is one of those that may.
func (p *Protocol) maySeeStatus(client netip.Addr) bool {
	return slices.ContainsFunc(p.options.StatusFrom, func(n netip.Prefix) bool { return n.Contains(client) })
}

// libraryLog passes on what the library has to say.
type libraryLog struct{ logger *slog.Logger }

func (l libraryLog) Write(b []byte) (int, error) {
	l.logger.Warn("http library", "error", string(b))
	return len(b), nil
}
