package www

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"time"
)

const (
	// upstreamIdle is how long a connection to the upstream is kept for the
	// next request: shorter than servers keep theirs (Apache: 5 s), or a
	// request would meet the end of one.
	upstreamIdle = 4 * time.Second
	// continueTime is how long the upstream may take to say that it wants a
	// body.
	continueTime = time.Second
	// maxAnswerHeader bounds the header of its answer.
	maxAnswerHeader = 256 << 10
)

var (
	errUpstreamSlow = errors.New("www: the upstream is too slow")
	errUpstreamFull = errors.New("www: too many requests wait for the upstream")
)

// forwarded returns what asks the upstream. It sees the request as the client
// made it, save for the headers that belong to one connection only, and those
// that say who asks: these are ours, and what the client says of it is gone.
func (p *Protocol) forwarded() http.Handler {
	proxy := &httputil.ReverseProxy{
		Rewrite:      p.rewrite,
		Transport:    p.newUpstream(),
		ErrorHandler: p.upstreamFailed,
		// What has come is passed on at once: more may take its time.
		FlushInterval: -1,
		ErrorLog:      log.New(libraryLog{p.options.Logger}, "", 0),
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodConnect || r.Method == http.MethodTrace:
			http.Error(w, "Method not allowed", http.StatusMethodNotAllowed)
			return
		case r.ContentLength > p.options.MaxBodyBytes:
			w.Header().Set("Connection", "close")
			http.Error(w, "Request too large", http.StatusRequestEntityTooLarge)
			return
		}
		// A connection that becomes something else has no requests, and so
		// nothing that could be counted or limited.
		r.Header.Del("Upgrade")
		r.Body = http.MaxBytesReader(w, r.Body, p.options.MaxBodyBytes)
		// An upstream may begin to answer before it has all of the body.
		_ = http.NewResponseController(w).EnableFullDuplex() // HTTP/2 always has it.
		proxy.ServeHTTP(w, r)
	})
}

// rewrite makes the upstream's request of the client's.
func (p *Protocol) rewrite(r *httputil.ProxyRequest) {
	query := r.In.URL.RawQuery
	r.SetURL(p.options.Upstream)
	r.Out.URL.RawQuery = query // As it is: the upstream reads it, not we.
	r.Out.Host = r.In.Host
	for name := range r.Out.Header {
		if saysWhoAsks(name) {
			delete(r.Out.Header, name)
		}
	}
	client := r.In.RemoteAddr
	if l := linkOf(r.In); l != nil {
		client = l.Peer().Addr().String()
	}
	scheme := "http"
	if r.In.TLS != nil {
		scheme = "https"
	}
	r.Out.Header.Set("X-Forwarded-For", client)
	r.Out.Header.Set("X-Forwarded-Host", r.In.Host)
	r.Out.Header.Set("X-Forwarded-Proto", scheme)
}

// saysWhoAsks tells whether a header is for proxies to set. To some servers
// an underscore is the same as a dash.
func saysWhoAsks(name string) bool {
	name = strings.ToLower(strings.ReplaceAll(name, "_", "-"))
	return strings.HasPrefix(name, "x-forwarded-") || name == "forwarded" || name == "x-real-ip"
}

// upstreamFailed answers in the upstream's place.
func (p *Protocol) upstreamFailed(w http.ResponseWriter, r *http.Request, err error) {
	w.Header().Set("Cache-Control", "no-store")
	var tooLarge *http.MaxBytesError
	var timeout net.Error
	status := http.StatusBadGateway
	switch {
	case errors.As(err, &tooLarge):
		status = http.StatusRequestEntityTooLarge
	case requestOf(r.Context()).failed() != nil:
		w.Header().Set("Connection", "close")
		status = http.StatusRequestTimeout
	case r.Context().Err() != nil:
		panic(http.ErrAbortHandler) // The client has gone.
	case errors.Is(err, errUpstreamFull):
		w.Header().Set("Retry-After", p.retryAfter())
		status = http.StatusServiceUnavailable
	case errors.Is(err, errUpstreamSlow), errors.As(err, &timeout) && timeout.Timeout():
		status = http.StatusGatewayTimeout
	}
	if status == http.StatusServiceUnavailable {
		p.noSlot(r)
	} else if status >= 500 {
		p.options.Logger.Warn("the upstream has failed", "upstream", p.options.Upstream.Host, "error", err)
	}
	http.Error(w, http.StatusText(status), status)
}

