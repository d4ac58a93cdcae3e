package traffic

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"net/netip"
	"time"

	"overstay/connlog"
)

// Service is one service of the simulated server, with a pool of its own.
type Service struct {
	Name    string
	Threads int

	// UnprovenPerSource is how many unproven connections one source may have,
	// 0 for no limit.
	UnprovenPerSource int
	// Patience is how long a connection may stay unproven before the server
	// ends it, 0 for ever.
	Patience time.Duration

	// Scanner makes Ordinary and Sending clients wait until each of their
	// messages has been scanned. The zero value scans nothing.
	Scanner Scanner

	// Stalls are when nothing behind the service goes on, be it a database or a
	// disk: who asks for something waits until they are over, or until the
	// server's patience is. In the order of time.
	Stalls []Stall
}

// Simulation is a bounded server and the groups that use it, in virtual time.
// It is only read by its methods, so one value can be played any number of
// times, also at the same time unless Blocked minds.
type Simulation struct {
	Seed     uint64
	Begin    time.Time     // of the log, zero for the start of 2026
	Length   time.Duration // 0 for a log that goes on until the caller stops reading
	Services []Service
	Groups   []Group

	// Crash makes the log break off at the end, without a close for what is
	// open and without a stop line, as a killed server leaves it.
	Crash bool

	// Restarts of the server, in the order of time, none before the one before
	// is over.
	Restarts []Restart

	// Steps of the server's clock, in the order of time.
	Steps []ClockStep

	// Blocked closes the loop: the server refuses what is blocked, and cuts
	// what was open within Notice. It is called between two events.
	Blocked func(addr netip.Addr, service string) bool

	// Notice is how often the server looks whether what is open is blocked, 0
	// for each 10 ms.
	Notice time.Duration
}

const (
	beatEvery    = 5 * time.Second
	blockedEvery = 10 * time.Millisecond // where Notice says nothing
)

// notice is how often open connections are looked at, in µs.
func (s *Simulation) notice() int64 {
	if s.Notice == 0 {
		return blockedEvery.Microseconds()
	}
	return max(s.Notice.Microseconds(), 1)
}

// ErrEndless is returned for a log that would never end.
var ErrEndless = errors.New("traffic: neither length nor limit is set")

// Events plays the simulation as the lines of its connection log, in order.
// An event is valid until the next one. Stopping early is fine.
func (s *Simulation) Events() (iter.Seq[*connlog.Event], error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	return func(yield func(*connlog.Event) bool) { newSimulator(s, yield).run() }, nil
}

// WriteLog writes the connection log as text and returns its size. A limit
// other than 0 ends it after the line that reaches so many bytes.
func (s *Simulation) WriteLog(w io.Writer, limit int64) (int64, error) {
	if s.Length == 0 && limit <= 0 {
		return 0, ErrEndless
	}
	events, err := s.Events()
	if err != nil {
		return 0, err
	}
	const block = 256 << 10
	var written int64
	buf := make([]byte, 0, block+4<<10)
	flush := func() error {
		n, err := w.Write(buf)
		written += int64(n)
		buf = buf[:0]
		return err
	}
	for e := range events {
		buf = append(connlog.Append(buf, e), '\n')
		if limit > 0 && written+int64(len(buf)) >= limit {
			break
		}
		if len(buf) >= block {
			if err := flush(); err != nil {
				return written, err
			}
		}
	}
	return written, flush()
}

// check returns what is wrong with the simulation.
func (s *Simulation) check() error {
	if s.Length < 0 || s.Notice < 0 {
		return errors.New("traffic: negative length or notice")
	}
	known := map[string]bool{}
	for _, v := range s.Services {
		if v.Threads < 1 || v.UnprovenPerSource < 0 || v.Patience < 0 || known[v.Name] {
			return fmt.Errorf("traffic: unusable service %q", v.Name)
		}
		if err := v.Scanner.check(); err != nil {
			return fmt.Errorf("traffic: service %q: %w", v.Name, err)
		}
		if err := checkStalls(v.Stalls); err != nil {
			return fmt.Errorf("traffic: service %q: %w", v.Name, err)
		}
		known[v.Name] = true
	}
	if err := s.checkCourse(); err != nil {
		return err
	}
	for i := range s.Groups {
		if err := s.Groups[i].check(); err != nil {
			return err
		}
		if !known[s.Groups[i].Service] {
			return fmt.Errorf("%w: %s: no service %q", ErrGroup, s.Groups[i].Name, s.Groups[i].Service)
		}
	}
	return nil
}
