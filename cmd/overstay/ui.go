package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"unicode"

	"golang.org/x/term"
)

// ui is the way to the person: results go to out, the rest to err.
type ui struct {
	in       io.Reader
	out, err io.Writer
	json     bool
}

// say writes a line that is not a result.
func (u *ui) say(format string, a ...any) { fmt.Fprintf(u.err, format+"\n", a...) }

// print writes a line of a result.
func (u *ui) print(format string, a ...any) { fmt.Fprintf(u.out, format+"\n", a...) }

// printJSON writes v as indented JSON.
func (u *ui) printJSON(v any) error {
	e := json.NewEncoder(u.out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// printLine writes v as JSON on one line: an entry of a stream.
func (u *ui) printLine(v any) error {
	e := json.NewEncoder(u.out)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// complain writes what went wrong, and what can be done on a line of its own.
func (u *ui) complain(err error) {
	what, hint := explain(err)
	u.say("overstay: %s", clean(what))
	if hint != "" {
		u.say("  %s", hint)
	}
}

// table writes rows under a head, in columns. Columns whose head begins with a
// space are numbers and stand to the right.
func (u *ui) table(head []string, rows [][]string) {
	writeTable(u.out, head, rows)
}

func writeTable(out io.Writer, head []string, rows [][]string) {
	width := make([]int, len(head))
	for _, row := range append([][]string{head}, rows...) {
		for i, cell := range row {
			width[i] = max(width[i], len([]rune(strings.TrimSpace(cell))))
		}
	}
	for _, row := range append([][]string{head}, rows...) {
		var line strings.Builder
		for i, cell := range row {
			cell = clean(strings.TrimSpace(cell))
			pad := strings.Repeat(" ", max(0, width[i]-len([]rune(cell))))
			if strings.HasPrefix(head[i], " ") {
				line.WriteString(pad + cell)
			} else {
				line.WriteString(cell + pad)
			}
			if i < len(row)-1 {
				line.WriteString("  ")
			}
		}
		fmt.Fprintln(out, strings.TrimRight(line.String(), " "))
	}
}

// fields writes a name and a value a line.
func (u *ui) fields(pairs ...[2]string) {
	w := tabwriter.NewWriter(u.out, 0, 0, 2, ' ', 0)
	for _, p := range pairs {
		if p[1] != "" {
			fmt.Fprintf(w, "%s\t%s\n", p[0], clean(p[1]))
		}
	}
	_ = w.Flush() // Its errors are those of out, which the next write meets.
}

// clean takes from text what could move a terminal's cursor or hide itself:
// it may have come from a client.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || unicode.IsGraphic(r) {
			return r
		}
		return '\uFFFD'
	}, s)
}

// terminal returns the size of the terminal behind w, if there is one.
func terminal(w io.Writer) (columns, lines int, ok bool) {
	f, isFile := w.(*os.File)
	if !isFile || !term.IsTerminal(int(f.Fd())) {
		return 0, 0, false
	}
	columns, lines, err := term.GetSize(int(f.Fd()))
	return columns, lines, err == nil
}
