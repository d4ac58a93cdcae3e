package smtp

import (
	netsmtp "net/smtp"
	"strings"
	"testing"

	"overstay/connlog"
	"overstay/server"
)

func TestReceivesMail(t *testing.T) {
	s := start(t, Options{}, server.Service{})
	msg := "Subject: hi\r\n\r\nHello\r\n.dot\r\nlast\r\n"
	err := netsmtp.SendMail(s.Addr("smtp").String(), nil, "carl@example.net",
		[]string{"anna@example.org", "BEN@EXAMPLE.ORG", "anna@example.org"}, []byte(msg))
	if err != nil {
		t.Fatal(err)
	}
	for _, user := range []string{"anna", "ben"} {
		got := s.messages(t, user)
		if len(got) != 1 {
			t.Fatalf("%s has %d messages", user, len(got))
		}
		head, body, _ := strings.Cut(got[0], "Subject")
		if !strings.HasPrefix(head, "Return-Path: <carl@example.net>\nReceived: from localhost ([127.0.0.1])\n\tby mx.example.org with ESMTP id 1;\n\t") {
			t.Errorf("head %q", head)
		}
		if body != ": hi\n\nHello\n.dot\nlast\n" {
			t.Errorf("body %q", body)
		}
	}
	e := s.log.closed(t, 1)
	if !e.Proven || e.End != connlog.EndServer || e.Fails != 0 {
		t.Errorf("close line: %+v", e)
	}
	for _, stage := range []connlog.Stage{connlog.StageGreeting, connlog.StageCommand, connlog.StageData, connlog.StageDeliver, connlog.StageIdle} {
		if e.Stages[stage] <= 0 {
			t.Errorf("no time in stage %d: %v", stage, e.Stages)
		}
	}
	if p := s.log.of(connlog.Proven); len(p) != 1 || p[0].By != connlog.ByMessage {
		t.Errorf("proven lines: %+v", p)
	}
}

func TestOffersExtensions(t *testing.T) {
	s := start(t, Options{MaxMessageBytes: 1000}, server.Service{})
	c := s.dial(t, "127.0.0.1")
	c.expect("220 mx.example.org ")
	got := c.say("EHLO client", "250-")
	for _, want := range []string{"SIZE 1000", "8BITMIME", "PIPELINING", "ENHANCEDSTATUSCODES", "AUTH PLAIN LOGIN"} {
		if !strings.Contains(got, want+"\r\n") {
			t.Errorf("%q is missing in %q", want, got)
		}
	}
}

// The library's words that would not be true, or say nothing, are ours.
func TestAnswers(t *testing.T) {
	s := start(t, Options{}, server.Service{})
	c := s.greeted(t)
	for _, step := range [][2]string{
		{"MAIL FROM:<" + strings.Repeat("a", 1000) + "@example.net>", "250 2.1.0 Sender accepted\r\n"},
		{"RCPT TO:<anna@example.org>", "250 2.1.5 Recipient accepted\r\n"},
		{"DATA", "354 Go ahead. End your data with <CR><LF>.<CR><LF>\r\n"},
		{"x\r\n.", "250 2.0.0 Message accepted\r\n"},
	} {
		if got := c.say(step[0], step[1]); got != step[1] {
			t.Errorf("%.20s: %q", step[0], got)
		}
	}
}

func TestPipelining(t *testing.T) {
	s := start(t, Options{}, server.Service{})
	c := s.dial(t, "127.0.0.1")
	c.expect("220")
	c.send("EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<anna@example.org>\r\nDATA\r\n")
	for _, want := range []string{"250-", "250 ", "250 ", "354 "} {
		c.expect(want)
	}
	c.send("hello\r\n.\r\nQUIT\r\n")
	c.expect("250 ")
	c.expect("221 ")
	if n := len(s.messages(t, "anna")); n != 1 {
		t.Errorf("%d messages", n)
	}
}

