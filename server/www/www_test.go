package www

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
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

func TestFiles(t *testing.T) {
	secret := folder(t, map[string]string{"secret.txt": "secret"})
	root := folder(t, map[string]string{
		"index.html": "home", "a.txt": "text", "sub/index.html": "sub", "bare/b.txt": "b",
		".hidden": "x", ".git/config": "x", "sub/.htpasswd": "x", ".well-known/security.txt": "mail us",
		"deep/.well-known/x": "x",
	})
	if err := os.Symlink(filepath.Join(secret, "secret.txt"), filepath.Join(root, "out.txt")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(secret, filepath.Join(root, "out")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("a.txt", filepath.Join(root, "in.txt")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(root, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := start(t, Options{Root: root}, server.Service{})
	for path, want := range map[string]string{
		"/": "200 home", "/a.txt": "200 text", "/sub/": "200 sub", "/in.txt": "200 text",
		"/.well-known/security.txt": "200 mail us", "/bare/b.txt": "200 b",
		"/bare/": "404 ", "/.hidden": "404 ", "/.git/config": "404 ", "/.git/": "404 ", "/sub/.htpasswd": "404 ",
		"/deep/.well-known/x": "404 ", "/none": "404 ", "/out.txt": "404 ", "/out/secret.txt": "404 ",
		"/pipe": "404 ", "/%2e%2e/%2e%2e/etc/passwd": "404 ", "/..%2f..%2fetc/passwd": "404 ",
	} {
		status, body, header := s.get(t, s.client, path)
		got := http.StatusText(status)
		switch {
		case want == "404 " && status == 404 && !strings.Contains(body, "secret"):
		case status == 200 && want == "200 "+body:
		default:
			t.Errorf("%s: %d %s %q, want %q", path, status, got, body, want)
		}
		if header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: no nosniff", path)
		}
	}
	if got := s.raw(t, "GET /../../../etc/passwd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); strings.Contains(got, "root:") {
		t.Errorf("escaped: %q", got)
	}
	if _, err := New(Options{Root: filepath.Join(root, "none")}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing folder: %v", err)
	}
}

func TestWelcome(t *testing.T) {
	for _, root := range []string{"", folder(t, map[string]string{"a.txt": "text"})} {
		s := start(t, Options{Root: root}, server.Service{})
		status, body, header := s.get(t, s.client, "/")
		if status != 200 || !strings.Contains(body, "It works") || header.Get("Content-Security-Policy") == "" {
			t.Errorf("root %q: %d %q %v", root, status, body, header)
		}
		if status, _, _ := s.get(t, s.client, "/x"); status != 404 {
			t.Errorf("root %q: /x is %d", root, status)
		}
	}
}

func TestHealth(t *testing.T) {
	stopping := false
	s := start(t, Options{Status: func() server.Status { return server.Status{Stopping: stopping} }}, server.Service{})
	if status, body, _ := s.get(t, s.client, "/healthz"); status != 200 || body != "ok\n" {
		t.Errorf("%d %q", status, body)
	}
	stopping = true
	if status, _, _ := s.get(t, s.client, "/healthz"); status != 503 {
		t.Errorf("stopping: %d", status)
	}
}

func TestStatusPage(t *testing.T) {
	s := start(t, Options{StatusFrom: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}, server.Service{Threads: 7})
	status, body, header := s.get(t, s.client, "/status", "Accept", "text/html,application/json;q=0.1")
	if status != 200 || !strings.Contains(body, "1 of 7") || !strings.Contains(body, "viewport") {
		t.Errorf("page: %d %q", status, body)
	}
	if strings.Contains(body, "http://") || strings.Contains(body, "src=") || header.Get("Content-Security-Policy") == "" {
		t.Errorf("the page needs something from elsewhere: %q", body)
	}
	for _, how := range [][]string{{"/status.json"}, {"/status", "Accept", "application/json"}} {
		status, body, _ := s.get(t, s.client, how[0], how[1:]...)
		var view statusView
		if err := json.Unmarshal([]byte(body), &view); err != nil || status != 200 {
			t.Fatalf("%d %q: %v", status, body, err)
		}
		if one := view.Services[0]; one.Name != "www" || one.Threads != 7 || one.Busy != 1 {
			t.Errorf("JSON: %+v", one)
		}
	}
	other := client("127.0.0.2")
	defer other.CloseIdleConnections()
	for _, path := range []string{"/status", "/status.json"} {
		if status, body, _ := s.get(t, other, path); status != 404 || strings.Contains(body, "www") {
			t.Errorf("%s for others: %d %q", path, status, body)
		}
	}
}

func TestOtherMethods(t *testing.T) {
	s := start(t, Options{}, server.Service{})
	for _, c := range []struct{ request, want string }{
		{"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi", "HTTP/1.1 405 "},
		{"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 405 "},
		{"HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 200 "},
		{"GET / HTTP/1.0\r\n\r\n", "HTTP/1.0 200 "},
	} {
		if got := s.raw(t, c.request); !strings.HasPrefix(got, c.want) {
			t.Errorf("%q: %q", c.request, got)
		}
	}
}

func TestProvenByRequest(t *testing.T) {
	s := start(t, Options{}, server.Service{})
	if status, _, _ := s.get(t, s.client, "/none"); status != 404 {
		t.Fatal(status)
	}
	if status, _, _ := s.get(t, s.client, "/"); status != 200 {
		t.Fatal(status)
	}
	p := s.log.wait(t, connlog.Proven, 1)
	if p.By != connlog.ByRequest || p.Conn != 1 {
		t.Errorf("proven line: %+v", p)
	}
	if busy := s.Status().Services[0]; busy.Busy != 1 || busy.Unproven != 0 {
		t.Errorf("one connection holds one thread: %+v", busy)
	}
	s.client.CloseIdleConnections()
	e := s.log.wait(t, connlog.Close, 1)
	if e.End != connlog.EndClient || !e.Proven || e.Fails != 0 {
		t.Errorf("close line: %+v", e)
	}
	for _, stage := range []connlog.Stage{connlog.StageGreeting, connlog.StageCommand, connlog.StageDeliver, connlog.StageIdle} {
		if e.Stages[stage] <= 0 {
			t.Errorf("no time in stage %d: %v", stage, e.Stages)
		}
	}
	// Without keep-alive.
	if got := s.raw(t, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
		t.Errorf("%q", got)
	}
	if e := s.log.wait(t, connlog.Close, 2); !e.Proven {
		t.Errorf("close line: %+v", e)
	}
	// A page that is not there proves nothing.
	s.raw(t, "GET /none HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	if e := s.log.wait(t, connlog.Close, 3); e.Proven {
		t.Errorf("close line: %+v", e)
	}
}

// A large answer that the client does not take is not an answered request.
func TestNotProvenByHalfAnAnswer(t *testing.T) {
	root := folder(t, map[string]string{"big": strings.Repeat("x", 32<<20)})
	s := start(t, Options{Root: root}, server.Service{})
	c := s.dial(t, "127.0.0.1")
	if _, err := io.WriteString(c, "GET /big HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	if e := s.log.wait(t, connlog.Close, 1); e.Proven || e.End != connlog.EndReset {
		t.Errorf("close line: %+v", e)
	}
}

func TestMalformedRequestsFail(t *testing.T) {
	s := start(t, Options{}, server.Service{})
	for i, request := range []string{
		"EHLO x\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/9.9\r\nHost: x\r\n\r\n", "\x16\x03\x01\x02\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 100<<10) + "\r\n\r\n",
	} {
		s.raw(t, request)
		e := s.log.wait(t, connlog.Close, i+1)
		if e.Fails != 1 || e.Proven {
			t.Errorf("%.20q: close line %+v", request, e)
		}
		if f := s.log.of(connlog.Fail); len(f) != i+1 || f[i].What != connlog.FailCommand {
			t.Errorf("%.20q: fail lines %+v", request, f)
		}
	}
}

// The words of a refusal are read by a real client, though it sends its
// request after it was refused.
func TestWordsOfRefusals(t *testing.T) {
	s := start(t, Options{}, server.Service{Threads: 2, SessionsPerSource: 1})
	s.dial(t, "127.0.0.1")
	s.log.wait(t, connlog.Open, 1)
	for _, c := range []struct {
		from   string
		status int
		retry  string
	}{
		{"127.0.0.1", 429, "10"}, {"127.0.0.66", 403, ""},
	} {
		cl := client(c.from)
		status, body, header := s.get(t, cl, "/")
		if status != c.status || header.Get("Retry-After") != c.retry || body == "" {
			t.Errorf("%s: %d %q %v", c.from, status, body, header)
		}
		cl.CloseIdleConnections()
	}
	s.dial(t, "127.0.0.2")
	s.log.wait(t, connlog.Open, 2)
	cl := client("127.0.0.3")
	defer cl.CloseIdleConnections()
	if status, body, header := s.get(t, cl, "/"); status != 503 || header.Get("Retry-After") != "10" || !strings.Contains(body, "Too busy") {
		t.Errorf("busy: %d %q %v", status, body, header)
	}
	// A request larger than one packet, whose rest comes after the answer.
	c := s.dial(t, "127.0.0.3")
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n"); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(c)
	if line, err := in.ReadString('\n'); err != nil || !strings.HasPrefix(line, "HTTP/1.1 503 ") {
		t.Errorf("%q, %v", line, err)
	}
	if _, err := io.WriteString(c, strings.Repeat("X: y\r\n", 2000)); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(in); err != nil || !strings.Contains(string(rest), "Too busy") {
		t.Errorf("%q, %v", rest, err)
	}
}

func TestBanSilently(t *testing.T) {
	s := start(t, Options{BanSilently: true}, server.Service{})
	c := s.dial(t, "127.0.0.66")
	if got, _ := io.ReadAll(c); len(got) != 0 {
		t.Errorf("got %q", got)
	}
}

// Whoever sends its header byte by byte is cut when its time is over.
func TestSlowHeader(t *testing.T) {
	for name, c := range map[string]struct {
		o   Options
		svc server.Service
	}{
		"by the library": {Options{HeaderTime: 200 * time.Millisecond}, server.Service{}},
		"by the server":  {Options{}, server.Service{Limits: server.Limits{Unproven: 200 * time.Millisecond}}},
		"by the stage":   {Options{}, server.Service{Limits: server.Limits{Stage: 200 * time.Millisecond}}},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, c.o, c.svc)
			conn := s.dial(t, "127.0.0.1")
			stop := make(chan struct{})
			var sender sync.WaitGroup
			sender.Go(func() {
				for i := 0; ; i++ {
					const header = "GET / HTTP/1.1\r\nHost: x\r\n"
					b := "X"
					if i < len(header) {
						b = header[i : i+1]
					}
					select {
					case <-stop:
						return
					case <-time.After(10 * time.Millisecond):
						_, _ = io.WriteString(conn, b) // Until it is cut.
					}
				}
			})
			e := s.log.wait(t, connlog.Close, 1)
			close(stop)
			sender.Wait()
			if e.End != connlog.EndTimeout || e.Proven {
				t.Errorf("close line: %+v", e)
			}
		})
	}
}

