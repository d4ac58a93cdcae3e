package loss

// Verdict is why a pool refuses.
type Verdict uint8

// The verdicts, in the order in which they are preferred where the grounds do
// not tell them apart.
const (
	// Healthy: no more is refused than may be.
	Healthy Verdict = iota
	// Attack: without the suspects, most refusals do not happen.
	Attack
	// Scanner: without waiting for the virus scanner, most do not happen.
	Scanner
	// Undersized: most happen without both. Only more threads avert them.
	Undersized
	// Mixed: no single change averts half.
	Mixed
)

var verdictNames = [...]string{"healthy", "attack", "scanner", "undersized", "mixed"}

// String returns the name of the verdict.
func (v Verdict) String() string {
	if int(v) < len(verdictNames) {
		return verdictNames[v]
	}
	return "unknown"
}

// MarshalText returns the name, for JSON.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// Grounds of a verdict. All numbers are of sources that are not suspects:
// that those refuse each other is no harm.
type Grounds struct {
	Tried   int64  `json:"tried"`   // arrivals
	Refused Spread `json:"refused"` // of them, with nothing changed
	// Refusals averted by three changes, each by itself: the ban of the
	// suspects; no waiting for the scanner; as many threads as are needed
	// without the suspects, who come all the same.
	Ban     Spread `json:"ban"`
	NoWait  Spread `json:"no_wait"`
	Threads Spread `json:"threads"`
	// Those that are averted by the first two done together, and those that are
	// left then, which only threads can avert.
	Both Spread `json:"both"`
	Left Spread `json:"left"`
	// Target is the part that may be refused.
	Target float64 `json:"target"`
}

// Finding is a verdict and what it rests on.
type Finding struct {
	Verdict Verdict `json:"verdict"`
	// Also are further causes; those of a mixed verdict are all among them.
	Also    []Verdict `json:"also,omitempty"`
	Grounds Grounds   `json:"grounds"`
}

// Judge names the change that averts most, if it averts at least half. Where
// the spreads of two changes overlap, the numbers do not say which of the two
// averts more, and a ban goes before scanners, and scanners before threads: it
// is the one that takes no money.
//
// Enough threads avert everything, an attack too, until the attacker takes
// those as well. So more threads are credited only with what neither of the
// other two changes would cure, both done together.
//
// A further cause is one whose change averts at least a quarter, by itself or
// of what is left when the others are taken away: with two causes of which
// each is enough to fill the pool, neither change alone averts anything.
func Judge(g Grounds) Finding {
	f := Finding{Grounds: g}
	if g.Refused.Median <= 0 || float64(g.Refused.Median) <= g.Target*float64(g.Tried) {
		return f
	}
	threads := g.Threads
	if g.Left.Median < threads.Median {
		threads = g.Left
	}
	causes := []struct {
		verdict Verdict
		averted Spread
		rest    int64 // that its change averts after the others
	}{
		{Attack, g.Ban, max(g.Both.Median-g.NoWait.Median, g.Refused.Median-g.Threads.Median)},
		{Scanner, g.NoWait, g.Both.Median - g.Ban.Median},
		{Undersized, threads, g.Left.Median},
	}
	best := causes[0]
	for _, c := range causes[1:] {
		if c.averted.Clear(best.averted) {
			best = c
		}
	}
	f.Verdict = best.verdict
	// Halves and quarters are compared without adding, which cannot overflow.
	if half := g.Refused.Median - g.Refused.Median/2; best.averted.Median < half {
		f.Verdict = Mixed
	}
	quarter := max(g.Refused.Median/4, 1)
	for _, c := range causes {
		alone := c.averted.Median >= quarter
		if c.verdict != f.Verdict && (alone || f.Verdict == Mixed && c.rest >= quarter) {
			f.Also = append(f.Also, c.verdict)
		}
	}
	return f
}
