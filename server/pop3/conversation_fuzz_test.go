package pop3

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"overstay/server"
)

// Whatever a client says, in whatever order: each line gets an answer, its
// thread comes back, and only QUIT takes mail away.
func FuzzConversation(f *testing.F) {
	login := "USER anna\r\nPASS secret\r\n"
	for _, s := range []string{
		login + "STAT\r\nLIST\r\nUIDL\r\nRETR 1\r\nTOP 1 1\r\nDELE 1\r\nRSET\r\nNOOP\r\nQUIT\r\n",
		"CAPA\r\nAUTH\r\nAUTH PLAIN\r\nAGFubmEAc2VjcmV0\r\nLIST 1\r\nUIDL 2\r\n",
		"AUTH PLAIN AGFubmEAc2VjcmV0\r\nDELE 1\r\n",
		"AUTH PLAIN\r\n*\r\nSTLS\r\nSTLS\r\n",
		login + "RETR 99999999999999999999\r\nTOP 1 -1\r\nDELE\r\n\r\n\x00\xff\r\n",
		"user a\nPASS \n" + login + "DELE 1\nDELE 2\nDELE 1\n",
	} {
		f.Add([]byte(s))
	}
	s := start(f, Options{}, server.Service{})
	s.deliver(f, "anna", "Subject: x\n\n.\n", "y\n")
	f.Fuzz(func(t *testing.T, text []byte) {
		for n := s.left(t, "anna"); n < 2; n++ {
			s.deliver(t, "anna", "Subject: x\n\n.\n")
		}
		c, err := net.Dial("tcp", s.Addr("pop3").String())
		if err != nil {
			t.Skip(err)
		}
		defer func() { _ = c.Close() }()
		_ = c.SetDeadline(time.Now().Add(10 * time.Second)) // It is open.
		_, _ = c.Write(text)                                // It may have been hung up on.
		_ = c.(*net.TCPConn).CloseWrite()
		answer, _ := io.ReadAll(c) // A reset ends it as well.
		if len(answer) > 0 && !strings.HasPrefix(string(answer), "+OK mail.example.org ") {
			t.Errorf("answer %q", answer)
		}
		for end := time.Now().Add(10 * time.Second); s.Status().Services[0].Busy > 0; time.Sleep(100 * time.Microsecond) {
			if time.Now().After(end) {
				t.Fatal("a thread is lost")
			}
		}
		if s.left(t, "anna") < 2 && !strings.Contains(strings.ToUpper(string(text)), "QUIT") {
			t.Error("a message was removed")
		}
	})
}
