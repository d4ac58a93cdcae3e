package app

import (
	"strings"
	"testing"

	"overstay/detector"
)

// TestFiguresThatTellOfProofs goes by what the figures are said to mean.
func TestFiguresThatTellOfProofs(t *testing.T) {
	found := 0
	for _, f := range detector.Figures() {
		text := f.Name + " " + f.Meaning
		want := strings.Contains(text, "proven") || strings.Contains(text, "prove ") || strings.Contains(text, "proved") || strings.HasPrefix(f.Name, "by_message")
		if got := asksForProofs("1 < " + f.Name + "*2"); got != want {
			t.Errorf("%s (%s): %t", f.Name, f.Meaning, got)
		}
		if want {
			found++
		}
	}
	if found < 30 {
		t.Errorf("only %d figures tell of proofs", found)
	}
	for condition, want := range map[string]bool{
		"open >= 5 && load1 > 0.5*pool.threads": false, "open>=5&&proven15<1": true, "pool.refused >= 1 && max(1,pool.rush)>2": true, "fails > 3": false,
	} {
		if asksForProofs(condition) != want {
			t.Errorf("%q: %t", condition, !want)
		}
	}
}
