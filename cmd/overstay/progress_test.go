package main

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"overstay/internal/app"
)

func TestProgressText(t *testing.T) {
	for _, c := range []struct {
		at   app.Progress
		took time.Duration
		want string
	}{
		{app.Progress{Pass: 1, Done: 250e6, Total: 1e9}, time.Second, "Reading:  25 % of 1 GB, 250 MB/s, 3s left"},
		{app.Progress{Pass: 2, Done: 1e9, Total: 1e9}, 2 * time.Second, "Reading again: 100 % of 1 GB, 500 MB/s, 0s left"},
		{app.Progress{Pass: 1, Done: 1500}, time.Second, "Reading: 1.5 kB, 1.5 kB/s"},
		{app.Progress{Pass: 1, Total: 10}, time.Second, "Reading: 0 B, 0 B/s"},
	} {
		if got := progressText(c.at, c.took); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// TestNoProgressWithoutATerminal: a log of standard error must not be full of it.
func TestNoProgressWithoutATerminal(t *testing.T) {
	var out strings.Builder
	p := newProgress(&out)
	p.began = time.Now().Add(-time.Hour)
	p.update(app.Progress{Pass: 1, Done: 1, Total: 2})
	p.end()
	if out.Len() > 0 {
		t.Errorf("it says %q", &out)
	}
}

// TestProgressOnANarrowTerminal keeps to one line, which can be taken away, and
// lets a result that scrolls by alone.
func TestProgressOnANarrowTerminal(t *testing.T) {
	p := openPseudo(t)
	const columns = 20
	if err := unix.IoctlSetWinsize(int(p.tty.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 5, Col: columns}); err != nil {
		t.Skipf("no size of a terminal: %v", err)
	}
	if progressBeside(&ui{out: p.tty, err: p.tty}).out != nil {
		t.Error("it is drawn into a result that scrolls by")
	}
	line := progressBeside(&ui{out: &strings.Builder{}, err: p.tty})
	line.update(app.Progress{Pass: 1, Total: 1e9})
	line.said = time.Time{}
	line.update(app.Progress{Pass: 1, Done: 250e6, Total: 1e9})
	line.end()
	want := "\r" + "Reading:  25 % of 1 GB"[:columns-1] + clearLine + "\r" + clearLine
	for end := time.Now().Add(20 * time.Second); p.text() != want; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%q, want %q", p.text(), want)
		}
	}
}
