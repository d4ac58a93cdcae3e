package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"overstay/detector/cause"
	"overstay/detector/loss"
	"overstay/internal/app"
)

// Everything that why says of a pool, but for whom it accuses.

// why tells why clients were refused.
func (u *ui) why(w *app.Why, most int, now time.Time) error {
	if u.json {
		return u.printJSON(viewWhy(w))
	}
	for i, r := range w.Reports {
		if i > 0 {
			u.print("")
		}
		if r.Refused == 0 {
			u.quiet(w, r)
			continue
		}
		u.report(r, w.Unaccused, most, now)
	}
	if len(w.Reports) == 0 {
		u.print("Nothing came to any pool from %s.", spanText(w.From, w.To))
	}
	u.earlier(w, most)
	u.spared(w, most)
	u.readText(&w.Read)
	if s := w.Reports; len(s) > 0 && len(s[0].Suspects) > 0 {
		waiting := ""
		if w.Waiting > 0 {
			waiting = " What waits for you: overstay review list."
		}
		u.hint("What is held against one: overstay why %s.%s", sourceText(s[0].Suspects[0].Source), waiting)
	}
	return nil
}

// quiet tells of a pool that refused nobody.
func (u *ui) quiet(w *app.Why, r *cause.Report) {
	if w.Read.Gives.Refusals {
		u.paragraph("", "  ", "Healthy: %s told nobody that it is too busy.", r.Pool)
	} else {
		u.paragraph("", "  ", "No verdict on %s: %s", r.Pool, noRefusalsText)
	}
	u.paragraph("  ", "  ", "%s: %s.", spanText(r.From, r.To), count(r.Arrivals, "connection", "connections"))
	if w.Read.Gives.Durations {
		u.paragraph("  ", "  ", "%s", peakText(r))
	}
}

// peakText says how much of a pool was needed.
func peakText(r *cause.Report) string {
	need := r.Diagnosis.Needed
	return fmt.Sprintf("At most %d of its %d threads were held at once%s.", need.Peak, r.Threads, inBrackets(suspectsText(r)))
}

func suspectsText(r *cause.Report) string {
	if len(r.Suspects) == 0 {
		return ""
	}
	return "without " + count(len(outermost(r.Suspects)), "suspect", "suspects")
}

// report tells of a pool that refused clients, and what would have helped.
func (u *ui) report(r *cause.Report, unaccused []app.Unaccused, most int, now time.Time) {
	d := &r.Diagnosis
	u.paragraph("", "  ", "%s", verdictText(r))
	u.print("")
	u.paragraph("When      ", "          ", "%s", spanText(r.From, r.To, agoText(r.To, now)))
	u.paragraph("Refused   ", "          ", "%s", refusedText(r))
	u.averting(r)
	u.accused(r, most)
	u.unaccused(r.Pool, unaccused)
	u.print("")
	u.paragraph("Threads   ", "          ", "%s", threadsText(r))
	if d.Waited.Jobs > 0 {
		u.paragraph("Scanners  ", "          ", "%s", scannersText(d))
	}
	u.paragraph("Computed  ", "          ", "%s", computedText(r))
}

// verdictText is the answer in one sentence.
func verdictText(r *cause.Report) string {
	f := r.Diagnosis.Finding
	also := ""
	if len(f.Also) > 0 {
		var names []string
		for _, v := range f.Also {
			names = append(names, causeText(v))
		}
		also = " Also a cause: " + listText(names, 0) + "."
		if f.Verdict == loss.Mixed || len(names) > 1 {
			also = " Causes: " + listText(names, 0) + "."
		}
	}
	suspects := suspectCount(r)
	switch f.Verdict {
	case loss.Attack:
		return fmt.Sprintf("ATTACK on %s: %s held the threads that others were refused.%s", r.Pool, suspects, also)
	case loss.Scanner:
		return fmt.Sprintf("SCANNER: connections of %s held their threads while they waited for the virus scanner.%s", r.Pool, also)
	case loss.Undersized:
		return fmt.Sprintf("UNDERSIZED: %s has fewer threads than its clients need.%s", r.Pool, also)
	case loss.Mixed:
		return fmt.Sprintf("MIXED: no single change would have averted half of what %s refused.%s", r.Pool, also)
	}
	return fmt.Sprintf("Healthy: %s refused no more than it may, %s, or only those who held its threads.", r.Pool, oneIn(f.Grounds.Target))
}

