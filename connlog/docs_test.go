package connlog

import (
	"os"
	"strings"
	"testing"
)

// TestDocumentedLines parses every example of docs/connlog.md and writes it
// again as it stands there.
func TestDocumentedLines(t *testing.T) {
	text, err := os.ReadFile("../docs/connlog.md")
	if err != nil {
		t.Fatal(err)
	}
	var p Parser
	var e Event
	shown := make(map[Kind]bool)
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if !strings.HasPrefix(line, "{") {
			continue
		}
		if err := p.Parse([]byte(line), &e); err != nil {
			t.Errorf("%v: %s", err, line)
		}
		if again := string(Append(nil, &e)); again != line {
			t.Errorf("%s\nis written\n%s", line, again)
		}
		shown[e.Kind] = true
	}
	for k := Start; k <= Stop; k++ {
		if !shown[k] {
			t.Errorf("no example of %s", k)
		}
	}
	for s := range Stage(NumStages) {
		if !strings.Contains(string(text), "`"+s.String()+"`") {
			t.Errorf("stage %s is not described", s)
		}
	}
	for k := Start; k <= Stop; k++ {
		for _, key := range nativeKeys(k) {
			if name := strings.Trim(key.text, `,":`); !strings.Contains(string(text), "`"+name+"`") {
				t.Errorf("key %s of %s is not described", name, k)
			}
		}
	}
}
