package smtp

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"overstay/connlog"
	"overstay/server"
)

// mailTo begins a message.
func (c *talk) mailTo(to string) {
	c.t.Helper()
	c.say("MAIL FROM:<a@example.net>", "250 ")
	c.say("RCPT TO:<"+to+">", "250 ")
	c.say("DATA", "354 ")
}

// What hides behind an end that is none stays a part of the message, which is
// refused, and nothing is ever taken for a second one.
func TestSmuggling(t *testing.T) {
	const second = "MAIL FROM:<evil@example.net>\r\nRCPT TO:<ben@example.org>\r\nDATA\r\ntwo\r\n.\r\n"
	for _, end := range []string{
		"\n.\n", "\r\n.\n", "\n.\r\n", "\r.\r", "\r\n.\r", "\r.\r\n", "\r.\n", "\n.\r", "\n\n.\n\n", "\r\n.\r\r\n",
		"\r\n\x00.\r\n", "\x00\r\n.\r\n\x00", "\r\n.\x00\r\n", "\n\r.\n\r", "\r\r.\r\r",
	} {
		for _, fix := range []bool{false, true} {
			s := start(t, Options{FixBareLF: fix}, server.Service{})
			c := s.dial(t, "127.0.0.1")
			c.expect("220")
			c.say("EHLO x", "250-")
			c.mailTo("anna@example.org")
			c.send("one" + end + second)
			want := "550 5.6.0 "
			if strings.Contains(end, "\r\n.\r\n") {
				want = "550 5.6.0 " // That is the end, of a message with a NUL.
				c.expect(want)
				c.expect("500 ") // The NUL before MAIL.
				continue
			}
			if fix && !strings.Contains(end, "\x00") {
				want = "250 "
			}
			c.expect(want)
			c.say("NOOP", "250 ") // In step.
			if fix {
				c.mailTo("anna@example.org")
				c.say("x\r\n.", "250 ")
			}
			c.say("QUIT", "221 ")
			if n := len(s.messages(t, "ben")); n != 0 {
				t.Errorf("%q, fix %v: ben has %d messages", end, fix, n)
			}
			if n := len(s.messages(t, "anna")); !fix && n != 0 {
				t.Errorf("%q: anna has %d messages", end, n)
			}
		}
	}
}

// CR CR LF . CR LF is an end to some and none to others: it is refused, and
// what follows is not listened to.
func TestDoubtfulEnd(t *testing.T) {
	for _, fix := range []bool{false, true} {
		s := start(t, Options{FixBareLF: fix}, server.Service{})
		c := s.dial(t, "127.0.0.1")
		c.expect("220")
		c.say("EHLO x", "250-")
		c.mailTo("anna@example.org")
		c.send("one\r\r\n.\r\nMAIL FROM:<evil@example.net>\r\nRCPT TO:<ben@example.org>\r\nDATA\r\ntwo\r\n.\r\n")
		c.expect("550 5.6.0 ")
		if got := c.reply(); !strings.HasPrefix(got, "error: ") {
			t.Errorf("it goes on: %q", got)
		}
		s.log.closed(t, 1)
		if a, b := len(s.messages(t, "anna")), len(s.messages(t, "ben")); a != 0 || b != 0 {
			t.Errorf("anna has %d messages, ben %d", a, b)
		}
	}
}

func TestMendedText(t *testing.T) {
	s := start(t, Options{FixBareLF: true}, server.Service{})
	c := s.dial(t, "127.0.0.1")
	c.expect("220")
	c.say("EHLO x", "250-")
	c.mailTo("anna@example.org")
	c.send("Subject: x\n\na\rb\n.\n..c\r\n..d\r\n")
	c.say(".", "250 ")
	if got := s.messages(t, "anna"); len(got) != 1 || !strings.HasSuffix(got[0], "\nSubject: x\n\na b\n.\n..c\n.d\n") {
		t.Errorf("anna has %q", got)
	}
}

// A line is one, or none at all.
func TestCommandLines(t *testing.T) {
	s := start(t, Options{MaxErrors: 100}, server.Service{})
	c := s.dial(t, "127.0.0.1")
	c.expect("220")
	c.say("EHLO x", "250-")
	for _, line := range []string{
		"NOOP\n", "NOOP\rNOOP\r\n", "NOOP\r\r\n", "NO\x00OP\r\n", "NOOP \x1b[2J\r\n", "\n", "NOOP\x7f\r\n",
		"NOOP " + strings.Repeat("x", maxCommandBytes) + "\r\n",
	} {
		c.send(line)
		c.expect("500 5.5.2 ")
		c.say("NOOP", "250 ")
	}
	// In one segment: each line has one answer, in order.
	c.send("MAIL FROM:<a@example.net>\nRSET\r\nRCPT TO:<anna@example.org>\r\nNOOP\r\n")
	for _, want := range []string{"500 ", "250 ", "502 ", "250 "} {
		c.expect(want)
	}
	c.send("NOOP " + strings.Repeat("x", 20_000))
	c.expect("500 ")
	if e := s.log.closed(t, 1); e.Fails != 11 {
		t.Errorf("close line %+v", e)
	}
}

