package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"overstay/connlog/bulk"
	"overstay/connlog/formats"
	"overstay/detector"
	"overstay/detector/occupancy"
	"overstay/internal/app"
	"overstay/internal/page"
)

// What the page of analyze says, where it says it otherwise than the screen.

// Titles and captions.
const (
	chartTitle     = "The threads over time"
	chartAxis      = "Threads held"
	mostName       = "most at once"
	refusedName    = "Turned away"
	fullTitle      = "When it was full"
	fullCaption    = "All threads held, or clients turned away for want of one. The times that cost most come first."
	servicesTitle  = "Services"
	decisionsTitle = "What the policies find"
	filesTitle     = "What was read"
	filesCaption   = "Skipped lines are in good order and tell of no connection; malformed ones are not of the format."
	notesTitle     = "How to read this"
)

// Heads as of a printed table, a number with a space in front.
var (
	fullHeads      = []string{"When", "Service", " Turned away", " Lasted"}
	servicesHeads  = []string{"Service", " THREADS", " HELD", " PEAK", " CONNS", " Open at the end", " Proven", " FAILS", " Too busy", " Too many sessions", " Banned"}
	decisionsHeads = []string{"Source", "When", "Decision", "Policy", "Evidence"}
	filesHeads     = []string{"File", "Format", " Lines", " Events", " Skipped", " Malformed", "Remark"}
)

// pageHeads are heads of printed tables, where a page has room for the word.
var pageHeads = map[string]string{
	"ADDRESS": "Address", "NET": "Net", "ADDRESSES": "Addresses", "HELD": "Thread time", "SHARE": "Share", "CONNS": "Connections",
	"PEAK": "Most at once", "LOAD": "Load", "UNPROVEN": "Unproven", "REFUSED": "Turned away", "FAILS": "Failures", "BLAME": "Blame",
	"FIRST": "First seen", "LAST": "Last seen", "THREADS": "Threads",
}

func pageTitle(a *app.Analysis) string {
	var names []string
	for _, f := range a.Read.Each {
		names = append(names, filepath.Base(f.Name))
	}
	return holdersTitle(a, levelAddress) + ": " + listText(names, 2)
}

func pageLead(a *app.Analysis) string {
	zone := time.Local.String()
	if zone == "Local" {
		zone, _ = a.Occupancy.From.Local().Zone()
	}
	return spanText(a.Occupancy.From, a.Occupancy.To) + ". Times are those of the zone " + zone + "."
}

func pageFoot(now time.Time) string {
	return "Written by overstay " + app.Version + ", " + whenText(now) + "."
}

// pageFacts are the numbers that matter at a glance.
func pageFacts(a *app.Analysis) []page.Fact {
	r, g := a.Occupancy, a.Gives()
	facts := []page.Fact{{Name: "Sources", Value: fmt.Sprint(r.Sources), Note: "in " + count(r.NetCount, "net", "nets")}}
	if g.Opens {
		facts = append(facts, page.Fact{Name: "Connections", Value: fmt.Sprint(r.Connections), Note: openText(r)})
	}
	if g.Durations {
		held := page.Fact{Name: "Thread time", Value: secondsText(r.ThreadTime.Seconds())}
		if span := r.To.Sub(r.From); span > 0 {
			held.Note = fmt.Sprintf("%.1f threads on average", r.ThreadTime.Seconds()/span.Seconds())
		}
		facts = append(facts, held)
		if r.Peak.High > 0 {
			most := page.Fact{Name: "Most at once", Value: rangeText(r.Peak.Low, r.Peak.High), Note: whenWithin(r.Peak.At, a)}
			if r.Peak.Threads > 0 {
				most.Value += fmt.Sprintf(" of %d", r.Peak.Threads)
			}
			facts = append(facts, most)
		}
	}
	if g.Refusals {
		var refused uint64
		for _, s := range r.Services {
			refused += s.Busy + s.Sessions + s.Banned
		}
		all := fmt.Sprint(refused)
		facts = append(facts, page.Fact{Name: refusedName, Value: all, Note: strings.TrimPrefix(refusalsText(r, g), all+" ")})
	}
	return facts
}

