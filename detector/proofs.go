package detector

import "math"

// proofs are the connections that proved themselves, per minute, and how long
// those of about the last minute took to do so.
type proofs struct {
	m1, m15 float64

	// How many sources took how long, each counted once a minute at most. They
	// are as they were when the last one was counted.
	sources [tookCells]float64
	at      int64
	took    float64
}

func (q *proofs) fade(d *decay) {
	q.m1 *= 1 - d.m1
	q.m15 *= 1 - d.m15
}

const (
	// longProof is the longest time, in seconds, that a proof counts with, and
	// leapt one that no proof takes: the clock has leapt meanwhile.
	longProof = 30
	leapt     = 600

	// A cell for each quarter of a doubling, from a sixty-fourth of a second on.
	tookCells  = 45
	tookFirst  = 1.0 / 64
	tookDouble = 4

	// slowPart of the sources, but three of them or half of them all at the
	// least, are slow. Who proves himself on purpose as late as he can is one.
	slowPart    = 0.1
	slowSources = 2.5 // of about the last minute, since each counts for less as it passes
)

// count counts a proof.
func (q *proofs) count() {
	q.m1++
	q.m15 += per15
}

// add puts in how long a source took that has not been counted this minute.
func (q *proofs) add(seconds float64, now int64) {
	k := 1 - decayOver(max(now-q.at, 0)).m1
	q.at = now
	var all float64
	for i := range q.sources {
		q.sources[i] *= k
		all += q.sources[i]
	}
	q.sources[cellOf(seconds)]++
	all++
	slow := max(slowPart*all, min(slowSources, all/2))
	i := tookCells - 1
	for sum := q.sources[i]; sum < slow && i > 0; sum += q.sources[i] {
		i--
	}
	q.took = middleOf(i)
}

// took puts in how many seconds a connection took to prove itself.
func (d *Detector) took(c *conn, p *pool, seconds float64) {
	p.proofs.count()
	if seconds >= leapt {
		return
	}
	s := c.source
	s.hold.took = max(s.hold.took, float32(min(seconds, longProof)))
	if minute := minuteOf(d.now); s.minute != minute {
		s.minute = minute
		p.proofs.add(seconds, d.now)
		p.passing.expect(p.proofs.took)
	}
}

// minuteOf is the minute of a time, in one byte, and never 0.
func minuteOf(now int64) uint8 {
	const minute = 60 * micros
	return uint8((floor(now, minute)/minute%255+255)%255) + 1
}

// cellOf is the cell of a time.
func cellOf(seconds float64) int {
	if seconds <= tookFirst {
		return 0
	}
	return min(int(math.Ceil(tookDouble*math.Log2(min(seconds, longProof)/tookFirst))), tookCells-1)
}

// middleOf is the time in the middle of a cell, a tenth from its ends.
func middleOf(cell int) float64 {
	return tookFirst * math.Exp2((float64(cell)-0.5)/tookDouble)
}

// slow is what the slow ones took at least. It does not fade while there are no
// proofs, until those before are long over.
func (q *proofs) slow() float64 {
	if q.m1 < 1e-9 { // of one proof, twenty minutes later
		return 0
	}
	return q.took
}
