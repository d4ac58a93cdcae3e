package imap

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"overstay/server"
)

// Whatever a client says, in whatever order: each thread comes back, and
// nothing but replies is said.
func FuzzConversation(f *testing.F) {
	for _, s := range []string{
		"a LOGIN anna secret\r\nb SELECT INBOX\r\nc FETCH 1:* (FLAGS BODY[])\r\nd LOGOUT\r\n",
		"a LOGIN {4+}\r\nanna {6+}\r\nsecret\r\nb APPEND INBOX (\\Seen) {3+}\r\nabc\r\nc IDLE\r\nDONE\r\n",
		"a AUTHENTICATE PLAIN\r\nAGFubmEAc2VjcmV0\r\nb LIST \"\" *\r\nc STATUS INBOX (MESSAGES)\r\n",
		"a LOGIN anna secret\r\nb CREATE x\r\nc RENAME x y\r\nd DELETE y\r\ne LSUB \"\" %\r\nf SUBSCRIBE INBOX\r\n",
		"a LOGIN anna secret\r\nb EXAMINE INBOX\r\nc UID SEARCH OR (SEEN) NOT TEXT x\r\nd STORE 1 +FLAGS x\r\ne CLOSE\r\n",
		"a LOGIN anna secret\r\nb APPEND INBOX {99999999999}\r\nc NOOP\r\nd CREATE {5000+}\r\n",
		"a STARTTLS\r\nb NOOP\r\n\r\n", "a UID\r\n", "a LOGIN anna secret\r\nb IDLE\r\nc NOOP\r\n",
	} {
		f.Add([]byte(s))
	}
	s := start(f, Options{TLS: certificate(f), MaxMessageBytes: 1000}, server.Service{})
	deliver(f, s.mail, "anna", nested)
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := net.Dial("tcp", s.Addr("imap").String())
		if err != nil {
			t.Skip(err)
		}
		defer func() { _ = c.Close() }()
		_ = c.SetDeadline(time.Now().Add(20 * time.Second)) // It is open.
		_, _ = c.Write(text)                                // It may have been hung up on.
		_ = c.(*net.TCPConn).CloseWrite()
		answer, _ := io.ReadAll(c) // A reset ends it as well.
		if len(answer) > 0 && !strings.HasPrefix(string(answer), "* OK ") {
			t.Errorf("answer %q", answer)
		}
		for end := time.Now().Add(20 * time.Second); s.Status().Services[0].Busy > 0; time.Sleep(100 * time.Microsecond) {
			if time.Now().After(end) {
				t.Fatal("a thread is lost")
			}
		}
	})
}

// The pieces that lines are cut into are all there is, in any cut.
func FuzzLines(f *testing.F) {
	f.Add([]byte("a NOOP\r\nb LOGIN {3}\r\nabc {0+}\r\n x\r\n"), 3)
	f.Add([]byte("a {99999999999999999999}\r\nb {-1}\r\n{+}\r\n"), 1)
	f.Fuzz(func(t *testing.T, text []byte, piece int) {
		piece = max(1, piece%64)
		var events [2][]string
		for round, size := range []int{piece, len(text) + 1} {
			var s lines
			var got []byte
			for rest := text; len(rest) > 0; {
				b := rest[:min(size, len(rest))]
				n, event := s.next(b)
				if n < 1 || n > len(b) {
					t.Fatalf("%d of %d", n, len(b))
				}
				if event == lineTooLong {
					return
				}
				if event == lineEnds {
					tag, name, ok := parseCommand(s.head)
					if ok && (strings.ContainsAny(tag+name, "\r\n\x00") || tag == "") {
						t.Errorf("tag %q, name %q", tag, name)
					}
					events[round] = append(events[round], string(s.head))
				}
				got, rest = append(got, rest[:n]...), rest[n:]
			}
			if !bytes.Equal(got, text) {
				t.Errorf("%q of %q", got, text)
			}
		}
		if strings.Join(events[0], "\n") != strings.Join(events[1], "\n") {
			t.Errorf("cut by %d: %q, whole: %q", piece, events[0], events[1])
		}
	})
}
