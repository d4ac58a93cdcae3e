package main

import (
	"cmp"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"overstay/connlog"
	"overstay/detector/loss"
	"overstay/detector/occupancy"
	"overstay/internal/app"
	"overstay/internal/page"
)

// page writes an analysis as a page that can be sent to somebody. It was made
// with the flags given.
func (u *ui) page(w io.Writer, a *app.Analysis, given []string) error {
	return page.Write(w, analysisPage(a, given, time.Now()))
}

// analysisPage lays out what analyze says: the answer first, then the picture,
// then the evidence.
func analysisPage(a *app.Analysis, given []string, now time.Time) *page.Page {
	p := &page.Page{
		Title: pageTitle(a), Lead: pageLead(a), Zone: time.Local, // As everything that is printed.
		Verdicts: pageVerdicts(a, given), Facts: pageFacts(a),
		Notes: page.Notes{Title: notesTitle, Lines: pageNotes(a)}, Foot: pageFoot(now),
	}
	if c, ok := pageChart(a); ok {
		p.Charts = append(p.Charts, c)
	}
	levels := []string{levelAddress, levelNet}
	if first := coloured(a); len(first) > 0 && first[0] < len(a.Shown) && isNet(a.Shown[first[0]]) {
		slices.Reverse(levels)
	}
	for _, level := range levels {
		p.Tables = append(p.Tables, holdersTable(a, level))
	}
	p.Tables = append(p.Tables, decisionsTable(a), fullTable(a), servicesTable(a), filesTable(a))
	return p
}

// pageVerdicts are the answers with what to do about each.
func pageVerdicts(a *app.Analysis, given []string) []page.Verdict {
	var all []page.Verdict
	for _, one := range answers(a) {
		v := page.Verdict{Tone: toneOf(&one)}
		v.Word, v.Text = firstWord(one.text)
		for _, advice := range one.advice {
			v.Advice = append(v.Advice, page.Advice{Text: advice, Command: commandOf(advice, a, given)})
		}
		all = append(all, v)
	}
	return all
}

// toneOf says how bad an answer is. What is not known is no good news.
func toneOf(one *answer) page.Tone {
	switch {
	case !one.known:
		return page.Warn
	case one.verdict == loss.Healthy:
		return page.Good
	case one.verdict == loss.Attack:
		return page.Bad
	}
	return page.Warn
}

// firstWord takes an answer apart: what stands before its colon is its title.
func firstWord(text string) (word string, rest []string) {
	word, sentence, found := strings.Cut(text, ": ")
	if !found {
		return text, nil
	}
	return word, []string{strings.ToUpper(sentence[:1]) + sentence[1:]}
}

// pageChart is the timeline as a chart, if there is anything to be drawn.
func pageChart(a *app.Analysis) (page.Chart, bool) {
	n := min(len(a.Timeline), page.MaxBuckets)
	if n == 0 || !a.Gives().Durations {
		return page.Chart{}, false
	}
	first := a.Timeline[0]
	step := first.To.Sub(first.From)
	c := page.Chart{
		Title: chartTitle, Caption: chartCaption(a, step), Name: chartAxis,
		From: first.From, To: first.From.Add(time.Duration(n) * step),
		Most: page.Series{Name: mostName}, Limit: page.Series{Name: limitName(a)}, Refused: page.Series{Name: refusedIn(step)},
	}
	colours := coloured(a)
	for _, lane := range colours {
		c.Stack = append(c.Stack, page.Series{Name: laneName(a, lane)})
	}
	c.Stack = append(c.Stack, page.Series{Name: othersName(a, colours), Rest: true})
	for _, b := range a.Timeline[:n] {
		rest := 0.0
		for lane, held := range b.Held {
			if i := slices.Index(colours, lane); i >= 0 {
				c.Stack[i].Values = append(c.Stack[i].Values, held)
			} else {
				rest += held
			}
		}
		c.Stack[len(colours)].Values = append(c.Stack[len(colours)].Values, rest)
		c.Most.Values = append(c.Most.Values, float64(b.Peak))
		c.Limit.Values = append(c.Limit.Values, float64(b.Threads))
		c.Refused.Values = append(c.Refused.Values, float64(b.Refused))
	}
	return c, true
}

// coloured are the lanes of the timeline that have a colour of their own: those
// that can be seen beside the one that held most. Those whom the policies found
// are the first.
func coloured(a *app.Analysis) []int {
	if !a.Gives().Durations {
		return nil // There is no picture.
	}
	lanes := make([]int, 0, page.MaxSeries)
	if len(a.Together) > 0 {
		lanes = append(lanes, len(a.Shown))
	}
	for i := range a.Shown {
		lanes = append(lanes, i)
	}
	held, most := map[int]float64{}, 0.0
	for _, lane := range lanes {
		for _, b := range a.Timeline {
			held[lane] += b.Held[lane]
		}
		most = max(most, held[lane])
	}
	lanes = slices.DeleteFunc(lanes, func(lane int) bool { return held[lane] == 0 || held[lane] < most/visible })
	return lanes[:min(len(lanes), page.MaxSeries-1)]
}

// colourOf is the number of a source in the picture, 0 if it has none.
func colourOf(a *app.Analysis, colours []int, source netip.Prefix) int {
	return 1 + slices.IndexFunc(colours, func(lane int) bool {
		if lane < len(a.Shown) {
			return a.Shown[lane] == source
		}
		_, found := slices.BinarySearchFunc(a.Together, source, netip.Prefix.Compare)
		return found
	})
}