// noSlot says that a request could not be asked in time, and who has made the
// upstream so busy: the connections all look well.
func (p *Protocol) noSlot(r *http.Request) {
	holder, n := p.slots.most()
	attrs := []any{"upstream", p.options.Upstream.Host, "slots", p.options.UpstreamConns, "most_held_by", holder, "held", n}
	if l := linkOf(r); l != nil {
		attrs = append(attrs, "client", l.Peer().Addr())
	}
	p.options.Logger.Warn("the upstream is asked too many requests at a time", attrs...)
}

// upstream is the way to the server behind, for a bounded number of requests
// at a time.
type upstream struct {
	transport *http.Transport
	slots     *slots
	patience  time.Duration
}

func (p *Protocol) newUpstream() *upstream {
	dialer := &net.Dialer{Timeout: p.options.UpstreamConnect}
	p.transport = &http.Transport{
		// No proxy: the environment has no say in who the upstream is.
		DialContext:            dialer.DialContext,
		TLSHandshakeTimeout:    p.options.UpstreamConnect,
		MaxIdleConnsPerHost:    p.options.UpstreamConns,
		IdleConnTimeout:        upstreamIdle,
		ResponseHeaderTimeout:  p.options.UpstreamTime,
		ExpectContinueTimeout:  continueTime,
		MaxResponseHeaderBytes: maxAnswerHeader,
		DisableCompression:     true, // The answer is the client's, as it is.
	}
	p.slots = newSlots(p.options.UpstreamConns)
	return &upstream{transport: p.transport, slots: p.slots, patience: p.options.UpstreamTime}
}

// RoundTrip implements http.RoundTripper. The answer's body must be closed,
// and it is: by the library, when the client has it or has gone.
func (u *upstream) RoundTrip(r *http.Request) (*http.Response, error) {
	q := requestOf(r.Context())
	q.now(asking)
	defer q.now(working)
	ctx, cancel := context.WithCancelCause(r.Context())
	l := linkOf(r)
	if err := u.slots.take(ctx, l, u.patience); err != nil {
		cancel(nil)
		return nil, err
	}
	resp, err := u.transport.RoundTrip(r.WithContext(ctx))
	if err != nil {
		cancel(nil)
		u.slots.give(l)
		return nil, err
	}
	b := &answerBody{ReadCloser: resp.Body, upstream: u, link: l, request: q, ctx: ctx, cancel: cancel}
	b.timer = time.AfterFunc(u.patience, func() { cancel(errUpstreamSlow) })
	b.timer.Stop()
	resp.Body = b
	return resp, nil
}

// answerBody is the body of the upstream's answer, which must not stop coming.
type answerBody struct {
	io.ReadCloser
	upstream *upstream
	link     *link
	request  *request
	ctx      context.Context
	cancel   context.CancelCauseFunc
	timer    *time.Timer
	closed   bool
}

func (b *answerBody) Read(to []byte) (int, error) {
	b.request.now(asking)
	defer b.request.now(working)
	b.timer.Reset(b.upstream.patience)
	n, err := b.ReadCloser.Read(to)
	b.timer.Stop()
	if err != nil && errors.Is(context.Cause(b.ctx), errUpstreamSlow) {
		err = errUpstreamSlow
	}
	return n, err
}

func (b *answerBody) Close() error {
	err := b.ReadCloser.Close()
	if !b.closed {
		b.closed = true
		b.timer.Stop()
		b.cancel(nil)
		b.upstream.slots.give(b.link)
	}
	return err
}
