package app_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"overstay/connlog"
	"overstay/detector"
	"overstay/internal/app"
	"overstay/server/certs"
)

const (
	user     = "anna"
	password = "secret"
	// watcher is the service that tells what the others do. It has a pool of
	// its own, which no guest takes threads from.
	watcher = "status"
)

// reloading is a server whose configuration can be changed.
type reloading struct {
	*running
	said     *words
	reload   chan struct{}
	next     chan func() (*app.Config, error)
	reloaded chan app.Reloaded
	live     atomic.Int64 // how often the detector has read the log's past
}

func serveReloading(t testing.TB, cfg *app.Config) *reloading {
	t.Helper()
	r := &reloading{
		said: &words{}, reload: make(chan struct{}),
		next: make(chan func() (*app.Config, error), 1), reloaded: make(chan app.Reloaded, 1),
	}
	r.running = serveTold(t, cfg, app.ServeOptions{
		Logger: slog.New(slog.NewTextHandler(r.said, nil)),
		Reload: r.reload, Load: func() (*app.Config, error) { return (<-r.next)() },
		Reloaded: func(result app.Reloaded) { r.reloaded <- result },
		Live:     func(detector.Stats) { r.live.Add(1) },
	})
	return r
}

// load reloads what load returns.
func (r *reloading) load(load func() (*app.Config, error)) app.Reloaded {
	r.next <- load
	r.reload <- struct{}{}
	return <-r.reloaded
}

// change reloads the configuration with a change.
func (r *reloading) change(change func(*app.Config)) app.Reloaded {
	next := *r.cfg
	next.Services = slices.Clone(r.cfg.Services)
	change(&next)
	return r.load(func() (*app.Config, error) { return &next, nil })
}

// equip gives a server a user and a certificate, which are dear to make.
func equip(t testing.TB, folder string) (users string, pair app.TLS) {
	t.Helper()
	users = filepath.Join(folder, "users")
	addUser(t, users, user, password)
	pair = app.TLS{Cert: filepath.Join(folder, "cert.pem"), Key: filepath.Join(folder, "key.pem")}
	if _, err := certs.SelfSigned(pair.Cert, pair.Key, []string{"localhost"}, time.Now()); err != nil {
		t.Fatal(err)
	}
	return users, pair
}

// addUser adds a user whose password costs little to check.
func addUser(t testing.TB, path, name, password string) {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	before, _ := os.ReadFile(path) // None: it is the first.
	if err := os.WriteFile(path, fmt.Appendf(before, "%s:%s\n", name, hash), 0o600); err != nil {
		t.Fatal(err)
	}
}

// freeAddress returns an address for a service that others must know before it
// listens. Nobody else uses the host part.
func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.9.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// words is what a server says of itself, kept to be searched.
type words struct {
	mu   sync.Mutex
	text strings.Builder
}

func (w *words) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(b)
}

func (w *words) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

// figures are what the status page says of a service.
type figures struct {
	Service         string `json:"service"`
	Pool            string `json:"pool"`
	Threads         int    `json:"threads"`
	Busy            int    `json:"busy"`
	Unproven        int    `json:"unproven"`
	Accepted        uint64 `json:"accepted"`
	RefusedBusy     uint64 `json:"refused_busy"`
	RefusedSessions uint64 `json:"refused_sessions"`
	RefusedBanned   uint64 `json:"refused_banned"`
}

