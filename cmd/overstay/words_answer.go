package main

import (
	"fmt"
	"slices"
	"strings"

	"overstay/connlog/bulk"
	"overstay/detector/cause"
	"overstay/detector/loss"
	"overstay/detector/occupancy"
	"overstay/internal/app"
)

// The answers of analyze: what is the matter, in words.

// answer is what an analysis comes to, for one pool or for all of them.
type answer struct {
	verdict loss.Verdict // meaningless unless known
	known   bool
	text    string
	advice  []string // what to do, and what that would change
}

// answers tells of each pool that turned clients away, or why nothing can be
// told; at least one.
func answers(a *app.Analysis) []answer {
	var all []answer
	for _, r := range a.Pools {
		if r.Refused > 0 {
			all = append(all, answer{verdict: r.Verdict(), known: true, text: verdictText(r), advice: adviceText(r)})
		}
	}
	for _, pool := range a.Unsized {
		if busy, most := refusedBy(a.Occupancy, pool); busy > 0 {
			all = append(all, answer{
				text:   fmt.Sprintf("No verdict: %s turned %s away, but the log does not tell how many threads it has.", pool, count(busy, "client", "clients")),
				advice: []string{fmt.Sprintf("Say so with --threads %s=N. At most %s were held at once.", pool, most)},
			})
		}
	}
	for _, s := range a.Occupancy.Services {
		if len(all) == 0 && s.Busy > 0 {
			all = append(all, answer{text: fmt.Sprintf("No verdict: the log says %s that %s was full, but not whom it turned away.", count(s.Busy, "time", "times"), s.Service)})
		}
	}
	if len(all) == 0 {
		all = append(all, silence(a))
	}
	return all
}

// refusedBy says how many a pool turned away for want of a thread, and how many
// threads were held at most.
func refusedBy(r *occupancy.Report, pool string) (busy uint64, most string) {
	most = "none"
	for _, s := range r.Services {
		if s.Pool == pool {
			busy += s.Busy
			most = rangeText(s.Peak.Low, s.Peak.High)
		}
	}
	return busy, most
}

// silence is the answer where there is nothing to explain, or no way to.
func silence(a *app.Analysis) answer {
	switch {
	case a.Unexplained == app.NoOpenings:
		return answer{text: "No verdict: this log tells of failures and what else it was written for, not of each connection. Sources are ranked " + byText(a.By) + "."}
	case a.Unexplained == app.NoDurations:
		return answer{text: "No verdict: this log does not tell how long a connection held its thread. Sources are ranked " + byText(a.By) + "."}
	case !a.Gives().Refusals:
		return answer{text: "No verdict: " + noRefusalsText + " What it tells is who held its threads."}
	}
	text := "Healthy: nobody was turned away for want of a thread"
	if slices.ContainsFunc(a.Read.Each, func(f app.LogFile) bool { return f.Format != bulk.Native }) {
		text += ", as far as this log tells"
	}
	return answer{verdict: loss.Healthy, known: true, text: text + "."}
}

// noRefusalsText says why nothing can be said of those who were turned away.
const noRefusalsText = "this log does not tell whom the server turned away."

// adviceText says what would help a pool that turns clients away.
func adviceText(r *cause.Report) []string {
	var all []string
	f := r.Diagnosis.Finding
	causes := append([]loss.Verdict{f.Verdict}, f.Also...)
	for _, v := range causes {
		switch v {
		case loss.Attack:
			all = append(all, banAdvice(r))
		case loss.Scanner:
			all = append(all, scannersText(&r.Diagnosis))
		case loss.Undersized:
			all = append(all, "Threads: "+threadsText(r))
		}
	}
	return all
}

// banAdvice says whom to ban, and what for.
func banAdvice(r *cause.Report) string {
	var names []string
	for _, s := range outermost(r.Suspects) {
		names = append(names, sourceText(s.Source))
	}
	together, all := r.Diagnosis.Together.Averted, r.Diagnosis.Finding.Grounds.Refused.Median
	text := fmt.Sprintf("Banning %s", listText(names, 3))
	if averts(together) {
		text += fmt.Sprintf(" from the beginning averts %s of %d refusals of others%s", avertedNumber(together), all, inBrackets(avertedPart(together, all), spreadText(together)))
	}
	return text + ". To review such bans and approve them: --suggest."
}

// byText says what sources are ranked by.
func byText(by occupancy.By) string { return "by " + figureText(by) }

// figureText names a figure.
func figureText(by occupancy.By) string {
	return strings.NewReplacer("_", " ", "fails", "failures", "refused", "refusals").Replace(string(by))
}
