package imap

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"overstay/connlog"
	"overstay/server"
	"overstay/server/mailstore"
)

// certificate returns a certificate for 127.0.0.1.
func certificate(t testing.TB) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}
}

// far makes connections seem to come from elsewhere.
type far struct{ net.Listener }

type farConn struct{ *net.TCPConn }

func (farConn) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.ParseIP("2001:db8::5"), Port: 99} }

func (f far) Accept() (net.Conn, error) {
	c, err := f.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return farConn{c.(*net.TCPConn)}, nil
}

func farListener(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return far{l}
}

// handshake goes on under TLS.
func (c *talk) handshake() *talk {
	c.t.Helper()
	s := tls.Client(c.Conn, &tls.Config{InsecureSkipVerify: true})
	if err := s.Handshake(); err != nil {
		c.t.Fatal(err)
	}
	return newTalk(c.t, s)
}

func TestStartTLS(t *testing.T) {
	s := start(t, Options{TLS: certificate(t)}, server.Service{Listener: farListener(t)})
	c := s.dial(t, "127.0.0.1")
	if got := c.expect("* OK"); !strings.Contains(got, "STARTTLS") || !strings.Contains(got, "LOGINDISABLED") || strings.Contains(got, "AUTH=") {
		t.Errorf("greeting %q", got)
	}
	c.say("a LOGIN anna secret", "a NO [PRIVACYREQUIRED]")
	c.say("b AUTHENTICATE PLAIN AGFubmEAc2VjcmV0", "b NO [PRIVACYREQUIRED]")
	c.say("c STARTTLS", "c OK")
	c = c.handshake()
	if got := c.say("d CAPABILITY", "d OK"); strings.Contains(got, "STARTTLS") || !strings.Contains(got, "AUTH=PLAIN") || strings.Contains(got, "* OK") {
		t.Errorf("capabilities %q", got)
	}
	c.say("e STARTTLS", "e ")
	c.say("f AUTHENTICATE PLAIN AGFubmEAc2VjcmV0", "f OK")
	c.say("g SELECT INBOX", "g OK")
	c.say("h LOGOUT", "h OK")
	if e := s.log.closed(t, 1); !e.Proven || e.Stages[connlog.StageTLS] <= 0 {
		t.Errorf("close line %+v", e)
	}
}

// What comes in the clear behind STARTTLS must not be taken for what comes
// under TLS.
func TestStartTLSInjection(t *testing.T) {
	s := start(t, Options{TLS: certificate(t)}, server.Service{})
	for i, text := range []string{"a STARTTLS\r\nb NOOP\r\n", "a STARTTLS \r\n", "a STARTTLS x\r\n", "a STARTTLS {3+}\r\nabc\r\n"} {
		c := s.dial(t, "127.0.0.1")
		c.expect("* OK")
		c.send(text)
		if got := c.end(); !strings.HasPrefix(got, "a BAD") {
			t.Errorf("%q: %q", text, got)
		}
		if e := s.log.closed(t, i+1); e.Fails == 0 {
			t.Errorf("%q: close line %+v", text, e)
		}
	}
	c := s.dial(t, "127.0.0.1")
	c.expect("* OK")
	c.say("a STARTTLS", "a OK")
	c.send("no handshake at all\r\n")
	c.end()
	if s.log.closed(t, 5); len(s.log.of(connlog.Fail)) == 0 || s.log.of(connlog.Fail)[len(s.log.of(connlog.Fail))-1].What != connlog.FailTLS {
		t.Errorf("%+v", s.log.of(connlog.Fail))
	}
}

func TestImplicitTLS(t *testing.T) {
	s := start(t, Options{TLS: certificate(t)}, server.Service{TLS: certificate(t), Listener: farListener(t)})
	c := s.dial(t, "127.0.0.1").handshake()
	if got := c.expect("* OK"); strings.Contains(got, "STARTTLS") || !strings.Contains(got, "AUTH=PLAIN") {
		t.Errorf("greeting %q", got)
	}
	c.say("a LOGIN anna secret", "a OK")
	c.say("b LOGOUT", "b OK")
	s.log.closed(t, 1)
}

func TestPlainAuthIfAllowed(t *testing.T) {
	s := start(t, Options{AllowPlainAuth: true}, server.Service{Listener: farListener(t)})
	s.login(t, "anna")
	s = start(t, Options{}, server.Service{Listener: farListener(t)})
	c := s.dial(t, "127.0.0.1")
	c.expect("* OK")
	c.say("a LOGIN anna secret", "a NO [PRIVACYREQUIRED]")
	if f := s.log.of(connlog.Fail); len(f) != 0 {
		t.Errorf("%+v", f)
	}
}

type brokenUsers struct{ err error }

func (b brokenUsers) Authenticate(context.Context, netip.Prefix, string, string) (string, error) {
	return "", b.err
}

type panickingUsers struct{}

func (panickingUsers) Authenticate(context.Context, netip.Prefix, string, string) (string, error) {
	panic("on purpose")
}