// causeText names a cause that is not the first.
func causeText(v loss.Verdict) string {
	switch v {
	case loss.Attack:
		return "the attack"
	case loss.Scanner:
		return "the virus scanner"
	case loss.Undersized:
		return "too few threads"
	}
	return v.String()
}

// refusedText says how many were refused, and how many of them are in
// question.
func refusedText(r *cause.Report) string {
	d := &r.Diagnosis
	text := fmt.Sprintf("%d of %s told too busy%s by a pool of %s",
		r.Refused, count(r.Arrivals, "arrival was", "arrivals were"), inBrackets(percent(r.Refused, r.Arrivals)),
		count(r.Threads, "thread", "threads"))
	if d.Others != d.Recorded {
		text += fmt.Sprintf("; %d of these were no suspects, and the rest of this is about them", d.Others)
	}
	return text + "."
}

// averting lists what each change would have averted.
func (u *ui) averting(r *cause.Report) {
	d := &r.Diagnosis
	grounds := d.Finding.Grounds
	all := grounds.Refused.Median
	u.print("")
	if all == int64(d.Others) {
		u.print("How many of these refusals would not have happened:")
	} else {
		u.paragraph("", "  ", "How many would not have happened, of %s:", replayedText(all))
	}
	line := func(s loss.Spread, what string) {
		u.paragraph(fmt.Sprintf("%8s  %9s  ", avertedNumber(s), avertedPart(s, all)), strings.Repeat(" ", 21), "%s%s", what, inBrackets(spreadText(s)))
	}
	if n := len(outermost(r.Suspects)); n > 0 {
		line(d.Together.Averted, "with the "+count(n, "suspect", "suspects")+" banned from the beginning")
		line(r.Policy.Averted, "with them banned when the policies ban them")
	}
	if d.Waited.Jobs > 0 {
		line(d.NoWait.Averted, "if nobody had waited for the virus scanner")
	}
	if len(r.Suspects) > 0 && d.Waited.Jobs > 0 {
		line(grounds.Both, "with both of these: the suspects banned, and nobody waiting")
	}
	line(grounds.Threads, moreText(r))
	if grounds.Left.Median > 0 && (len(r.Suspects) > 0 || d.Waited.Jobs > 0) {
		line(grounds.Left, "only with more threads on top of all that")
	}
}

// replayedText names the refusals that percentages are of, where they are not
// as many as in the log.
func replayedText(all int64) string {
	return fmt.Sprintf("the %d that the replay refuses with nothing changed", all)
}

// averts reports whether a change averts something, and not as often more
// refusals as fewer.
func averts(s loss.Spread) bool { return s.Median > 0 && s.Min+s.Median > 0 }

// avertedNumber writes how many refusals a change averts.
func avertedNumber(s loss.Spread) string {
	if !averts(s) {
		return "none"
	}
	return fmt.Sprint(s.Median)
}

// avertedPart writes the same as a part of all.
func avertedPart(s loss.Spread, all int64) string {
	if !averts(s) {
		return ""
	}
	return percent(s.Median, all)
}

// moreText says what more threads stand for: as many as the others need.
func moreText(r *cause.Report) string {
	need := int(r.Diagnosis.Needed.Threads.Median)
	switch {
	case need <= r.Threads:
		return "with more threads: there are enough for the others"
	case len(r.Suspects) > 0:
		return fmt.Sprintf("with %d threads in place of %d, and nobody banned", need, r.Threads)
	}
	return fmt.Sprintf("with %d threads in place of %d", need, r.Threads)
}

// threadsText says how many threads the others need.
func threadsText(r *cause.Report) string {
	d := &r.Diagnosis
	need, without := d.Needed, ""
	if len(r.Suspects) > 0 {
		without = " without the suspects"
	}
	text := fmt.Sprintf("%d would do%s, for no more than %s refused%s; there are %d.",
		need.Threads.Median, without, oneIn(d.Question.Target), inBrackets(spreadText(need.Threads)), d.Threads)
	if need.Lambda > 0 {
		text += fmt.Sprintf(" Erlang's formula B says %d, for %s a second that hold a thread for %s each and come at random.",
			need.Erlang, rateText(need.Lambda), briefText(need.W))
	}
	return text
}

// rateText writes events a second so that there is a digit to see.
func rateText(perSecond float64) string {
	if perSecond < 1 {
		return fmt.Sprintf("%.2g", perSecond)
	}
	return fmt.Sprintf("%.1f", perSecond)
}

