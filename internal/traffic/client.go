package traffic

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"time"
)

// liveClient is one client of a group. It belongs to one goroutine.
type liveClient struct {
	live   *Live
	group  *Group
	tally  *tally
	begin  time.Time // of the run
	source netip.Addr
	random *rand.Rand
}

// run makes one attempt after the other until the run, or the group's time in
// it, is over.
func (c *liveClient) run(ctx context.Context) {
	g := c.group
	first := time.Duration(float64(g.Every) * c.random.Float64())
	if !sleep(ctx, time.Until(c.begin.Add(g.From+first))) {
		return
	}
	for g.activeAt(time.Since(c.begin)) {
		pause := spread(g.Every, c.random.Float64())
		began := time.Now()
		c.tally.began()
		o := c.attempt(ctx)
		if o != Done && over(ctx) {
			return // what the end of the run did to it is not its outcome
		}
		took := time.Since(began)
		c.tally.ended(o, took)
		if g.Kind != Holding {
			pause -= took
		}
		if !sleep(ctx, pause) {
			return
		}
	}
}

// over says whether the run is, also in the moment when a dial has noticed the
// deadline and the context has not.
func over(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && !time.Now().Before(deadline)
}

// attempt does once what the group does.
func (c *liveClient) attempt(ctx context.Context) Outcome {
	conn, err := c.dial(ctx)
	if err != nil {
		return failure(err)
	}
	closed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(closed)
		_ = conn.Close() // wakes whoever reads; the error says nothing new
	})
	defer func() {
		if !stop() {
			<-closed
		}
		_ = conn.Close() // nothing is owed to the server any more
	}()
	c.allow(conn)
	switch c.group.Kind {
	case Ordinary, Sending:
		if c.group.Service == WWW {
			return c.get(conn)
		}
		return c.deliver(ctx, conn)
	case Guessing:
		return c.guess(conn)
	case Checking:
		if c.group.Service == SMTP {
			return c.look(conn)
		}
	case Holding:
		return c.hold(ctx, conn)
	}
	return Done // Flooding, and a check of www, which speaks second
}

// dial connects from the client's own address.
func (c *liveClient) dial(ctx context.Context) (net.Conn, error) {
	target, _ := c.live.address(c.group.Service, c.source)
	d := net.Dialer{
		Timeout:   c.live.timeout(),
		LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(c.source, 0)),
		KeepAlive: -1,
		Control:   latePort,
	}
	return d.DialContext(ctx, "tcp", target.String())
}

// allow gives the connection as long as a client waits, from now on.
func (c *liveClient) allow(conn net.Conn) {
	// It fails on a closed connection only, and then so does what follows.
	_ = conn.SetDeadline(time.Now().Add(c.live.timeout()))
}

// failure tells a server that is silent from all other trouble.
func failure(err error) Outcome {
	var n net.Error
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &n) && n.Timeout() {
		return Timeout
	}
	return Failed
}