func TestFailedLogins(t *testing.T) {
	s := start(t, Options{MaxErrors: 3}, server.Service{})
	c := s.dial(t, "127.0.0.1")
	c.expect("* OK")
	c.say("a LOGIN anna wrong", "a NO [AUTHENTICATIONFAILED]")
	c.say("b AUTHENTICATE PLAIN", "+")
	c.say("AGJlbgB3cm9uZw==", "b NO [AUTHENTICATIONFAILED]")
	c.say("c LOGIN {4}", "+ ")
	c.say("anna {5}", "+ ")
	c.say("wrong", "c NO [AUTHENTICATIONFAILED]")
	if got := c.end(); !strings.HasPrefix(got, "* BYE") {
		t.Errorf("end %q", got)
	}
	f := s.log.of(connlog.Fail)
	if len(f) != 3 || f[0].What != connlog.FailLogin || f[0].User != "anna" || f[1].User != "ben" {
		t.Errorf("%+v", f)
	}
	for users, want := range map[Users]string{brokenUsers{mailstore.ErrBusy}: "a NO [UNAVAILABLE]", brokenUsers{errors.New("x")}: "a NO [UNAVAILABLE]"} {
		s := start(t, Options{Users: users}, server.Service{})
		c := s.dial(t, "127.0.0.1")
		c.expect("* OK")
		c.say("a LOGIN anna secret", want)
		if f := s.log.of(connlog.Fail); len(f) != 0 {
			t.Errorf("our trouble is the client's: %+v", f)
		}
	}
	// A panic gives the thread back.
	s = start(t, Options{Users: panickingUsers{}}, server.Service{})
	c = s.dial(t, "127.0.0.1")
	c.expect("* OK")
	c.send("a LOGIN anna secret\r\n")
	c.end()
	s.log.closed(t, 1)
}

// Logins that are put off cost the client its connection, and once it does not
// stop although its own source is what is too many, also its name.
func TestLoginsPutOff(t *testing.T) {
	for err, fails := range map[error]int{mailstore.ErrBusy: 0, mailstore.ErrCrowd: 2} {
		s := start(t, Options{Users: brokenUsers{err}, MaxErrors: maxPutOff + 2}, server.Service{})
		c := s.dial(t, "127.0.0.1")
		c.expect("* OK")
		for range maxPutOff + 2 {
			c.say("a LOGIN anna secret", "a NO [UNAVAILABLE]")
		}
		if got := c.end(); !strings.HasPrefix(got, "* BYE") {
			t.Errorf("end %q", got)
		}
		f := s.log.of(connlog.Fail)
		if len(f) != fails || fails > 0 && (f[0].What != connlog.FailLogin || f[0].User != "anna") {
			t.Errorf("%v: %+v", err, f)
		}
	}
}

func TestRefusals(t *testing.T) {
	words := server.Words{Busy: "Come back", Sessions: "You again", Banned: "No"}
	for _, c := range []struct {
		words  server.Words
		reason connlog.Reason
		want   string
	}{
		{server.Words{}, connlog.RefuseBusy, "* BYE [UNAVAILABLE] Too busy, please try later\r\n"},
		{server.Words{}, connlog.RefuseSessions, "* BYE [LIMIT] Too many sessions from your address\r\n"},
		{server.Words{}, connlog.RefuseBanned, "* BYE [NOPERM] Your address is banned\r\n"},
		{words, connlog.RefuseBusy, "* BYE [UNAVAILABLE] Come back\r\n"},
		{words, connlog.RefuseSessions, "* BYE [LIMIT] You again\r\n"},
		{words, connlog.RefuseBanned, "* BYE [NOPERM] No\r\n"},
		{server.Words{BanSilently: true}, connlog.RefuseBanned, ""},
	} {
		s := start(t, Options{Words: c.words}, server.Service{})
		if got := string(s.proto.Refusal(c.reason)); got != c.want {
			t.Errorf("%v: %q", c.reason, got)
		}
	}
	s := start(t, Options{}, server.Service{})
	if got := s.dial(t, "127.0.0.66").end(); got != "* BYE [NOPERM] Your address is banned\r\n" {
		t.Errorf("%q", got)
	}
	for _, o := range []Options{{}, {Words: server.Words{Busy: "a\r\nb"}, Users: brokenUsers{}, Store: s.mail}} {
		if _, err := New(o); !errors.Is(err, ErrOptions) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// Whoever waits is told; who is in the middle of something finishes it.
func TestShutdown(t *testing.T) {
	s := start(t, Options{}, server.Service{})
	fresh, waiting, idling := s.dial(t, "127.0.0.1"), s.login(t, "anna"), s.login(t, "anna")
	fresh.expect("* OK")
	idling.say("b SELECT INBOX", "b OK")
	idling.say("c IDLE", "+ ")
	busy := s.login(t, "ben")
	busy.send("b APPEND INBOX {3}\r\n")
	busy.expect("+ ")
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.stop()
	}()
	for name, c := range map[string]*talk{"fresh": fresh, "waiting": waiting, "idling": idling} {
		if got := c.end(); !strings.HasPrefix(got, "* BYE") {
			t.Errorf("%s: %q", name, got)
		}
	}
	busy.send("abc\r\n")
	busy.expect("b OK")
	if got := busy.end(); !strings.HasPrefix(got, "* BYE") {
		t.Errorf("busy: %q", got)
	}
	<-ended
	for _, e := range s.log.of(connlog.Close) {
		if e.End != connlog.EndShutdown && e.End != connlog.EndServer {
			t.Errorf("close line %+v", e)
		}
	}
}
