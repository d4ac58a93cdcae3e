package occupancy

import "math"

// A load is brought up to date twice for each event, of a source and of its
// net, so it matters how long an exponential takes.

const (
	tau      = 60 * micros // of the average, in microseconds
	decays   = 1 << decayBit
	decayBit = 6
)

// passing gives the part of a one-minute average that a time replaces,
// 1-e^(-d/tau), to twelve digits in a third of the time of math.Expm1.
type passing struct {
	powers [decays]float64 // 2^(-i/64)
	d      int64           // the last one that was asked for, which often comes twice
	part   float64
}

func newPassing() (p passing) {
	for i := range p.powers {
		p.powers[i] = math.Exp2(-float64(i) / decays)
	}
	return p
}

// of returns the part for d microseconds, d >= 0.
func (p *passing) of(d int64) float64 {
	if d != p.d {
		p.d, p.part = d, p.work(d)
	}
	return p.part
}

func (p *passing) work(d int64) float64 {
	x := float64(d) * (1.0 / tau)
	switch {
	case x < 1.0/decays:
		return x * (1 - x*(1.0/2)*(1-x*(1.0/3)*(1-x*(1.0/4)*(1-x*(1.0/5)*(1-x*(1.0/6))))))
	case x > 40:
		return 1 // as far as a float64 goes
	}
	y := x * (decays * math.Log2E)
	whole := int64(y)
	r := (y - float64(whole)) * (math.Ln2 / decays)
	rest := 1 - r*(1-r*(1.0/2)*(1-r*(1.0/3)*(1-r*(1.0/4)*(1-r*(1.0/5)))))
	scale := math.Float64frombits(uint64(1023-whole>>decayBit) << 52)
	return 1 - scale*p.powers[whole&(decays-1)]*rest
}
