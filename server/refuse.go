package server

import (
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"overstay/connlog"
)

const (
	// refusalTime is how long a refused client may take to be told why.
	refusalTime = time.Second
	// maxRefusedBytes is how much of its request is read away, so that the
	// answer is not lost to a reset.
	maxRefusedBytes = 64 << 10
)

// refuse turns a connection away. It does not wait for the client.
func (s *service) refuse(raw net.Conn, addr netip.Addr, reason connlog.Reason, busy int) {
	s.refused.of(reason).Add(1)
	s.server.refusals.log(time.Now(), s, addr, reason, busy)
	words := s.words[reason]
	if words == nil || !s.server.refusals.speak(raw, words, s.Protocol.SpeaksFirst()) {
		_ = raw.Close() // Whatever it says, the connection is gone.
	}
}

// refusalWords asks the protocol once for what it says.
func refusalWords(p Protocol) map[connlog.Reason][]byte {
	words := make(map[connlog.Reason][]byte)
	for _, r := range []connlog.Reason{connlog.RefuseBusy, connlog.RefuseSessions, connlog.RefuseBanned} {
		if w := p.Refusal(r); len(w) > 0 {
			words[r] = w
		}
	}
	return words
}

// refusedCounts counts connections turned away.
type refusedCounts struct{ busy, sessions, banned atomic.Uint64 }

func (r *refusedCounts) of(reason connlog.Reason) *atomic.Uint64 {
	switch reason {
	case connlog.RefuseBusy:
		return &r.busy
	case connlog.RefuseSessions:
		return &r.sessions
	}
	return &r.banned
}

func (r *refusedCounts) total() uint64 {
	return r.busy.Load() + r.sessions.Load() + r.banned.Load()
}

// refusals writes the lines about refusals and speaks to who is refused.
type refusals struct {
	out     Log
	slots   chan struct{} // one for each refuser at work
	running sync.WaitGroup

	mu    sync.Mutex
	fold  *fold
	event connlog.Event // reused
}

func newRefusals(refusers int, out Log) *refusals {
	return &refusals{out: out, slots: make(chan struct{}, refusers), fold: newFold()}
}

// log writes the line about a refusal, or holds it back to be folded.
func (r *refusals) log(now time.Time, s *service, addr netip.Addr, reason connlog.Reason, busy int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.event = connlog.Event{
		Kind:     connlog.Refuse,
		Service:  s.Name,
		ClientIP: addr,
		Reason:   reason,
		Busy:     busy,
		Threads:  s.pool.threads,
	}
	if r.fold.add(now, &r.event) {
		r.out.Write(&r.event)
	}
}

// flush writes the lines that were held back for long enough, or all.
func (r *refusals) flush(now time.Time, all bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fold.flush(now, all, r.out.Write)
}

// speak has a goroutine tell the client the words and close the connection. It
// returns false if too many are at work already.
func (r *refusals) speak(raw net.Conn, words []byte, speaksFirst bool) bool {
	select {
	case r.slots <- struct{}{}:
	default:
		return false
	}
	r.running.Go(func() {
		defer func() { <-r.slots }()
		tell(raw, words, speaksFirst)
	})
	return true
}

func (r *refusals) wait() { r.running.Wait() }

// tell says the words and hangs up. Errors are the client's loss only.
func tell(raw net.Conn, words []byte, speaksFirst bool) {
	defer func() { _ = raw.Close() }()
	if raw.SetDeadline(time.Now().Add(refusalTime)) != nil {
		return
	}
	if !speaksFirst {
		var request [512]byte
		if _, err := raw.Read(request[:]); err != nil {
			return // It never asked.
		}
	}
	if _, err := raw.Write(words); err != nil {
		return
	}
	// A close with unread bytes would reset the connection, and the words
	// with it.
	if w, ok := raw.(interface{ CloseWrite() error }); ok && w.CloseWrite() == nil {
		_, _ = io.Copy(io.Discard, io.LimitReader(raw, maxRefusedBytes))
	}
}
