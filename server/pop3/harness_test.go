package pop3

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"overstay/connlog"
	"overstay/server"
	"overstay/server/certs"
	"overstay/server/mailstore"
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

// fails returns what clients have failed at.
func (r *recorder) fails(what connlog.What) []connlog.Event {
	return slices.DeleteFunc(r.of(connlog.Fail), func(e connlog.Event) bool { return e.What != what })
}

// closed waits for the nth close line.
func (r *recorder) closed(t testing.TB, n int) connlog.Event {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if lines := r.of(connlog.Close); len(lines) >= n {
			return lines[n-1]
		}
	}
	t.Fatal("no close line")
	return connlog.Event{}
}

// people are the users of tests: anna and ben, password "secret".
type people struct{ err error }

func (p people) Authenticate(_ context.Context, _ netip.Prefix, name, password string) (string, error) {
	name = strings.ToLower(name)
	switch {
	case p.err != nil:
		return "", p.err
	case name != "anna" && name != "ben" || password != "secret" && password != "two words":
		return "", mailstore.ErrLogin
	}
	return name, nil
}

// banned is a list of one address.
type banned struct{ addr atomic.Pointer[netip.Addr] }

func (b *banned) set(a netip.Addr) { b.addr.Store(&a) }

func (b *banned) Blocked(a netip.Addr, _ string) bool {
	addr := b.addr.Load()
	return addr != nil && *addr == a
}

// site is a server with POP3 under test.
type site struct {
	*server.Server
	log  *recorder
	mail *mailstore.Store
}

func start(t testing.TB, o Options, svc server.Service, lists ...server.Banned) *site {
	t.Helper()
	if lists == nil {
		list := &banned{}
		list.set(netip.MustParseAddr("127.0.0.66"))
		lists = append(lists, list)
	}
	s := &site{log: &recorder{}, mail: mailstore.NewStore(filepath.Join(t.TempDir(), "mail"))}
	if o.Users == nil {
		o.Users = people{}
	}
	if o.Store == nil {
		o.Store = Maildirs{s.mail}
	}
	o.Hostname, o.Domains = "mail.example.org", []string{"Example.org"}
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	svc.Name, svc.Protocol = "pop3", p
	if svc.Listener == nil {
		svc.Listen = "127.0.0.1:0"
	}
	if svc.UnprovenPerSource == 0 {
		svc.UnprovenPerSource = -1
	}
	s.Server, err = server.New(server.Options{
		Services: []server.Service{svc}, Log: s.log, Grace: time.Millisecond,
		Banned: lists[0],
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := s.Serve(ctx); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
		checkLog(t, s.log.events)
	})
	return s
}

// withTLS returns a server's side of TLS, and who trusts it.
func withTLS(t testing.TB) (*tls.Config, *x509.CertPool) {
	t.Helper()
	cert, key := filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	if _, err := certs.SelfSigned(cert, key, []string{"mail.example.org"}, time.Now()); err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	return &tls.Config{Certificates: []tls.Certificate{pair}}, roots
}

// checkLog fails unless each open has one close.
func checkLog(t testing.TB, events []connlog.Event) {
	open := map[uint64]bool{}
	for _, e := range events {
		switch e.Kind {
		case connlog.Open:
			open[e.Conn] = true
		case connlog.Close:
			if !open[e.Conn] {
				t.Errorf("connection %d closed without being open", e.Conn)
			}
			delete(open, e.Conn)
		}
	}
	if len(open) != 0 {
		t.Errorf("not closed: %v", open)
	}
}

// deliver gives a user messages, one after the other.
func (s *site) deliver(t testing.TB, user string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		d, err := s.mail.Begin([]string{user})
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(d, text) // Commit would fail.
		if err := d.Commit(); err != nil {
			t.Fatal(err)
		}
	}
}

// left returns how many messages a user has.
func (s *site) left(t testing.TB, user string) int {
	t.Helper()
	n := 0
	for _, sub := range []string{"new", "cur"} {
		files, err := filepath.Glob(filepath.Join(s.mail.Path(user), sub, "*"))
		if err != nil {
			t.Fatal(err)
		}
		n += len(files)
	}
	return n
}

// file returns the file of a message that nobody has read.
func (s *site) file(t testing.TB, user, text string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(s.mail.Path(user), "new", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if got, err := os.ReadFile(f); err == nil && string(got) == text {
			return f
		}
	}
	t.Fatalf("no file of %q", text)
	return ""
}

// talk is a conversation by hand.
type talk struct {
	net.Conn
	t  testing.TB
	in *bufio.Reader
}

func (s *site) dial(t testing.TB, from string) *talk {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.Dial("tcp", s.Addr("pop3").String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return &talk{c, t, bufio.NewReader(c)}
}

// enter connects and logs in.
func (s *site) enter(t testing.TB, user string) *talk {
	t.Helper()
	c := s.dial(t, "127.0.0.1")
	c.expect("+OK")
	c.login(user)
	return c
}

func (c *talk) login(user string) {
	c.t.Helper()
	c.say("USER "+user, "+OK")
	c.say("PASS secret", "+OK")
}

// encrypt begins TLS with a client that trusts roots.
func (c *talk) encrypt(roots *x509.CertPool) {
	c.t.Helper()
	secure := tls.Client(c.Conn, &tls.Config{RootCAs: roots, ServerName: "mail.example.org"})
	if err := secure.Handshake(); err != nil {
		c.t.Fatal(err)
	}
	c.Conn, c.in = secure, bufio.NewReader(secure)
}

func (c *talk) line() string {
	line, err := c.in.ReadString('\n')
	if err != nil {
		return line + "error: " + err.Error()
	}
	return line
}

func (c *talk) send(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		c.t.Fatal(err)
	}
}

// say sends a command and fails unless the reply begins with want.
func (c *talk) say(command, want string) string {
	c.t.Helper()
	c.send(command + "\r\n")
	return c.expect(want)
}

func (c *talk) expect(want string) string {
	c.t.Helper()
	got := c.line()
	if !strings.HasPrefix(got, want) || !strings.HasSuffix(got, "\r\n") {
		c.t.Fatalf("got %q, want %q", got, want)
	}
	return got
}

// all sends a command and returns the lines of its answer as they came, without
// the last.
func (c *talk) all(command string) string {
	c.t.Helper()
	c.say(command, "+OK")
	return c.rest()
}

func (c *talk) rest() string {
	c.t.Helper()
	var all strings.Builder
	for {
		line := c.line()
		if line == ".\r\n" {
			return all.String()
		}
		if !strings.HasSuffix(line, "\r\n") {
			c.t.Fatalf("%q after %q", line, all.String())
		}
		all.WriteString(line)
	}
}

// gone fails unless the server has hung up.
func (c *talk) gone() {
	c.t.Helper()
	if rest, err := io.ReadAll(c.in); err != nil || len(rest) > 0 {
		c.t.Fatalf("not the end: %q, %v", rest, err)
	}
}

// unstuff takes back what was added for transparency.
func unstuff(s string) string {
	s = strings.ReplaceAll("\r\n"+s, "\r\n.", "\r\n")
	return s[2:]
}
