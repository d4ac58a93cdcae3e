package smtp

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-sasl"

	"overstay/server"
)

// Whatever a client says, in whatever order: it is answered, its thread comes
// back, and nothing is stored that was not sent as a message.
func FuzzConversation(f *testing.F) {
	for _, s := range []string{
		"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<anna@example.org>\r\nDATA\r\nhi\r\n.\r\nQUIT\r\n",
		"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<anna@example.org>\r\nBDAT 3\r\nabcRSET\r\nBDAT 1 LAST\r\nx",
		"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<anna@example.org>\r\nBDAT 5\r\nhelloAUTH PLAIN AGFubmEAeA==\r\nEHLO y\r\n",
		"EHLO x\r\nAUTH LOGIN\r\nYW5uYQ==\r\nc2VjcmV0\r\nAUTH PLAIN\r\n*\r\n",
		"DATA\r\nRCPT TO:<x>\r\nMAIL FROM:<\r\nHELO\r\nBDAT 99999999999 LAST\r\nSTARTTLS\r\n",
		"EHLO x\r\nSTARTTLS\r\n",
		"EHLO x\r\nSTARTTLS\r\nMAIL FROM:<>\r\n",
		"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<postmaster>\r\nRCPT TO:<anna@example.org>\r\nDATA\r\nx\n.\r\n.\r\n.\r\r\n.\r\nNOOP\r\n",
		"EHLO x\r\nMAIL FROM:<a@b> SIZE=1 SIZE=x BODY=9BIT\r\nVRFY x\r\n\r\n\x00\xff\r\n",
	} {
		f.Add([]byte(s))
	}
	store := &fakeStore{}
	serverSide, _ := certificate(f)
	s := start(f, Options{Store: store, Users: fakeUsers{}, TLS: serverSide}, server.Service{})
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := net.Dial("tcp", s.Addr("smtp").String())
		if err != nil {
			t.Skip(err)
		}
		defer func() { _ = c.Close() }()
		_ = c.SetDeadline(time.Now().Add(10 * time.Second)) // It is open.
		before := store.committed()
		_, _ = c.Write(text) // It may have been hung up on.
		_ = c.(*net.TCPConn).CloseWrite()
		answer, _ := io.ReadAll(c) // A reset ends it as well.
		if len(answer) > 0 && !strings.HasPrefix(string(answer), "220 ") {
			t.Errorf("answer %q", answer)
		}
		if store.committed() > before && !strings.Contains(strings.ToUpper(string(text)), "DAT") {
			t.Error("a message was stored")
		}
		for end := time.Now().Add(10 * time.Second); s.Status().Services[0].Busy > 0; time.Sleep(100 * time.Microsecond) {
			if time.Now().After(end) {
				t.Fatal("a thread is lost")
			}
		}
	})
}

func FuzzSASL(f *testing.F) {
	f.Add([]byte("\x00anna\x00secret"), []byte("x"))
	f.Add([]byte("anna"), []byte("secret"))
	f.Fuzz(func(t *testing.T, first, second []byte) {
		checks := 0
		check := func(user, _ string) error {
			if checks++; user == "" {
				t.Error("a login without a name")
			}
			return errors.New("no")
		}
		for _, m := range []sasl.Server{&plain{check: check}, &login{check: check}} {
			checks = 0
			for _, response := range [][]byte{nil, first, second} {
				if _, done, err := m.Next(response); done || err != nil {
					break
				}
			}
			if checks > 1 {
				t.Error("checked twice")
			}
		}
	})
}

func FuzzHeaderLine(f *testing.F) {
	f.Add("x\r\nBcc: y")
	f.Add("ä\u2028(")
	f.Fuzz(func(t *testing.T, s string) {
		for _, r := range printable(s) {
			if r <= ' ' || r > '~' || strings.ContainsRune("()<>;", r) {
				t.Errorf("%q in a header line", r)
			}
		}
		if splitName, _ := splitAddress(s); strings.ToLower(splitName) != splitName {
			t.Errorf("%q", splitName)
		}
		code, _ := replyCode([]byte(s))
		if code < 0 || code > 999 {
			t.Errorf("code %d", code)
		}
	})
}
