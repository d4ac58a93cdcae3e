package proxy

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"overstay/connlog"
	"overstay/server"
)

// lingerTime is how long a client may take to hang up whose upstream has.
const lingerTime = 5 * time.Second

// goodbyeTime is how long a client may take to make room for a goodbye, before
// which nobody else gets at its session.
const goodbyeTime = time.Second

// renewEvery is how often a client that keeps taking gets its time anew.
const renewEvery = time.Second

// session is one client and its connection to the upstream.
type session struct {
	protocol *Protocol
	conn     *server.Conn // the client's, for the log
	client   net.Conn     // the same, or TLS over it
	upstream net.Conn     // set once, before the copiers begin

	broken atomic.Bool // the upstream has failed

	mu       sync.Mutex
	watch    watcher
	stage    connlog.Stage
	renewed  time.Time // when the stage was last begun
	silent   time.Time // since when the upstream is, zero if it may be
	asked    bool      // a client that speaks first has begun to
	said     bool      // the client has said all
	deaf     bool      // the upstream takes no more
	ended    bool      // the upstream has
	farewell bool      // the server stops, and the client was told
}

func newSession(p *Protocol, client net.Conn, conn *server.Conn) *session {
	return &session{
		protocol: p,
		conn:     conn,
		client:   client,
		watch:    newWatcher(p.options.Speaks, conn, proof{turns: p.options.ProveTurns, bytes: p.options.ProveBytes}),
	}
}

// serve is the session's whole life.
func (s *session) serve() {
	defer s.close()
	first, err := s.firstWords()
	if err != nil {
		return
	}
	defer first.free()
	s.enter(connlog.StageUpstream)
	upstream, err := s.protocol.dial(s.conn)
	if err != nil {
		s.fail("connect", err)
		s.linger(time.Now())
		_, _ = io.Copy(io.Discard, s.client) // Or its reset would take our words with it.
		return
	}
	if !s.attach(upstream) {
		return
	}
	var copiers sync.WaitGroup
	defer copiers.Wait()
	copiers.Go(s.copyUp(first))
	s.copyDown()
}

// firstWords waits for a client whose protocol makes it speak first, so that
// one which says nothing costs the upstream nothing.
func (s *session) firstWords() (*piece, error) {
	b := newPiece()
	if s.protocol.options.Speaks != HTTP {
		return b, nil
	}
	if err := b.fill(s.client); err != nil {
		b.free()
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = true
	return b, nil
}

// attach makes the upstream's connection one that can be closed from outside.
func (s *session) attach(upstream net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.upstream = upstream
	if s.protocol.ctx.Err() != nil {
		_ = upstream.Close() // Nothing was said yet.
		return false
	}
	s.settleLocked(time.Now(), true)
	return true
}

// closeUpstream ends the copiers' wait for the upstream.
func (s *session) closeUpstream() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.upstream != nil {
		_ = s.upstream.Close() // The copiers find out.
	}
}

// close ends both connections.
func (s *session) close() {
	s.closeUpstream()
	s.hangUp()
}

// hangUp closes the client's connection.
func (s *session) hangUp() {
	if s.broken.Load() {
		_ = s.conn.CloseBroken() // The close event says so.
	}
	_ = s.client.Close() // It is over in any case.
}

// fail tells the client that the upstream is not there, and ends the session.
func (s *session) fail(what string, err error) {
	if s.broken.Swap(true) || s.protocol.ctx.Err() != nil {
		return
	}
	s.protocol.options.Logger.Warn("the upstream has failed", "doing", what, "upstream", s.protocol.options.Upstream, "error", err)
	s.mu.Lock()
	speak := s.watch.atRest()
	s.mu.Unlock()
	if words := failure(s.protocol.options.Speaks, isTimeout(err)); speak && words != nil {
		_, _ = s.client.Write(words) // The client's loss.
	}
	closeWrite(s.client)
}

// copyUp returns what passes on what the client says, after what it has said
// already.
func (s *session) copyUp(b *piece) func() {
	return func() {
		err := s.passUp(b)
		for err == nil {
			if err = b.fill(s.client); err == nil {
				err = s.passUp(b)
			}
		}
		if errors.Is(err, io.EOF) {
			s.clientSaidAll()
			return
		}
		s.closeUpstream() // The other copier ends with it.
	}
}

// passUp passes on what has come from the client.
func (s *session) passUp(b *piece) error {
	text := b.text()
	if len(text) == 0 {
		return nil
	}
	now := time.Now()
	s.mu.Lock()
	deaf, over := s.deaf, s.ended
	if !deaf {
		s.watch.fromClient(text)
		s.settleLocked(now, false)
	}
	s.mu.Unlock()
	if deaf && over && s.protocol.options.Speaks == TCP {
		return io.EOF // Both directions are gone.
	} else if deaf {
		return nil
	}
	_ = s.upstream.SetWriteDeadline(now.Add(s.protocol.options.ReplyTimeout)) // A closed one fails at the write.
	if _, err := s.upstream.Write(text); err != nil {
		if isTimeout(err) {
			s.fail("write", err)
			return err
		}
		// What it has said before it went is still to be passed on, and what
		// the client says to be read away: it must see the end.
		s.mu.Lock()
		defer s.mu.Unlock()
		s.deaf = true
	}
	return nil
}

// clientSaidAll passes the end of what the client says on. From now on only
// the upstream is waited for.
func (s *session) clientSaidAll() {
	s.mu.Lock()
	s.said = true
	over := s.ended
	s.settleLocked(time.Now(), true)
	s.mu.Unlock()
	if over {
		s.closeUpstream()
		return
	}
	closeWrite(s.upstream)
}

