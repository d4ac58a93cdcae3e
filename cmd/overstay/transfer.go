package main

import (
	"maps"
	"slices"

	"overstay/banlist"
)

// Everything that import and export say.

// imported says what an import did.
func (u *ui) imported(r banlist.ImportResult) error {
	if u.json {
		return u.printJSON(map[string]any{"bans": r.Outcomes, "allowed": r.Allowed, "lifted": r.Lifted, "skipped": r.Skipped})
	}
	for _, outcome := range slices.Sorted(maps.Keys(r.Outcomes)) {
		u.print("%-10s %d", outcome, r.Outcomes[outcome])
	}
	u.print("%-10s %d", "allowed", r.Allowed)
	if r.Lifted > 0 {
		u.print("%-10s %d", "lifted", r.Lifted)
	}
	if r.Skipped > 0 {
		u.print("%-10s %d", "skipped", r.Skipped)
		for _, e := range r.Errors {
			u.say("  %s", e.Error())
		}
	}
	return nil
}

// leftOut says what an export as text could not tell.
func (u *ui) leftOut(someServices, ends int) {
	if someServices > 0 {
		u.say("Left out %s for some services only: text cannot say so. See --service, or --json.", count(someServices, "ban", "bans"))
	}
	if ends > 0 {
		u.say("Written as if without end: %s. Text cannot say when a ban ends, and whoever imports it bans for ever. See --json.", count(ends, "ban", "bans"))
	}
}
