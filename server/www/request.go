package www

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"overstay/connlog"
)

// doing is what is done about a request.
type doing int

const (
	working   doing = iota // it is answered
	asking                 // the upstream is waited for
	sending                // the client is waited for, to take the answer
	receiving              // the client is waited for, to send the body
	numDoings
)

// request is one that is being answered. Its link adds up what is done about
// all of its own, and that makes the stage of the connection.
type request struct {
	link *link

	// Guarded by link.mu.
	does    doing
	reading bool  // a read of the body waits, whatever is done otherwise
	ended   bool  // a read may outlive it
	lame    error // why the body is not complete
}

type (
	linkKey    struct{} // of the link in a request's context
	requestKey struct{} // of the request
)

// linkOf returns the link that a request came in on.
func linkOf(r *http.Request) *link {
	l, _ := r.Context().Value(linkKey{}).(*link)
	return l
}

// requestOf returns what is known of a request, nil if nothing is.
func requestOf(ctx context.Context) *request {
	q, _ := ctx.Value(requestKey{}).(*request)
	return q
}

// begin notes that a request is answered from now on.
func (l *link) begin() *request {
	l.fresh.remove(l)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.h2 && !l.begun {
		_ = l.wire.SetReadDeadline(time.Time{}) // A closed one needs none.
	}
	l.begun = true
	l.doing[working]++
	l.settleLocked()
	return &request{link: l}
}

// now notes that something else is done about a request from now on.
func (q *request) now(does doing) {
	if q == nil {
		return
	}
	q.link.mu.Lock()
	defer q.link.mu.Unlock()
	q.changeLocked(does, q.reading)
}

func (q *request) changeLocked(does doing, reading bool) {
	if q.ended {
		return
	}
	q.link.doing[q.doing()]--
	q.does, q.reading = does, reading
	q.link.doing[q.doing()]++
	q.link.settleLocked()
}

// doing returns what counts: while the body is waited for, nobody but the
// client can do anything.
func (q *request) doing() doing {
	if q.reading {
		return receiving
	}
	return q.does
}

// end notes that a request was answered. In HTTP/1.1 the library tells when it
// is done with the answer.
func (q *request) end() {
	l := q.link
	l.mu.Lock()
	defer l.mu.Unlock()
	l.doing[q.doing()]--
	q.ended = true
	if l.h2 && l.restsLocked() {
		l.parkLocked()
	}
}

// failed returns why the body is not complete, nil if it is or may be.
func (q *request) failed() error {
	if q == nil {
		return nil
	}
	q.link.mu.Lock()
	defer q.link.mu.Unlock()
	return q.lame
}

// body is a request's body, whose sender is waited for.
type body struct {
	io.ReadCloser
	request *request
}

func (b *body) Read(to []byte) (int, error) {
	b.wait(true, nil)
	n, err := b.ReadCloser.Read(to)
	b.wait(false, err)
	return n, err
}

func (b *body) wait(reading bool, err error) {
	q := b.request
	q.link.mu.Lock()
	defer q.link.mu.Unlock()
	if err != nil && !errors.Is(err, io.EOF) {
		q.lame = err
	}
	q.changeLocked(q.does, reading)
}

// rest notes that the library waits for a request.
func (l *link) rest() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.begun && l.restsLocked() {
		l.parkLocked()
	}
}

func (l *link) restsLocked() bool { return l.doing == [numDoings]int{} }

func (l *link) parkLocked() {
	l.stage = connlog.StageIdle
	l.Park()
}

// settleLocked enters the stage that the open requests make. While the client
// is waited for in all of them, its limits are in force.
func (l *link) settleLocked() {
	stage := connlog.StageData
	switch {
	case l.doing[asking] > 0:
		stage = connlog.StageUpstream
	case l.doing[working] > 0:
		stage = connlog.StageDeliver
	}
	if stage != l.stage {
		l.stage = stage
		l.Enter(stage)
	}
}
