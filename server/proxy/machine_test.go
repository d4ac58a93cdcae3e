package proxy

import (
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"overstay/connlog"
	"overstay/server"
)

// Clients and upstreams that talk, stall, end and reset in random order, and
// bans in between: no thread is lost, and each open has its close.
func TestRandomEnds(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for _, speaks := range []string{SMTP, POP3, IMAP, HTTP, TCP} {
		t.Run(speaks, func(t *testing.T) {
			var mu sync.Mutex
			source := rand.New(rand.NewPCG(seed, 0))
			roll := func(n int) int {
				mu.Lock()
				defer mu.Unlock()
				return source.IntN(n)
			}
			behave := func(c *talk, says []string) {
				for range 1 + roll(6) {
					switch roll(8) {
					case 0:
						_ = c.CloseWrite()
					case 1:
						_ = c.Conn.(*net.TCPConn).SetLinger(0)
						return
					case 2:
						_ = c.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
						_, _ = c.Read(make([]byte, 100)) // Or not.
					default:
						_, _ = io.WriteString(c.Conn, says[roll(len(says))]) // It may be cut.
					}
				}
			}
			back := upstream(t, func(c *talk) {
				behave(c, []string{"220 mx\r\n", "250 fine\r\n", "354 go\r\n", "+OK\r\n", "* OK\r\n", "a OK\r\n", "+ \r\n", "334 \r\n",
					"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "x", "\r\n"})
			})
			o := Options{Upstream: back, Speaks: speaks, ReplyTimeout: 50 * time.Millisecond}
			s := start(t, o, server.Service{Threads: 1000, Limits: server.Limits{Idle: 50 * time.Millisecond, Unproven: 200 * time.Millisecond}})
			var clients sync.WaitGroup
			for i := range 200 {
				from := "127.0.0.2"
				if i%10 == 0 {
					from = "127.0.0.66"
				}
				c := s.dial(t, from)
				clients.Go(func() {
					behave(c, []string{"EHLO x\r\n", "DATA\r\n", "AUTH PLAIN\r\n", ".\r\n", "PASS x\r\n", "a LOGIN x {3}\r\n", "a IDLE\r\n",
						"GET / HTTP/1.1\r\n\r\n", "x", "\r\n"})
					_ = c.Close()
				})
				if i == 100 {
					s.bans.set("127.0.0.66")
					s.Recheck()
				}
			}
			clients.Wait()
			for end := time.Now().Add(10 * time.Second); s.Status().Services[0].Busy > 0; time.Sleep(time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("%d threads are lost", s.Status().Services[0].Busy)
				}
			}
			if opens, closes := len(s.log.of(connlog.Open)), len(s.log.of(connlog.Close)); opens != closes {
				t.Errorf("%d open lines, %d close lines", opens, closes)
			}
		})
	}
}
