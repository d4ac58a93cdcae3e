package www

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"overstay/connlog"
	"overstay/server"
	"overstay/server/certs"
)

// encrypted returns TLS settings with a certificate of their own.
func encrypted(t testing.TB) *tls.Config {
	t.Helper()
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if _, err := certs.SelfSigned(cert, key, []string{"localhost"}, time.Now()); err != nil {
		t.Fatal(err)
	}
	pair, err := certs.Open(cert, key, nil)
	if err != nil {
		t.Fatal(err)
	}
	return TLS(pair.Config())
}

// startTLS serves HTTPS, and makes the site's client speak HTTP/2 there.
func startTLS(t testing.TB, o Options, svc server.Service) *site {
	t.Helper()
	svc.TLS = encrypted(t)
	s := start(t, o, svc)
	s.url = "https://" + s.Addr("www").String()
	s.client = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true,
	}}
	return s
}

func TestHTTP2(t *testing.T) {
	s := startTLS(t, Options{Root: folder(t, map[string]string{"a": strings.Repeat("x", 200_000)})}, server.Service{})
	if status, _, _ := s.get(t, s.client, "/none"); status != 404 {
		t.Fatal(status)
	}
	if n := len(s.log.of(connlog.Proven)); n != 0 {
		t.Error("proven by a page that is not there")
	}
	var asking sync.WaitGroup
	for range 20 {
		asking.Go(func() {
			resp, err := s.client.Get(s.url + "/a")
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = resp.Body.Close() }()
			if text, err := io.ReadAll(resp.Body); len(text) != 200_000 || resp.ProtoMajor != 2 {
				t.Errorf("%d bytes over %s, %v", len(text), resp.Proto, err)
			}
		})
	}
	asking.Wait()
	if p := s.log.wait(t, connlog.Proven, 1); p.By != connlog.ByRequest || p.Conn != 1 {
		t.Errorf("proven line: %+v", p)
	}
	if busy := s.Status().Services[0]; busy.Busy != 1 || busy.Unproven != 0 {
		t.Errorf("many requests hold one thread: %+v", busy)
	}
	s.client.CloseIdleConnections()
	e := s.log.wait(t, connlog.Close, 1)
	for _, stage := range []connlog.Stage{connlog.StageTLS, connlog.StageCommand, connlog.StageDeliver, connlog.StageIdle} {
		if e.Stages[stage] <= 0 {
			t.Errorf("no time in stage %d: %v", stage, e.Stages)
		}
	}
	if e.Fails != 0 {
		t.Errorf("close line: %+v", e)
	}
}

func TestHTTP1OverTLS(t *testing.T) {
	s := startTLS(t, Options{}, server.Service{})
	for i, protos := range [][]string{nil, {"http/1.1"}} {
		c, err := tls.Dial("tcp", s.Addr("www").String(), &tls.Config{InsecureSkipVerify: true, NextProtos: protos})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(c)
		if err != nil || !bytes.HasPrefix(answer, []byte("HTTP/1.1 200 ")) {
			t.Errorf("%v: %.30q, %v", protos, answer, err)
		}
		_ = c.Close()
		if e := s.log.wait(t, connlog.Close, i+1); !e.Proven || e.Stages[connlog.StageTLS] <= 0 {
			t.Errorf("%v: close line %+v", protos, e)
		}
	}
}

// In a crowd the answer is the last one, and the client knows.
func TestHTTP2LeavesACrowd(t *testing.T) {
	s := startTLS(t, Options{}, server.Service{Threads: 2})
	c := s.h2(t)
	c.request(1, "/", true)
	if !c.wait(frameGoAway, 0) {
		t.Error("no goodbye")
	}
	if e := s.log.wait(t, connlog.Close, 1); !e.Proven || e.Held > 5*time.Second {
		t.Errorf("close line: %+v", e)
	}
}

