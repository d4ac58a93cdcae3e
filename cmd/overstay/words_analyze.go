package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"overstay/detector"
	"overstay/detector/cause"
	"overstay/detector/loss"
	"overstay/internal/app"
)

// Everything that analyze and policy diff say.

// analysisShown says how much of an analysis is shown.
type analysisShown struct {
	most, top int    // lines of a list, rows of a ranking; 0: all
	level     string // of sources, the only one that is ranked; empty: both
	suggest   bool   // whether suggestions were made
	suggested []app.Suggested
}

// analysis tells what finished logs hold: the answer first, then who held the
// threads, then what policies would have done.
func (u *ui) analysis(a *app.Analysis, o analysisShown) error {
	for _, one := range answers(a) {
		u.paragraph("", "  ", "%s", one.text)
		for _, advice := range one.advice {
			u.paragraph("  ", "  ", "%s", advice)
		}
	}
	u.print("")
	for _, fact := range analysisFacts(a) {
		u.paragraph(fmt.Sprintf("%-10s", fact[0]), strings.Repeat(" ", 10), "%s", fact[1])
	}
	u.rankings(a, o)
	u.fullTimes(a, o.most)
	u.judged(a, o.most)
	if o.suggest {
		u.suggested(o.suggested)
	}
	u.readText(&a.Read)
	if text := oldBootText(a.Stats.OldBoot); text != "" {
		u.say("%s", text)
	}
	return nil
}

// oldBootText says what was left out of logs that are perhaps of two servers.
func oldBootText(lines uint64) string {
	if lines == 0 {
		return ""
	}
	return count(lines, "line was", "lines were") + " left out, of a server process that had ended by then: are these the logs of two servers?"
}

// judged tells what the policies did, if they were tried.
func (u *ui) judged(a *app.Analysis, most int) {
	if len(a.Policies) == 0 && len(a.Decisions) == 0 && len(a.Pools) == 0 {
		return
	}
	u.print("")
	u.paragraph("Policies  ", "          ", "%s", listText(a.Policies, 0))
	u.decisions(a.Decisions, most)
	if a.Dropped > 0 {
		u.print("  and %d decisions that were not kept", a.Dropped)
	}
	if len(a.Pools) > 0 {
		u.print("")
	}
	for _, r := range a.Pools {
		u.pool(r)
		for _, one := range a.Unaccused {
			if one.Pool == r.Pool {
				u.paragraph("    ", "    ", "%s.", unaccusedText(&one))
			}
		}
	}
	if slices.ContainsFunc(a.Decisions, suggests) {
		u.hint("%s", approvedText)
	}
}

// approvedText says what is assumed of suggestions.
const approvedText = "What suggestions avert is counted as if each had been approved at once."

func suggests(d detector.Decision) bool { return d.Action == detector.Suggest }

// decisions lists what was decided, the first ones of many.
func (u *ui) decisions(all []detector.Decision, most int) {
	if len(all) == 0 {
		u.print("Nothing would have been decided.")
		return
	}
	n := shown(len(all), most)
	for i := range n {
		u.row("%s", decisionText(&all[i]))
	}
	u.more(n, len(all), ": -n 0 prints all")
}

// decisionText tells a decision on one line.
func decisionText(d *detector.Decision) string {
	return fmt.Sprintf("%s  %-9s %s  %s  %s: %s", whenText(d.At), actionText(d.Action), sourceText(d.Source),
		lengthText(d.Duration), d.Policy, holding(d.Evidence))
}

func actionText(a detector.Action) string {
	if a == detector.Suggest {
		return "suggested"
	}
	return "banned"
}

// pool tells what bans would have averted in one pool.
func (u *ui) pool(r *cause.Report) {
	if r.Refused == 0 {
		u.paragraph("", "    ", "%s: nobody was refused. %s", r.Pool, peakText(r))
		return
	}
	u.paragraph("", "    ", "%s: %s refused%s, %d of them no suspects. %s. Verdict: %s.",
		r.Pool, count(r.Refused, "arrival was", "arrivals were"), inBrackets(percent(r.Refused, r.Arrivals)), r.Diagnosis.Others,
		avertedText(r), verdictWord(r))
}

// verdictWord names the verdict, and that it accuses nobody where no policy
// found somebody to accuse.
func verdictWord(r *cause.Report) string {
	v := r.Diagnosis.Finding.Verdict
	if v != loss.Healthy && len(r.Suspects)+len(r.Idle) == 0 {
		return v.String() + ", with nobody found by these policies"
	}
	return v.String()
}

