package page

import "time"

// Page is what one file says, from the top to the bottom. Parts that are empty
// are left out. Times are written in Zone.
type Page struct {
	Title    string
	Lead     string         // what this is about, under the title
	Zone     *time.Location // nil: UTC
	Verdicts []Verdict
	Facts    []Fact
	Charts   []Chart
	Tables   []Table
	Notes    Notes
	Foot     string // who wrote it, and when
}

// Verdict is one answer: what is the matter, and what to do about it.
type Verdict struct {
	Tone   Tone
	Word   string // the answer in a word
	Text   []string
	Advice []Advice
}

// Tone says how bad an answer is. It is shown beside the word, never in place
// of it.
type Tone string

// The tones of a verdict.
const (
	Good Tone = "good"
	Warn Tone = "warn"
	Bad  Tone = "bad"
)

// Advice is something to do, and the command that does it, if there is one.
type Advice struct{ Text, Command string }

// Fact is a number with its name, and what there is to say of it.
type Fact struct{ Name, Value, Note string }

// Notes are sentences at the end: what was assumed, and what was not read.
type Notes struct {
	Title string
	Lines []string
}

// Table is a list with a head. On a narrow screen each row becomes a card
// under its first cell.
type Table struct {
	Title, Caption string
	Columns        []Column
	Rows           []Row
	More           string // under the last row: what is not listed
}

// Column is the head of a column.
type Column struct {
	Name   string
	Number bool // stands to the right
}

// Row is one row of a table.
type Row struct {
	Cells []string
	// Part of a whole, 0 to 1, drawn as a bar under the first cell if it is
	// worth one.
	Part float64
	// Series is the number of the row in the chart's stack, from 1. 0: none.
	Series int
}

// Chart is a pool over time. All its series are means or counts of equal
// parts of the time from From to To, and so are equally long.
type Chart struct {
	Title, Caption string
	From, To       time.Time
	Name           string   // what the stack counts
	Stack          []Series // from the bottom up, MaxSeries at most
	Most           Series   // the most at once: a line over the stack
	Limit          Series   // the size of the pool: a line; 0 where it is not known
	Refused        Series   // bars under it, on the same axis of time
}

// Series is a row of numbers with a name.
type Series struct {
	Name   string
	Values []float64
	// Rest marks the series that stands for all the others: grey, no number.
	Rest bool
}

// What a page holds at most.
const (
	MaxBytes   = 1 << 20 // of the whole file
	MaxRows    = 1000    // of a table
	MaxSeries  = 9       // of a stack, the rest included
	MaxBuckets = 400     // of a chart
	MaxText    = 160     // characters of a cell, a name or a command
	MaxLine    = 2000    // characters of a sentence
)
