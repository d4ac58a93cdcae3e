package score

import (
	"fmt"
	"maps"
	"net/netip"
	"time"

	"overstay/detector"
	"overstay/internal/traffic"
)

// Options say what is scored. The zero value has no policies and finds nobody.
type Options struct {
	Policies      []detector.Policy
	BansPerMinute int // as the detector's
}

// Row is what became of a scenario, of all seeds together.
type Row struct {
	Scenario string
	Seeds    int
	True     traffic.Verdict
	Verdicts map[string]int // by what was found, how often

	Owed     int                     // attackers that cost innocents a refusal
	Found    int                     // of these, decided about
	Stopped  int                     // of these, banned
	Right    int                     // decisions about attackers
	Wrong    int                     // decisions about innocents
	Harmed   map[netip.Prefix]string // banned sources of innocents, and by which policy
	Strayed  map[string]int          // suggestions of innocents, by policy
	Decided  int                     // seeds with a right decision, in the second play
	First    time.Duration           // from the attack's first thread to it, at the most
	Attempts uint64                  // of innocents, undefended
	Before   uint64                  // of them, refused as busy
	Foretold uint64                  // by the diagnosis: refused if the bans were obeyed
	After    uint64                  // refused as busy when they are obeyed
}

// Play plays a scenario once for each seed.
func Play(s *traffic.Scenario, o Options, seeds ...uint64) (Row, error) {
	sum := newRow(s)
	for _, seed := range seeds {
		r, err := play(s, o, seed)
		if err != nil {
			return sum, err
		}
		sum.add(&r)
	}
	return sum, nil
}

func newRow(s *traffic.Scenario) Row {
	return Row{
		Scenario: s.Name, True: s.Truth.Verdict,
		Verdicts: map[string]int{}, Harmed: map[netip.Prefix]string{}, Strayed: map[string]int{},
	}
}

// add puts another row of the same scenario into this one.
func (r *Row) add(o *Row) {
	r.Seeds += o.Seeds
	for v, n := range o.Verdicts {
		r.Verdicts[v] += n
	}
	r.Owed, r.Found, r.Stopped = r.Owed+o.Owed, r.Found+o.Found, r.Stopped+o.Stopped
	r.Right, r.Wrong = r.Right+o.Right, r.Wrong+o.Wrong
	maps.Copy(r.Harmed, o.Harmed)
	for p, n := range o.Strayed {
		r.Strayed[p] += n
	}
	r.Decided, r.First = r.Decided+o.Decided, max(r.First, o.First)
	r.Attempts, r.Before = r.Attempts+o.Attempts, r.Before+o.Before
	r.Foretold, r.After = r.Foretold+o.Foretold, r.After+o.After
}

// play plays a scenario for one seed: undefended, then with the bans obeyed.
func play(s *traffic.Scenario, o Options, seed uint64) (Row, error) {
	row := newRow(s)
	row.Seeds = 1
	open, err := newWatch(s, seed, o)
	if err != nil {
		return row, err
	}
	g := newDiagnosis()
	open.heard = g.hear
	if err := open.play(); err != nil {
		return row, err
	}
	verdict, left, err := g.verdict(seed)
	if err != nil {
		return row, fmt.Errorf("%s, seed %d: diagnosis: %w", s.Name, seed, err)
	}
	row.Verdicts[verdict.String()]++
	row.Attempts, row.Before = open.books.attempts, open.books.refused
	row.Foretold = left
	row.judge(open)
	for p := range open.books.close() {
		row.Owed++
		if banned, found := open.found[p]; found {
			row.Found++
			if banned {
				row.Stopped++
			}
		}
	}

	// Where nobody was banned there is nothing to obey, and the second play
	// would be the first once more.
	obeyed := open
	if len(open.bans) > 0 {
		if obeyed, err = newWatch(s, seed, o); err != nil {
			return row, err
		}
		obeyed.simulation.Blocked, obeyed.simulation.Notice = obeyed.blocked, 100*time.Millisecond
		if err := obeyed.play(); err != nil {
			return row, err
		}
		row.judge(obeyed)
	}
	row.After = obeyed.books.refused
	if obeyed.decided {
		row.Decided, row.First = 1, obeyed.first
	}
	return row, nil
}

// judge takes over what is to be thought of decisions, from either play.
func (r *Row) judge(w *watch) {
	r.Right, r.Wrong = r.Right+w.right, r.Wrong+w.wrong
	maps.Copy(r.Harmed, w.harmed)
	for p, n := range w.suggestions {
		r.Strayed[p] += n
	}
}
