package app_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"overstay/detector"
)

// TestPoliciesAreDocumented wants each figure in docs/policies.md as the
// detector describes it, with an example that is a condition and asks for it,
// and each built-in policy.
func TestPoliciesAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/policies.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range detector.Figures() {
		row := fmt.Sprintf("\n| `%s` | %s | %s | `", f.Name, f.Unit, f.Meaning)
		_, rest, found := strings.Cut(string(text), row)
		if !found {
			t.Errorf("docs/policies.md lacks %q", row)
			continue
		}
		example, _, _ := strings.Cut(rest, "` |\n")
		p := detector.Policy{Name: "example", When: example, Action: detector.Ban, Duration: time.Minute}
		if strings.HasPrefix(f.Name, "net.") {
			p.Level = detector.LevelNet
		}
		if err := p.Check(); err != nil || !strings.Contains(example, f.Name) {
			t.Errorf("the example of %s, %q: %v", f.Name, example, err)
		}
	}
	for _, p := range detector.DefaultPolicies() {
		if !strings.Contains(string(text), "\n| `"+p.Name+"` |") {
			t.Errorf("docs/policies.md does not tell of %s", p.Name)
		}
	}
}
