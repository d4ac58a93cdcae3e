package proxy

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"

	"overstay/connlog"
	"overstay/server"
)

// Who ends which direction first, and what still passes.
func TestHalfClose(t *testing.T) {
	for name, c := range map[string]struct {
		upstream func(*talk)
		client   func(*testing.T, *talk)
		end      connlog.End
	}{
		"the client has said all and gets its answer": {
			func(c *talk) { c.send("got " + c.rest()) },
			func(t *testing.T, c *talk) {
				c.send("all")
				_ = c.CloseWrite()
				if got := c.rest(); got != "got all" {
					t.Errorf("%q", got)
				}
			}, connlog.EndClient},
		"the upstream has said all and hears the rest": {
			func(c *talk) {
				c.send("bye")
				_ = c.CloseWrite()
				if got := c.rest(); got != "one more" {
					t.Errorf("the upstream heard %q", got)
				}
			},
			func(t *testing.T, c *talk) {
				if got := c.rest(); got != "bye" {
					t.Errorf("%q", got)
				}
				c.send("one more")
				_ = c.CloseWrite()
			}, connlog.EndClient},
		"the upstream closes": {
			func(c *talk) { c.hear("x"); c.send("y") },
			func(t *testing.T, c *talk) {
				c.send("x")
				if got := c.rest(); got != "y" {
					t.Errorf("%q", got)
				}
				_ = c.Close()
			}, connlog.EndClient},
		"the client resets": {
			func(c *talk) { c.send("x"); c.rest() },
			func(_ *testing.T, c *talk) {
				c.hear("x")
				_ = c.Conn.(*net.TCPConn).SetLinger(0)
				_ = c.Close()
			}, connlog.EndReset},
		"the upstream resets": {
			func(c *talk) { c.hear("x"); _ = c.Conn.(*net.TCPConn).SetLinger(0) },
			func(t *testing.T, c *talk) {
				c.send("x")
				if got := c.rest(); got != "" {
					t.Errorf("%q", got)
				}
				_ = c.Close()
			}, connlog.EndError},
		"the client says nothing": {
			func(c *talk) { c.rest() },
			func(_ *testing.T, c *talk) { _ = c.Close() }, connlog.EndClient},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, Options{Upstream: upstream(t, c.upstream)}, server.Service{})
			c.client(t, s.dial(t, "127.0.0.1"))
			if e := s.log.wait(t, connlog.Close, 1); e.End != c.end {
				t.Errorf("close line: %+v", e)
			}
		})
	}
}

// An upstream that goes in the middle of an answer or of a message is a
// failure that the client is told of; one that goes between two is not.
func TestUpstreamDies(t *testing.T) {
	for name, c := range map[string]struct {
		speaks, text, last string
		want               string
		end                connlog.End
	}{
		"no greeting": {SMTP, "", "", "421 4.3.0 ", connlog.EndError},
		"no answer": {SMTP, `
			S: 220 mx
			C: NOOP`, "", "421 4.3.0 ", connlog.EndError},
		"in a message": {SMTP, `
			S: 220 mx
			C: DATA
			S: 354 go
			C: text`, "", "421 4.3.0 ", connlog.EndError},
		"between two commands": {SMTP, `
			S: 220 mx
			C: NOOP
			S: 250 fine`, "", "", connlog.EndClient},
		"in an answer of many lines": {POP3, `
			S: +OK
			C: CAPA
			S: +OK`, "", "", connlog.EndError},
		"no tagged answer": {IMAP, `
			S: * OK
			C: a NOOP`, "", "* BYE [UNAVAILABLE] ", connlog.EndError},
		"in a response": {HTTP, `
			C: GET / HTTP/1.1
			C:
			S: HTTP/1.1 200 OK
			S: Content-Length: 5
			S:`, "", "", connlog.EndError},
		"before a response": {HTTP, `
			C: GET / HTTP/1.1
			C:`, "", "HTTP/1.1 502 ", connlog.EndError},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, Options{Upstream: upstream(t, script(c.text)), Speaks: c.speaks}, server.Service{})
			talk := s.dial(t, "127.0.0.1")
			talk.play(c.text)
			if got := talk.rest(); !strings.HasPrefix(got, c.want) || c.want == "" && got != "" {
				t.Errorf("then %q", got)
			}
			_ = talk.Close()
			if e := s.log.wait(t, connlog.Close, 1); e.End != c.end || e.Proven {
				t.Errorf("close line: %+v", e)
			}
		})
	}
}