// A client that is never idle and never gets anything has its last answer,
// also when that is decided while it is there.
func TestHTTP2IsNotBusyForEver(t *testing.T) {
	release := make(chan struct{})
	none := behind(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			<-release // Always the upstream's turn.
		}
		w.WriteHeader(http.StatusNotFound)
	})
	s := startTLS(t, Options{Upstream: none}, server.Service{Limits: server.Limits{Unproven: time.Hour}})
	c := s.h2(t)
	c.request(1, "/slow", true)
	c.request(3, "/", true)
	if !c.wait(frameHeaders, 3) {
		t.Fatal("no answer")
	}
	if _, err := s.Configure([]server.Service{{
		Name: "www", Listen: "127.0.0.1:0", TLS: encrypted(t), Limits: server.Limits{Unproven: 100 * time.Millisecond},
	}}); err != nil {
		t.Fatal(err)
	}
	var asking sync.WaitGroup
	stop := make(chan struct{})
	asking.Go(func() {
		for stream := uint32(5); ; stream += 2 {
			c.request(stream, "/", true)
			select {
			case <-stop:
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	})
	if !c.wait(frameGoAway, 0) {
		t.Error("no goodbye")
	}
	close(stop)
	asking.Wait()
	close(release)
	_ = c.Close()
	if e := s.log.wait(t, connlog.Close, 1); e.Proven {
		t.Errorf("close line: %+v", e)
	}
}

// How long a client may take for a part of an answer is the service's to say.
func TestHTTP2WriteLimit(t *testing.T) {
	root := folder(t, map[string]string{"a": strings.Repeat("x", 1<<20)})
	s := startTLS(t, Options{Root: root}, server.Service{Limits: server.Limits{Write: 200 * time.Millisecond}})
	c := s.h2(t, 4, 0) // No room.
	c.request(1, "/a", true)
	if !c.wait(frameReset, 1) {
		t.Error("it is waited for")
	}
}

// An answer that is not taken proves nothing, however small, and a request
// that was given up holds the connection for nothing.
func TestHTTP2GivenUp(t *testing.T) {
	s := startTLS(t, Options{}, server.Service{})
	c := s.h2(t, 4, 0) // No room for any answer.
	c.request(1, "/healthz", true)
	c.frame(framePing, 0, 0, make([]byte, 8))
	c.wait(frameHeaders, 1)
	_ = c.Close()
	if e := s.log.wait(t, connlog.Close, 1); e.Proven {
		t.Errorf("close line: %+v", e)
	}
	asked, left := make(chan struct{}), make(chan struct{})
	s = startTLS(t, Options{Upstream: behind(t, func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done()
		close(left)
	})}, server.Service{Limits: server.Limits{Idle: 100 * time.Millisecond}})
	c = s.h2(t)
	c.request(1, "/", true)
	<-asked
	c.frame(frameReset, 0, 1, make([]byte, 4))
	<-left
	if e := s.log.wait(t, connlog.Close, 1); e.End != connlog.EndTimeout || e.Stages[connlog.StageIdle] <= 0 {
		t.Errorf("close line: %+v", e)
	}
}

// Whatever a client of HTTP/2 does to look busy, its time ends.
func TestHTTP2IsNotPatience(t *testing.T) {
	root := folder(t, map[string]string{"a": strings.Repeat("x", 1<<20)})
	limits := server.Limits{Unproven: 400 * time.Millisecond}
	for name, c := range map[string]struct {
		o        Options
		limits   server.Limits
		settings []uint32
		step     func(c *rawH2, i int)
	}{
		"pings": {Options{HeaderTime: 300 * time.Millisecond}, server.Limits{}, nil,
			func(c *rawH2, _ int) { c.frame(framePing, 0, 0, make([]byte, 8)) }},
		"half a header": {Options{HeaderTime: 300 * time.Millisecond}, server.Limits{}, nil,
			func(c *rawH2, i int) {
				if i == 0 {
					c.frame(frameHeaders, 0, 1, []byte{0x82, 0x87, 0x84})
				} else {
					c.frame(9, 0, 1, []byte{0x40, 1, 'a', 1, 'b'}) // A continuation.
				}
			}},
		"pings between two requests": {Options{}, server.Limits{Idle: 300 * time.Millisecond}, nil,
			func(c *rawH2, i int) {
				if i == 0 {
					c.request(1, "/none", true)
				}
				c.frame(framePing, 0, 0, make([]byte, 8))
			}},
		"a dripping body": {Options{}, limits, nil,
			func(c *rawH2, i int) {
				if i == 0 {
					c.request(1, "/", false)
				}
				c.frame(frameData, 0, 1, []byte("x"))
			}},
		"one body after another": {Options{}, limits, nil,
			func(c *rawH2, i int) { c.request(uint32(2*i+1), "/", false) }},
		"no room for an answer": {Options{}, limits, []uint32{4, 0},
			func(c *rawH2, i int) {
				if i == 0 {
					c.request(1, "/a", true)
				}
				c.frame(framePing, 0, 0, make([]byte, 8))
			}},
		"given up again and again": {Options{}, limits, []uint32{4, 0},
			func(c *rawH2, i int) {
				c.request(uint32(2*i+1), "/a", true)
				if i > 0 {
					c.frame(frameReset, 0, uint32(2*i-1), make([]byte, 4))
				}
			}},
	} {
		t.Run(name, func(t *testing.T) {
			if strings.Contains(name, "body") {
				c.o.Upstream = swallow(t) // Files are not sent to.
			} else {
				c.o.Root = root
			}
			s := startTLS(t, c.o, server.Service{Limits: c.limits})
			conn := s.h2(t, c.settings...)
			stop := make(chan struct{})
			var sender sync.WaitGroup
			sender.Go(func() {
				for i := 0; ; i++ {
					c.step(conn, i)
					select {
					case <-stop:
						return
					case <-time.After(20 * time.Millisecond):
					}
				}
			})
			sender.Go(func() { _, _ = io.Copy(io.Discard, conn) })
			e := s.log.wait(t, connlog.Close, 1)
			close(stop)
			_ = conn.Close()
			sender.Wait()
			if e.Proven {
				t.Errorf("close line: %+v", e)
			}
		})
	}
}

