package traffic

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strings"
	"time"
)

// maxReplies is how much a client reads of what a server says in a session.
const maxReplies = 1 << 20

// talk is the client's side of an SMTP session (RFC 5321).
type talk struct {
	conn    net.Conn
	replies *textproto.Reader
}

func newTalk(conn net.Conn) *talk {
	return &talk{
		conn:    conn,
		replies: textproto.NewReader(bufio.NewReader(io.LimitReader(conn, maxReplies))),
	}
}

// greeting reads the server's first words, and a refusal as what it is.
func (t *talk) greeting() Outcome {
	_, _, err := t.replies.ReadResponse(220)
	var reply *textproto.Error
	switch {
	case err == nil:
		return Done
	case !errors.As(err, &reply):
		return failure(err)
	case reply.Code == 421 && strings.HasPrefix(reply.Msg, "4.7."):
		return Sessions
	case reply.Code == 421:
		return Busy
	case reply.Code >= 500:
		return Banned
	}
	return Failed
}

// say sends a line and expects a reply with this code.
func (t *talk) say(code int, line string) error {
	if _, err := io.WriteString(t.conn, line+"\r\n"); err != nil {
		return err
	}
	_, _, err := t.replies.ReadResponse(code)
	return err
}

// hello greets back after the greeting.
func (t *talk) hello() Outcome {
	if o := t.greeting(); o != Done {
		return o
	}
	if err := t.say(250, "EHLO client.example.org"); err != nil {
		return failure(err)
	}
	return Done
}

// quit says goodbye. What the server makes of it changes nothing any more.
func (t *talk) quit() { _ = t.say(221, "QUIT") }

// look is what a monitor does: the greeting is enough.
func (c *liveClient) look(conn net.Conn) Outcome {
	t := newTalk(conn)
	o := t.greeting()
	if o == Done {
		t.quit()
	}
	return o
}

// deliver delivers as many messages as the group sends in one session, spread
// over its Hold when they are many.
func (c *liveClient) deliver(ctx context.Context, conn net.Conn) Outcome {
	t := newTalk(conn)
	if o := t.hello(); o != Done {
		return o
	}
	messages := 1
	if c.group.Kind == Sending {
		messages = c.group.tries()
	}
	for i := range messages {
		if i > 0 && !sleep(ctx, spread(c.group.Hold/time.Duration(messages), c.random.Float64())) {
			return Failed
		}
		c.allow(conn)
		if err := c.message(t); err != nil {
			return failure(err)
		}
	}
	t.quit()
	return Done
}

// message delivers one small message.
func (c *liveClient) message(t *talk) error {
	to := c.live.Target.Recipient
	if to == "" {
		to = "postmaster@localhost"
	}
	for _, step := range []struct {
		code int
		line string
	}{
		{250, "MAIL FROM:<sender@example.org>"},
		{250, "RCPT TO:<" + to + ">"},
		{354, "DATA"},
		{250, "From: <sender@example.org>\r\nTo: <" + to + ">\r\n" +
			fmt.Sprintf("Message-ID: <%016x@example.org>\r\n", c.random.Uint64()) +
			"Subject: traffic\r\n\r\nA small message.\r\n."},
	} {
		if err := t.say(step.code, step.line); err != nil {
			return err
		}
	}
	return nil
}

// guess tries wrong passwords until it has had enough, or the server has.
func (c *liveClient) guess(conn net.Conn) Outcome {
	t := newTalk(conn)
	if o := t.hello(); o != Done {
		return o
	}
	o := Failed
	for i := range c.group.tries() {
		c.allow(conn)
		user := c.group.user(i)
		secret := fmt.Sprintf("\x00%s\x00wrong-%d", user, c.random.Uint32())
		err := t.say(235, "AUTH PLAIN "+base64.StdEncoding.EncodeToString([]byte(secret)))
		var reply *textproto.Error
		switch {
		case err == nil:
			return Done
		case errors.As(err, &reply):
			o = Denied
		case o == Denied:
			return o // the server hung up on it
		default:
			return failure(err)
		}
	}
	t.quit()
	return o
}

// smtpDrip returns the i-th piece of a command that never ends.
func smtpDrip(i int) string {
	const command = "EHLO "
	if i < len(command) {
		return command[i : i+1]
	}
	return "a"
}
