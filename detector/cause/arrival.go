package cause

import (
	"math"
	"time"

	"overstay/connlog"
)

// arrival is one line of what came to a pool. There may be a million, so it is
// small.
type arrival struct {
	at   int64 // microseconds
	hold int64 // microseconds, or stillOpen; for a refusal, the threads that were busy
	source
	// Of hold, in units of stageUnit; see loss.Arrival.
	before, wait, scan uint32
	count              uint32 // refusals in this line
	service            uint16
	refused            bool
}

const (
	stillOpen = -1
	// stageUnit microseconds are what a stage is counted in: so 32 bits are
	// enough for 19 hours.
	stageUnit = 16
	maxCount  = math.MaxUint32
)

// stages takes the times at the scanner from a close line.
func (a *arrival) stages(e *connlog.Event) {
	s := &e.Stages
	if s[connlog.StageScanWait] <= 0 && s[connlog.StageScan] <= 0 {
		return
	}
	a.wait, a.scan = units(s[connlog.StageScanWait]), units(s[connlog.StageScan])
	// The log has the sum of each stage only. These come before the first
	// message is scanned.
	a.before = units(s[connlog.StageGreeting] + s[connlog.StageTLS] + s[connlog.StageLogin] +
		s[connlog.StageCommand] + s[connlog.StageData])
}

func units(d time.Duration) uint32 {
	return uint32(min(max(d.Microseconds(), 0)/stageUnit, math.MaxUint32))
}

func duration(units uint32) time.Duration {
	return time.Duration(units) * stageUnit * time.Microsecond
}

// end is when the thread was given back, as far as is known at a time.
func (a *arrival) end(now int64) int64 {
	if a.hold == stillOpen {
		return now
	}
	return a.at + a.hold
}

// row is a queue of arrivals that are numbered from 0. It is in pieces, so
// that it never has to be copied to grow, and gives back what it dropped.
type row struct {
	pieces []*piece
	gone   uint64 // arrivals in pieces that were given back
	first  uint64 // number of the oldest arrival
	next   uint64 // number of the one that is added next
}

const pieceSize = 512

type piece [pieceSize]arrival

func (r *row) len() int { return int(r.next - r.first) }

func (r *row) add(a arrival) uint64 {
	i := r.next - r.gone
	if i == uint64(len(r.pieces))*pieceSize {
		r.pieces = append(r.pieces, new(piece))
	}
	r.pieces[i/pieceSize][i%pieceSize] = a
	r.next++
	return r.next - 1
}

// at is the arrival of a number, nil if it was dropped.
func (r *row) at(n uint64) *arrival {
	if n < r.first {
		return nil
	}
	i := n - r.gone
	return &r.pieces[i/pieceSize][i%pieceSize]
}

// drop removes the oldest arrival. There must be one.
func (r *row) drop() {
	r.first++
	if r.first-r.gone == pieceSize {
		r.pieces[0] = nil
		r.pieces = r.pieces[1:]
		r.gone = r.first
	}
}