func TestRefusesRecipients(t *testing.T) {
	s := start(t, Options{MaxRecipients: 2}, server.Service{})
	c := s.dial(t, "127.0.0.1")
	c.expect("220")
	c.say("EHLO x", "250-")
	c.say("MAIL FROM:<a@example.net>", "250 ")
	c.say("RCPT TO:<nobody@example.org>", "550 5.1.1 ")
	c.say("RCPT TO:<anna@example.net>", "550 5.7.1 ")
	c.say("RCPT TO:<../anna@example.org>", "550 5.1.1 ")
	c.say(`RCPT TO:<"../../x"@example.org>`, "550 5.1.1 ")
	c.say("DATA", "502 ") // No recipient was taken.
	c.say("RCPT TO:<anna@example.org>", "250 ")
	c.say("RCPT TO:<ben@example.org>", "250 ")
	c.say("RCPT TO:<anna@example.org>", "452 4.5.3 ")
	c.say("QUIT", "221 ")
	fails := s.log.of(connlog.Fail)
	if len(fails) != 5 || fails[0].What != connlog.FailRecipient || fails[0].User != "nobody@example.org" ||
		fails[4].What != connlog.FailCommand {
		t.Errorf("fail lines: %+v", fails)
	}
	if got := s.log.closed(t, 1); got.Proven || got.Fails != 5 {
		t.Errorf("close line: %+v", got)
	}
}

func TestMessageTooLarge(t *testing.T) {
	s := start(t, Options{MaxMessageBytes: 100}, server.Service{})
	c := s.dial(t, "127.0.0.1")
	c.expect("220")
	c.say("EHLO x", "250-")
	c.say("MAIL FROM:<> SIZE=101", "552 5.3.4 ")
	c.say("MAIL FROM:<>", "250 ")
	c.say("RCPT TO:<anna@example.org>", "250 ")
	c.say("DATA", "354 ")
	c.send(strings.Repeat(strings.Repeat("x", 70)+"\r\n", 50))
	c.say(".", "552 5.3.4 ")
	c.say("NOOP", "250 ") // The conversation goes on.
	if n := len(s.messages(t, "anna")); n != 0 {
		t.Errorf("%d messages", n)
	}
}

func TestTooManyErrors(t *testing.T) {
	s := start(t, Options{MaxErrors: 5}, server.Service{})
	c := s.dial(t, "127.0.0.1")
	c.expect("220")
	for range 5 {
		c.say("MAIL FROM:<>", "502 ") // Not before EHLO. The library counts these not at all.
	}
	c.expect("421 4.7.0 ")
	if got := c.reply(); !strings.Contains(got, "error: ") {
		t.Errorf("it goes on: %q", got)
	}
	if e := s.log.closed(t, 1); e.Fails != 5 || e.End != connlog.EndServer {
		t.Errorf("close line: %+v", e)
	}
}

func TestBadCommandsFail(t *testing.T) {
	s := start(t, Options{}, server.Service{})
	c := s.dial(t, "127.0.0.1")
	c.expect("220")
	c.say("EHLO x", "250-")
	c.say("GET / HTTP/1.1", "501 ")
	c.say("\x16\x03\x01", "500 5.5.2 ")
	c.say("RCPT TO:<anna@example.org>", "502 ")
	c.say("DATA now", "501 ")
	c.say("QUIT", "221 ")
	e := s.log.closed(t, 1)
	if fails := s.log.of(connlog.Fail); e.Fails != 4 || len(fails) != 4 || fails[0].What != connlog.FailCommand {
		t.Errorf("close line %+v, fail lines %+v", e, fails)
	}
}

func TestLineTooLong(t *testing.T) {
	s := start(t, Options{}, server.Service{})
	c := s.dial(t, "127.0.0.1")
	c.expect("220")
	c.send(strings.Repeat("x", 100_000))
	if got := c.reply(); !strings.HasPrefix(got, "500 ") && !strings.Contains(got, "reset") {
		t.Errorf("got %q", got)
	}
	s.log.closed(t, 1)
	for length, want := range map[int]string{maxLineBytes - 10: "250 ", maxLineBytes + 10: "554 5.6.0 "} {
		c := s.dial(t, "127.0.0.1")
		c.expect("220")
		c.say("EHLO x", "250-")
		c.say("MAIL FROM:<>", "250 ")
		c.say("RCPT TO:<anna@example.org>", "250 ")
		c.say("DATA", "354 ")
		c.say(strings.Repeat("x", length)+"\r\n.", want)
	}
	if n := len(s.messages(t, "anna")); n != 1 {
		t.Errorf("%d messages", n)
	}
}
