package main

import (
	"fmt"
	"io"
	"time"

	"overstay/internal/app"
)

// progress is one line on a terminal that says how far the reading is. Where
// there is no terminal it says nothing.
type progress struct {
	out     io.Writer // nil: nobody looks
	began   time.Time // of the pass
	said    time.Time
	pass    int
	written bool
}

const (
	// progressAfter is for how long nothing is said: most is over by then.
	progressAfter = 500 * time.Millisecond
	// progressEvery is the time between two lines.
	progressEvery = 200 * time.Millisecond
)

func newProgress(out io.Writer) *progress {
	if _, _, ok := terminal(out); !ok {
		out = nil
	}
	return &progress{out: out}
}

// progressBeside is for a command whose result comes while it reads: where that
// scrolls by on a terminal there is no place for a line.
func progressBeside(u *ui) *progress {
	if _, _, shown := terminal(u.out); shown {
		return &progress{}
	}
	return newProgress(u.err)
}

// update draws the line anew, if it is time to.
func (p *progress) update(at app.Progress) {
	if p.out == nil {
		return
	}
	now := time.Now()
	if p.pass != at.Pass {
		p.pass, p.began, p.said = at.Pass, now, now.Add(progressAfter-progressEvery)
	}
	if now.Sub(p.said) < progressEvery {
		return
	}
	p.said, p.written = now, true
	columns, _, _ := terminal(p.out)
	_, _ = io.WriteString(p.out, "\r"+oneLine(progressText(at, now.Sub(p.began)), columns)+clearLine) // It is no result.
}

// oneLine cuts a line that could not be taken back once it is two on a terminal
// of so many columns.
func oneLine(text string, columns int) string {
	if columns > 0 && len(text) >= columns {
		return text[:columns-1]
	}
	return text
}

// end takes the line away.
func (p *progress) end() {
	if p.written {
		_, _ = io.WriteString(p.out, "\r"+clearLine)
	}
}

// progressText says how much was read in a time, how fast, and how long the
// rest will take.
func progressText(at app.Progress, took time.Duration) string {
	verb := "Reading"
	if at.Pass > 1 {
		verb = "Reading again"
	}
	rate := float64(at.Done) / max(took.Seconds(), 1e-3)
	if at.Total <= 0 || rate <= 0 {
		return fmt.Sprintf("%s: %s, %s/s", verb, bytesText(float64(at.Done)), bytesText(rate))
	}
	left := time.Duration(float64(max(at.Total-at.Done, 0)) / rate * float64(time.Second))
	return fmt.Sprintf("%s: %3.0f %% of %s, %s/s, %s left", verb, 100*float64(at.Done)/float64(at.Total), bytesText(float64(at.Total)), bytesText(rate), left.Round(time.Second))
}

// bytesText writes a number of bytes in the unit that fits.
func bytesText(n float64) string {
	for _, unit := range []string{"B", "kB", "MB"} {
		if n < 1000 {
			return fmt.Sprintf("%.3g %s", n, unit)
		}
		n /= 1000
	}
	return fmt.Sprintf("%.3g GB", n)
}
