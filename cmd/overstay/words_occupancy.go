package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"overstay/connlog/formats"
	"overstay/detector/occupancy"
	"overstay/internal/app"
)

// What analyze says of who held the threads.

// analysisFacts are what was read and what it came to, each with its name.
func analysisFacts(a *app.Analysis) [][2]string {
	r, g := a.Occupancy, a.Gives()
	facts := [][2]string{
		{"Log", fmt.Sprintf("%s: %s, %s", spanText(r.From, r.To), count(a.Read.Lines, "line", "lines"), filesText(a.Read.Each))},
	}
	if text := givesText(g); text != "" {
		facts = append(facts, [2]string{"It tells", text})
	}
	facts = append(facts, [2]string{"Held", heldText(r, g)})
	if g.Durations && r.Peak.High > 0 {
		facts = append(facts, [2]string{"At most", mostText(r.Peak)})
	}
	if text := refusalsText(r, g); text != "" {
		facts = append(facts, [2]string{"Refused", text})
	}
	if text := edgesText(r, a.Read.Orphans); text != "" {
		facts = append(facts, [2]string{"Edges", text})
	}
	return facts
}

// filesText counts the files that were read, with their formats.
func filesText(all []app.LogFile) string {
	var names []string
	read := 0
	for _, f := range all {
		if f.Err == nil || f.Lines > 0 {
			read++
		}
		if f.Events > 0 && !slices.Contains(names, f.Format) {
			names = append(names, f.Format)
		}
	}
	text := count(len(all), "file", "files")
	if read < len(all) {
		text = fmt.Sprintf("%d of %s", read, text)
	}
	if len(names) > 0 {
		text += " of " + formatNoun(len(names)) + " " + listText(names, 0)
	}
	return text
}

func formatNoun(n int) string {
	if n == 1 {
		return "format"
	}
	return "formats"
}

// givesText says what is not to be expected of a log, nothing of one that tells
// all.
func givesText(g formats.Gives) string {
	var missing []string
	for _, one := range []struct {
		has  bool
		what string
	}{{g.Opens, "of each connection"}, {g.Durations, "how long it lasted"}, {g.Outcomes, "what came of it"}, {g.Refusals, "who was turned away"}} {
		if !one.has {
			missing = append(missing, one.what)
		}
	}
	var parts []string
	if len(missing) > 0 {
		parts = append(parts, "not "+strings.Join(missing, ", nor "))
	}
	if g.Clock >= time.Second && g.Durations {
		parts = append(parts, "time to the second: peaks are a range")
	}
	if len(parts) > 0 && g.Note != "" {
		parts = append(parts, g.Note)
	}
	return strings.Join(parts, "; ")
}

func heldText(r *occupancy.Report, g formats.Gives) string {
	text := fmt.Sprintf("%s of %s in %s", count(r.Connections, "connection", "connections"), count(r.Sources, "source", "sources"), count(r.NetCount, "net", "nets"))
	if !g.Opens {
		return fmt.Sprintf("%s in %s are named", count(r.Sources, "source", "sources"), count(r.NetCount, "net", "nets"))
	}
	if g.Durations {
		text += ", " + secondsText(r.ThreadTime.Seconds()) + " of thread time"
	}
	return text
}

// mostText writes the peak of a pool.
func mostText(p occupancy.Peak) string {
	text := rangeText(p.Low, p.High)
	switch {
	case p.Threads > 0:
		text += " of " + count(p.Threads, "thread", "threads")
	case p.High == 1:
		text += " thread"
	default:
		text += " threads"
	}
	return text + " at once, " + whenText(p.At)
}

// rangeText writes a number that is known to lie between two.
func rangeText(low, high int) string {
	if low == high {
		return fmt.Sprint(low)
	}
	return fmt.Sprintf("%d to %d", low, high)
}

// refusalsText counts who was turned away, by reason.
func refusalsText(r *occupancy.Report, g formats.Gives) string {
	var busy, sessions, banned uint64
	for _, s := range r.Services {
		busy += s.Busy
		sessions += s.Sessions
		banned += s.Banned
	}
	var parts []string
	for _, one := range []struct {
		n    uint64
		what string
	}{{busy, "too busy"}, {sessions, "too many sessions"}, {banned, "banned"}} {
		if one.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", one.n, one.what))
		}
	}
	if len(parts) == 0 && g.Refusals {
		return "nobody"
	}
	return strings.Join(parts, ", ")
}