// What passes is what was said, to the byte, in both directions at a time.
func TestBigTransfers(t *testing.T) {
	const size = 8 << 20
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	text := make([]byte, size)
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	_, _ = rand.NewChaCha8(key).Read(text) // It never fails.
	for _, speaks := range []string{TCP, SMTP, IMAP, POP3, HTTP} {
		heard := make(chan [32]byte, 1)
		back := upstream(t, func(c *talk) {
			var sending sync.WaitGroup
			sending.Go(func() { _, _ = c.Write(text); _ = c.CloseWrite() })
			b, _ := io.ReadAll(c)
			heard <- sha256.Sum256(b)
			sending.Wait()
		})
		s := start(t, Options{Upstream: back, Speaks: speaks}, server.Service{})
		c := s.dial(t, "127.0.0.1")
		var sending sync.WaitGroup
		sending.Go(func() { _, _ = c.Write(text); _ = c.CloseWrite() })
		got, err := io.ReadAll(c)
		sending.Wait()
		if !bytes.Equal(got, text) {
			t.Errorf("%s: other bytes came back: %d, %v", speaks, len(got), err)
		}
		if <-heard != sha256.Sum256(text) {
			t.Errorf("%s: the upstream heard other bytes", speaks)
		}
		if e := s.log.wait(t, connlog.Close, 1); e.BytesIn != size || e.BytesOut != size {
			t.Errorf("%s: close line %+v", speaks, e)
		}
	}
}

// A ban in the middle frees the thread at once, and the upstream's side.
func TestBanInTheMiddle(t *testing.T) {
	gone := make(chan struct{})
	s := start(t, Options{Upstream: upstream(t, func(c *talk) { c.send("hello"); c.rest(); close(gone) })}, server.Service{})
	s.dial(t, "127.0.0.9").hear("hello")
	s.bans.set("127.0.0.9")
	if n := s.Recheck(); n != 1 || s.Status().Services[0].Busy != 0 {
		t.Errorf("%d ended, %+v", n, s.Status().Services[0])
	}
	<-gone
	if e := s.log.wait(t, connlog.Close, 1); e.End != connlog.EndBanned {
		t.Errorf("close line: %+v", e)
	}
}

// A client that takes nothing is cut by the limit of the server.
func TestSlowReader(t *testing.T) {
	big := upstream(t, func(c *talk) { _, _ = c.Write(make([]byte, 64<<20)) }) // Until it is cut.
	s := start(t, Options{Upstream: big}, server.Service{Limits: server.Limits{Write: 100 * time.Millisecond}})
	s.dial(t, "127.0.0.1").hear("\x00")
	if e := s.log.wait(t, connlog.Close, 1); e.End != connlog.EndTimeout {
		t.Errorf("close line: %+v", e)
	}
}

// Whoever drips is not the upstream's fault.
func TestDrip(t *testing.T) {
	for speaks, o := range map[string]Options{
		SMTP: {}, POP3: {}, IMAP: {}, HTTP: {}, TCP: {ReplyTimeout: 50 * time.Millisecond},
	} {
		t.Run(speaks, func(t *testing.T) {
			greeting := map[string]string{SMTP: "220 mx\r\n", POP3: "+OK\r\n", IMAP: "* OK\r\n"}[speaks]
			o.Upstream, o.Speaks = upstream(t, func(c *talk) { c.send(greeting); c.rest() }), speaks
			s := start(t, o, server.Service{Limits: server.Limits{Unproven: 300 * time.Millisecond}})
			c := s.dial(t, "127.0.0.1")
			c.hear(greeting)
			var sender sync.WaitGroup
			sender.Go(func() {
				for {
					if _, err := io.WriteString(c.Conn, "x"); err != nil {
						return
					}
					time.Sleep(10 * time.Millisecond)
				}
			})
			if e := s.log.wait(t, connlog.Close, 1); e.End != connlog.EndTimeout || e.Held > 5*time.Second {
				t.Errorf("close line: %+v", e)
			}
			_ = c.Close()
			sender.Wait()
		})
	}
}

