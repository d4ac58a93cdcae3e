package www

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"overstay/connlog"
	"overstay/server"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recorder is a log that keeps everything.
type recorder struct {
	mu     sync.Mutex
	events []connlog.Event
}

func (r *recorder) Write(e *connlog.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, *e)
}

func (r *recorder) of(kind connlog.Kind) []connlog.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(r.events), func(e connlog.Event) bool { return e.Kind != kind })
}

// wait polls until there are n lines of a kind, and returns the nth.
func (r *recorder) wait(t testing.TB, kind connlog.Kind, n int) connlog.Event {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if lines := r.of(kind); len(lines) >= n {
			return lines[n-1]
		}
	}
	t.Fatalf("not %d lines of %v", n, kind)
	return connlog.Event{}
}

type banned netip.Addr

func (b banned) Blocked(a netip.Addr, _ string) bool { return a == netip.Addr(b) }

type site struct {
	*server.Server
	log    *recorder
	client *http.Client
	url    string
}

func start(t testing.TB, o Options, svc server.Service) *site {
	t.Helper()
	s := &site{log: &recorder{}}
	if o.Status == nil {
		o.Status = func() server.Status { return s.Status() }
	}
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	svc.Name, svc.Listen, svc.Protocol = "www", "127.0.0.1:0", p
	if svc.UnprovenPerSource == 0 {
		svc.UnprovenPerSource = -1
	}
	s.Server, err = server.New(server.Options{
		Services: []server.Service{svc}, Log: s.log, Grace: time.Millisecond,
		Banned: banned(netip.MustParseAddr("127.0.0.66")),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	s.url = "http://" + s.Addr("www").String()
	s.client = client("127.0.0.1")
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := s.Serve(ctx); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() {
		s.client.CloseIdleConnections()
		cancel()
		<-ended
		if opens, closes := len(s.log.of(connlog.Open)), len(s.log.of(connlog.Close)); opens != closes {
			t.Errorf("%d open lines, %d close lines", opens, closes)
		}
	})
	return s
}

// client returns an HTTP client with an address of its own.
func client(from string) *http.Client {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DialContext: d.DialContext}}
}

// get returns status, body and header.
func (s *site) get(t testing.TB, c *http.Client, path string, header ...string) (int, string, http.Header) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, s.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body), resp.Header
}

// raw sends bytes and returns all that comes back.
func (s *site) raw(t testing.TB, request string) string {
	t.Helper()
	c := s.dial(t, "127.0.0.1")
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	answer, _ := io.ReadAll(c) // A reset ends it as well.
	return string(answer)
}

func (s *site) dial(t testing.TB, from string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.Dial("tcp", s.Addr("www").String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c
}

func folder(t testing.TB, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}
