package traffic

import (
	"errors"
	"time"

	"overstay/connlog"
)

// Scanner is what looks through the messages of a service: a number of
// scanners that take one message each, and one queue for all of them. While a
// message waits and is scanned, its connection keeps its thread, and the
// server's patience does not count.
type Scanner struct {
	Number int           // scanners, 0 for none
	Time   time.Duration // mean time of a scan
	Stalls []Stall       // when no scan makes progress, in the order of time
}

// Stall is a stretch of the run.
type Stall struct{ From, Until time.Duration }

// check returns what is wrong with the scanner.
func (s *Scanner) check() error {
	if s.Number < 0 || s.Time < 0 || s.Number > 0 && s.Time == 0 {
		return errors.New("unusable scanner")
	}
	return checkStalls(s.Stalls)
}

func checkStalls(stalls []Stall) error {
	var last time.Duration
	for _, stall := range stalls {
		if stall.From < last || stall.Until <= stall.From {
			return errors.New("stalls out of order")
		}
		last = stall.Until
	}
	return nil
}

// after returns when something is done that begins at now and takes so long
// where nothing stalls, in µs.
func after(stalls []Stall, now, takes int64) int64 {
	for _, stall := range stalls {
		from, until := stall.From.Microseconds(), stall.Until.Microseconds()
		if now+takes <= from {
			break
		}
		if now < until {
			takes -= max(from-now, 0)
			now = until
		}
	}
	return now + takes
}

// stalls are those that a client has to wait for.
func (s *simulator) stalls(c *client) []Stall {
	switch c.group.Kind {
	case Ordinary, Sending, Idling:
		return s.pools[c.pool].Stalls
	}
	return nil
}

// scans is the state of a pool's scanners.
type scans struct {
	running int
	waiting []waiting // oldest first; what was cut in the meantime is skipped
}

// waiting is a connection whose message waits.
type waiting struct {
	slot int32
	conn uint64
}

// scans says whether the messages of a client are scanned.
func (s *simulator) scans(c *client) bool {
	return s.pools[c.pool].Scanner.Number > 0 && (c.group.Kind == Ordinary || c.group.Kind == Sending)
}

// hasMessage says whether a connection has a message at the end of its step.
func (k *conn) hasMessage(g *Group) bool {
	return g.Kind == Ordinary && k.steps == 0 || g.Kind == Sending && k.steps < g.tries()
}

// queueScan lets the message of a connection wait for its scan.
func (s *simulator) queueScan(slot int32) {
	k := &s.slots[slot]
	p := &s.pools[s.clients[k.client].pool]
	k.asked = s.now
	p.scans.waiting = append(p.scans.waiting, waiting{slot: slot, conn: k.id})
	s.scanNext(p)
}

// scanNext keeps the scanners of a pool at work.
func (s *simulator) scanNext(p *pool) {
	for p.scans.running < p.Scanner.Number && len(p.scans.waiting) > 0 {
		w := p.scans.waiting[0]
		p.scans.waiting = p.scans.waiting[1:]
		k := &s.slots[w.slot]
		if k.id != w.conn {
			continue
		}
		p.scans.running++
		done := after(p.Scanner.Stalls, s.now, max(s.clients[k.client].scan, 1))
		k.waited, k.asked = k.waited+s.now-k.asked, 0
		k.scanned += done - s.now
		s.queue.put(task{at: done, what: doScanned, ref: w.slot, conn: w.conn, pool: s.clients[k.client].pool})
	}
}

// scanned frees the scanner, whether or not the connection is still there.
func (s *simulator) scanned(t *task) {
	if t.conn <= s.baseID {
		return // of a server that is gone
	}
	if s.slots[t.ref].id == t.conn {
		s.stepped(t.ref)
	}
	p := &s.pools[t.pool]
	p.scans.running--
	s.scanNext(p)
}

// scanStages says what a connection that ends now has spent with scanners,
// also if it was cut in the middle of it.
func (k *conn) scanStages(stages *[connlog.NumStages]time.Duration, held time.Duration) time.Duration {
	wait := min(time.Duration(k.waited)*time.Microsecond, held)
	scan := min(time.Duration(k.scanned)*time.Microsecond, held-wait)
	stages[connlog.StageScanWait] += wait
	stages[connlog.StageScan] += scan
	return held - wait - scan
}
