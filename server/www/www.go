package www

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"overstay/connlog"
	"overstay/server"
)

const (
	maxHeaderBytes = 32 << 10
	maxBodyBytes   = 64 << 10 // of requests that should have none
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
	// RequestTime is how long it may take for the whole request, 30 s by
	// default.
	RequestTime time.Duration
	// KeepAlive is how long a connection may wait for its next request, 60 s
	// by default.
	KeepAlive time.Duration
	// RetryAfter is what a client is told that finds no free thread, 10 s by
	// default.
	RetryAfter time.Duration
	// BanSilently closes a connection from a banned source without a word.
	BanSilently bool

	Logger *slog.Logger // nil discards
}

// errNotAdmitted is the error of Serve on a listener that is not the server's.
var errNotAdmitted = errors.New("www: connection was not admitted by the server")

// Protocol speaks HTTP. It implements [server.Protocol].
type Protocol struct {
	options  Options
	root     *os.Root // nil: none
	library  *http.Server
	stopping atomic.Bool
}

// New returns the protocol. The folder is opened now, and closed by Shutdown.
func New(o Options) (*Protocol, error) {
	o.complete()
	p := &Protocol{options: o}
	if o.Root != "" {
		root, err := os.OpenRoot(o.Root)
		if err != nil {
			return nil, fmt.Errorf("www: %w", err)
		}
		p.root = root
	}
	p.library = &http.Server{
		Handler:           p.handler(),
		ReadHeaderTimeout: o.HeaderTime,
		ReadTimeout:       o.RequestTime,
		IdleTimeout:       o.KeepAlive,
		MaxHeaderBytes:    maxHeaderBytes,
		ConnState:         connState,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, linkKey{}, c)
		},
		// Or OPTIONS * would be answered past our handler.
		DisableGeneralOptionsHandler: true,

		ErrorLog: log.New(libraryLog{o.Logger}, "", 0),
	}
	return p, nil
}

func (o *Options) complete() {
	if o.StatusFrom == nil {
		o.StatusFrom = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	}
	for _, d := range []struct {
		setting *time.Duration
		def     time.Duration
	}{
		{&o.HeaderTime, 20 * time.Second},
		{&o.RequestTime, 30 * time.Second},
		{&o.KeepAlive, 60 * time.Second},
		{&o.RetryAfter, 10 * time.Second},
	} {
		if *d.setting <= 0 {
			*d.setting = d.def
		}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}

// SpeaksFirst is false: in HTTP the client asks first.
func (p *Protocol) SpeaksFirst() bool { return false }

// Refusal returns the response for a client that is turned away.
func (p *Protocol) Refusal(r connlog.Reason) []byte {
	wait := max(1, int(p.options.RetryAfter/time.Second))
	switch r {
	case connlog.RefuseBusy:
		return refusal(http.StatusServiceUnavailable, wait, "Too busy, please try later")
	case connlog.RefuseSessions:
		return refusal(http.StatusTooManyRequests, wait, "Too many sessions from your address")
	}
	if p.options.BanSilently {
		return nil
	}
	return refusal(http.StatusForbidden, 0, "Your address is banned")
}

func refusal(status, wait int, words string) []byte {
	retry := ""
	if wait > 0 {
		retry = "Retry-After: " + strconv.Itoa(wait) + "\r\n"
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
	err := p.library.Serve(linkListener{l})
	if errors.Is(err, http.ErrServerClosed) || p.stopping.Load() {
		return nil
	}
	return err
}

// Shutdown closes idle connections and waits for the requests that are being
// answered until ctx ends.
func (p *Protocol) Shutdown(ctx context.Context) error {
	p.stopping.Store(true)
	err := p.library.Shutdown(ctx)
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
