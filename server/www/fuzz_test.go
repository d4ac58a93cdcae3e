package www

import (
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"overstay/server"
)

// Whatever a client sends: no file from outside comes back, nor a hidden one,
// and its thread comes back.
func FuzzRequest(f *testing.F) {
	for _, s := range []string{
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /../secret HTTP/1.1\r\nHost: x\r\n\r\nGET /.hidden HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /%2e%2e/.hidden HTTP/1.0\r\nRange: bytes=0-1,2-3,0-\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n5\r\nabc",
		"OPTIONS * HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\x00\x01",
	} {
		f.Add([]byte(s))
	}
	const secret = "0xSECRETx0"
	root := folder(f, map[string]string{"secret": secret, "site/a": "a", "site/.hidden": secret})
	s := start(f, Options{Root: root + "/site"}, server.Service{})
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := net.Dial("tcp", s.Addr("www").String())
		if err != nil {
			t.Skip(err)
		}
		defer func() { _ = c.Close() }()
		_ = c.SetDeadline(time.Now().Add(10 * time.Second)) // It is open.
		_, _ = c.Write(text)                                // It may have been hung up on.
		_ = c.(*net.TCPConn).CloseWrite()
		answer, _ := io.ReadAll(c) // A reset ends it as well.
		if strings.Contains(string(answer), secret) {
			t.Errorf("answer %q", answer)
		}
		for end := time.Now().Add(10 * time.Second); s.Status().Services[0].Busy > 0; time.Sleep(100 * time.Microsecond) {
			if time.Now().After(end) {
				t.Fatal("a thread is lost")
			}
		}
	})
}

// Whatever a client sends: the upstream hears of nobody but the client, in a
// request that it makes itself, and the thread comes back.
func FuzzForwarded(f *testing.F) {
	for _, s := range []string{
		"GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nX_Forwarded-For: 192.0.2.7\r\nForwarded: for=192.0.2.7\r\nConnection: X-Forwarded-For\r\n\r\n",
		"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcGET /b HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTrailer: X-Real-Ip\r\n\r\n1\r\na\r\n0\r\nX-Real-Ip: 192.0.2.7\r\n\r\n",
		"GET http://other/ HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nExpect: 100-continue\r\n\r\n",
		"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", "HEAD //x/../y?;=%zz HTTP/1.0\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	var forged atomic.Int64
	s := start(f, Options{Upstream: behind(f, func(_ http.ResponseWriter, r *http.Request) {
		for name, values := range r.Header {
			mine := name == "X-Forwarded-For" || name == "X-Forwarded-Host" || name == "X-Forwarded-Proto"
			if saysWhoAsks(name) && (!mine || len(values) != 1) || name == "Upgrade" {
				forged.Add(1)
			}
		}
		if r.Header.Get("X-Forwarded-For") != "127.0.0.1" {
			forged.Add(1)
		}
	})}, server.Service{})
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := net.Dial("tcp", s.Addr("www").String())
		if err != nil {
			t.Skip(err)
		}
		defer func() { _ = c.Close() }()
		_ = c.SetDeadline(time.Now().Add(10 * time.Second)) // It is open.
		_, _ = c.Write(text)                                // It may have been hung up on.
		_ = c.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, c) // A reset ends it as well.
		for end := time.Now().Add(10 * time.Second); s.Status().Services[0].Busy > 0; time.Sleep(100 * time.Microsecond) {
			if time.Now().After(end) {
				t.Fatal("a thread is lost")
			}
		}
		if forged.Swap(0) > 0 {
			t.Error("the upstream was told of somebody else")
		}
	})
}
