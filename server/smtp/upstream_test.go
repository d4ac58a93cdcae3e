package smtp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"overstay/connlog"
)

// The upstream's answer is the client's, unless it is about us.
func TestUpstreamRefuses(t *testing.T) {
	const large = "552 5.3.4 Too large"
	for name, c := range map[string]struct {
		script           map[string]string
		rcpt, data, done string // what the client is told at each step
		fails            int
	}{
		"greeting":     {map[string]string{"": "554 5.7.1 Go away"}, "451 4.4.1 ", "", "", 0},
		"busy":         {map[string]string{"": "421 4.3.2 Too busy"}, "451 4.4.1 ", "", "", 0},
		"hello":        {map[string]string{"EHLO": "550 no"}, "451 4.4.1 ", "", "", 0},
		"old":          {map[string]string{"EHLO": "500 what"}, "250 ", "354 ", "250 ", 0},
		"sender":       {map[string]string{"MAIL": "550 5.7.1 Not from you"}, "550 5.7.1 Not from you\r\n", "", "", 1},
		"sender later": {map[string]string{"MAIL": "450 4.7.1 Greylisted"}, "450 4.7.1 Greylisted\r\n", "", "", 0},
		"login first":  {map[string]string{"MAIL": "530 5.7.0 Authentication required"}, "451 4.4.1 ", "", "", 0},
		"recipient":    {map[string]string{"RCPT": "550-5.1.1 No\r\n550 such user"}, "550 5.1.1 No such user\r\n", "", "", 1},
		"later":        {map[string]string{"RCPT": "450 Later"}, "450 4.0.0 Later\r\n", "", "", 0},
		"forwards":     {map[string]string{"RCPT": "251 will do"}, "250 ", "354 ", "250 ", 0},
		"syntax":       {map[string]string{"RCPT": "501 5.5.2 What"}, "451 4.4.1 ", "", "", 0},
		"421":          {map[string]string{"RCPT": "421 4.3.2 Bye"}, "451 4.4.1 ", "", "", 0},
		"data":         {map[string]string{"DATA": "554 5.5.1 No"}, "250 ", "354 ", "554 5.5.1 No\r\n", 0},
		"message":      {map[string]string{".": large}, "250 ", "354 ", large + "\r\n", 0},
		"full":         {map[string]string{".": "452 4.2.2 Full"}, "250 ", "354 ", "452 4.2.2 Full\r\n", 0},
		"gone":         {map[string]string{".": "421 4.3.2 Bye"}, "250 ", "354 ", "451 4.4.1 ", 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := front(t, Relay{Address: newNext(t, c.script).addr}, Options{})
			conn := s.greeted(t)
			conn.say("MAIL FROM:<a@example.com>", "250 ")
			conn.say("RCPT TO:<x@example.net>", c.rcpt)
			if c.data == "" {
				conn.say("DATA", "502 ")
			} else {
				conn.say("DATA", c.data)
				conn.say("x\r\n.", c.done)
			}
			conn.say("NOOP", "250 ")
			conn.say("QUIT", "221 ")
			e := s.log.closed(t, 1)
			if c.data == "" {
				c.fails++ // DATA without a recipient.
			}
			if e.Fails != c.fails || e.Proven != (c.done == "250 ") {
				t.Errorf("close line %+v", e)
			}
		})
	}
}

// Whatever becomes of the upstream, at whatever step: the client is told to
// come back, unless the upstream has taken the message.
func TestUpstreamFails(t *testing.T) {
	for _, how := range []string{"", "wait", "hang", "not an answer", "250-x\r\n999 y", strings.Repeat("x", 10_000),
		strings.Repeat("250-x\r\n", 1000), "100 x", "2500 x"} {
		for _, step := range []string{"", "EHLO", "MAIL", "RCPT", "DATA", "."} {
			t.Run(fmt.Sprintf("%.10q at %q", how, step), func(t *testing.T) {
				t.Parallel()
				n := newNext(t, map[string]string{step: how})
				r := Relay{Address: n.addr}
				if how == "wait" {
					r.Timeout = 200 * time.Millisecond
				}
				s := front(t, r, Options{})
				c := s.greeted(t)
				c.say("MAIL FROM:<a@example.com>", "250 ")
				c.send("RCPT TO:<x@example.net>\r\n")
				got := c.reply()
				if strings.HasPrefix(got, "250 ") {
					c.say("DATA", "354 ")
					c.send("x\r\n.\r\n")
					got = c.reply()
				} else {
					c.say("RCPT TO:<y@example.net>", "451 4.4.1 ") // It is not waited for again.
				}
				want := "451 4.4.1 "
				if how == "hang" && step == "." {
					want = "250 " // It hung up when it had said yes.
				}
				if !strings.HasPrefix(got, want) {
					t.Errorf("got %q, want %q", got, want)
				}
				c.say("NOOP", "250 ")
				if e := s.log.of(connlog.Fail); len(e) != 0 {
					t.Errorf("the client has failed: %+v", e)
				}
			})
		}
	}
	t.Run("not waited for again", func(t *testing.T) {
		n := newNext(t, map[string]string{"MAIL": "wait"})
		c := front(t, Relay{Address: n.addr, Timeout: 200 * time.Millisecond}, Options{}).greeted(t)
		c.say("MAIL FROM:<a@example.com>", "250 ")
		for range 5 {
			c.say("RCPT TO:<x@example.net>", "451 4.4.1 ")
		}
		if _, _, conns := n.seen(); conns != 1 {
			t.Errorf("%d connections", conns)
		}
	})
	t.Run("down", func(t *testing.T) {
		s := front(t, Relay{Address: "127.0.0.1:1"}, Options{})
		c := s.greeted(t)
		c.say("MAIL FROM:<a@example.com>", "250 ")
		c.say("RCPT TO:<x@example.net>", "451 4.4.1 ")
	})
}

