package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"overstay/connlog"
)

// stragglers is how long Shutdown waits, after it has cut all connections,
// for the protocols to notice.
const stragglers = 5 * time.Second

// The reasons of a stop event.
const (
	stopShutdown connlog.Reason = "shutdown"
	stopError    connlog.Reason = "error"
)

// Server accepts connections for its services. Its methods may be called at
// the same time.
type Server struct {
	options  Options
	banned   Banned
	log      Log
	logger   *slog.Logger
	services []*service
	pools    []*pool
	refusals *refusals
	lastConn atomic.Uint64

	lobby      lobby
	complaints complaints

	accepting sync.WaitGroup // accept loops
	tasks     sync.WaitGroup // protocols, beat, what prepares connections
	handlers  sync.WaitGroup // one for each Conn until its protocol closes it

	recheck struct {
		sync.Mutex
		open, blocked []*Conn // reused
	}

	failed chan error    // a protocol or a listener ended by itself
	stop   chan struct{} // closed when Shutdown begins
	done   chan struct{} // closed when Shutdown has ended

	mu      sync.Mutex
	state   state
	started time.Time
	stopErr error
}

type state int

const (
	idle state = iota
	listening
	serving
	stopped
)

// service is a Service with what belongs to it while it is served. Of the
// fields that settings has, too, those of settings count.
type service struct {
	Service
	server   *Server
	pool     *pool
	settings atomic.Pointer[settings]
	listener net.Listener // set by Listen
	door     *door
	accepted atomic.Uint64
	refused  refusedCounts

	introducing atomic.Int64 // connections whose proxy is listened to
}

// New returns a server that does not listen yet.
func New(o Options) (*Server, error) {
	o = o.withDefaults()
	s := &Server{
		options: o,
		banned:  o.Banned,
		log:     o.Log,
		logger:  o.Logger,
		failed:  make(chan error, 2*len(o.Services)),
		stop:    make(chan struct{}),
		done:    make(chan struct{}),
	}
	s.refusals = newRefusals(o.Refusers, o.Log)
	if err := s.addServices(); err != nil {
		return nil, err
	}
	return s, nil
}

// Serve listens, if Listen was not called before, and serves until ctx ends;
// then it shuts down as Shutdown does, within Options.Grace. It returns nil
// then, also if sessions had to be cut; ErrClosed if the server was shut down
// before; and otherwise what made it end by itself.
func (s *Server) Serve(ctx context.Context) error {
	if err := s.Listen(); err != nil {
		return err
	}
	if err := s.start(); err != nil {
		return err
	}
	var failure error
	select {
	case <-ctx.Done():
	case <-s.stop:
		<-s.done
		return nil
	case failure = <-s.failed:
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.options.Grace)
	defer cancel()
	reason := stopShutdown
	if failure != nil {
		reason = stopError
	}
	err := s.shutdown(grace, reason)
	if err != nil && !errors.Is(err, ErrStuck) {
		s.logger.Warn("sessions were cut", "error", err)
		err = nil
	}
	return errors.Join(failure, err)
}

// start begins to serve what listens.
func (s *Server) start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != listening {
		return ErrClosed
	}
	s.state = serving
	s.started = time.Now()
	s.logStart()
	for _, svc := range s.services {
		svc.door = newDoor(svc.listener.Addr())
		s.tasks.Go(func() { s.report(svc, svc.Protocol.Serve(svc.door)) })
		s.accepting.Go(func() { s.report(svc, svc.acceptLoop()) })
	}
	s.tasks.Go(s.beat)
	return nil
}

// report passes on that a part of a service ended, which it should only do
// when the server stops.
func (s *Server) report(svc *service, err error) {
	if s.stopping() {
		return
	}
	if err == nil {
		err = ErrClosed
	}
	s.failed <- fmt.Errorf("server: service %q ended: %w", svc.Name, err)
}

func (s *Server) stopping() bool {
	select {
	case <-s.stop:
		return true
	default:
		return false
	}
}

