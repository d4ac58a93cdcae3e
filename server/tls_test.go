package server

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"overstay/connlog"
)

// testTLS returns the settings of a server and of a client that trusts it.
func testTLS(t testing.TB) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "mx.example.org"},
		DNSNames:     []string{"mx.example.org"},
		NotAfter:     time.Now().AddDate(100, 0, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	server = &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		NextProtos:   []string{"h2", "http/1.1"},
	}
	return server, &tls.Config{RootCAs: roots, ServerName: "mx.example.org"}
}

// tlsService is the test service under TLS.
func tlsService(t testing.TB, threads int) (Service, *tls.Config) {
	t.Helper()
	s := testService(threads)
	server, client := testTLS(t)
	s.TLS = server
	return s, client
}

// secure does the client's side of a handshake on a connection.
func secure(c net.Conn, config *tls.Config) *client { return newPipeClient(tls.Client(c, config)) }

func TestTLS(t *testing.T) {
	s, config := tlsService(t, 4)
	r := run(t, Options{Services: []Service{s}})
	c := secure(r.dial(t, "127.0.0.1"), config)
	c.expect(t, "hi")
	if got := c.say("login"); got != "ok" {
		t.Fatal(got)
	}
	_ = c.Close()
	eventually(t, "the close line", func() bool { return len(r.log.of(connlog.Close)) == 1 })
	e := r.log.of(connlog.Close)[0]
	if !e.Proven || e.Fails != 0 || e.Stages[connlog.StageTLS] == 0 || e.BytesOut < 500 {
		t.Errorf("close line: %+v", e)
	}
	eventually(t, "a free thread", func() bool { return r.busy() == 0 })
	checkLog(t, r.log.events)
}

func TestFailedHandshake(t *testing.T) {
	s, _ := tlsService(t, 4)
	for name, say := range map[string]string{
		"plain text": "EHLO client.example.org\r\n",
		"half":       "\x16\x03\x01",
		"nothing":    "",
	} {
		t.Run(name, func(t *testing.T) {
			r := run(t, Options{Services: []Service{s}})
			c := r.dial(t, "127.0.0.1")
			if _, err := io.WriteString(c, say); err != nil {
				t.Fatal(err)
			}
			_ = c.Conn.(*net.TCPConn).CloseWrite() // It is open.
			_, _ = io.Copy(io.Discard, c)          // However it ends.
			eventually(t, "the close line", func() bool { return len(r.log.of(connlog.Close)) == 1 })
			fails := r.log.of(connlog.Fail)
			if len(fails) != 1 || fails[0].What != connlog.FailTLS {
				t.Errorf("fail lines: %+v", fails)
			}
			eventually(t, "a free thread", func() bool { return r.busy() == 0 })
			checkLog(t, r.log.events)
		})
	}
}

// However steadily the bytes of a handshake drip in, or out, it ends in time.
func TestSlowHandshake(t *testing.T) {
	s, config := tlsService(t, 10)
	hello := clientHello(t, config)
	for name, c := range map[string]struct {
		send func(net.Conn)
		want time.Duration
	}{
		"silent":   {func(net.Conn) {}, 10 * time.Second},
		"dripping": {func(c net.Conn) { drip(c, string(hello), 30*time.Millisecond) }, 10 * time.Second},
		"takes nothing": {func(c net.Conn) {
			_, _ = c.Write(hello) // And then it reads no more.
			time.Sleep(20 * time.Second)
		}, 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			simulate(t, s, Options{}, func(t *testing.T, r *running, p *pipes) {
				conn := p.dial("192.0.2.1")
				go c.send(conn)
				time.Sleep(20 * time.Second)
				_ = conn.Close()
				synctest.Wait()
				e := r.log.of(connlog.Close)
				if len(e) != 1 || e[0].End != connlog.EndTimeout || e[0].Held != c.want || e[0].Fails != 1 ||
					e[0].Stages[connlog.StageTLS] != c.want {
					t.Errorf("close lines: %+v", e)
				}
			})
		})
	}
}