// What is not HTTP/2 is a failure, and so is what is against its rules.
func TestBadHTTP2Fails(t *testing.T) {
	s := startTLS(t, Options{}, server.Service{})
	for i, send := range []func(*rawH2){
		func(c *rawH2) { c.frame(frameData, 0, 1, []byte("x")) },           // Of no stream.
		func(c *rawH2) { c.frame(framePing, 0, 0, []byte("x")) },           // Not its size.
		func(c *rawH2) { c.frame(frameHeaders, 4, 2, []byte{0x82}) },       // Not the client's.
		func(c *rawH2) { c.frame(frameHeaders, 4, 1, []byte{0xff, 0xff}) }, // Not a header.
	} {
		c := s.h2(t)
		send(c)
		c.wait(255, 0) // Until it ends.
		if e := s.log.wait(t, connlog.Close, i+1); e.Fails != 1 || e.Proven {
			t.Errorf("%d: close line %+v", i, e)
		}
	}
	c, err := tls.Dial("tcp", s.Addr("www").String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n") // It may be hung up on.
	if e := s.log.wait(t, connlog.Close, 5); e.Fails != 1 || e.Proven {
		t.Errorf("close line %+v", e)
	}
}

// A connection that waits for nothing ends in order, with a goodbye.
func TestShutdownHTTP2(t *testing.T) {
	s := startTLS(t, Options{}, server.Service{})
	c := s.h2(t)
	c.request(1, "/", true)
	c.wait(frameData, 1)
	ended := make(chan error, 1)
	go func() { ended <- s.Shutdown(context.Background()) }()
	if !c.wait(frameGoAway, 0) {
		t.Error("no goodbye")
	}
	if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if e := s.log.wait(t, connlog.Close, 1); e.End != connlog.EndShutdown || !e.Proven {
		t.Errorf("close line: %+v", e)
	}
}

// However the frames are cut, the complaint among them is found, and no other.
func TestFrames(t *testing.T) {
	frame := func(kind byte, payload string) string {
		return string([]byte{0, 0, byte(len(payload)), kind, 0, 0, 0, 0, 0}) + payload
	}
	stop := frame(frameGoAway, "\x00\x00\x00\x01\x00\x00\x00\x00")
	bad := frame(frameGoAway, "\x00\x00\x00\x01\x00\x00\x00\x01why")
	data := frame(frameData, bad)
	for text, want := range map[string]int{
		data + stop + data: 0, data + bad + data: 1, bad + stop + bad: 2, frame(frameGoAway, "x") + bad: 1, "": 0,
	} {
		for size := 1; size <= len(text); size++ {
			var f frames
			got := 0
			for at := 0; at < len(text); at += size {
				if f.complain([]byte(text[at:min(at+size, len(text))])) {
					got++
				}
			}
			if got != want && (size == 1 || got == 0 != (want == 0)) {
				t.Errorf("%q in pieces of %d: %d", text, size, got)
			}
		}
	}
}

func ExampleTLS() {
	fmt.Println(TLS(&tls.Config{NextProtos: []string{"acme-tls/1"}}).NextProtos)
	// Output: [h2 http/1.1 acme-tls/1]
}
