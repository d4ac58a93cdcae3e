package page_test

import (
	"fmt"
	"math"
	"time"

	"overstay/internal/page"
)

// begin is when the sample's log begins.
var begin = time.Date(2026, 3, 14, 22, 40, 0, 0, time.UTC)

// sample is a page with something of everything: an attack of three addresses
// on a pool of 20 threads, over an hour.
func sample(buckets int) *page.Page {
	var stack []page.Series
	for i, from := range []float64{.25, .3, .4} {
		values := make([]float64, buckets)
		for b := range values {
			if at := float64(b) / float64(buckets); at > from && at < .8 {
				values[b] = min(float64(8-2*i), (at-from)*100)
			}
		}
		stack = append(stack, page.Series{Name: fmt.Sprintf("203.0.113.%d", 5+i), Values: values})
	}
	rest, most, limit, refused := make([]float64, buckets), make([]float64, buckets), make([]float64, buckets), make([]float64, buckets)
	for b := range rest {
		sum := 0.0
		for _, s := range stack {
			sum += s.Values[b]
		}
		want := 3 + 1.5*math.Sin(float64(b)/7)
		rest[b], limit[b] = min(want, 20-sum), 20
		most[b] = math.Ceil(min(20, rest[b]+sum+1))
		if want > rest[b] {
			refused[b] = math.Round(10 * (want - rest[b]))
		}
	}
	stack = append(stack, page.Series{Name: "48 others", Values: rest, Rest: true})
	return &page.Page{
		Title: "mail.log", Lead: "14 March 2026, an hour from 22:40 UTC",
		Verdicts: []page.Verdict{{
			Tone: page.Bad, Word: "Attack", Text: []string{"3 sources held the threads that others were refused."},
			Advice: []page.Advice{{Text: "Ban them:", Command: "overstay ban 203.0.113.5 203.0.113.6 203.0.113.7"}},
		}},
		Facts: []page.Fact{{Name: "Connections", Value: "1,204", Note: "of 51 sources"}, {Name: "Refused", Value: "87"}},
		Charts: []page.Chart{{
			Title: "The pool over time", Caption: "Who held the threads.", Name: "Threads held",
			From: begin, To: begin.Add(time.Hour), Stack: stack,
			Most:    page.Series{Name: "most at once", Values: most},
			Limit:   page.Series{Name: "20 threads in the pool", Values: limit},
			Refused: page.Series{Name: "refused", Values: refused},
		}},
		Tables: []page.Table{{
			Title: "Who held the threads", Caption: "By the time that they held threads.",
			Columns: []page.Column{{Name: "Source"}, {Name: "Thread time", Number: true}, {Name: "Last"}},
			Rows: []page.Row{
				{Cells: []string{"203.0.113.5", "4h12m", "23:28:01"}, Part: .4, Series: 1},
				{Cells: []string{"203.0.113.6", "3h02m", "23:28:04"}, Part: .3, Series: 2},
				{Cells: []string{"2001:db8::17", "1m", "23:39:59"}},
			},
			More: "and 48 others",
		}},
		Notes: page.Notes{Title: "What was assumed", Lines: []string{"Sessions without an end are clipped at the last event."}},
		Foot:  "Written by overstay.",
	}
}
