package www

import (
	"io"
	"net/http"
	"strings"
	"time"

	"overstay/connlog"
	"overstay/server"
)

// handler returns the whole site.
func (p *Protocol) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", p.health)
	if p.options.Status != nil {
		mux.HandleFunc("/status", p.status)
		mux.HandleFunc("/status.json", p.status)
	}
	mux.Handle("/", p.files())
	return watched(secured(mux))
}

// watched keeps the log: when the answering begins, and whether it went well.
func watched(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l := linkOf(r)
		if l == nil {
			next.ServeHTTP(w, r) // Not on one of our connections.
			return
		}
		l.Enter(connlog.StageDeliver)
		if l.Crowded() {
			// One answer is cheap to get, and must not be worth a thread.
			w.Header().Set("Connection", "close")
		}
		answer := &answer{ResponseWriter: w}
		next.ServeHTTP(answer, r)
		l.answered.Store(answer.good())
	})
}

// secured drops what we never take: other methods and large bodies.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		r.Body = http.MaxBytesReader(w, r.Body, maxBodyBytes)
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
	status int
	failed bool
}

func (a *answer) WriteHeader(status int) {
	if a.status == 0 && status >= 200 {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(b []byte) (int, error) {
	n, err := a.ResponseWriter.Write(b)
	a.failed = a.failed || err != nil
	return n, err
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
