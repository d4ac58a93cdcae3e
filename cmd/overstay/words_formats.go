package main

import (
	"fmt"
	"strings"
	"time"

	"overstay/connlog/formats"
	"overstay/internal/app"
)

// What formats and convert say.

// formatView is a format as JSON.
type formatView struct {
	Name    string `json:"name"`
	Meaning string `json:"log"`
	givesView
}

// formats lists what can be read.
func (u *ui) formats(all []formats.Format) error {
	if u.json {
		views := make([]formatView, 0, len(all))
		for _, f := range all {
			views = append(views, formatView{f.Name, f.Meaning, viewGives(f.Gives)})
		}
		return u.printJSON(views)
	}
	width := 0
	for _, f := range all {
		width = max(width, len(f.Name))
	}
	for _, f := range all {
		indent := strings.Repeat(" ", width+2)
		u.paragraph(fmt.Sprintf("%-*s", width+2, f.Name), indent, "%s", f.Meaning)
		u.paragraph(indent, indent, "%s", capabilityText(f.Gives))
		if f.Gives.Note != "" {
			u.paragraph(indent, indent, "%s", f.Gives.Note)
		}
	}
	u.hint("%s", ownFormatsText)
	return nil
}

// ownFormatsText says how to read what is not in the list.
const ownFormatsText = "A web server's own layout: --log-format TEXT. Any table or JSON lines: --format csv or json, with --map."

// capabilityText says what a format can tell.
func capabilityText(g formats.Gives) string {
	var has []string
	for _, one := range []struct {
		has  bool
		what string
	}{{g.Opens, "opens"}, {g.Durations, "durations"}, {g.Outcomes, "outcomes"}, {g.Refusals, "refusals"}} {
		if one.has {
			has = append(has, one.what)
		}
	}
	return listText(has, 0) + "; time to the " + clockText(g.Clock)
}

// clockText names how fine stamps are.
func clockText(d time.Duration) string {
	switch {
	case d >= time.Second:
		return "second"
	case d >= time.Millisecond:
		return "millisecond"
	}
	return "microsecond"
}

// converted says what did not become a line of the log.
func (u *ui) converted(r *app.LogsRead) {
	events := uint64(0)
	for _, f := range r.Each {
		events += f.Events
	}
	u.say("%s of %s; %s told of no connection.", count(events, "event", "events"), count(r.Lines, "line", "lines"), count(r.Skipped, "line", "lines"))
	if r.Orphans > 0 {
		u.say("%s left out: the log does not tell of the beginning.", count(r.Orphans, "end", "ends"))
	}
	u.readText(r)
}