// Clients that wait for nothing are told goodbye, and the others finish.
func TestShutdown(t *testing.T) {
	for speaks, c := range map[string]struct{ greeting, command, answer, goodbye string }{
		SMTP: {"220 mx\r\n", "NOOP\r\n", "250 fine\r\n", "421 4.3.2 "},
		POP3: {"+OK\r\n", "NOOP\r\n", "+OK\r\n", "-ERR [SYS/TEMP] "},
		IMAP: {"* OK\r\n", "a NOOP\r\n", "a OK\r\n", "* BYE "},
		HTTP: {"", "GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ""},
	} {
		t.Run(speaks, func(t *testing.T) {
			asked, release := make(chan struct{}, 1), make(chan struct{})
			back := upstream(t, func(u *talk) {
				u.send(c.greeting)
				if n, _ := io.ReadFull(u.in, make([]byte, len(c.command))); n > 0 {
					asked <- struct{}{}
					<-release
					u.send(c.answer)
				}
				u.rest()
			})
			s := start(t, Options{Upstream: back, Speaks: speaks}, server.Service{})
			idle, busy := s.dial(t, "127.0.0.1"), s.dial(t, "127.0.0.1")
			idle.hear(c.greeting)
			busy.hear(c.greeting)
			busy.send(c.command)
			<-asked
			ended := make(chan error, 1)
			go func() { ended <- s.Shutdown(context.Background()) }()
			if got := idle.rest(); !strings.HasPrefix(got, c.goodbye) {
				t.Errorf("idle: %q", got)
			}
			select {
			case err := <-ended:
				t.Fatalf("it did not wait: %v", err)
			default:
			}
			close(release)
			if got := busy.rest(); !strings.HasPrefix(got, c.answer+c.goodbye) {
				t.Errorf("busy: %q", got)
			}
			if err := <-ended; err != nil {
				t.Error(err)
			}
			for _, e := range s.log.of(connlog.Close) {
				if e.End != connlog.EndShutdown {
					t.Errorf("close line: %+v", e)
				}
			}
		})
	}
}

// What cannot be read is left to its end or to that of the server's patience.
func TestShutdownCuts(t *testing.T) {
	s := start(t, Options{Upstream: upstream(t, func(c *talk) { c.send("x"); c.rest() })}, server.Service{})
	c := s.dial(t, "127.0.0.1")
	c.hear("x")
	s.stop()
	if e := s.log.wait(t, connlog.Close, 1); e.End != connlog.EndShutdown {
		t.Errorf("close line: %+v", e)
	}
}

// The upstream learns who the client is, as go-proxyproto reads it.
func TestProxyHeader(t *testing.T) {
	for version := 1; version <= 2; version++ {
		seen := make(chan *proxyproto.Header, 1)
		back := upstream(t, func(c *talk) {
			header, err := proxyproto.Read(c.in)
			if err != nil {
				t.Error(err)
			}
			seen <- header
			c.send("hello")
		})
		s := start(t, Options{Upstream: back, ProxyHeader: version}, server.Service{})
		c := s.dial(t, "127.0.0.5")
		c.hear("hello")
		h := <-seen
		if h == nil || int(h.Version) != version || h.SourceAddr.String() != c.LocalAddr().String() || h.DestinationAddr.String() != s.Addr("front").String() {
			t.Errorf("version %d: %+v, client %s", version, h, c.LocalAddr())
		}
	}
	for _, pair := range [][2]string{
		{"192.0.2.1:1", "198.51.100.1:65535"}, {"[2001:db8::1]:1", "[2001:db8::2]:25"}, {"[::ffff:192.0.2.1]:1", "198.51.100.1:25"},
		{"192.0.2.1:1", "[2001:db8::2]:25"},
	} {
		from, to := netip.MustParseAddrPort(pair[0]), netip.MustParseAddrPort(pair[1])
		for version := 1; version <= 2; version++ {
			in := newTalk(t, nopConn{bytes.NewReader(appendHeader(nil, version, from, to))})
			h, err := proxyproto.Read(in.in)
			if err != nil {
				t.Errorf("%v, version %d: %v", pair, version, err)
				continue
			}
			for i, got := range []net.Addr{h.SourceAddr, h.DestinationAddr} {
				want := []netip.AddrPort{from, to}[i]
				if ap := got.(*net.TCPAddr).AddrPort(); ap.Addr().Unmap() != want.Addr().Unmap() || ap.Port() != want.Port() {
					t.Errorf("%v, version %d: %v", pair, version, got)
				}
			}
		}
	}
	for version := 1; version <= 2; version++ {
		in := newTalk(t, nopConn{bytes.NewReader(appendHeader(nil, version, netip.AddrPort{}, netip.AddrPort{}))})
		if h, err := proxyproto.Read(in.in); err != nil || h.TransportProtocol.IsStream() {
			t.Errorf("unknown, version %d: %+v, %v", version, h, err)
		}
	}
}

// nopConn is a connection that only reads.
type nopConn struct{ io.Reader }

func (nopConn) Write(b []byte) (int, error)      { return len(b), nil }
func (nopConn) Close() error                     { return nil }
func (nopConn) LocalAddr() net.Addr              { return nil }
func (nopConn) RemoteAddr() net.Addr             { return nil }
func (nopConn) SetDeadline(time.Time) error      { return nil }
func (nopConn) SetReadDeadline(time.Time) error  { return nil }
func (nopConn) SetWriteDeadline(time.Time) error { return nil }

// The upstream may be a unix socket.
func TestUnixUpstream(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	defer running.Wait()
	defer func() { _ = l.Close() }()
	running.Go(func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		_, _ = fmt.Fprint(c, "hello")
		_ = c.Close()
	})
	s := start(t, Options{Upstream: "unix:" + path}, server.Service{})
	if got := s.dial(t, "127.0.0.1").rest(); got != "hello" {
		t.Errorf("%q", got)
	}
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		t.Error(err)
	}
}
