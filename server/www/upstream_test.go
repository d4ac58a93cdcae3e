package www

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"overstay/connlog"
	"overstay/server"
)

// behind serves as an upstream, and returns its address.
func behind(t testing.TB, serve http.HandlerFunc) *url.URL {
	t.Helper()
	s := httptest.NewServer(serve)
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// swallow is an upstream that reads a request to its end.
func swallow(t testing.TB) *url.URL {
	return behind(t, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
}

// The upstream sees who asks, whatever the client says of it, and nothing
// that belongs to the client's connection only.
func TestUpstreamSeesTheClient(t *testing.T) {
	show := behind(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "%s %s %s\n", r.Method, r.RequestURI, r.Host)
		_ = r.Header.Write(w)
	})
	show.Path = "/base"
	for name, begin := range map[string]func(testing.TB, Options, server.Service) *site{"http": start, "https": startTLS} {
		s := begin(t, Options{Upstream: show}, server.Service{})
		status, got, header := s.get(t, s.client, "/a%2fb?q=1;2&x=%zz", "X-Forwarded-For", "192.0.2.7", "X-Forwarded-Port", "1",
			"X_Forwarded_For", "192.0.2.7", "Forwarded", "for=192.0.2.7", "X-Real-IP", "192.0.2.7", "Upgrade", "websocket",
			"Connection", "Upgrade, X-Hop", "X-Hop", "gone", "X-Kept", "kept", "Cookie", "a=b")
		want := []string{"GET /base/a%2fb?q=1;2&x=%zz " + s.Addr("www").String(), "X-Forwarded-For: 127.0.0.1\r\n",
			"X-Forwarded-Proto: " + name + "\r\n", "X-Forwarded-Host: " + s.Addr("www").String() + "\r\n", "X-Kept: kept\r\n", "Cookie: a=b\r\n"}
		for _, w := range want {
			if !strings.Contains(got, w) {
				t.Errorf("%s: no %q in %q", name, w, got)
			}
		}
		for _, not := range []string{"192.0.2.7", "gone", "websocket", "Forwarded-Port"} {
			if strings.Contains(got, not) {
				t.Errorf("%s: %q in %q", name, not, got)
			}
		}
		if status != 200 || header.Get("X-Content-Type-Options") != "" {
			t.Errorf("%s: %d %v", name, status, header)
		}
		s.log.wait(t, connlog.Proven, 1)
		s.client.CloseIdleConnections()
		if e := s.log.wait(t, connlog.Close, 1); e.Stages[connlog.StageUpstream] <= 0 {
			t.Errorf("%s: stages %v", name, e.Stages)
		}
	}
}

// Bodies pass both ways, and the parts of an answer as they are.
func TestUpstreamBodies(t *testing.T) {
	echo := behind(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			_ = http.NewResponseController(w).EnableFullDuplex()
			_, _ = io.Copy(w, r.Body)
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		http.ServeContent(w, r, "a", time.Time{}, strings.NewReader("0123456789"))
	})
	s := start(t, Options{Upstream: echo, MaxBodyBytes: 3 << 20}, server.Service{})
	big := strings.Repeat("0123456789", 300_000)
	for _, body := range []io.Reader{strings.NewReader(big), io.MultiReader(strings.NewReader(big))} {
		resp, err := s.client.Post(s.url, "text/plain", body)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(resp.Body); string(got) != big || err != nil {
			t.Errorf("%d bytes came back, %v", len(got), err)
		}
		_ = resp.Body.Close()
	}
	if status, got, _ := s.get(t, s.client, "/", "Range", "bytes=2-4"); status != 206 || got != "234" {
		t.Errorf("range: %d %q", status, got)
	}
	if got := s.raw(t, "HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); !strings.Contains(got, "Content-Length: 10\r\n") || !strings.HasSuffix(got, "\r\n\r\n") {
		t.Errorf("head: %q", got)
	}
	for _, request := range []string{
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4000000\r\n\r\n",
		"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3d0900\r\n" + strings.Repeat("x", 4_000_000) + "\r\n0\r\n\r\n",
	} {
		c := s.dial(t, "127.0.0.1")
		go func() { _, _ = io.WriteString(c, request) }() // It may be hung up on.
		line, err := bufio.NewReader(c).ReadString('\n')
		if !strings.HasPrefix(line, "HTTP/1.1 413 ") {
			t.Errorf("%.80q: %q, %v", request, line, err)
		}
		_ = c.Close()
	}
	c := s.dial(t, "127.0.0.1")
	if _, err := io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(c)
	if line, err := in.ReadString('\n'); !strings.HasPrefix(line, "HTTP/1.1 100 ") {
		t.Errorf("%q, %v", line, err)
	}
	if _, err := io.WriteString(c, "hi"); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(in); !strings.Contains(string(rest), "HTTP/1.1 200 ") || !strings.HasSuffix(string(rest), "hi") {
		t.Errorf("%q, %v", rest, err)
	}
}

