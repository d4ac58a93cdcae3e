package www

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"overstay/connlog"
	"overstay/server"
)

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

// Nobody holds a thread with a body that we do not want: the answer does not
// wait for it.
func TestBodyOfARefusedMethodIsNotWaitedFor(t *testing.T) {
	s := start(t, Options{}, server.Service{})
	for _, head := range []string{"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"} {
		c, err := net.Dial("tcp", s.Addr("www").String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		_ = c.SetDeadline(time.Now().Add(10 * time.Second)) // It is open.
		if _, err := io.WriteString(c, head); err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(c)
		if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 405 ") {
			t.Errorf("%q: %q, %v", head, answer, err)
		}
	}
	for n := range 2 {
		if e := s.log.wait(t, connlog.Close, n+1); e.End != connlog.EndServer && e.End != connlog.EndClient {
			t.Errorf("close line %+v", e)
		}
	}
}
