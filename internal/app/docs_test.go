package app_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"overstay/detector"
)

// TestPoliciesAreDocumented wants each figure in docs/policies.md as the
// detector describes it, and each built-in policy.
func TestPoliciesAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/policies.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range detector.Figures() {
		if want := fmt.Sprintf("\n| `%s` | %s | %s |\n", f.Name, f.Unit, f.Meaning); !strings.Contains(string(text), want) {
			t.Errorf("docs/policies.md lacks %q", want)
		}
	}
	for _, p := range detector.DefaultPolicies() {
		if !strings.Contains(string(text), "\n| `"+p.Name+"` |") {
			t.Errorf("docs/policies.md does not tell of %s", p.Name)
		}
	}
}