// Shutdown stops accepting, lets sessions end until ctx does, cuts the others,
// and waits for everything that was started. It returns ctx's error if
// sessions had to be cut. A second call waits for the first.
func (s *Server) Shutdown(ctx context.Context) error {
	return s.shutdown(ctx, stopShutdown)
}

func (s *Server) shutdown(ctx context.Context, reason connlog.Reason) error {
	s.mu.Lock()
	before := s.state
	s.state = stopped
	s.mu.Unlock()
	if before == stopped {
		<-s.done
		return s.stopErr
	}
	defer close(s.done)
	close(s.stop)
	for _, svc := range s.services {
		if svc.listener != nil {
			_ = svc.listener.Close() // Nothing is lost with it.
		}
	}
	if before == serving {
		s.stopErr = s.stopServing(ctx)
		s.refusals.flush(time.Now(), true)
		s.log.Write(&connlog.Event{Kind: connlog.Stop, Reason: reason})
	}
	return s.stopErr
}

// stopServing ends all sessions, in order until ctx ends, and everything else
// that start began.
func (s *Server) stopServing(ctx context.Context) error {
	errs := make([]error, len(s.services))
	var protocols sync.WaitGroup
	s.lobby.close()
	s.accepting.Wait()
	s.cut((*Conn).isPreparing) // What has not begun need not end in order.
	timeout := time.After(lastWords)
	for _, svc := range s.services {
		svc.door.shutAndWait(timeout)
	}
	for i, svc := range s.services {
		protocols.Go(func() { errs[i] = svc.Protocol.Shutdown(ctx) })
	}
	protocols.Wait()
	for _, svc := range s.services {
		_ = svc.door.Close() // It cannot fail.
	}
	if errors.Join(errs...) == nil {
		// A library may have been asked to stop in the moment between its
		// taking a connection and its knowing of it.
		waitFor(ctx, &s.handlers)
	}
	if s.cut(func(*Conn) bool { return true }) == 0 {
		errs = nil // What was left has ended by itself in the meantime.
	}
	ended := make(chan struct{})
	go func() {
		s.tasks.Wait() // First, because they add to the others.
		s.handlers.Wait()
		s.refusals.wait()
		close(ended)
	}()
	select {
	case <-ended:
		return errors.Join(errs...)
	case <-time.After(stragglers):
		return errors.Join(append(errs, ErrStuck)...)
	}
}

// waitFor waits for all of a group until ctx ends. Whoever it leaves waiting
// ends with the group.
func waitFor(ctx context.Context, group *sync.WaitGroup) {
	ended := make(chan struct{})
	go func() {
		group.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
	}
}

// cut ends the open connections that match, and returns how many there were.
func (s *Server) cut(match func(*Conn) bool) int {
	var open []*Conn
	for _, p := range s.pools {
		open = p.collect(open)
	}
	open = slices.DeleteFunc(open, func(c *Conn) bool { return !match(c) })
	return end(open, connlog.EndShutdown)
}

// Recheck ends the sessions whose source is banned by now, and returns how
// many there were. Their threads are free when it returns. It is to be called
// after each change of the list; a call that finds nothing costs one look into
// the list for each open connection.
func (s *Server) Recheck() int {
	r := &s.recheck
	r.Lock()
	defer r.Unlock()
	for _, p := range s.pools {
		r.open = p.collect(r.open)
	}
	for _, c := range r.open {
		if s.banned.Blocked(c.peer.Addr(), c.service.Name) {
			r.blocked = append(r.blocked, c)
		}
	}
	n := end(r.blocked, connlog.EndBanned)
	clear(r.open)
	clear(r.blocked)
	r.open, r.blocked = r.open[:0], r.blocked[:0]
	return n
}

// end ends connections, and returns how many of them had not ended already.
// All threads are given back before the first line is cut, because that takes
// the kernel longer.
func end(conns []*Conn, how connlog.End) int {
	n := 0
	for _, c := range conns {
		if c.finish(how) {
			n++
		}
	}
	for _, c := range conns {
		c.abort()
	}
	return n
}