// Messages in chunks are not offered. Who sends one all the same is not taken
// to have said what is in it.
func TestChunksAreSkipped(t *testing.T) {
	s := start(t, Options{MaxMessageBytes: 1000}, server.Service{})
	c := s.dial(t, "127.0.0.1")
	c.expect("220")
	c.say("EHLO x", "250-")
	c.say("MAIL FROM:<a@example.net>", "250 ")
	c.say("RCPT TO:<anna@example.org>", "250 ")
	c.send("BDAT 27 LAST\r\nRCPT TO:<ben@example.org>\r\nBDAT 6\r\nRSET\r\nNOOP\r\n")
	c.expect("502 ")
	c.expect("502 ")
	c.expect("250 ")
	c.say("DATA", "354 ") // Anna is still there.
	c.say("x\r\n.", "250 ")
	if a, b := len(s.messages(t, "anna")), len(s.messages(t, "ben")); a != 1 || b != 0 {
		t.Errorf("anna has %d messages, ben %d", a, b)
	}
	for _, argument := range []string{"", "x", "-1", "1001", "99999999999999999999"} {
		c := s.dial(t, "127.0.0.1")
		c.expect("220")
		c.say("BDAT "+argument, "502 ")
		if got := c.reply(); !strings.HasPrefix(got, "error: ") {
			t.Errorf("BDAT %s: it goes on: %q", argument, got)
		}
	}
}

func TestPostmasterWithoutADomain(t *testing.T) {
	s := start(t, Options{Users: postmaster{}}, server.Service{})
	c := s.dial(t, "127.0.0.1")
	c.expect("220")
	c.say("EHLO x", "250-")
	c.say("MAIL FROM:<a@example.net>", "250 ")
	c.say("RCPT TO:<Postmaster>", "250 ")
	c.say("RCPT TO: <postmaster>", "250 ")
	c.say("RCPT TO:<anna>", "501 ")
	c.say("RCPT TO:<postmaster", "501 ")
	c.say("DATA", "354 ")
	c.say("x\r\n.", "250 ")
	if n := len(s.messages(t, "postmaster")); n != 1 {
		t.Errorf("%d messages", n)
	}
}

type postmaster struct{ fakeUsers }

func (postmaster) Exists(name string) bool { return name == "postmaster" }

func TestHopsAreCounted(t *testing.T) {
	s := start(t, Options{}, server.Service{})
	c := s.dial(t, "127.0.0.1")
	c.expect("220")
	c.say("EHLO x", "250-")
	for n, want := range map[int]string{maxHops: "250 ", maxHops + 1: "554 5.4.6 "} {
		c.mailTo("anna@example.org")
		c.say(strings.Repeat("Received: from here\r\n by there\r\n", n)+"\r\nReceived: not me\r\n.", want)
	}
}

func TestGreetedWithHELO(t *testing.T) {
	s := start(t, Options{}, server.Service{})
	c := s.dial(t, "127.0.0.1")
	c.expect("220")
	c.say("HELO (x;by\tfake)", "250 ")
	c.mailTo("anna@example.org")
	c.say("x\r\n.", "250 ")
	if got := s.messages(t, "anna"); len(got) != 1 || !strings.Contains(got[0], "Received: from ?x?by?fake? ([127.0.0.1])\n\tby mx.example.org with SMTP id ") {
		t.Errorf("anna has %q", got)
	}
}

