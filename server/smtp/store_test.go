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

// A full mailbox does not keep a message from the others it is for, whether or
// not the client says how large it is.
func TestQuotaOfOneOfMany(t *testing.T) {
	n := newNext(t, nil)
	s := front(t, Relay{Address: n.addr}, Options{MaxMessageBytes: 5_000})
	s.mail.SetQuota(mailstore.Quota{Bytes: 21_000})
	fill, err := s.mail.Begin([]string{"ben"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(fill, strings.Repeat("x\n", 6_000)); err != nil {
		t.Fatal(err)
	}
	if err := fill.Commit(); err != nil {
		t.Fatal(err)
	}
	const anna, ben, other = "RCPT TO:<anna@example.org>", "RCPT TO:<ben@example.org>", "RCPT TO:<x@example.net>"
	text := strings.Repeat("12345678\r\n", 450) + "."
	c := s.greeted(t)
	for range 2 { // The second one does not fit for ben.
		c.say("MAIL FROM:<a@example.net> SIZE=4500", "250 ")
		c.say(anna, "250 ")
		got := "250 "
		if len(s.messages(t, "ben")) > 1 {
			got = "452 4.2.2 "
		}
		c.say(ben, got)
		c.say("DATA", "354 ")
		c.say(text, "250 ")
	}
	if a, b := len(s.messages(t, "anna")), len(s.messages(t, "ben")); a != 2 || b != 2 {
		t.Errorf("anna has %d messages, ben %d", a, b)
	}

	// Without a size, anna gets it in one transaction and ben in the next.
	s.mail.SetQuota(mailstore.Quota{Bytes: 20_000})
	for _, first := range []string{anna, other} {
		c.say("MAIL FROM:<a@example.net>", "250 ")
		c.say(first, "250 ")
		c.say(ben, "452 4.5.3 ")
		c.say("DATA", "354 ")
		c.say(text, "250 ")
	}
	for text, want := range map[string]string{text: "452 4.2.2 ", "x\r\n.": "250 "} {
		c.say("MAIL FROM:<a@example.net>", "250 ")
		c.say(ben, "250 ")
		c.say(ben, "250 ") // It is the same.
		c.say(anna, "452 4.5.3 ")
		c.say(other, "452 4.5.3 ")
		c.say("DATA", "354 ")
		c.say(text, want)
	}
	if a, b := len(s.messages(t, "anna")), len(s.messages(t, "ben")); a != 3 || b != 3 {
		t.Errorf("anna has %d messages, ben %d", a, b)
	}
	if _, mails, _ := n.seen(); len(mails) != 1 {
		t.Errorf("the next server has %d", len(mails))
	}
}
