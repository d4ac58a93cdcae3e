package traffic

import "time"

// Outcome is how an attempt ended.
type Outcome uint8

// The outcomes of an attempt.
const (
	Done     Outcome = iota // it got what it came for
	Busy                    // refused: no free thread
	Sessions                // refused: too many sessions from its address
	Banned                  // refused: its address is banned
	Denied                  // the login was refused; all that a guesser gets
	Cut                     // it was held, and the server ended it
	Released                // it was held, and let go of its own accord
	Timeout                 // no answer within Live.Timeout
	Failed                  // anything else: no connection, a reset, a wrong answer
	NumOutcomes
)

// Second is what a group did within one second of a run.
type Second struct {
	Attempts int              // begun in this second
	Outcomes [NumOutcomes]int // of attempts that ended in this second
	Held     int              // Holding: connections it had at the second's end
}

// Ended is the number of attempts that ended.
func (s *Second) Ended() int {
	n := 0
	for _, o := range s.Outcomes {
		n += o
	}
	return n
}

// add sums two stretches of time.
func (s *Second) add(t *Second) {
	s.Attempts += t.Attempts
	for i, n := range t.Outcomes {
		s.Outcomes[i] += n
	}
	s.Held = t.Held
}

// GroupReport is how one group fared.
type GroupReport struct {
	Name     string
	Kind     Kind
	Attacker bool

	// Seconds of the run, from its first on.
	Seconds []Second
	// Unfinished attempts were cut short by the end of the run. All attempts
	// are either among the outcomes or here.
	Unfinished int

	// Of the attempts that were Done: from the dial to the last answer. Half
	// of them, and 99 in 100, took no longer; at most a sixteenth too long.
	P50, P99, Max time.Duration
}

// Between sums the seconds from the given one up to, not including, the
// other; Held is that of the last. Seconds that there were not count nothing.
func (g *GroupReport) Between(from, to int) Second {
	var sum Second
	for i := max(from, 0); i < min(to, len(g.Seconds)); i++ {
		sum.add(&g.Seconds[i])
	}
	return sum
}

// Total sums the whole run.
func (g *GroupReport) Total() Second { return g.Between(0, len(g.Seconds)) }

// Success is the share of the attempts that ended within these seconds which
// were Done, and 1 when none ended.
func (g *GroupReport) Success(from, to int) float64 {
	sum := g.Between(from, to)
	ended := sum.Ended()
	if ended == 0 {
		return 1
	}
	return float64(sum.Outcomes[Done]) / float64(ended)
}

// Report is what Live saw. Groups stand in the order they were given in.
type Report struct {
	Groups []GroupReport
	Length time.Duration // how long the run really took
}

// Group returns the report of the group of this name, or nil.
func (r *Report) Group(name string) *GroupReport {
	for i := range r.Groups {
		if r.Groups[i].Name == name {
			return &r.Groups[i]
		}
	}
	return nil
}