// Whatever is said in whatever state, also around STARTTLS and AUTH: each line
// has an answer, a message arrives only as a message, and the thread comes
// back.
func TestAnyOrder(t *testing.T) {
	serverSide, clientSide := certificate(t)
	store := &fakeStore{}
	s := start(t, Options{TLS: serverSide, Store: store, Users: fakeUsers{}, MaxErrors: 1000}, server.Service{})
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	lines := []string{
		"EHLO x", "HELO x", "LHLO x", "EHLO", "MAIL FROM:<a@example.net>", "MAIL FROM:<>", "RCPT TO:<anna@example.org>",
		"RCPT TO:<x@example.net>", "RSET", "NOOP", "VRFY x", "HELP", "AUTH PLAIN " + b64("\x00anna\x00secret"), "AUTH PLAIN ***",
		"AUTH LOGIN", "AUTH PLAIN", "STARTTLS", "STARTTLS x", "BDAT 0 LAST", "DATA x", "", " ", "DATA", "DATA", "QUIT?", "*",
	}
	accepted := 0
	for range 60 {
		right := []string{"EHLO x", "MAIL FROM:<>", "RCPT TO:<anna@example.org>", "DATA"}
		c := s.dial(t, "127.0.0.1")
		c.expect("220")
		for range 40 {
			line := lines[r.IntN(len(lines))]
			if r.IntN(2) == 0 {
				line, right = right[0], append(right[1:], right[0])
			}
			c.try(line + "\r\n")
			got := c.reply()
			code, _ := replyCode([]byte(got[max(0, strings.LastIndex(strings.TrimSuffix(got, "\r\n"), "\n")+1):]))
			if code == 0 {
				break
			}
			switch {
			case code == replyChallenge:
				c.try([]string{"*", b64("x"), "", "***", b64("\x00anna\x00x"), "\x01", "x\ny"}[r.IntN(7)] + "\r\n")
				for got := c.reply(); strings.HasPrefix(got, "334 "); got = c.reply() {
					c.try("*\r\n")
				}
				c.try("RSET\r\n") // After "x\ny" there is an answer more.
				for got := c.reply(); !strings.HasPrefix(got, "250 ") && !strings.HasPrefix(got, "error"); {
					got = c.reply()
				}
			case code == replyData:
				c.try(".\r\n")
				if got := c.reply(); strings.HasPrefix(got, "250 ") {
					accepted++
				}
			case line == "STARTTLS" && code == 220:
				under := tls.Client(c.Conn, clientSide)
				if err := under.Handshake(); err != nil {
					t.Fatal(err)
				}
				c = &talk{under, t, bufio.NewReader(under)}
			}
		}
		_ = c.Close() // At any moment.
	}
	for end := time.Now().Add(10 * time.Second); s.Status().Services[0].Busy > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("a thread is lost")
		}
	}
	if n := store.committed(); n != accepted {
		t.Errorf("%d messages were accepted, %d stored", accepted, n)
	}
	if accepted == 0 || len(s.log.of(connlog.Fail)) == 0 {
		t.Error("nothing was tried")
	}
}

// try sends, unless it was hung up on: some of the library's errors do that.
func (c *talk) try(s string) { _, _ = io.WriteString(c.Conn, s) }

// The library takes a second sender and keeps the recipients of the first.
func TestSecondSender(t *testing.T) {
	s := start(t, Options{}, server.Service{})
	c := s.dial(t, "127.0.0.1")
	c.expect("220")
	c.say("EHLO x", "250-")
	c.say("MAIL FROM:<a@example.net>", "250 ")
	c.say("RCPT TO:<anna@example.org>", "250 ")
	c.say("MAIL FROM:<b@example.net>", "503 5.5.1 ")
	c.say("DATA", "354 ")
	c.say("x\r\n.", "250 ")
	if got := s.messages(t, "anna"); len(got) != 1 || !strings.HasPrefix(got[0], "Return-Path: <a@example.net>\n") {
		t.Errorf("anna has %q", got)
	}
	c.say("MAIL FROM:<b@example.net>", "250 ")
	c.say("EHLO x", "250-") // As good as RSET.
	c.say("RCPT TO:<anna@example.org>", "502 ")
	c.say("MAIL FROM:<b@example.net>", "250 ")
}

// What is pipelined behind a message is the next command.
func TestPipeliningBehindAMessage(t *testing.T) {
	store := &fakeStore{}
	s := start(t, Options{Store: store}, server.Service{})
	c := s.dial(t, "127.0.0.1")
	c.expect("220")
	const one = "MAIL FROM:<>\r\nRCPT TO:<anna@example.org>\r\nDATA\r\n"
	var all strings.Builder
	all.WriteString("EHLO x\r\n")
	for i := range 50 {
		fmt.Fprintf(&all, "%s%s\r\n.\r\n", one, strings.Repeat("x\r\n", i*100))
	}
	all.WriteString("QUIT\r\n")
	go func() {
		_, _ = io.WriteString(c.Conn, all.String()) // All at once, against the rules.
		_ = c.Conn.(*net.TCPConn).CloseWrite()
	}()
	c.expect("250-")
	for range 50 {
		for _, want := range []string{"250 ", "250 ", "354 ", "250 "} {
			c.expect(want)
		}
	}
	c.expect("221 ")
	if n := store.committed(); n != 50 {
		t.Errorf("%d messages", n)
	}
}
