package main

import (
	"strings"
	"testing"
	"time"

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
