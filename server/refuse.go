package server

import (
	"crypto/tls"
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
	// maxRefuserHandshakes bounds the work for who gets nothing but a no.
	maxRefuserHandshakes = 16
)

// refuse turns a connection away. It does not wait for the client. Under TLS
// a word costs a handshake, which a banned source is not worth.
func (s *service) refuse(raw net.Conn, addr netip.Addr, reason connlog.Reason, busy int, set *settings) {
	s.refused.of(reason).Add(1)
	s.server.refusals.log(time.Now(), s, addr, reason, busy)
	a := answer{words: set.words[reason], tls: set.refuserTLS, waits: !s.Protocol.SpeaksFirst()}
	if a.words == nil || a.tls != nil && reason == connlog.RefuseBanned || !s.server.refusals.speak(raw, a) {
		_ = raw.Close() // Whatever it says, the connection is gone.
	}
}

// answer is what a client is told that is turned away.
type answer struct {
	words []byte
	tls   *tls.Config // nil: in the clear
	waits bool        // for the client to ask first
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
	tls     chan struct{} // one for each of them that does a handshake
	running sync.WaitGroup

	mu    sync.Mutex
	fold  *fold
	event connlog.Event // reused
}

func newRefusals(refusers int, out Log) *refusals {
	return &refusals{
		out: out, slots: make(chan struct{}, refusers),
		tls: make(chan struct{}, maxRefuserHandshakes), fold: newFold(),
	}
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
		Threads:  s.pool.size(),
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

// speak has a goroutine tell the client and close the connection. It returns
// false if too many are at work already.
func (r *refusals) speak(raw net.Conn, a answer) bool {
	if a.tls != nil && !occupy(r.tls) {
		return false
	}
	if !occupy(r.slots) {
		if a.tls != nil {
			<-r.tls
		}
		return false
	}
	r.running.Go(func() {
		a.tell(raw)
		<-r.slots
		if a.tls != nil {
			<-r.tls
		}
	})
	return true
}

// occupy takes a slot if there is one.
func occupy(slots chan struct{}) bool {
	select {
	case slots <- struct{}{}:
		return true
	default:
		return false
	}
}

func (r *refusals) wait() { r.running.Wait() }

// tell says the words and hangs up. Errors are the client's loss only.
func (a answer) tell(raw net.Conn) {
	defer func() { _ = raw.Close() }()
	if raw.SetDeadline(time.Now().Add(refusalTime)) != nil {
		return
	}
	client := raw
	if a.tls != nil {
		t := tls.Server(raw, a.tls)
		if t.Handshake() != nil {
			return
		}
		client = t
	}
	if a.waits {
		var request [512]byte
		if _, err := client.Read(request[:]); err != nil {
			return // It never asked.
		}
	}
	if _, err := client.Write(a.words); err != nil {
		return
	}
	// A close with unread bytes would reset the connection, and the words
	// with it.
	if closeWrite(client) == nil {
		_, _ = io.Copy(io.Discard, io.LimitReader(client, maxRefusedBytes))
	}
}