// edgesText tells of connections of which the log has one end only.
func edgesText(r *occupancy.Report, more uint64) string {
	var parts []string
	if r.OpenAtEnd > 0 {
		parts = append(parts, count(r.OpenAtEnd, "connection was", "connections were")+" open at the end, and counted up to there")
	}
	if n := r.Orphans + more; n > 0 {
		parts = append(parts, fmt.Sprintf("%s no beginning, and %s not counted", count(n, "end has", "ends have"), map[bool]string{true: "is", false: "are"}[n == 1]))
	}
	return strings.Join(parts, "; ")
}

// holderColumn is a column of a ranking.
type holderColumn struct {
	head string // with a space in front if it is a number
	cell func(*occupancy.Holder) string
	none func(*occupancy.Holder) bool // of all rows: the column is left out
}

// holderColumns are those that the logs have something to say in.
func holderColumns(all []occupancy.Holder, level string, by occupancy.By, g formats.Gives) []holderColumn {
	name := map[string]string{levelAddress: "ADDRESS", levelNet: "NET"}[level]
	columns := []holderColumn{{head: name, cell: func(h *occupancy.Holder) string { return sourceText(h.Source) }}}
	add := func(known bool, head string, cell func(*occupancy.Holder) string, none func(*occupancy.Holder) bool) {
		if known {
			columns = append(columns, holderColumn{head, cell, none})
		}
	}
	number := func(n uint64) string { return fmt.Sprint(n) }
	add(level == levelNet, " ADDRESSES", func(h *occupancy.Holder) string { return fmt.Sprint(h.Members) }, nil)
	add(g.Durations, " HELD", func(h *occupancy.Holder) string { return secondsText(h.ThreadTime.Seconds()) }, nil)
	add(g.Durations, " SHARE", func(h *occupancy.Holder) string { return percent(h.Share, 1) }, nil)
	add(g.Opens, " CONNS", func(h *occupancy.Holder) string { return number(h.Connections) }, nil)
	add(g.Durations, " PEAK", func(h *occupancy.Holder) string { return rangeText(h.Peak.Low, h.Peak.High) }, nil)
	add(by == occupancy.ByLoad, " LOAD", func(h *occupancy.Holder) string { return fmt.Sprintf("%.2f", h.Load) }, nil)
	add(g.Durations && g.Outcomes, " UNPROVEN", func(h *occupancy.Holder) string { return percent(h.Unproven.Seconds(), h.ThreadTime.Seconds()) }, nil)
	add(true, " REFUSED", func(h *occupancy.Holder) string { return number(h.Refused) }, func(h *occupancy.Holder) bool { return h.Refused == 0 })
	add(true, " FAILS", func(h *occupancy.Holder) string { return number(h.Fails) }, func(h *occupancy.Holder) bool { return h.Fails == 0 })
	add(g.Durations, " BLAME", func(h *occupancy.Holder) string { return fmt.Sprintf("%.0f", h.Blame) }, func(h *occupancy.Holder) bool { return h.Blame == 0 })
	add(!g.Durations, "FIRST", func(h *occupancy.Holder) string { return whenText(h.First) }, nil)
	add(!g.Durations, "LAST", func(h *occupancy.Holder) string { return whenText(h.Last) }, nil)
	return slices.DeleteFunc(columns, func(c holderColumn) bool {
		return c.none != nil && !slices.ContainsFunc(all, func(h occupancy.Holder) bool { return !c.none(&h) })
	})
}

// rankings prints who held most, addresses and nets.
func (u *ui) rankings(a *app.Analysis, o analysisShown) {
	r := a.Occupancy
	if text := unrankedText(a); text != "" {
		u.print("")
		u.paragraph("", "", "%s", text)
	}
	if o.level != levelNet {
		u.ranking(a, r.Ranking, levelAddress, r.Sources)
	}
	nets, all := r.Nets, r.NetCount
	if o.level == "" {
		// A net of one address says nothing that this does not say.
		nets = slices.DeleteFunc(slices.Clone(nets), func(h occupancy.Holder) bool { return h.Members < 2 })
		if all = len(nets); len(r.Nets) < r.NetCount {
			all = uncounted
		}
		if o.top > 0 {
			nets = nets[:min(len(nets), max(o.top/2, 1))]
		}
	}
	if o.level != levelAddress && len(nets) > 0 {
		u.ranking(a, nets, levelNet, all)
	}
	if len(r.Services) > 1 {
		u.services(r.Services, a.Gives())
	}
}

