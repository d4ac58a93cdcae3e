package score

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// heading explains the table; Write puts the number of seeds in.
const heading = `Seeds: %d.
verdict    the one that is true, and in how many plays it was found
precision  of the decisions, those about attackers
recall     of the attackers that cost innocents a refusal, those banned or suggested; stopped: banned
first      from an attacker's first thread to the first right decision, at the most
attempts   connections that innocents tried, and how many were refused as busy: before, with the
           server undefended; after, with the bans obeyed; foretold, what the diagnosis said of after
harmed     sources of innocents that were banned
`

// Write prints the table.
func Write(w io.Writer, rows []Row) error {
	var b strings.Builder
	if len(rows) > 0 {
		fmt.Fprintf(&b, heading+"\n", rows[0].Seeds)
	}
	line(&b, "scenario", "verdict", "found", "precision", "recall", "stopped", "first",
		"attempts", "before", "foretold", "after", "harmed")
	for i := range rows {
		r := &rows[i]
		line(&b, r.Scenario, string(r.True), fmt.Sprintf("%d/%d", r.Verdicts[string(r.True)], r.Seeds),
			r.precision(), r.of(r.Found), r.of(r.Stopped), r.first(),
			count(r.Attempts), count(r.Before), count(r.Foretold), count(r.After), strconv.Itoa(len(r.Harmed)))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func line(b *strings.Builder, columns ...string) {
	fmt.Fprintf(b, "%-20s %-10s %6s %9s %7s %7s %8s %9s %9s %9s %9s %6s\n", anyOf(columns)...)
}

func anyOf(columns []string) []any {
	out := make([]any, len(columns))
	for i, c := range columns {
		out[i] = c
	}
	return out
}

func count(n uint64) string { return strconv.FormatUint(n, 10) }

// of is a part of the attackers as it is printed.
func (r *Row) of(n int) string {
	if r.Owed == 0 {
		return "-"
	}
	return part(n, r.Owed)
}

// part is cut and not rounded: 1.000 is all of them.
func part(n, of int) string {
	thousandths := n * 1000 / of
	return fmt.Sprintf("%d.%03d", thousandths/1000, thousandths%1000)
}

// precision is the part of the decisions that are about attackers; all of them
// if there are none.
func (r *Row) precision() string {
	if r.Right+r.Wrong == 0 {
		return part(1, 1)
	}
	return part(r.Right, r.Right+r.Wrong)
}

func (r *Row) first() string {
	if r.Decided == 0 {
		return "-"
	}
	return r.First.Round(10 * time.Millisecond).String()
}

// Faults say in words what in a row is not as it ought to be: an attacker that
// was missed, an innocent that was banned or suggested, a wrong verdict.
func (r *Row) Faults() []string {
	var faults []string
	if r.Found < r.Owed {
		faults = append(faults, fmt.Sprintf("%d of %d attackers missed", r.Owed-r.Found, r.Owed))
	}
	harmed := map[string]int{}
	for _, policy := range r.Harmed {
		harmed[policy]++
	}
	for policy, n := range harmed {
		faults = append(faults, fmt.Sprintf("%d sources of innocents banned by %s", n, policy))
	}
	for policy, n := range r.Strayed {
		faults = append(faults, fmt.Sprintf("%d suggestions of innocents by %s", n, policy))
	}
	for v, n := range r.Verdicts {
		if v != string(r.True) {
			faults = append(faults, fmt.Sprintf("found to be %s in %d of %d", v, n, r.Seeds))
		}
	}
	slices.Sort(faults)
	return faults
}
