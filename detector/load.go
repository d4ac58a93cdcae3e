package detector

import "math"

// minutes of the three averages, as in the Unix load average.
const (
	tau15  = 15 * 60 // seconds
	micros = 1e6     // microseconds in a second
)

// decay is the part of each average that a stretch of time replaces:
// 1-e^(-d/tau) for tau = 1, 5 and 15 minutes.
type decay struct {
	seconds     float64 // the stretch itself
	m1, m5, m15 float64
}

// decayOver returns the decay of d microseconds, d >= 0.
//
// The three parts are worked out beside each other where a short series is
// exact to the last bit for all of them, which is for the times between the
// lines of a busy server. Else only the 15 minute part needs an exponential. The
// others are its powers, written so that they keep their relative precision when
// d is small: (1-g)^3 = 1-g(3-g(3-g)), and likewise for the fifth.
func decayOver(d int64) decay {
	s := float64(d) * (1 / micros)
	x := s * (1.0 / tau15)
	switch {
	case 15*x < 1e-4:
		return decay{seconds: s, m1: tiny(15 * x), m5: tiny(3 * x), m15: tiny(x)}
	case 15*x < 1e-2:
		return decay{seconds: s, m1: small(15 * x), m5: small(3 * x), m15: small(x)}
	}
	g := fraction(x)
	h := g * (3 - g*(3-g))
	m := h * (5 - h*(10-h*(10-h*(5-h))))
	return decay{seconds: s, m1: min(m, 1), m5: min(h, 1), m15: g}
}

// decays answers as decayOver does, and keeps its last answer: at a tick nearly
// all sources ask for the time since the tick before.
type decays struct {
	over int64
	is   decay
}

func (q *decays) after(d int64) *decay {
	if d != q.over {
		q.over, q.is = d, decayOver(d)
	}
	return &q.is
}

// fraction returns 1-e^(-x), of which tiny and small are the first terms, as
// many as are needed below 1e-4 and 1e-2.
func fraction(x float64) float64 {
	if x < 1e-2 {
		return small(x)
	}
	return -math.Expm1(-x)
}

func tiny(x float64) float64 { return x * (1 - x*(1.0/2)*(1-x*(1.0/3)*(1-x*(1.0/4)))) }

func small(x float64) float64 {
	return x * (1 - x*(1.0/2)*(1-x*(1.0/3)*(1-x*(1.0/4)*(1-x*(1.0/5)*(1-x*(1.0/6)*(1-x*(1.0/7)))))))
}

// load is the moving average of the threads held over 1, 5 and 15 minutes,
// and their plain integral. With n(s) threads held at the time s,
//
//	L(t) = (1/tau) * integral of n(s) e^(-(t-s)/tau) ds
//
// and because n is constant between two events, run is exact.
type load struct {
	m1, m5, m15 float64
	seconds     float64 // thread-seconds
}

// run lets the time of d pass with n threads held.
func (l *load) run(n int, d *decay) {
	f := float64(n)
	l.m1 += (f - l.m1) * d.m1
	l.m5 += (f - l.m5) * d.m5
	l.m15 += (f - l.m15) * d.m15
	l.seconds += f * d.seconds
}

// m1At is m1 as it will be when d microseconds have passed with n threads held.
func (l *load) m1At(n int, d int64) float64 {
	return l.m1 + (float64(n)-l.m1)*decayOver(d).m1
}

// add puts in what was held already when the log told of it.
func (l *load) add(o load) {
	l.m1 += o.m1
	l.m5 += o.m5
	l.m15 += o.m15
	l.seconds += o.seconds
}

// loadOf is the load that one thread leaves that has been held for d
// microseconds up to now.
func loadOf(d int64) load {
	var l load
	k := decayOver(d)
	l.run(1, &k)
	return l
}

// rates are events per minute. Each is an exponential average over one
// minute, or over fifteen where the name says so: an event adds 1 over the
// minutes of its average, so that a steady r events a minute read r. Half the
// precision of the loads is plenty, and there may be many of these.
type rates struct {
	opens, fails, logins, refused, proven, short float32
	logins15, proven15                           float32
}

// The share of the 15 minute averages that one event adds.
const per15 = 1.0 / 15

// fade lets the time of d pass.
func (r *rates) fade(d *decay) {
	k, k15 := float32(1-d.m1), float32(1-d.m15)
	r.opens *= k
	r.fails *= k
	r.logins *= k
	r.refused *= k
	r.proven *= k
	r.short *= k
	r.logins15 *= k15
	r.proven15 *= k15
}

// prove counts a connection that proved itself.
func (r *rates) prove() {
	r.proven++
	r.proven15 += per15
}

// failLogin counts a failed login.
func (r *rates) failLogin() {
	r.logins++
	r.logins15 += per15
}
