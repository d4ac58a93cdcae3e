package app

import (
	"fmt"
	"slices"
	"strings"

	"overstay/connlog/formats"
	"overstay/detector"
)

// A log that tells nothing of what came of connections proves nobody: what a
// policy asks about proofs would be true of everybody alike.

// asksForProofs reports whether a condition asks for figures that depend on who
// has proven himself.
func asksForProofs(condition string) bool {
	word := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '.'
	}
	return slices.ContainsFunc(strings.FieldsFunc(condition, func(r rune) bool { return !word(r) }), tellsOfProofs)
}

// tellsOfProofs reports whether a figure depends on proofs, by its name.
func tellsOfProofs(figure string) bool {
	for _, part := range []string{"proven", "prove_time", "short", "rush", "by_message"} {
		if strings.Contains(figure, part) {
			return true
		}
	}
	return false
}

// sighted returns the policies that can be applied to logs that tell so much,
// and the names of the others.
func sighted(all []detector.Policy, gives formats.Gives) (some []detector.Policy, leftOut []string) {
	if gives.Outcomes {
		return all, nil
	}
	for _, p := range all {
		if asksForProofs(p.When) {
			leftOut = append(leftOut, p.Name)
		} else {
			some = append(some, p)
		}
	}
	return some, leftOut
}

// leave notes which policies were not applied to a log.
func (r *LogsRead) leave(names ...string) {
	for _, name := range names {
		if !slices.Contains(r.LeftOut, name) {
			r.LeftOut = append(r.LeftOut, name)
		}
	}
	if len(names) == 0 {
		return
	}
	some := strings.Join(names, ", ")
	if len(names) > 3 {
		some = fmt.Sprintf("%s and %d more", strings.Join(names[:2], ", "), len(names)-2)
	}
	note := "policies that ask what came of connections are not applied: " + some
	if r.Gives.Note != "" {
		note = r.Gives.Note + "; " + note
	}
	r.Gives.Note = note
}
