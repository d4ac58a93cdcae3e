package detector

// The blame of a source is the part of its pool's busy refusals that it caused.
// At a refusal each holder is charged n/busy for the n threads it holds then,
// so that the holders together are charged one.
//
// Nobody is visited for that. The pool keeps one sum over its refusals,
//
//	Z = sum of 1/busy
//
// and while n does not change, a holder's charge since it last looked is
// n (Z - Z then). The rate per minute is the same with a sum that fades.

// toll is what a pool has charged for each thread, in refusals.
type toll struct {
	all float64 // the sum Z
	m1  float64 // the same, fading over one minute
}

// charge brings the blame of a source up to the pool's toll; both are run up
// to the same time, and fade is what the time since the source was last run
// leaves of a rate.
func (s *source) charge(p *pool, fade float64) {
	m1 := float64(s.blame1) * fade
	if h := s.hold; h != nil {
		if p.toll.all != h.paid.all {
			n := float64(h.open)
			s.blame += n * (p.toll.all - h.paid.all)
			m1 += n * (p.toll.m1 - h.paid.m1*fade)
		}
		h.paid = p.toll
	}
	s.blame1 = float32(max(m1, 0))
}

// refuse counts n connections that were turned away for want of a thread, and
// charges them to those who hold the threads.
//
// Threads count that the log says are held and whose opening it has not told,
// because it is read from its middle or has lost lines: their part of the
// blame is nobody's.
func (p *pool) refuse(n float64) {
	p.refused += n
	p.refusals += n
	busy := float64(p.busy())
	if busy == 0 {
		p.unblamed += n
		return
	}
	p.toll.all += n / busy
	p.toll.m1 += n / busy
	p.unblamed += n * float64(p.unseen) / busy
}
