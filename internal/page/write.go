package page

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the template and its style
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

//go:embed page.html
var markup string

//go:embed style.css
var style string

// ErrTooLarge is the error of a page that has no room in [MaxBytes] even with a
// single row in each table.
var ErrTooLarge = errors.New("page: too much for one page")

// Write writes a page. Only of the tables is anything left out to keep it
// within its bounds, and they say how much. It may be called from several
// goroutines.
func Write(w io.Writer, p *Page) error {
	t, err := template.New("page").Funcs(template.FuncMap{
		"short": short, "long": long, "tone": tone,
	}).Parse(markup)
	if err != nil {
		return fmt.Errorf("page: %w", err)
	}
	l, err := layOut(p)
	if err != nil {
		return err
	}
	for rows := MaxRows; ; rows /= 4 {
		l.Tables = layOutTables(p.Tables, rows)
		var text bytes.Buffer
		if err := t.Execute(&text, l); err != nil {
			return fmt.Errorf("page: %w", err)
		}
		if text.Len() <= MaxBytes {
			_, err := w.Write(text.Bytes())
			return err
		}
		if rows <= 1 {
			return ErrTooLarge
		}
	}
}

// layout is a page as the template needs it.
type layout struct {
	Page   *Page
	Policy string
	Style  template.CSS
	Charts []*drawing
	Tables []sheet
}

func layOut(p *Page) (*layout, error) {
	l := &layout{Page: p, Style: template.CSS(style)} // Ours, as it was compiled in.
	sum := sha256.Sum256([]byte(style))
	l.Policy = "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'"
	zone := p.Zone
	if zone == nil {
		zone = time.UTC
	}
	for i := range p.Charts {
		d, err := draw(&p.Charts[i], fmt.Sprintf("chart%d", i+1), zone)
		if err != nil {
			return nil, err
		}
		l.Charts = append(l.Charts, d)
	}
	return l, nil
}

// tone is the class of a verdict.
func tone(t Tone) string {
	switch t {
	case Good, Warn, Bad:
		return string(t)
	}
	return string(Warn)
}

// sheet is a table as the template needs it.
type sheet struct {
	ID    string
	Table *Table
	Rows  [][]cell
	More  string
}

// cell is one cell of a row. The first one is the head of its row.
type cell struct {
	Head   bool
	Text   string
	Class  string
	Name   string // of its column, shown on a card
	Part   string // width of the bar
	Series int
}

// layOutTables prepares tables, with so many rows of each at most.
func layOutTables(tables []Table, most int) []sheet {
	all := make([]sheet, 0, len(tables))
	for i := range tables {
		t := &tables[i]
		if len(t.Rows) == 0 {
			continue
		}
		s := sheet{ID: fmt.Sprintf("table%d", i+1), Table: t, More: t.More}
		n := min(len(t.Rows), most)
		for r := range t.Rows[:n] {
			s.Rows = append(s.Rows, t.cells(&t.Rows[r]))
		}
		if left := len(t.Rows) - n; left > 0 {
			s.More = strings.TrimSpace(fmt.Sprintf("… +%d. %s", left, t.More))
		}
		all = append(all, s)
	}
	return all
}

const (
	leastPart = .01 // that is worth a bar
	cardCell  = 12  // characters that have room beside other cells of a card
)

// cells prepares a row.
func (t *Table) cells(r *Row) []cell {
	all := make([]cell, 0, len(t.Columns))
	for i, column := range t.Columns {
		c := cell{Head: i == 0, Name: short(column.Name)}
		if i < len(r.Cells) {
			c.Text = short(r.Cells[i])
		}
		switch {
		case c.Head:
			if part := min(sound(r.Part), 1); part >= leastPart {
				c.Part = percent(part)
			}
			if r.Series > 0 && r.Series < MaxSeries {
				c.Series = r.Series
			}
		case column.Number:
			c.Class = "n"
		case utf8.RuneCountInString(c.Text) > cardCell:
			c.Class = "wide"
		}
		all = append(all, c)
	}
	return all
}