func TestUpstreamFails(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close() // Nobody listens there now.
	silent := behind(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	stalls := behind(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "10")
		_, _ = io.WriteString(w, "half")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	dies := behind(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "10")
		_, _ = io.WriteString(w, "half")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	for name, c := range map[string]struct {
		upstream *url.URL
		want     string
	}{
		"down":   {&url.URL{Scheme: "http", Host: l.Addr().String()}, "HTTP/1.1 502 "},
		"silent": {silent, "HTTP/1.1 504 "},
		"stalls": {stalls, "HTTP/1.1 200 "},
		"dies":   {dies, "HTTP/1.1 200 "},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, Options{Upstream: c.upstream, UpstreamTime: 100 * time.Millisecond}, server.Service{})
			if got := s.raw(t, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(got, c.want) {
				t.Errorf("%q", got)
			}
			if e := s.log.wait(t, connlog.Close, 1); e.Proven {
				t.Errorf("close line: %+v", e)
			}
		})
	}
}

// No more than so many requests are asked at a time.
func TestUpstreamIsBounded(t *testing.T) {
	asked, release := make(chan struct{}, 10), make(chan struct{})
	slow := behind(t, func(http.ResponseWriter, *http.Request) { asked <- struct{}{}; <-release })
	s := start(t, Options{Upstream: slow, UpstreamConns: 1, UpstreamTime: 100 * time.Millisecond}, server.Service{})
	first := s.dial(t, "127.0.0.1")
	if _, err := io.WriteString(first, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-asked
	// The first gives up before the second does, or the other way round.
	got := s.raw(t, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	if !strings.HasPrefix(got, "HTTP/1.1 503 ") && !strings.HasPrefix(got, "HTTP/1.1 504 ") {
		t.Errorf("%q", got)
	}
	close(release)
	eventually(t, "the upstream is free again", func() bool {
		status, _, _ := s.get(t, s.client, "/")
		return status == 200
	})
}

// Whoever does not send what it announced is told so.
func TestSlowBody(t *testing.T) {
	s := start(t, Options{Upstream: swallow(t), RequestTime: 100 * time.Millisecond}, server.Service{})
	got := s.raw(t, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf")
	if !strings.HasPrefix(got, "HTTP/1.1 408 ") {
		t.Errorf("%q", got)
	}
	if e := s.log.wait(t, connlog.Close, 1); e.Proven || e.Stages[connlog.StageData] <= 0 {
		t.Errorf("close line: %+v", e)
	}
}

func TestOptions(t *testing.T) {
	for _, o := range []Options{
		{Upstream: &url.URL{Scheme: "ftp", Host: "x"}}, {Upstream: &url.URL{Scheme: "http"}},
		{Upstream: &url.URL{Scheme: "http", Host: "x", RawQuery: "a"}}, {Upstream: &url.URL{Scheme: "http", Host: "x"}, Root: "."},
		{Words: server.Words{Banned: "a\r\n\r\nb"}},
	} {
		if _, err := New(o); !errors.Is(err, ErrOptions) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	p, err := New(Options{Words: server.Words{Busy: "Full house"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := string(p.Refusal(connlog.RefuseBusy)); !strings.Contains(got, "\r\n\r\nFull house\n") || !strings.HasPrefix(got, "HTTP/1.1 503 ") {
		t.Errorf("%q", got)
	}
}