// isNet reports whether a source is more than an address.
func isNet(p netip.Prefix) bool { return p != connlog.AddressLevel.Source(p.Addr()) }

// visible is how many times as much as another source the first may have held
// for that one to be seen beside it.
const visible = 25

// holdersTable is the ranking of addresses or of nets, with the evidence.
func holdersTable(a *app.Analysis, level string) page.Table {
	list, all := a.Occupancy.Ranking, a.Occupancy.Sources
	if level == levelNet {
		list = slices.DeleteFunc(slices.Clone(a.Occupancy.Nets), func(h occupancy.Holder) bool { return h.Members < 2 })
		all = a.Occupancy.NetCount - len(a.Occupancy.Nets) + len(list)
	}
	columns := pageColumns(list, level, a)
	t := page.Table{Title: holdersTitle(a, level), Caption: holdersCaption(a, level)}
	for _, c := range columns {
		t.Columns = append(t.Columns, pageColumn(c.head))
	}
	n, colours := min(len(list), page.MaxRows), coloured(a)
	for i := range list[:n] {
		row := page.Row{Series: colourOf(a, colours, list[i].Source)}
		if a.Gives().Durations {
			row.Part = list[i].Share
		}
		for _, c := range columns {
			row.Cells = append(row.Cells, c.cell(&list[i]))
		}
		t.Rows = append(t.Rows, row)
	}
	t.More = moreHolders(all-n, level)
	return t
}

// pageColumns are the columns of the printed ranking, and when a source was
// there, for which a page has the room.
func pageColumns(list []occupancy.Holder, level string, a *app.Analysis) []holderColumn {
	columns := holderColumns(list, level, a.By, a.Gives())
	columns = slices.DeleteFunc(columns, func(c holderColumn) bool { return c.head == "FIRST" || c.head == "LAST" })
	return append(columns,
		holderColumn{head: "FIRST", cell: func(h *occupancy.Holder) string { return whenWithin(h.First, a) }},
		holderColumn{head: "LAST", cell: func(h *occupancy.Holder) string { return whenWithin(h.Last, a) }},
	)
}

// fullTable lists when pools were full, those times first that cost most.
func fullTable(a *app.Analysis) page.Table {
	all := slices.Clone(a.Occupancy.Full)
	slices.SortStableFunc(all, func(x, y occupancy.Full) int { return cmp.Compare(y.Refused, x.Refused) })
	t := newTable(fullTitle, fullCaption, fullHeads)
	n := min(len(all), pageRows)
	for _, f := range all[:n] {
		t.Rows = append(t.Rows, page.Row{Cells: fullCells(f, a)})
	}
	t.More = moreRows(len(all) + a.Occupancy.FullDropped - n)
	return t
}

// decisionsTable lists whom the policies found, in the order of time.
func decisionsTable(a *app.Analysis) page.Table {
	t := newTable(decisionsTitle, decisionsCaption(a), decisionsHeads)
	n, colours := min(len(a.Decisions), pageRows), coloured(a)
	for i := range a.Decisions[:n] {
		d := &a.Decisions[i]
		t.Rows = append(t.Rows, page.Row{Cells: decisionCells(d, a), Series: colourOf(a, colours, d.Source)})
	}
	t.More = moreRows(len(a.Decisions) + a.Dropped - n)
	return t
}

func servicesTable(a *app.Analysis) page.Table {
	t := newTable(servicesTitle, "", servicesHeads)
	all := a.Occupancy.Services
	n := min(len(all), pageRows)
	for i := range all[:n] {
		t.Rows = append(t.Rows, page.Row{Cells: serviceCells(&all[i], a.Gives())})
	}
	t.More = moreRows(len(all) - n)
	return withoutEmpty(t)
}

func filesTable(a *app.Analysis) page.Table {
	t := newTable(filesTitle, filesCaption, filesHeads)
	n := min(len(a.Read.Each), pageRows)
	for i := range a.Read.Each[:n] {
		t.Rows = append(t.Rows, page.Row{Cells: fileCells(&a.Read.Each[i])})
	}
	t.More = moreRows(len(a.Read.Each) - n)
	return withoutEmpty(t)
}

// withoutEmpty leaves out the columns in which no row says anything.
func withoutEmpty(t page.Table) page.Table {
	for c := len(t.Columns) - 1; c > 0; c-- {
		if slices.ContainsFunc(t.Rows, func(r page.Row) bool { return r.Cells[c] != "" }) {
			continue
		}
		t.Columns = slices.Delete(t.Columns, c, c+1)
		for i := range t.Rows {
			t.Rows[i].Cells = slices.Delete(t.Rows[i].Cells, c, c+1)
		}
	}
	return t
}

// pageRows is how many rows a list on a page has that is not the ranking.
const pageRows = 100

func newTable(title, caption string, heads []string) page.Table {
	t := page.Table{Title: title, Caption: caption}
	for _, head := range heads {
		t.Columns = append(t.Columns, pageColumn(head))
	}
	return t
}

// pageColumn makes a head as those of printed tables are one of a page.
func pageColumn(head string) page.Column {
	name := strings.TrimSpace(head)
	return page.Column{Name: cmp.Or(pageHeads[name], name), Number: strings.HasPrefix(head, " ")}
}