// A client that goes away leaves no connection to the upstream behind, and one
// that waits for it does not keep the server from stopping.
func TestUpstreamIsLeftAlone(t *testing.T) {
	n := newNext(t, nil)
	s := front(t, Relay{Address: n.addr, Timeout: time.Minute, AnswerTimeout: time.Minute}, Options{})
	for _, parting := range []string{"QUIT\r\n", "RSET\r\n", "EHLO x\r\n", ""} {
		c := s.greeted(t)
		c.say("MAIL FROM:<a@example.com>", "250 ")
		c.say("RCPT TO:<x@example.net>", "250 ")
		c.send(parting)
		if parting == "" {
			_ = c.Close() // Without a word.
		}
		for end := time.Now().Add(10 * time.Second); n.open() > 0; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%q: the upstream is not left", parting)
			}
		}
	}
	n.set(map[string]string{".": "wait"})
	c := s.greeted(t)
	c.say("MAIL FROM:<a@example.com>", "250 ")
	c.say("RCPT TO:<x@example.net>", "250 ")
	c.say("DATA", "354 ")
	c.send("x\r\n.\r\n")
	for lines, _, _ := n.seen(); !slices.Contains(lines, "."); lines, _, _ = n.seen() {
		time.Sleep(time.Millisecond)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if e := s.log.closed(t, 5); e.Proven {
		t.Errorf("close line %+v", e)
	}
}

// An upstream that loses patience before it has the message is asked again.
func TestUpstreamIsAskedAgain(t *testing.T) {
	n := newNext(t, map[string]string{"RCPT": "hang"})
	s := front(t, Relay{Address: n.addr}, Options{})
	c := s.greeted(t)
	c.say("MAIL FROM:<a@example.com>", "250 ")
	c.say("RCPT TO:<x@example.net>", "250 ")
	n.set(nil)
	c.say("DATA", "354 ")
	c.say("x\r\n.", "250 ")
	if _, mails, conns := n.seen(); len(mails) != 1 || conns != 2 {
		t.Errorf("%d messages over %d connections", len(mails), conns)
	}
	n.set(map[string]string{"RCPT": "hang"})
	c.say("MAIL FROM:<a@example.com>", "250 ")
	c.say("RCPT TO:<x@example.net>", "250 ")
	n.set(map[string]string{"RCPT": "550 5.1.1 Not any more"})
	c.say("DATA", "354 ")
	c.say("x\r\n.", "451 4.4.1 ") // It was told that x is taken.
}

func FuzzUpstreamReply(f *testing.F) {
	for _, s := range []string{"250 ok\r\n", "250-x\r\n250 y\r\n", "250\r\n", "550 5.1.1 no\r\n", "5", "25a x\r\n", "250_x\r\n", "550 5.1.\r\n", "550 4.1.1 \x00\xff\r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		ours, theirs := net.Pipe()
		defer func() { _ = ours.Close() }()
		go func() {
			_, _ = theirs.Write(raw) // As much as is wanted.
			_ = theirs.Close()
		}()
		d := newDialogue(t.Context(), ours, &Relay{Timeout: time.Second})
		defer d.close()
		code, lines, err := d.read(time.Second)
		if err != nil {
			return
		}
		if code < 200 || code > 599 || len(lines) == 0 || len(lines) > maxUpstreamLines {
			t.Fatalf("%d %q", code, lines)
		}
		r := (&refusal{code: code, text: strings.Join(lines, " ")}).reply()
		if r.Code != code || len(r.Message) > maxUpstreamText || strings.ContainsFunc(r.Message, func(c rune) bool { return c < ' ' || c > '~' }) {
			t.Errorf("%+v", r)
		}
	})
}