// scannersText says what messages waited for, and how many scanners they need.
func scannersText(d *loss.Diagnosis) string {
	text := fmt.Sprintf("%s waited %s for a scanner on average, %s at most, %d of them longer than %s.",
		count(d.Waited.Jobs, "message", "messages"), briefText(d.Waited.Mean.Seconds()), briefText(d.Waited.Max.Seconds()),
		d.Waited.Over, secondsText(d.Question.MaxWait.Seconds()))
	if d.Scanners.Scanners > 0 {
		text += fmt.Sprintf(" With %s no more than %s would.", count(d.Scanners.Scanners, "scanner", "scanners"), oneIn(d.Question.Late))
	}
	return text
}

// computedText says how the numbers came to be, and what was assumed.
func computedText(r *cause.Report) string {
	q := r.Diagnosis.Question
	text := fmt.Sprintf("The log's arrivals were sent through the pool again, %s, the numbers are the middle ones (in brackets the least and the most).",
		count(q.Seeds, "time", "times"))
	return strings.Join(slices.Concat([]string{text}, r.Assumptions, r.Notes), " ")
}

// earlier lists the other stretches with refusals.
func (u *ui) earlier(w *app.Why, most int) {
	if len(w.Earlier) == 0 {
		return
	}
	u.print("")
	u.print("Other times with refusals, the latest first; look at one with --from and --to:")
	n := shown(len(w.Earlier), most)
	for i := range n {
		s := w.Earlier[len(w.Earlier)-1-i]
		u.row("  %s  %s  %d refused", s.Pool, spanText(s.From, s.To), s.Refused)
	}
	u.more(n, len(w.Earlier), "")
}

// spared tells of suspects that are allowed.
func (u *ui) spared(w *app.Why, most int) {
	if len(w.Allowed) == 0 {
		return
	}
	var names []string
	for _, p := range w.Allowed {
		names = append(names, sourceText(p))
	}
	u.paragraph("", "  ", "On the allow list, so no suspects, though a policy found them: %s.", listText(names, max(most/2, 5)))
}

// readText says what could not be read.
func (u *ui) readText(r *app.LogsRead) {
	for _, line := range unreadText(r) {
		u.say("%s", line)
	}
}

// unreadText is what could not be read, a sentence each.
func unreadText(r *app.LogsRead) []string {
	var all []string
	if r.Malformed > 0 {
		all = append(all, fmt.Sprintf("%s of %d skipped: not of the format.", count(r.Malformed, "line", "lines"), r.Lines))
	}
	if r.Forged > 0 {
		all = append(all, fmt.Sprintf("%d of these: two addresses in a line, either of which a stranger may have written.", r.Forged))
	}
	if r.Late > 0 {
		all = append(all, count(r.Late, "event", "events")+" taken at a later time: too far behind the lines around.")
	}
	if r.Newer > 0 {
		all = append(all, count(r.Newer, "line", "lines")+" skipped: of a newer version of overstay.")
	}
	if len(r.LeftOut) > 0 {
		all = append(all, "Not applied, since this log does not tell what came of connections: "+listText(r.LeftOut, 0)+".")
	}
	if n := len(r.Unreadable); n > 0 {
		all = append(all, fmt.Sprintf("%d of %s could not be read, or not to the end; this is from the rest.", n, count(r.Files, "file", "files")))
	}
	return all
}

// whyView is the answer as JSON.
type whyView struct {
	Verdict   loss.Verdict    `json:"verdict"`
	Attack    bool            `json:"attack"`
	From      time.Time       `json:"from"`
	To        time.Time       `json:"to"`
	Reports   []*cause.Report `json:"reports"`
	Earlier   []cause.Stretch `json:"earlier"`
	Allowed   []string        `json:"allowed"`
	Unaccused []unaccusedView `json:"unaccused"`
	Log       app.LogsRead    `json:"log"`
}

func viewWhy(w *app.Why) whyView {
	v := whyView{
		Verdict: w.Verdict(), Attack: w.Attack(), From: w.From.UTC(), To: w.To.UTC(),
		Reports: orEmpty(w.Reports), Earlier: orEmpty(w.Earlier), Allowed: []string{}, Unaccused: viewUnaccused(w.Unaccused), Log: w.Read,
	}
	for _, p := range w.Allowed {
		v.Allowed = append(v.Allowed, sourceText(p))
	}
	return v
}
