package www

import (
	"io"
	"net"
	"strings"
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
