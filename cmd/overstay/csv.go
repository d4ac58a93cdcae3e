package main

import (
	"encoding/csv"
	"fmt"
	"strconv"
	"time"

	"overstay/internal/app"
)

// analysisCSV writes the ranking of addresses, or of nets, as RFC 4180 has it.
// What the logs do not tell is empty.
func (u *ui) analysisCSV(a *app.Analysis, level string) error {
	list := viewHolders(a.Occupancy.Ranking, levelAddress, a.Gives())
	if level == levelNet {
		list = viewHolders(a.Occupancy.Nets, levelNet, a.Gives())
	}
	w := csv.NewWriter(u.out)
	w.UseCRLF = true
	rows := [][]string{{
		"rank", "source", "level", "members", "connections", "thread_seconds", "share", "peak_low", "peak_high", "load",
		"open_at_end", "proven", "unproven_thread_seconds", "refused", "fails", "blame", "first", "last",
	}}
	for _, h := range list {
		low, high := "", ""
		if h.Peak != nil {
			low, high = strconv.Itoa(h.Peak.Low), strconv.Itoa(h.Peak.High)
		}
		rows = append(rows, []string{
			strconv.Itoa(h.Rank), h.Source, h.Level, strconv.Itoa(max(h.Members, 1)), fmt.Sprint(h.Connections), decimalText(h.ThreadSeconds), decimalText(h.Share), low, high,
			decimalText(h.Load), fmt.Sprint(h.OpenAtEnd), fmt.Sprint(h.Proven), decimalText(h.Unproven), fmt.Sprint(h.Refused), fmt.Sprint(h.Fails), decimalText(&h.Blame),
			h.First.Format(time.RFC3339Nano), h.Last.Format(time.RFC3339Nano),
		})
	}
	if err := w.WriteAll(rows); err != nil {
		return err
	}
	return w.Error()
}

// decimalText writes a number with all its digits, nothing if it is not known.
func decimalText(n *float64) string {
	if n == nil {
		return ""
	}
	return strconv.FormatFloat(*n, 'f', -1, 64)
}
