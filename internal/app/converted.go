package app

import (
	"bytes"
	"strings"
	"time"

	"overstay/connlog"
	"overstay/connlog/formats"
)

// converted begins what a converted log has in the place of its server's
// version: what the log that it was made of can tell, so that nobody takes what
// is not in it for nothing.
const converted = "converted"

// The words that follow it.
const (
	tellsOpens     = "opens"
	tellsDurations = "durations"
	tellsOutcomes  = "outcomes"
	tellsRefusals  = "refusals"
)

func convertedVersion(g formats.Gives) string {
	words := []string{converted}
	for _, one := range []struct {
		has  bool
		word string
	}{{g.Opens, tellsOpens}, {g.Durations, tellsDurations}, {g.Outcomes, tellsOutcomes}, {g.Refusals, tellsRefusals}} {
		if one.has {
			words = append(words, one.word)
		}
	}
	return strings.Join(append(words, max(g.Clock, time.Microsecond).String()), " ")
}

// convertedGives reads what a converted log can tell from its first line.
func convertedGives(head []byte) (g formats.Gives, ok bool) {
	line, _, _ := bytes.Cut(head, []byte{'\n'})
	var p connlog.Parser
	var e connlog.Event
	if err := p.Parse(line, &e); err != nil || e.Kind != connlog.Start {
		return g, false
	}
	words := strings.Fields(e.Version)
	if len(words) < 2 || words[0] != converted {
		return g, false
	}
	for _, word := range words[1 : len(words)-1] {
		switch word {
		case tellsOpens:
			g.Opens = true
		case tellsDurations:
			g.Durations = true
		case tellsOutcomes:
			g.Outcomes = true
		case tellsRefusals:
			g.Refusals = true
		}
	}
	clock, err := time.ParseDuration(words[len(words)-1])
	if err != nil || clock <= 0 || clock > time.Minute {
		return formats.Gives{}, false
	}
	g.Clock = clock
	return g, true
}
