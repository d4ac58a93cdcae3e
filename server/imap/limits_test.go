package imap

import (
	"strings"
	"testing"

	"overstay/connlog"
	"overstay/server"
)

// Before a login nothing is taken that is for users only, and no literal of it
// is asked for or looked into.
func TestNothingBeforeLogin(t *testing.T) {
	s := start(t, Options{}, server.Service{})
	c := s.dial(t, "127.0.0.1")
	c.expect("* OK")
	for _, command := range []string{"APPEND INBOX {20000000}", "SEARCH TEXT {4000}", "UID FETCH {1}", "LIST {1} {1}"} {
		if got := c.say("a "+command, "a "); got != "a BAD [CLIENTBUG] Not before a login\r\n" {
			t.Errorf("%s: %q", command, got)
		}
	}
	c.send("b APPEND INBOX {22+}\r\nx LOGIN anna secret\r\n \r\n")
	if got := c.say("c NOOP", "c OK"); !strings.HasPrefix(got, "b BAD") || strings.Contains(got, "x ") {
		t.Errorf("%q", got)
	}
	if f := s.log.of(connlog.Fail); len(f) != 5 || f[0].What != connlog.FailCommand {
		t.Errorf("%+v", f)
	}
	c.say("d LOGIN anna secret", "d OK")
	c.say("e SELECT INBOX", "e OK")
}

// However many small literals there are, they are bounded together: a command
// is kept until it is whole.
func TestLiteralsTogether(t *testing.T) {
	s := start(t, Options{}, server.Service{})
	piece := "{4000+}\r\n" + strings.Repeat("x", 4000)
	stranger := s.dial(t, "127.0.0.1")
	stranger.expect("* OK")
	stranger.say("a LOGIN "+piece+" "+piece, "a NO")
	stranger.send("b LOGIN " + piece + " " + piece + piece + "\r\n")
	if got := stranger.end(); !strings.HasPrefix(got, "* BYE Literals are limited") {
		t.Errorf("before login: %q", got)
	}
	user := s.login(t, "anna")
	user.say("b SELECT INBOX", "b OK")
	user.say("c SEARCH"+strings.Repeat(" TEXT "+piece, 16), "c OK")
	user.say("d APPEND "+"{5+}\r\nINBOX {100000}", "+ ")
	user.send(strings.Repeat("x", 100000) + "\r\n")
	user.expect("d OK")
	user.send("e SEARCH" + strings.Repeat(" TEXT "+piece, 17) + "\r\n")
	if got := user.end(); !strings.HasPrefix(got, "* BYE Literals are limited") {
		t.Errorf("after login: %q", got)
	}
}

// A stranger's line is short.
func TestLongLines(t *testing.T) {
	s := start(t, Options{}, server.Service{})
	long := " TEXT " + strings.Repeat("x", maxStrangerBytes)
	user := s.login(t, "anna")
	user.say("b SELECT INBOX", "b OK")
	user.say("c SEARCH"+long, "c OK")
	// A line that does not come at once is one line all the same.
	user.say("d SEARCH"+long+" TEXT {5000}", "d NO [TOOBIG]")
	user.say("e NOOP", "e OK")
	stranger := s.dial(t, "127.0.0.1")
	stranger.expect("* OK")
	stranger.send("a SEARCH" + long) // And never an end.
	if got := stranger.end(); got != "* BYE Line too long\r\n" {
		t.Errorf("%q", got)
	}
}

// What is nested costs the library memory for each level.
func TestNesting(t *testing.T) {
	s := start(t, Options{}, server.Service{})
	c := s.login(t, "anna")
	c.say("b SELECT INBOX", "b OK")
	c.say("c SEARCH "+strings.Repeat("NOT ", maxNesting-1)+"(ALL)", "c OK")
	for _, deep := range []string{strings.Repeat("not ", maxNesting+1), strings.Repeat("OR ", maxNesting+1), strings.Repeat("(", maxNesting+1), strings.Repeat("OR (NOT ", maxNesting/3+1)} {
		c.say("d UID SEARCH "+deep+"ALL", "d NO [LIMIT]")
	}
	c.say("e NOOP", "e OK")
	c.send("f SEARCH" + strings.Repeat(strings.Repeat(" NOT", 10)+" TEXT {1+}\r\nx", maxNesting/10+1) + "\r\n")
	if got := c.end(); got != "* BYE Too much in one command\r\n" {
		t.Errorf("%q", got)
	}
}

// The answer to a challenge is no command, and nothing to go on from.
func TestLiteralAsAnswer(t *testing.T) {
	s := start(t, Options{}, server.Service{})
	c := s.dial(t, "127.0.0.1")
	c.expect("* OK")
	c.say("a AUTHENTICATE PLAIN", "+")
	c.send("{5000}\r\n")
	if got := c.end(); !strings.HasPrefix(got, "* BYE Literals are limited") {
		t.Errorf("%q", got)
	}
}
