package www

import (
	"context"
	"io"
	"net/http"
	"strings"
	"time"

	"overstay/server"
)

// handler returns the whole site.
func (p *Protocol) handler() http.Handler {
	if p.options.Upstream != nil {
		return p.watched(p.forwarded())
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", p.health)
	if p.options.Status != nil {
		mux.HandleFunc("/status", p.status)
		mux.HandleFunc("/status.json", p.status)
	}
	mux.Handle("/", p.files())
	return p.watched(secured(mux))
}

// watched keeps the log: when the answering begins, and whether it went well.
func (p *Protocol) watched(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l := linkOf(r)
		if l == nil {
			next.ServeHTTP(w, r) // Not on one of our connections.
			return
		}
		q := l.begin()
		defer q.end()
		r = r.WithContext(context.WithValue(r.Context(), requestKey{}, q))
		r.TLS = l.state
		if l.Crowded() || l.unproven(time.Now()) {
			// One answer is cheap to get, and must not be worth a thread.
			w.Header().Set("Connection", "close")
		}
		if r.Body != nil && r.Body != http.NoBody {
			r.Body = &body{ReadCloser: r.Body, request: q}
		}
		answer := &answer{ResponseWriter: w, request: q}
		next.ServeHTTP(answer, r)
		answer.finish()
	})
}

// secured drops what we never take: other methods and large bodies.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		r.Body = http.MaxBytesReader(w, r.Body, maxBodyBytes)
		if r.ContentLength != 0 && r.ProtoMajor == 1 {
			// The library would wait for the rest of it before it sends the answer.
			_ = http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0)) // A closed one is awake.
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "Method not allowed", http.StatusMethodNotAllowed)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// lockDown sets the headers of our own pages, which need nothing from
// elsewhere. What files need is for who wrote them to say.
func lockDown(h http.Header) {
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
}

// answer remembers how a request was answered.
type answer struct {
	http.ResponseWriter
	request *request
	status  int
	failed  bool
}

func (a *answer) WriteHeader(status int) {
	if a.status == 0 && status >= 200 {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(b []byte) (int, error) {
	a.wait(true)
	n, err := a.ResponseWriter.Write(b)
	a.wait(false)
	a.failed = a.failed || err != nil
	return n, err
}

// FlushError serves http.ResponseController.
func (a *answer) FlushError() error {
	a.wait(true)
	err := http.NewResponseController(a.ResponseWriter).Flush()
	a.wait(false)
	a.failed = a.failed || err != nil
	return err
}

// wait notes that the client of HTTP/2 is waited for, to make room for a part
// of the answer, and for how long: to the connection below it may look alive
// and well all the time. In HTTP/1.1 the connection itself sees to that.
func (a *answer) wait(begin bool) {
	switch {
	case !a.request.link.h2:
	case begin:
		a.request.now(sending)
		var deadline time.Time
		if limit := a.request.link.Limits().Write; limit > 0 {
			deadline = time.Now().Add(limit)
		}
		_ = http.NewResponseController(a.ResponseWriter).SetWriteDeadline(deadline) // A closed one fails at the write.
	default:
		a.request.now(working)
	}
}

// finish notes a good answer. In HTTP/1.1 the library says when it is all
// written, but in HTTP/2 it does not tell that from a client that gave up.
func (a *answer) finish() {
	l := a.request.link
	if !l.h2 {
		l.answered.Store(a.good())
		return
	}
	if err := a.FlushError(); err == nil && a.good() {
		l.answered.Store(true)
		l.prove()
	}
}

// Unwrap serves http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// good tells whether the answer was complete and below 400. No status at all
// is 200.
func (a *answer) good() bool { return a.status < 400 && !a.failed }

func (p *Protocol) health(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if p.stopping.Load() || p.options.Status != nil && p.options.Status().Stopping {
		http.Error(w, "stopping", http.StatusServiceUnavailable)
		return
	}
	_, _ = io.WriteString(w, "ok\n") // The client's loss.
}

// status shows the services, as a page or as JSON.
func (p *Protocol) status(w http.ResponseWriter, r *http.Request) {
	l := linkOf(r)
	if l == nil || !p.maySeeStatus(l.Peer().Addr()) {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Vary", "Accept")
	view := newStatusView(p.options.Status(), time.Now())
	if r.URL.Path == "/status.json" || wantsJSON(r.Header.Get("Accept")) {
		view.writeJSON(w)
		return
	}
	view.writePage(w)
}

// wantsJSON tells whether a client asks for JSON and not for a page.
func wantsJSON(accept string) bool {
	return strings.Contains(accept, "application/json") && !strings.Contains(accept, "text/html")
}

var _ server.Protocol = (*Protocol)(nil)