// clientHello returns the first message of a handshake.
func clientHello(t testing.TB, config *tls.Config) []byte {
	t.Helper()
	var out bytes.Buffer
	_ = tls.Client(writeOnly{&out}, config).Handshake() // It ends where an answer would be.
	if out.Len() == 0 {
		t.Fatal("no client hello")
	}
	return out.Bytes()
}

// writeOnly is a connection that nobody answers.
type writeOnly struct{ *bytes.Buffer }

func (writeOnly) Read([]byte) (int, error)         { return 0, io.EOF }
func (writeOnly) Close() error                     { return nil }
func (writeOnly) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (writeOnly) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (writeOnly) SetDeadline(time.Time) error      { return nil }
func (writeOnly) SetReadDeadline(time.Time) error  { return nil }
func (writeOnly) SetWriteDeadline(time.Time) error { return nil }

// A ban, or the end of the server, does not wait for a handshake, nor for the
// delay of the greeting.
func TestEndDuringPreparation(t *testing.T) {
	under, _ := tlsService(t, 4)
	delayed := testService(4)
	delayed.GreetDelay = time.Hour
	for name, c := range map[string]struct {
		service Service
		say     string
	}{"handshake": {under, ""}, "delay": {delayed, ""}, "delay of a talker": {delayed, "login\n"}} {
		s, fails := c.service, len(c.say)/len("login\n")
		dial := func(t *testing.T, r *running) *client {
			conn := r.dial(t, "127.0.0.1")
			_, _ = io.WriteString(conn, c.say) // It is open.
			eventually(t, "admission", func() bool {
				return len(r.pools[0].collect(nil)) == 1 && len(r.log.of(connlog.Fail)) == fails
			})
			return conn
		}
		t.Run(name+", banned", func(t *testing.T) {
			r := run(t, Options{Services: []Service{s}})
			c := dial(t, r)
			r.banned.set("127.0.0.1", true)
			if n := r.Recheck(); n != 1 || r.busy() != 0 {
				t.Errorf("%d ended, %d threads held", n, r.busy())
			}
			if got := c.line(); !strings.Contains(got, "reset") {
				t.Errorf("the banned client reads %q", got)
			}
			if e := r.log.of(connlog.Close)[0]; e.End != connlog.EndBanned || e.Fails != fails {
				t.Errorf("close line: %+v", e)
			}
			if err := r.Shutdown(context.Background()); err != nil { // It waits for all that runs.
				t.Error(err)
			}
			checkLog(t, r.log.events)
		})
		t.Run(name+", stopped", func(t *testing.T) {
			r := run(t, Options{Services: []Service{s}})
			c := dial(t, r)
			if err := r.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
			if got := c.line(); !strings.HasPrefix(got, "error: ") {
				t.Errorf("the client reads %q", got)
			}
			if e := r.log.of(connlog.Close); len(e) != 1 || e[0].End != connlog.EndShutdown || e[0].Fails != fails {
				t.Errorf("close lines: %+v", e)
			}
			checkLog(t, r.log.events)
		})
	}
}

// A connection whose proxy was listened to while the server stopped is not
// waited for either.
func TestAdmissionAfterTheEnd(t *testing.T) {
	s, _ := tlsService(t, 4)
	simulate(t, s, Options{}, func(t *testing.T, r *running, p *pipes) {
		_ = r.Shutdown(t.Context())
		svc := r.services[0]
		ours, theirs := net.Pipe()
		svc.decide(ours, netip.MustParseAddrPort("203.0.113.9:80"), svc.current())
		if got := held(theirs); got != 0 {
			t.Errorf("held for %v", got)
		}
		_ = theirs.Close()
		r.handlers.Wait()
		if e := r.log.of(connlog.Close); len(e) != 1 || e[0].End != connlog.EndShutdown {
			t.Errorf("close lines: %+v", e)
		}
	})
}