// uncounted is the length of a list that is longer than what is printed of it,
// nobody knows by how much.
const uncounted = -1

func (u *ui) ranking(a *app.Analysis, list []occupancy.Holder, level string, all int) {
	if len(list) == 0 {
		return
	}
	columns := holderColumns(list, level, a.By, a.Gives())
	head := make([]string, len(columns))
	for i, c := range columns {
		head[i] = c.head
	}
	rows := make([][]string, 0, len(list))
	for i := range list {
		row := make([]string, len(columns))
		for k, c := range columns {
			row[k] = c.cell(&list[i])
		}
		rows = append(rows, row)
	}
	var out []string
	if width, _, ok := terminal(u.out); ok {
		head, rows, out = narrowed(head, rows, headOf(a.By), width)
	}
	u.print("")
	u.table(head, rows)
	const how = ": --top 0 prints all"
	if all == uncounted {
		u.print("  and more" + how)
	} else {
		u.more(len(list), all, how)
	}
	if len(out) > 0 {
		u.paragraph("  ", "  ", "Too narrow for %s: --csv has all.", listText(out, 0))
	}
}

// unrankedText says that the log has nothing of what it is to be ranked by,
// nothing if it has.
func unrankedText(a *app.Analysis) string {
	list := a.Occupancy.Ranking
	switch {
	case a.Untold != "":
		return "Ranked " + byText(a.By) + ": this log does not tell of " + figureText(a.Untold) + "."
	case len(list) == 0 || figureOf(&list[0], a.By) > 0:
		return ""
	case a.Gives().Durations && a.By != occupancy.ByThreadTime:
		return "Ranked " + byText(a.By) + ", of which this log has none, and so " + byText(occupancy.ByThreadTime) + "."
	}
	return "Ranked " + byText(a.By) + ", of which this log has none, and so by address."
}

// figureOf is the figure of a source that it is ranked by.
func figureOf(h *occupancy.Holder, by occupancy.By) float64 {
	switch by {
	case occupancy.ByConnections:
		return float64(h.Connections)
	case occupancy.ByPeak:
		return float64(h.Peak.Low)
	case occupancy.ByLoad:
		return h.Load
	case occupancy.ByBlame:
		return h.Blame
	case occupancy.ByFails:
		return float64(h.Fails)
	case occupancy.ByRefused:
		return float64(h.Refused)
	}
	return h.ThreadTime.Seconds()
}

// services prints what each service came to.
func (u *ui) services(all []occupancy.Service, g formats.Gives) {
	rows := make([][]string, 0, len(all))
	for i := range all {
		s := &all[i]
		held, peak, threads := "", "", ""
		if g.Durations {
			held, peak = secondsText(s.ThreadTime.Seconds()), rangeText(s.Peak.Low, s.Peak.High)
		}
		if s.Threads > 0 {
			threads = fmt.Sprint(s.Threads)
		}
		rows = append(rows, []string{s.Service, held, fmt.Sprint(s.Connections), peak, threads, fmt.Sprint(s.Proven), fmt.Sprint(s.Fails), fmt.Sprint(s.Busy + s.Sessions + s.Banned)})
	}
	u.print("")
	u.table([]string{"SERVICE", " HELD", " CONNS", " PEAK", " THREADS", " PROVEN", " FAILS", " REFUSED"}, rows)
}

// fullTimes lists when the pools were full, those that cost most first.
func (u *ui) fullTimes(a *app.Analysis, most int) {
	all := slices.Clone(a.Occupancy.Full)
	if len(all) == 0 {
		return
	}
	slices.SortStableFunc(all, func(x, y occupancy.Full) int { return cmp.Compare(y.Refused, x.Refused) })
	u.print("")
	u.print("All threads held, or clients turned away for want of one:")
	n := shown(len(all), most)
	for _, f := range all[:n] {
		u.row("  %s", fullText(f))
	}
	u.more(n, len(all)+a.Occupancy.FullDropped, "")
}

// fullText tells of a time when a pool was full.
func fullText(f occupancy.Full) string {
	return fmt.Sprintf("%s  %s  %d turned away", f.Service, spanText(f.From, f.To), f.Refused)
}
