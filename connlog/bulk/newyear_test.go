package bulk

import (
	"testing"
	"time"
)

// TestFilesOverNewYear puts files whose stamps name no year into two years, if
// they are of two.
func TestFilesOverNewYear(t *testing.T) {
	day := func(text string) time.Time {
		at, err := time.Parse(time.DateOnly, text)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	written := day("2026-06-01")
	file := func(begins string, modified time.Time) waiting {
		return waiting{begins: day(begins), modified: modified, yearless: true}
	}
	for name, c := range map[string]struct {
		files []waiting
		want  []string
	}{
		"over New Year": {
			[]waiting{file("2025-01-02", written), file("2025-12-30", written), file("2025-01-09", written), file("2025-12-23", written)},
			[]string{"2026-01-02", "2025-12-30", "2026-01-09", "2025-12-23"},
		},
		"a whole year": {
			[]waiting{file("2025-01-01", written), file("2025-04-01", written), file("2025-08-01", written), file("2025-12-01", written)},
			[]string{"2025-01-01", "2025-04-01", "2025-08-01", "2025-12-01"},
		},
		"one long file, and one after it": {
			[]waiting{file("2025-01-01", day("2025-12-30")), file("2025-12-30", day("2026-01-05"))},
			[]string{"2025-01-01", "2025-12-30"},
		},
		"years that were read": {
			[]waiting{{begins: day("2025-01-02")}, file("2025-12-30", written), {}},
			[]string{"2025-01-02", "2025-12-30", "0001-01-01"},
		},
	} {
		overNewYear(c.files)
		for i, want := range c.want {
			if got := c.files[i].begins.Format(time.DateOnly); got != want {
				t.Errorf("%s: file %d begins %s, want %s", name, i, got, want)
			}
		}
	}
}