// Who is turned away from a service under TLS is told so under TLS, in words
// that need no protocol chosen in the handshake.
func TestRefusalUnderTLS(t *testing.T) {
	for _, clientFirst := range []bool{false, true} {
		s, config := tlsService(t, 1)
		s.Protocol = &lines{clientFirst: clientFirst}
		r := run(t, Options{Services: []Service{s}})
		secure(r.dial(t, "127.0.0.1"), config).expect(t, "hi")

		config = config.Clone()
		config.NextProtos = []string{"h2", "http/1.1"}
		refused := tls.Client(r.dial(t, "127.0.0.2"), config)
		if _, err := io.WriteString(refused, "hello?"); err != nil {
			t.Fatal(err)
		}
		newPipeClient(refused).expect(t, "no: busy")
		if got := refused.ConnectionState().NegotiatedProtocol; got != "" {
			t.Errorf("the refuser speaks %q", got)
		}
		_ = refused.Close()

		r.banned.set("127.0.0.3", true)
		if got := r.dial(t, "127.0.0.3").line(); !strings.HasPrefix(got, "error: ") {
			t.Errorf("the banned one was told %q", got)
		}
	}
}

// Handshakes with clients that are turned away are few at a time, each for a
// second at most; all others are hung up on at once.
func TestHandshakesOfRefusersAreBounded(t *testing.T) {
	s, config := tlsService(t, 1)
	simulate(t, s, Options{}, func(t *testing.T, r *running, p *pipes) {
		first := secure(p.dial("192.0.2.1"), config)
		first.expect(t, "hi")
		start := time.Now()
		var silent []net.Conn
		for range maxRefuserHandshakes {
			silent = append(silent, p.dial("192.0.2.9"))
		}
		extra := p.dial("192.0.2.9")
		if _, err := extra.Read(make([]byte, 1)); !errors.Is(err, io.EOF) || time.Since(start) != 0 {
			t.Errorf("one too many: %v after %v", err, time.Since(start))
		}
		for _, c := range silent {
			_ = held(c)
			_ = c.Close()
		}
		if got := time.Since(start); got != refusalTime {
			t.Errorf("the silent ones were held for %v", got)
		}
		raw := p.dial("192.0.2.9")
		late := secure(raw, config)
		late.expect(t, "no: busy")
		_ = held(late)
		_, _ = raw.Close(), first.Close()
		synctest.Wait()
		if n := len(r.refusals.tls) + len(r.refusals.slots); n != 0 {
			t.Errorf("%d refusers still at work", n)
		}
	})
}

// A protocol that knows STARTTLS does the same handshake later.
func TestStartTLS(t *testing.T) {
	serverTLS, clientTLS := testTLS(t)
	s := testService(1)
	proto := &upgrading{config: serverTLS}
	s.Protocol = proto
	r := run(t, Options{Services: []Service{s}})
	raw := r.dial(t, "127.0.0.1")
	raw.expect(t, "go ahead")
	c := secure(raw.Conn, clientTLS)
	c.expect(t, "hi")
	c.say("quit")
	eventually(t, "the close line", func() bool { return len(r.log.of(connlog.Close)) == 1 })
	if e := r.log.of(connlog.Close)[0]; e.Stages[connlog.StageTLS] == 0 || e.Fails != 0 {
		t.Errorf("close line: %+v", e)
	}
}

// upgrading is a protocol that begins with a word in the clear.
type upgrading struct {
	lines
	config *tls.Config
}

func (p *upgrading) Serve(l net.Listener) error {
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		p.sessions.Go(func() {
			_, _ = io.WriteString(c, "go ahead\n") // A closed one fails at the handshake.
			t, err := c.(*Conn).StartTLS(p.config)
			if err != nil {
				_ = c.Close() // It has failed.
				return
			}
			p.session(t)
		})
	}
}

func TestTLSWithoutACertificate(t *testing.T) {
	s := testService(1)
	s.TLS = &tls.Config{}
	var wrong *ServiceError
	if _, err := New(Options{Services: []Service{s}}); !errors.As(err, &wrong) {
		t.Errorf("error: %v", err)
	}
}