// commandOf is the command with the flag that an advice names, beside the flags
// that the answer depends on.
func commandOf(advice string, a *app.Analysis, given []string) string {
	if !strings.Contains(advice, "--suggest") {
		return ""
	}
	command := "overstay analyze --suggest"
	for _, flag := range given {
		name, value, _ := strings.Cut(flag, "=")
		command += " " + name + "=" + quoted(value)
	}
	for _, f := range a.Read.Each {
		name := quoted(f.Name)
		if f.Name == app.StdinName {
			name = app.FromStdin
		}
		command += " " + name
	}
	if len(command) > page.MaxText {
		return "overstay analyze --suggest LOG..."
	}
	return command
}

// quoted writes a name as a shell reads it.
func quoted(name string) string {
	plain := func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-/+=:@", r) {
			return -1
		}
		return r
	}
	if name != "" && name[0] != '-' && strings.Map(plain, name) == "" {
		return name
	}
	return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
}

func openText(r *occupancy.Report) string {
	if r.OpenAtEnd == 0 {
		return ""
	}
	return fmt.Sprintf("%d open at the end", r.OpenAtEnd)
}

// refusedIn names the bars of the picture.
func refusedIn(step time.Duration) string { return refusedName + " per " + briefText(step.Seconds()) }

func chartCaption(a *app.Analysis, step time.Duration) string {
	text := "Threads held, on average over " + briefText(step.Seconds()) + ", and by whom."
	if len(coloured(a)) > 0 {
		text += " The numbers in colour are those of the tables below."
	}
	if p := a.Occupancy.Peak; p.Low < p.High {
		text += " Stamps are coarse: the most at once goes by the order of the lines, and may have been more."
	}
	return text
}

func limitName(a *app.Analysis) string {
	if n := a.Occupancy.Peak.Threads; n > 0 {
		return count(n, "thread", "threads") + " in all"
	}
	return "threads in all"
}

// laneName is what a lane of the timeline is called.
func laneName(a *app.Analysis, lane int) string {
	if lane < len(a.Shown) {
		return sourceText(a.Shown[lane])
	}
	return fmt.Sprintf("the %d that the policies find", len(a.Together))
}

// othersName is what all are called that have no colour of their own.
func othersName(a *app.Analysis, colours []int) string {
	n := a.Occupancy.Sources
	for _, lane := range colours {
		if lane >= len(a.Shown) || isNet(a.Shown[lane]) {
			return "all others" // How many came of a net the report need not tell.
		}
		n--
	}
	if len(colours) == 0 {
		return "all"
	}
	return count(n, "other source", "other sources")
}

func holdersTitle(a *app.Analysis, level string) string {
	title := "Who held the threads"
	switch g := a.Gives(); {
	case !g.Opens:
		title = "Whom the log names"
	case !g.Durations:
		title = "Who connected"
	}
	if level == levelNet {
		title += ", by net"
	}
	return title
}

func holdersCaption(a *app.Analysis, level string) string {
	text := "Ranked " + byText(a.By) + "."
	if level == levelNet {
		text = "Nets of which more than one address was there, ranked " + byText(a.By) + "."
	}
	if unranked := unrankedText(a); unranked != "" && level == levelAddress {
		text = unranked
	}
	if a.Gives().Durations {
		text += " The bar is the share of all thread time."
	}
	return text
}

func moreHolders(n int, level string) string {
	switch {
	case n <= 0:
		return ""
	case level == levelNet:
		return "and " + count(n, "more net", "more nets") + ", also those of one address"
	}
	return "and " + count(n, "more address", "more addresses")
}

func moreRows(n int) string {
	if n <= 0 {
		return ""
	}
	return fmt.Sprintf("and %d more", n)
}

