package scan

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"
)

// Errors of Wait and Scan.
var (
	// ErrBusy means that no scanner was free in time, or that too many wait.
	ErrBusy = errors.New("scan: all scanners are busy")
	// ErrTooLarge means that the message is larger than what is scanned.
	ErrTooLarge = errors.New("scan: message too large")
	// ErrScanner means that the scanner did not do its work: it is not there,
	// too slow, or says something that is no verdict.
	ErrScanner = errors.New("scan: scanner not available")
	// ErrOptions is the error of New when the options make no sense.
	ErrOptions = errors.New("scan: bad options")
)

// errDone is the error of a Scan after Done.
var errDone = errors.New("scan: the turn is over")

// Options are the settings of scanners.
type Options struct {
	// Address is where clamd listens: "unix:" and the path of its socket, or
	// host:port.
	Address string
	// Scanners is how many messages are scanned at a time, 4 by default. More
	// than clamd's MaxThreads make no sense.
	Scanners int
	// Queue is how many messages may wait for a scanner, 1000 by default, and
	// -1 for none.
	Queue int
	// WaitTimeout is how long one may wait, 2 minutes by default.
	WaitTimeout time.Duration
	// Timeout is how long one scan may take, from the dial to the answer. The
	// default is a minute.
	Timeout time.Duration
	// MaxBytes is the largest message that is sent to clamd. The default is
	// none but clamd's own (StreamMaxLength).
	MaxBytes int64
}

// Scanners are a number of scans that may run at a time. The methods may be
// called at the same time.
type Scanners struct {
	options         Options
	network, target string
	slots           chan struct{} // one for each scan that runs
	queue           chan struct{} // one for each that waits
}

// New returns the scanners. It does not try to reach clamd.
func New(o Options) (*Scanners, error) {
	s := &Scanners{network: "tcp", target: o.Address}
	if path, ok := strings.CutPrefix(o.Address, "unix:"); ok {
		s.network, s.target = "unix", path
	} else if _, _, err := net.SplitHostPort(o.Address); err != nil {
		return nil, fmt.Errorf("%w: address %q is neither unix:path nor host:port", ErrOptions, o.Address)
	}
	if s.target == "" {
		return nil, fmt.Errorf("%w: no address", ErrOptions)
	}
	if o.Scanners <= 0 {
		o.Scanners = 4
	}
	switch {
	case o.Queue == 0:
		o.Queue = 1000
	case o.Queue < 0:
		o.Queue = 0
	}
	if o.WaitTimeout <= 0 {
		o.WaitTimeout = 2 * time.Minute
	}
	if o.Timeout <= 0 {
		o.Timeout = time.Minute
	}
	s.options = o
	s.slots = make(chan struct{}, o.Scanners)
	s.queue = make(chan struct{}, o.Queue)
	return s, nil
}

// Turn is the right to one scan. It is not for concurrent use.
type Turn struct {
	scanners *Scanners
	once     sync.Once
	over     bool
}

// Wait waits for a free scanner, in the order of the calls. It returns ErrBusy
// if none is free in time, or if too many wait already, or ctx's error.
func (s *Scanners) Wait(ctx context.Context) (*Turn, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	select {
	case s.slots <- struct{}{}: // There is room only when nobody waits.
		return &Turn{scanners: s}, nil
	default:
	}
	select {
	case s.queue <- struct{}{}:
		defer func() { <-s.queue }()
	default:
		return nil, ErrBusy
	}
	timeout := time.NewTimer(s.options.WaitTimeout)
	defer timeout.Stop()
	select {
	case s.slots <- struct{}{}:
		return &Turn{scanners: s}, nil
	case <-timeout.C:
		return nil, ErrBusy
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Done lets the next one have its turn. A second call does nothing.
func (t *Turn) Done() {
	t.once.Do(func() {
		t.over = true
		<-t.scanners.slots
	})
}

// Load returns how many scans run and how many messages wait for one.
func (s *Scanners) Load() (running, waiting int) { return len(s.slots), len(s.queue) }
