package server

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"overstay/connlog"
)

const (
	// introductionTime is how long a trusted proxy may take to say who its
	// client is.
	introductionTime = 3 * time.Second
	// minIntroductions is how many a service listens to at the same time at
	// least; it is the size of its pool if that is more.
	minIntroductions = 64
)

// introduce has a trusted proxy say who its client is, and decides then. The
// connection holds no thread until that is known, so the wait for a header is
// bounded in time and number. The proxy itself is not looked up in the list:
// its clients are not to suffer for it.
func (s *service) introduce(raw net.Conn, peer netip.AddrPort) {
	k := &kept{Conn: raw, remote: raw.RemoteAddr()}
	if s.introducing.Add(1) > int64(max(minIntroductions, s.pool.size())) {
		s.introducing.Add(-1)
		s.turnAway(raw, peer.Addr(), connlog.RefuseBusy)
		return
	}
	if !s.server.lobby.enter(k) {
		s.introducing.Add(-1)
		_ = raw.Close() // The server stops.
		return
	}
	s.server.tasks.Go(func() {
		_ = raw.SetReadDeadline(time.Now().Add(introductionTime)) // A closed one fails at the read.
		client, err := k.readHeader(peer)
		_ = raw.SetReadDeadline(time.Time{}) // Likewise.
		s.introducing.Add(-1)
		switch {
		case !s.server.lobby.leave(k):
			_ = raw.Close() // The server stops.
		case err != nil:
			s.unintroduced(k, peer, err)
		default:
			s.decide(k, client, s.current())
		}
	})
}

// turnAway closes a connection without a word.
func (s *service) turnAway(raw net.Conn, addr netip.Addr, reason connlog.Reason) {
	s.refused.of(reason).Add(1)
	s.server.refusals.log(time.Now(), s, addr, reason, int(s.pool.busy.Load()))
	_ = raw.Close() // Whatever it says, the connection is gone.
}

// unintroduced ends a connection of which a trusted proxy did not say whose it
// is. In the log it is the proxy's own, and a failed command; but one that
// said nothing and hung up is no failure: proxies look like that whether we
// are there.
func (s *service) unintroduced(raw net.Conn, peer netip.AddrPort, cause error) {
	from := originOf(peer.Addr())
	busy, refused := s.pool.take(from, sourceLimits{})
	if refused != "" {
		s.turnAway(raw, peer.Addr(), refused)
		return
	}
	c := s.begin(raw, peer, from, busy, false)
	wrong := errors.Is(cause, errHeader)
	if wrong || !errors.Is(cause, io.EOF) {
		c.Fail(connlog.FailCommand, "")
		s.server.complaints.warn(s.server.logger, time.Now(), s.Name, peer.Addr(), cause)
	}
	if !wrong {
		c.note(cause)
	}
	_ = c.Close() // Whatever it says, the connection is gone.
}

// lobby is where connections are that have no thread yet and wait for their
// peer, so that the end of the server need not wait for them.
type lobby struct {
	mu     sync.Mutex
	closed bool
	inside map[*kept]struct{}
}

// enter returns false if the lobby is closed.
func (l *lobby) enter(k *kept) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	if l.inside == nil {
		l.inside = make(map[*kept]struct{})
	}
	l.inside[k] = struct{}{}
	return true
}

// leave returns false if the lobby was closed meanwhile.
func (l *lobby) leave(k *kept) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.inside, k)
	return !l.closed
}

// close cuts all connections inside.
func (l *lobby) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for k := range l.inside {
		_ = k.Close() // Its goroutine finds out.
	}
}

// complaints tell the operator of proxies that are set up wrong, once a second
// at most.
type complaints struct {
	mu     sync.Mutex
	last   time.Time
	untold int
}

func (k *complaints) warn(logger *slog.Logger, now time.Time, service string, peer netip.Addr, cause error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if now.Sub(k.last) < time.Second {
		k.untold++
		return
	}
	logger.Warn("trusted proxy without a valid PROXY header",
		"service", service, "peer", peer, "untold", k.untold, "error", cause)
	k.last, k.untold = now, 0
}
