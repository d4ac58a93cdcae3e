package traffic

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"time"
)

// heldAfter is how long the server must not have refused a www connection for
// it to count as held. (SMTP servers say so with their greeting.)
const heldAfter = 250 * time.Millisecond

// holder is one connection of a Holding group.
type holder struct {
	client *liveClient
	conn   net.Conn
	until  time.Time // when it lets go of its own accord, zero for never
	drips  int
	answer []byte // what the server said, as far as it matters
	held   bool
}

// hold takes a thread and keeps it: a byte now and then, and an eye on whether
// the server has had enough.
func (c *liveClient) hold(ctx context.Context, conn net.Conn) Outcome {
	h := &holder{client: c, conn: conn, until: c.letGo()}
	if c.group.Service == SMTP {
		if o := newTalk(conn).greeting(); o != Done {
			return o
		}
		h.count()
	}
	o := h.stay()
	if h.held && !over(ctx) {
		c.tally.hold(-1)
	}
	return o
}

// letGo returns when a connection that begins now is let go, zero for never.
func (c *liveClient) letGo() time.Time {
	var until time.Time
	if c.group.Hold > 0 {
		until = time.Now().Add(spread(c.group.Hold, c.random.Float64()))
	}
	if end := c.begin.Add(c.group.Until); c.group.Until > 0 && (until.IsZero() || end.Before(until)) {
		until = end
	}
	return until
}

// count counts the connection as held, once.
func (h *holder) count() {
	if !h.held {
		h.held = true
		h.client.tally.hold(+1)
	}
}

// stay drips until the server or the client ends it.
func (h *holder) stay() Outcome {
	h.drip()
	next := time.Now().Add(h.pause())
	buf := make([]byte, 512)
	for {
		wake := next
		if !h.held {
			wake = time.Now().Add(heldAfter)
		}
		if !h.until.IsZero() && h.until.Before(wake) {
			wake = h.until
		}
		// It fails on a closed connection only, and then so does the read.
		_ = h.conn.SetReadDeadline(wake)
		n, err := h.conn.Read(buf)
		if room := 64 - len(h.answer); n > 0 && room > 0 {
			h.answer = append(h.answer, buf[:min(n, room)]...)
		}
		switch {
		case err == nil:
			continue
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return h.ended()
		case !h.until.IsZero() && !time.Now().Before(h.until):
			return Released
		}
		if len(h.answer) == 0 {
			h.count()
		}
		if time.Now().Before(next) {
			continue
		}
		h.drip()
		next = time.Now().Add(h.pause())
	}
}

func (h *holder) pause() time.Duration {
	return spread(h.client.group.drip(), h.client.random.Float64())
}

// drip sends the next piece of what never ends. Whether the server still wants
// it is for the next read to say, which also finds what was said before.
func (h *holder) drip() {
	piece := smtpDrip(h.drips)
	if h.client.group.Service == WWW {
		piece = wwwDrip(h.drips)
	}
	h.drips++
	// It fails on a closed connection only, and then so does the write.
	_ = h.conn.SetWriteDeadline(time.Now().Add(h.client.live.timeout()))
	_, _ = io.WriteString(h.conn, piece)
}

// ended says what it was that the server ended.
func (h *holder) ended() Outcome {
	if h.client.group.Service == WWW {
		if o, ok := wwwAnswer(h.answer); ok {
			return o
		}
	}
	if h.held {
		return Cut
	}
	return Failed
}