// copyDown passes on what the upstream says, to its end.
func (s *session) copyDown() {
	b := newPiece()
	defer b.free()
	for {
		err := b.fill(s.upstream)
		switch {
		case err == nil:
			if !s.passDown(b.text()) {
				s.hangUp() // It ends the other copier, too.
				return
			}
		case isTimeout(err):
			if !s.lostPatience(err) {
				continue
			}
			s.closeUpstream()
			s.linger(time.Now())
			return
		default:
			s.upstreamEnded(err)
			return
		}
	}
}

// passDown passes on what has come from the upstream.
func (s *session) passDown(text []byte) bool {
	s.mu.Lock()
	s.watch.fromUpstream(text)
	s.mu.Unlock()
	if _, err := s.client.Write(text); err != nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settleLocked(time.Now(), true)
	s.sayGoodbyeLocked()
	return true
}

// lostPatience tells whether an upstream that was silent for too long is the
// end of the session. Where the conversation cannot be read, it may be the
// client's turn after all.
func (s *session) lostPatience(err error) bool {
	s.mu.Lock()
	if !s.said && (!s.watch.sure() || !waitsForUpstream(s.watch.stage())) {
		s.watch.upstreamIsSilent()
		s.settleLocked(time.Now(), true)
		s.mu.Unlock()
		return false
	}
	s.mu.Unlock()
	s.fail("read", err)
	return true
}

// upstreamEnded passes the upstream's end on. Its protocol decides whether the
// client may go on talking.
func (s *session) upstreamEnded(err error) {
	now := time.Now()
	s.mu.Lock()
	s.ended = true
	s.watch.upstreamEnded()
	over := s.said || errors.Is(err, net.ErrClosed)
	owed := s.watch.owed() || !s.watch.sure() && !errors.Is(err, io.EOF)
	deaf := s.deaf
	s.mu.Unlock()
	switch {
	case over:
		s.hangUp() // Both have said all, or the client has gone.
	case owed:
		s.fail("read", err)
		s.linger(now)
	case s.protocol.options.Speaks == TCP && !deaf:
		closeWrite(s.client) // And the client may go on, within its limits.
		s.mu.Lock()
		s.watch.upstreamIsSilent()
		s.settleLocked(now, true)
		s.mu.Unlock()
	default:
		closeWrite(s.client)
		s.linger(now)
	}
}

// linger gives the client a moment to take what was said, and to hang up.
func (s *session) linger(now time.Time) {
	s.enter(connlog.StageIdle)
	_ = s.client.SetReadDeadline(now.Add(lingerTime)) // A closed one needs none.
}

// stop ends the session now if the client has nothing under way, or else as
// soon as that is so.
func (s *session) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sayGoodbyeLocked()
}

// sayGoodbyeLocked says goodbye to a client that waits for nothing, if the
// server stops.
func (s *session) sayGoodbyeLocked() {
	if s.upstream == nil && s.protocol.options.Speaks == HTTP && !s.asked {
		_ = s.client.Close() // It has not said a word.
		return
	}
	if s.farewell || s.upstream == nil || !s.watch.sure() || !s.watch.atRest() || s.watch.stage() != connlog.StageIdle || !s.protocol.isStopping() {
		return
	}
	s.farewell = true
	if words := goodbye(s.protocol.options.Speaks); words != nil {
		_ = s.client.SetWriteDeadline(time.Now().Add(goodbyeTime)) // A closed one fails at the write.
		if _, err := s.client.Write(words); err != nil {
			_ = s.conn.Close() // Nor would it take the goodbye of TLS.
		}
	}
	_ = s.upstream.Close()
	_ = s.client.Close() // The copiers find out.
}

// enter moves the client into a stage.
func (s *session) enter(stage connlog.Stage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stage, s.renewed = stage, time.Now()
	s.conn.Enter(stage)
}

// settleLocked moves the client into the stage that the watcher tells. What
// the upstream has done begins the stage anew, so that its time does, too; what
// the client does moves no limit.
func (s *session) settleLocked(now time.Time, heard bool) {
	stage := s.watch.stage()
	if s.said {
		stage = connlog.StageUpstream
	}
	if stage != s.stage || heard && now.Sub(s.renewed) >= renewEvery {
		s.stage, s.renewed = stage, now
		if stage == connlog.StageIdle && s.protocol.options.Speaks == HTTP {
			s.conn.Park() // It has all that it asked for.
		} else {
			s.conn.Enter(stage)
		}
	}
	s.expectLocked(now, heard)
}

// expectLocked sets how long the upstream may be silent: for good while it is
// the client's turn.
func (s *session) expectLocked(now time.Time, heard bool) {
	waits := s.said || waitsForUpstream(s.watch.stage())
	var deadline time.Time
	switch {
	case !waits && s.silent.IsZero(), waits && !s.silent.IsZero() && !heard:
		return
	case waits:
		s.silent = now
		deadline = now.Add(s.protocol.options.ReplyTimeout)
	default:
		s.silent = time.Time{}
	}
	_ = s.upstream.SetReadDeadline(deadline) // A closed one fails at the read.
}

func waitsForUpstream(stage connlog.Stage) bool {
	return stage == connlog.StageUpstream || stage == connlog.StageDeliver
}

// closeWrite tells the other end that nothing more follows.
func closeWrite(c net.Conn) {
	if w, ok := c.(interface{ CloseWrite() error }); ok {
		_ = w.CloseWrite() // Whoever has gone needs not be told.
	}
	if t, ok := c.(*tls.Conn); ok {
		closeWrite(t.NetConn()) // Its own is a word inside of TLS.
	}
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}