func TestPanicGivesTheThreadBack(t *testing.T) {
	s := start(t, Options{Status: func() server.Status { panic("a bug") }}, server.Service{})
	s.raw(t, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
	if e := s.log.wait(t, connlog.Close, 1); e.Proven {
		t.Errorf("close line: %+v", e)
	}
	if status, _, _ := s.get(t, s.client, "/"); status != 200 {
		t.Errorf("afterwards: %d", status)
	}
}

func TestShutdownFinishesAnswers(t *testing.T) {
	release := make(chan struct{})
	s := start(t, Options{}, server.Service{})
	slow := start(t, Options{Status: func() server.Status { <-release; return server.Status{} }}, server.Service{})
	idle := s.dial(t, "127.0.0.1")
	if _, err := io.WriteString(idle, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	s.log.wait(t, connlog.Proven, 1)
	if err := s.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if e := s.log.wait(t, connlog.Close, 1); e.End != connlog.EndShutdown {
		t.Errorf("close line: %+v", e)
	}

	answered := make(chan string, 1)
	go func() { answered <- slow.raw(t, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n") }()
	slow.log.wait(t, connlog.Open, 1)
	ended := make(chan error, 1)
	go func() { ended <- slow.Shutdown(context.Background()) }()
	select {
	case err := <-ended:
		t.Fatalf("it did not wait: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	close(release)
	if got := <-answered; !strings.Contains(got, "HTTP/1.1 ") {
		t.Errorf("answer %q", got)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