// avertedText says what the bans, as they were timed, would have averted.
func avertedText(r *cause.Report) string {
	s, all := r.Policy.Averted, r.Diagnosis.Refused.Median
	if len(r.Suspects) == 0 {
		return "No ban of these would have averted any"
	}
	those := "those"
	if all != int64(r.Diagnosis.Others) {
		those = replayedText(all)
	}
	return fmt.Sprintf("These bans would have averted %s of %s%s", avertedNumber(s), those, inBrackets(avertedPart(s, all), spreadText(s)))
}

// policyDiff tells what changes from one set of policies to another.
func (u *ui) policyDiff(d *app.PolicyDiff, most int) error {
	if u.json {
		return u.printJSON(viewDiff(d))
	}
	if d.Equal() {
		u.print("No difference: both make the same %s.", count(d.Same, "decision", "decisions"))
	} else {
		u.print("%s the same, %d different, %d only by the old policies, %d only by the new ones",
			count(d.Same, "decision", "decisions"), len(d.Changed), len(d.OnlyOld), len(d.OnlyNew))
	}
	u.unmatched("Only the old policies:", "- ", "the new ones ban its net", d.OnlyOld, most)
	u.unmatched("Only the new policies:", "+ ", "the old ones ban its net", d.OnlyNew, most)
	u.changes(d.Changed, most)
	u.print("")
	for i := range d.Pools {
		u.poolDiff(&d.Pools[i])
	}
	if slices.ContainsFunc(d.OnlyOld, func(o app.Unmatched) bool { return suggests(o.Decision) }) ||
		slices.ContainsFunc(d.OnlyNew, func(o app.Unmatched) bool { return suggests(o.Decision) }) ||
		slices.ContainsFunc(d.Changed, func(c app.Changed) bool { return suggests(c.Old) || suggests(c.New) }) {
		u.hint("%s", approvedText)
	}
	if d.Dropped > 0 {
		u.say("%s not kept and not compared.", count(d.Dropped, "decision was", "decisions were"))
	}
	u.readText(&d.Read)
	return nil
}

func (u *ui) unmatched(title, mark, netText string, all []app.Unmatched, most int) {
	if len(all) == 0 {
		return
	}
	u.print("")
	u.print("%s", title)
	n := shown(len(all), most)
	for i := range n {
		text := decisionText(&all[i].Decision)
		if net := all[i].Within; net != nil {
			text += inBrackets(netText + ", " + sourceText(net.Source))
		}
		u.row("%s%s", mark, text)
	}
	u.more(n, len(all), "")
}

func (u *ui) changes(all []app.Changed, most int) {
	if len(all) == 0 {
		return
	}
	u.print("")
	u.print("Both, but not the same:")
	n := shown(len(all), most)
	for i := range n {
		u.row("~ %s  %s  %s", whenText(all[i].Old.At), sourceText(all[i].New.Source), changeText(&all[i]))
	}
	u.more(n, len(all), "")
}

// changeText says what is different between two decisions.
func changeText(c *app.Changed) string {
	parts := make([]string, 0, len(c.What))
	for _, what := range c.What {
		parts = append(parts, map[string]string{
			"at":       shiftText(c.New.At.Sub(c.Old.At)),
			"duration": "for " + lengthText(c.Old.Duration) + " becomes for " + lengthText(c.New.Duration),
			"action":   actionText(c.Old.Action) + " becomes " + actionText(c.New.Action),
			"policy":   c.Old.Policy + " becomes " + c.New.Policy,
			"services": "other services",
		}[what])
	}
	return strings.Join(parts, "; ")
}

func shiftText(d time.Duration) string {
	if d < 0 {
		return secondsText(-d.Seconds()) + " earlier"
	}
	return secondsText(d.Seconds()) + " later"
}

func (u *ui) poolDiff(p *app.PoolDiff) {
	if p.Refused == 0 {
		u.print("%s: nobody was refused.", p.Pool)
		return
	}
	u.row("%s: %s refused; averted by the old policies: %s, by the new ones: %s.", p.Pool, count(p.Refused, "arrival was", "arrivals were"),
		spreadOfText(p.Old.Policy.Averted), spreadOfText(p.New.Policy.Averted))
}

// spreadOfText writes a number over replays with its bounds.
func spreadOfText(s loss.Spread) string { return avertedNumber(s) + inBrackets(spreadText(s)) }
