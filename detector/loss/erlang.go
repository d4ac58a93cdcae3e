package loss

import "math"

// ErlangB is the part of the clients that a pool of n threads refuses when
// they come at random (Poisson) and offer a load of a, that is
//
//	B(n, a) = (a^n / n!) / (sum over i = 0..n of a^i / i!)
//
// (Erlang 1917). The load is a = lambda * W: clients a second times the mean
// seconds that each holds its thread. How holding times are distributed about
// their mean is of no matter (Sevastyanov, "An Ergodic Theorem for Markov
// Processes and Its Application to Telephone Systems with Refusals", 1957).
//
// It is computed by the recursion of ITU's Teletraffic Engineering Handbook,
//
//	B(0, a) = 1, B(n, a) = a B(n-1, a) / (n + a B(n-1, a))
//
// which has neither factorials nor differences and is stable. A load that is
// not a positive number is none.
func ErlangB(n int, a float64) float64 {
	if !(a > 0) {
		if n <= 0 {
			return 1
		}
		return 0
	}
	if math.IsInf(a, 1) {
		return 1
	}
	b := 1.0
	for i := 1; i <= n && b > 0; i++ {
		b = a * b / (float64(i) + a*b)
	}
	return b
}

// ErlangThreads is the least number of threads of a pool that refuses no more
// than the part target of a load of a. It is false if that takes more than
// MaxArrivals.
func ErlangThreads(a, target float64) (int, bool) {
	if !(a > 0) {
		return 0, true
	}
	// At least the part 1 - n/a is refused, whoever comes when.
	if math.IsNaN(target) || a*(1-target) > MaxArrivals {
		return MaxArrivals, false
	}
	b := 1.0
	n := 0
	for b > target {
		if n == MaxArrivals {
			return n, false
		}
		n++
		b = a * b / (float64(n) + a*b)
	}
	return n, true
}