func fullCells(f occupancy.Full, a *app.Analysis) []string {
	when := whenWithin(f.From, a) + " to " + whenWithin(f.To, a)
	return []string{when, f.Service, fmt.Sprint(f.Refused), secondsText(f.To.Sub(f.From).Seconds())}
}

func serviceCells(s *occupancy.Service, g formats.Gives) []string {
	threads, held, peak := "", "", ""
	if s.Threads > 0 {
		threads = fmt.Sprint(s.Threads)
	}
	if g.Durations {
		held, peak = secondsText(s.ThreadTime.Seconds()), rangeText(s.Peak.Low, s.Peak.High)
	}
	cells := []string{s.Service, threads, held, peak}
	for _, n := range []uint64{s.Connections, s.OpenAtEnd, s.Proven, s.Fails, s.Busy, s.Sessions, s.Banned} {
		cells = append(cells, fmt.Sprint(n))
	}
	return cells
}

func decisionsCaption(a *app.Analysis) string {
	text := "What they would have done, in the order of time; tried: " + listText(a.Policies, 0) + "."
	for _, d := range a.Decisions {
		if suggests(d) {
			return text + " " + approvedText
		}
	}
	return text
}

func decisionCells(d *detector.Decision, a *app.Analysis) []string {
	what := actionText(d.Action) + " for " + lengthText(d.Duration)
	if d.Duration == 0 {
		what = actionText(d.Action) + ", " + lengthText(d.Duration)
	}
	return []string{sourceText(d.Source), whenWithin(d.At, a), what, d.Policy, holding(d.Evidence)}
}

func fileCells(f *app.LogFile) []string {
	var remarks []string
	if f.Compression != bulk.Plain {
		remarks = append(remarks, string(f.Compression))
	}
	if f.TooLong > 0 {
		remarks = append(remarks, count(f.TooLong, "line was", "lines were")+" too long")
	}
	if f.Err != nil {
		remarks = append(remarks, f.Err.Error())
	}
	cells := []string{f.Name, f.Format}
	for _, n := range []uint64{f.Lines, f.Events, f.Skipped, f.Malformed} {
		cells = append(cells, fmt.Sprint(n))
	}
	return append(cells, strings.Join(remarks, "; "))
}

// whenWithin writes a time of a log, without the day if the log is of one.
func whenWithin(t time.Time, a *app.Analysis) string {
	from, to := a.Occupancy.From.Local(), a.Occupancy.To.Local()
	if !t.IsZero() && from.Format(time.DateOnly) == to.Format(time.DateOnly) {
		return t.Local().Format(time.TimeOnly)
	}
	return whenText(t)
}

// pageNotes say what the numbers mean, what was assumed, and what was not read.
func pageNotes(a *app.Analysis) []string {
	g := a.Gives()
	var all []string
	add := func(text string) {
		if text != "" {
			all = append(all, strings.ToUpper(text[:1])+text[1:]+".")
		}
	}
	if text := givesText(g); text != "" {
		add("the log tells " + text)
	}
	if g.Durations {
		add("thread time is how long connections held a thread, all added up. A connection that has shown itself to be of use, by a login or a message, is proven; unproven is the part of the time before that")
		add("blame is how many of the refusals of others a source caused: at each of them, all that held threads share it by what they held")
	}
	add(edgesText(a.Occupancy, a.Read.Orphans))
	for _, r := range a.Pools {
		if r.Refused > 0 {
			all = append(all, r.Pool+": "+refusedText(r), r.Pool+": "+threadsText(r), r.Pool+": "+computedText(r))
		}
	}
	for i := range a.Unaccused {
		add(unaccusedText(&a.Unaccused[i]))
	}
	if text := oldBootText(a.Stats.OldBoot); text != "" {
		all = append(all, text)
	}
	return append(all, unreadText(&a.Read)...)
}