// status asks the service status for the figures of all services.
func (r *running) status(client *http.Client) (map[string]figures, error) {
	resp, err := client.Get("http://" + r.address[watcher].String() + "/status.json")
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	var page struct {
		Services []figures `json:"services"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&page); err != nil {
		return nil, err
	}
	all := map[string]figures{}
	for _, one := range page.Services {
		all[one.Service] = one
	}
	return all, nil
}

// statusClient returns a client for status, which holds one connection.
func statusClient() *http.Client {
	return &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxConnsPerHost: 1}}
}

// checkLives holds the log against itself: what was opened was closed, once,
// and nothing happened to a connection outside of its life. It returns the
// number of connections of each service.
func checkLives(t interface{ Errorf(string, ...any) }, events []connlog.Event) map[string]uint64 {
	type id struct {
		boot string
		conn uint64
	}
	open, over := map[id]connlog.Event{}, map[id]bool{}
	opened := map[string]uint64{}
	for _, e := range events {
		at := id{e.Boot, e.Conn}
		first, isOpen := open[at]
		switch e.Kind {
		case connlog.Open:
			if isOpen || over[at] {
				t.Errorf("opened twice: %+v", e)
			}
			open[at] = e
			opened[e.Service]++
		case connlog.Proven, connlog.Fail:
			if !isOpen {
				t.Errorf("outside of its life: %+v", e)
			}
		case connlog.Close:
			if !isOpen || first.ClientIP != e.ClientIP || first.Service != e.Service {
				t.Errorf("closed: %+v, but opened: %+v", e, first)
			}
			delete(open, at)
			over[at] = true
		case connlog.Lost:
			t.Errorf("the log has lost %d lines", e.Count)
		}
	}
	for _, e := range open {
		t.Errorf("never closed: %+v", e)
	}
	return opened
}

// refusals adds up what the log says of those turned away, by service and
// reason.
func refusals(events []connlog.Event) map[string]map[connlog.Reason]uint64 {
	all := map[string]map[connlog.Reason]uint64{}
	for _, e := range events {
		if e.Kind != connlog.Refuse {
			continue
		}
		if all[e.Service] == nil {
			all[e.Service] = map[connlog.Reason]uint64{}
		}
		all[e.Service][e.Reason] += max(e.Count, 1)
	}
	return all
}

// from dials as a client of another loopback address.
func from(address netip.Addr, to netip.AddrPort) (*net.TCPConn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: address.AsSlice()}, Timeout: 10 * time.Second}
	c, err := d.Dial("tcp", to.String())
	if err != nil {
		return nil, err
	}
	return c.(*net.TCPConn), nil
}

// allServices returns a configuration with a service of every kind, small
// pools, and little patience.
func allServices(state, users, behind string, pair app.TLS) *app.Config {
	cfg := app.Default()
	cfg.State, cfg.Mail.Users, cfg.TLS = state, users, pair
	short := func(d time.Duration) app.Duration { return app.Duration(d) }
	add := func(name, like, secure, pool string, threads int, change func(*app.Service)) {
		s := serviceLike(like)
		s.Name, s.TLS, s.Pool, s.Threads, s.Listen = name, secure, pool, threads, "127.0.0.1:0"
		s.Idle, s.IdleProven, s.IdleStressed = short(400*time.Millisecond), short(500*time.Millisecond), short(200*time.Millisecond)
		s.Unproven, s.Session = short(time.Second), short(1500*time.Millisecond)
		if change != nil {
			change(&s)
		}
		cfg.Services = append(cfg.Services, s)
	}
	cfg.Services = nil
	add("smtp", "smtp", "starttls", "", 3, nil)
	add("submission", "smtp", "on", "", 3, func(s *app.Service) { s.SMTP.RequireAuth = true })
	add("pop3", "pop3", "starttls", "mail", 5, nil)
	add("imap", "imap", "starttls", "mail", 5, nil)
	add("imaps", "imap", "on", "mail", 5, nil)
	add("www", "www", "off", "", 3, nil)
	add("https", "www", "on", "", 3, nil)
	add("behind", "smtp", "starttls", "", 4, func(s *app.Service) {
		s.Listen = behind
		s.ProxyFrom = []app.Source{app.Source(netip.PrefixFrom(guestsFrom[0], 32))}
	})
	add("front", "proxy", "off", "", 4, func(s *app.Service) {
		s.Proxy.Upstream, s.Proxy.Speaks, s.Proxy.ProxyHeader = behind, "smtp", 2
	})
	add("late", "smtp", "starttls", "", 3, func(s *app.Service) { s.GreetDelay = short(3 * time.Millisecond) })
	add(watcher, "www", "off", "", 50, func(s *app.Service) {
		s.Idle, s.IdleProven, s.Unproven, s.Session = short(time.Minute), short(time.Minute), short(time.Minute), 0
	})
	return cfg
}

// serviceLike returns the default service of a protocol.
func serviceLike(protocol string) app.Service {
	services := app.Default().Services
	i := slices.IndexFunc(services, func(s app.Service) bool { return s.Protocol == protocol })
	s := services[max(i, 0)]
	if i < 0 { // Only proxy has none by default.
		s.Protocol = protocol
		s.Proxy = app.Proxy{ProveBytes: 16 << 10, Connect: app.Duration(10 * time.Second)}
	}
	return s
}
