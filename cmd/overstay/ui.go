package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"unicode"

	"golang.org/x/term"
)

// ui is the way to the person: results go to out, the rest to err.
type ui struct {
	in       io.Reader
	out, err io.Writer
	json     bool
}

// output remembers the first error of writing, so that not every line has to
// ask. Several goroutines may write.
type output struct {
	io.Writer
	mu  sync.Mutex
	err error
}

func (o *output) Write(p []byte) (int, error) {
	n, err := o.Writer.Write(p)
	if err != nil {
		o.mu.Lock()
		o.err = cmp.Or(o.err, err)
		o.mu.Unlock()
	}
	return n, err
}

// failed returns the first error, or nil if all has been written.
func (o *output) failed() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

// say writes a line that is not a result.
func (u *ui) say(format string, a ...any) { writeLine(u.err, format, a...) }

// print writes a line of a result.
func (u *ui) print(format string, a ...any) { writeLine(u.out, format, a...) }

// writeLine writes exactly one line, whatever its parts hold. Its errors are
// kept by output.
func writeLine(w io.Writer, format string, a ...any) {
	_, _ = io.WriteString(w, clean(fmt.Sprintf(format, a...))+"\n")
}

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
// Errors that were joined have a line each.
func (u *ui) complain(err error) {
	what, hint := explain(err)
	for i, line := range strings.Split(what, "\n") {
		if i == 0 {
			line = "overstay: " + line
		}
		u.say("%s", line)
	}
	if hint != "" {
		u.say("  %s", hint)
	}
}

// table writes rows under a head, in columns. Columns whose head begins with a
// space are numbers and stand to the right.
func (u *ui) table(head []string, rows [][]string) {
	width := widths(head, rows)
	for _, row := range append([][]string{head}, rows...) {
		var line strings.Builder
		for i, cell := range row {
			cell = strings.TrimSpace(cell)
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
		u.print("%s", strings.TrimRight(line.String(), " "))
	}
}

// widths are those of the columns of a table.
func widths(head []string, rows [][]string) []int {
	width := make([]int, len(head))
	for _, row := range append([][]string{head}, rows...) {
		for i, cell := range row {
			width[i] = max(width[i], len([]rune(strings.TrimSpace(cell))))
		}
	}
	return width
}

// fields writes a name and a value a line.
func (u *ui) fields(pairs ...[2]string) {
	width := 0
	for _, p := range pairs {
		width = max(width, len(p[0]))
	}
	for _, p := range pairs {
		if p[1] != "" {
			u.print("%-*s  %s", width, p[0], p[1])
		}
	}
}

// clean takes from a line what could move a terminal's cursor, begin another
// line or hide itself: it may have come from a client.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsGraphic(r) {
			return r
		}
		return '\uFFFD'
	}, s)
}

// terminal returns the size of the terminal behind w, if there is one.
func terminal(w io.Writer) (columns, lines int, ok bool) {
	if o, isOutput := w.(*output); isOutput {
		w = o.Writer
	}
	f, isFile := w.(*os.File)
	if !isFile || !term.IsTerminal(int(f.Fd())) {
		return 0, 0, false
	}
	columns, lines, err := term.GetSize(int(f.Fd()))
	return columns, lines, err == nil
}
