package smtp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"overstay/connlog"
	"overstay/server"
	"overstay/server/mailstore"
)

type fakeUsers struct{ err error }

func (fakeUsers) Exists(name string) bool { return name == "anna" }

func (f fakeUsers) Authenticate(context.Context, netip.Prefix, string, string) (string, error) {
	return "anna", f.err
}

// fakeStore fails where it is told to.
type fakeStore struct {
	begin, write, commit error

	mu      sync.Mutex
	commits int
}

func (f *fakeStore) Begin([]string) (Delivery, error) {
	if f.begin != nil {
		return nil, f.begin
	}
	return &fakeDelivery{store: f}, nil
}

type fakeDelivery struct {
	bytes.Buffer
	store *fakeStore
}

func (d *fakeDelivery) Write(b []byte) (int, error) {
	if d.store.write != nil {
		return 0, d.store.write
	}
	return d.Buffer.Write(b)
}

func (d *fakeDelivery) Commit() error {
	d.store.mu.Lock()
	defer d.store.mu.Unlock()
	d.store.commits++
	return d.store.commit
}

func (d *fakeDelivery) Abort() {}

func (f *fakeStore) committed() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.commits
}

// A message that cannot be stored is not accepted: the client keeps it.
func TestStoreFailures(t *testing.T) {
	other := errors.New("disk on fire")
	for name, c := range map[string]struct {
		store *fakeStore
		want  string
	}{
		"full at begin":  {&fakeStore{begin: mailstore.ErrFull}, "452 4.3.1 "},
		"full at write":  {&fakeStore{write: mailstore.ErrFull}, "452 4.3.1 "},
		"full at commit": {&fakeStore{commit: mailstore.ErrFull}, "452 4.3.1 "},
		"other begin":    {&fakeStore{begin: other}, "451 4.3.0 "},
		"other write":    {&fakeStore{write: other}, "451 4.3.0 "},
		"other commit":   {&fakeStore{commit: other}, "451 4.3.0 "},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, Options{Store: c.store}, server.Service{})
			for range 2 {
				conn := s.dial(t, "127.0.0.1")
				conn.expect("220")
				conn.say("EHLO x", "250-")
				conn.say("MAIL FROM:<>", "250 ")
				conn.say("RCPT TO:<anna@example.org>", "250 ")
				text := strings.Repeat("x\r\n", 20_000)
				conn.say("DATA", "354 ")
				conn.send(text)
				if got := conn.say(".", c.want); strings.Contains(got, "fire") {
					t.Errorf("the client is told %q", got)
				}
				conn.say("NOOP", "250 ")
			}
			if p := s.log.of(connlog.Proven); len(p) != 0 {
				t.Errorf("proven lines: %+v", p)
			}
		})
	}
}

// A connection that breaks within a message leaves no message, whatever the
// library thinks of it.
func TestTruncatedMessages(t *testing.T) {
	for _, text := range []string{
		"DATA\r\nSubject: x\r\n\r\nhal", "DATA\r\nx\r\n.", "DATA\r\nx\n.\n", "DATA\r\nx\r\n.\n",
	} {
		store := &fakeStore{}
		s := start(t, Options{Store: store}, server.Service{})
		c := s.dial(t, "127.0.0.1")
		c.expect("220")
		c.say("EHLO x", "250-")
		c.say("MAIL FROM:<>", "250 ")
		c.say("RCPT TO:<anna@example.org>", "250 ")
		c.send(text)
		if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, c) // Until it hangs up.
		if e := s.log.closed(t, 1); e.Proven || e.End != connlog.EndClient {
			t.Errorf("%q: close line %+v", text, e)
		}
		if n := store.committed(); n != 0 {
			t.Errorf("%q: a message was stored", text)
		}
	}
}

// A full mailbox is told before the message comes, where the client says how
// large it is.
func TestQuota(t *testing.T) {
	s := start(t, Options{}, server.Service{})
	s.mail.SetQuota(mailstore.Quota{Bytes: 10_000})
	c := s.greeted(t)
	c.say("MAIL FROM:<a@example.net> SIZE=20000", "250 ")
	c.say("RCPT TO:<anna@example.org>", "452 4.2.2 ")
	c.say("RSET", "250 ")
	c.mailTo("anna@example.org")
	c.say(strings.Repeat("12345678\r\n", 2000)+".", "452 4.2.2 ")
	c.mailTo("anna@example.org")
	c.say("x\r\n.", "250 ")
	if n := len(s.messages(t, "anna")); n != 1 {
		t.Errorf("%d messages", n)
	}
}

type panicStore struct{}

func (panicStore) Begin([]string) (Delivery, error) { panic("a bug") }

func TestPanicGivesTheThreadBack(t *testing.T) {
	s := start(t, Options{Store: panicStore{}}, server.Service{})
	c := s.dial(t, "127.0.0.1")
	c.expect("220")
	c.say("EHLO x", "250-")
	c.say("MAIL FROM:<>", "250 ")
	c.say("RCPT TO:<anna@example.org>", "250 ")
	c.say("DATA", "354 ")
	c.say(".", "421 ")
	s.log.closed(t, 1)
	if busy := s.Status().Services[0].Busy; busy != 0 {
		t.Errorf("%d threads held", busy)
	}
	s.dial(t, "127.0.0.1").expect("220")
}
