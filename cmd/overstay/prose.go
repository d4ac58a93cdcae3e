package main

import (
	"fmt"
	"math"
	"strings"
	"time"

	"overstay/detector/loss"
)

// How long texts, numbers with a spread and times are written.

// Columns of a text where there is no terminal, and the bounds where there is.
const (
	textColumns = 80
	minColumns  = 30
	maxColumns  = 110
)

// columns is how wide a text may be.
func (u *ui) columns() int {
	columns, _, ok := terminal(u.out)
	if !ok {
		return textColumns
	}
	return min(max(columns-1, minColumns), maxColumns)
}

// paragraph prints a text in lines that fit, each of them but the first with
// the indent in front. Nothing in it can begin a line of its own.
func (u *ui) paragraph(first, indent, format string, a ...any) {
	for i, line := range wrap(clean(fmt.Sprintf(format, a...)), u.columns()-len(indent)) {
		if i == 0 {
			u.print("%s%s", first, line)
		} else {
			u.print("%s%s", indent, line)
		}
	}
}

// row prints one line of a list: into a pipe as it is, so that tools find all
// of it on a line, and on a terminal in lines that fit.
func (u *ui) row(format string, a ...any) {
	if _, _, ok := terminal(u.out); ok {
		u.paragraph("", "    ", format, a...)
		return
	}
	u.print(format, a...)
}

// hint says what is no result, in lines that fit.
func (u *ui) hint(format string, a ...any) {
	for _, line := range wrap(clean(fmt.Sprintf(format, a...)), u.columns()) {
		u.say("%s", line)
	}
}

// wrap cuts a text into lines of at most so many columns, between words where
// that is possible. Spaces within a line stay.
func wrap(text string, columns int) []string {
	columns = max(columns, 10)
	var lines []string
	rest := []rune(text)
	for len(rest) > columns {
		cut := columns
		for cut > 0 && rest[cut] != ' ' {
			cut--
		}
		if cut == 0 || strings.TrimSpace(string(rest[:cut])) == "" {
			cut = columns
		}
		lines = append(lines, strings.TrimRight(string(rest[:cut]), " "))
		rest = []rune(strings.TrimLeft(string(rest[cut:]), " "))
	}
	return append(lines, string(rest))
}

// more says how many lines of a list are left out.
func (u *ui) more(shown, all int, what string) {
	if left := all - shown; left > 0 {
		u.print("  and %d more%s", left, what)
	}
}

// shown is how many of a list of n are printed.
func shown(n, most int) int {
	if most == 0 {
		return n
	}
	return min(n, most)
}

// spreadText writes the bounds of a number over replays, nothing if there is
// only one.
func spreadText(s loss.Spread) string {
	if s.Min == s.Max {
		return ""
	}
	return fmt.Sprintf("%d to %d", s.Min, s.Max)
}

// inBrackets puts what is not empty into brackets, with a space before.
func inBrackets(parts ...string) string {
	var said []string
	for _, p := range parts {
		if p != "" {
			said = append(said, p)
		}
	}
	if len(said) == 0 {
		return ""
	}
	return " (" + strings.Join(said, "; ") + ")"
}

// percent writes n of all as a part, nothing if there is no all.
func percent[N int | int64 | uint64 | float64](n, all N) string {
	if all <= 0 {
		return ""
	}
	p := 100 * float64(n) / float64(all)
	if p > 99.5 && n < all {
		return "over 99 %" // Not all, however near.
	}
	switch {
	case p > 0 && p < 0.1:
		return "under 0.1 %"
	case p != 0 && math.Abs(p) < 10:
		return fmt.Sprintf("%.1f %%", p)
	}
	return fmt.Sprintf("%.0f %%", p)
}

// oneIn writes a small part: "1 in 1000".
func oneIn(part float64) string {
	if !(part > 0) {
		return "none"
	}
	return fmt.Sprintf("1 in %.0f", 1/part)
}

// agoText says how long ago something was, nothing if it is now.
func agoText(t, now time.Time) string {
	d := now.Sub(t)
	switch {
	case d < time.Minute:
		return ""
	case d > absurd:
		return "over ten years ago"
	case d < 48*time.Hour:
		return secondsText(d.Round(time.Minute).Seconds()) + " ago"
	}
	return fmt.Sprintf("%.0f days ago", d.Hours()/24)
}

// absurd is a time that is no longer told in figures: a stamp is wrong.
const absurd = 10 * 366 * 24 * time.Hour

// briefText writes a time that may be very short.
func briefText(seconds float64) string {
	if seconds > 0 && seconds < 0.1 {
		return fmt.Sprintf("%.3g ms", 1000*seconds)
	}
	return secondsText(seconds)
}

// spanText writes a time from one moment to another, the day once if it is the
// same, and what more is to be said about it.
func spanText(from, to time.Time, more ...string) string {
	from, to = from.Local(), to.Local()
	end := to.Format("15:04:05")
	if from.Format(time.DateOnly) != to.Format(time.DateOnly) {
		end = whenText(to)
	}
	length := "the clock was set back"
	if !to.Before(from) {
		length = secondsText(to.Sub(from).Seconds())
		if to.Sub(from) > absurd {
			length = "over ten years"
		}
	}
	more = append([]string{length}, more...)
	return whenText(from) + " to " + end + inBrackets(more...)
}

// listText writes "a", "a and b", "a, b and c", "a, b and 7 more".
func listText(all []string, most int) string {
	if len(all) > most && most > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(all[:most], ", "), len(all)-most)
	}
	switch n := len(all); n {
	case 0:
		return "none"
	case 1:
		return all[0]
	default:
		return strings.Join(all[:n-1], ", ") + " and " + all[n-1]
	}
}
