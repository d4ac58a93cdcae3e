package traffic

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"time"

	"overstay/connlog"
)

// Restart is the server going down, and coming up with a new boot in its log.
// While it is down, clients are turned away without a line.
type Restart struct {
	At, Down time.Duration
	// Crash makes the log of the old boot break off: no close for what is
	// open, no stop line.
	Crash bool
}

// ClockStep is the server's clock being set forward, or back if By is
// negative. What a log shows of it is that its times leap; nothing else does.
type ClockStep struct{ At, By time.Duration }

// checkCourse returns what is wrong with the restarts and the clock.
func (s *Simulation) checkCourse() error {
	var last time.Duration
	for _, r := range s.Restarts {
		if r.At <= last || r.Down <= 0 {
			return errors.New("traffic: restarts out of order")
		}
		last = r.At + r.Down
	}
	last = 0
	for _, c := range s.Steps {
		if c.At < last {
			return errors.New("traffic: steps of the clock out of order")
		}
		last = c.At
	}
	return nil
}

// planCourse plans what happens to the server.
func (s *simulator) planCourse() {
	for i, r := range s.conf.Restarts {
		s.queue.put(task{at: r.At.Microseconds(), what: doStop, ref: int32(i)})
		s.queue.put(task{at: (r.At + r.Down).Microseconds(), what: doStart})
	}
	for i, c := range s.conf.Steps {
		s.queue.put(task{at: c.At.Microseconds(), what: doStepClock, ref: int32(i)})
	}
}

// newBoot gives the next server process its id.
func (s *simulator) newBoot() {
	s.boot = fmt.Sprintf("%016x", rand.NewPCG(s.conf.Seed, math.MaxUint64-s.boots).Uint64())
	s.boots++
}

// goDown ends this server process, in order or not.
func (s *simulator) goDown(r *Restart) {
	if r.Crash {
		s.down = true
		s.closeAll(connlog.EndError, func(*client) bool { return true }) // without a line
		return
	}
	s.stop()
	s.down = true
}

// comeUp begins the log of the next server process, which knows of nothing.
// Its connections are numbered from 1 again.
func (s *simulator) comeUp() {
	s.down = false
	s.newBoot()
	s.seq, s.baseID = 0, s.lastID
	for i := range s.pools {
		s.pools[i].refused = 0
		s.pools[i].scans = scans{}
	}
	for i := range s.sources {
		s.sources[i].fold = [len(foldReasons)]fold{}
	}
	s.folds.owed = s.folds.owed[:0]
	s.start()
}

// hopped returns an address that shares the leading bits with addr; the others
// are taken from random.
func hopped(addr netip.Addr, bits int, high, low uint64) netip.Addr {
	b := addr.As16()
	keep := bits
	if addr.Is4() {
		keep += 96
	}
	for i := range b {
		random := byte(low >> (i % 8 * 8))
		if i < 8 {
			random = byte(high >> (i * 8))
		}
		ours := byte(0xff) >> min(max(keep-8*i, 0), 8) // the bits to replace
		b[i] = b[i]&^ours | random&ours
	}
	if addr.Is4() {
		return netip.AddrFrom16(b).Unmap()
	}
	return netip.AddrFrom16(b)
}
