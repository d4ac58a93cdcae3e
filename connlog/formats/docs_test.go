package formats

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"overstay/connlog"
)

const docs = "../../docs/formats.md"

// row is the line of the table that says what a format gives.
func row(f Format) string {
	yes := func(b bool) string {
		if b {
			return "yes"
		}
		return "no"
	}
	clock := map[time.Duration]string{time.Second: "1 s", time.Millisecond: "1 ms", time.Microsecond: "1 µs"}[f.Gives.Clock]
	return fmt.Sprintf("| [`%s`](#%s) | %s | %s | %s | %s | %s | %s |", f.Name, f.Name, f.Meaning,
		yes(f.Gives.Opens), yes(f.Gives.Durations), yes(f.Gives.Outcomes), yes(f.Gives.Refusals), clock)
}

// TestDocs holds docs/formats.md to the formats: each has its row, what must
// be known, and lines that are of it.
func TestDocs(t *testing.T) {
	b, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	sections := map[string]string{}
	for _, s := range strings.Split(text, "\n### ")[1:] {
		name, body, _ := strings.Cut(s, "\n")
		body, _, _ = strings.Cut(body, "\n## ")
		sections[name] = body
	}
	for _, f := range All() {
		if want := row(f); !strings.Contains(text, "\n"+want+"\n") {
			t.Errorf("the table lacks\n%s", want)
		}
		body, ok := sections[f.Name]
		if !ok {
			t.Errorf("%s has no section", f.Name)
			continue
		}
		delete(sections, f.Name)
		if !strings.Contains(body, "\n*"+f.Gives.Note+"*\n") {
			t.Errorf("%s: its section does not say\n*%s*", f.Name, f.Gives.Note)
		}
		if !strings.Contains(body, "\nTo learn more: ") {
			t.Errorf("%s: its section does not say how to learn more", f.Name)
		}
		checkDocLines(t, f, body)
	}
	for name := range sections {
		t.Errorf("there is no format %q", name)
	}
}

// checkDocLines parses the first block of a section.
func checkDocLines(t *testing.T, f Format, body string) {
	_, block, _ := strings.Cut(body, "\n```\n")
	block, _, ok := strings.Cut(block, "```")
	if !ok {
		t.Errorf("%s has no lines", f.Name)
		return
	}
	p, events := f.NewParser(Options{Now: now()}), 0
	for line := range strings.Lines(block) {
		err := p.Parse([]byte(line), func(*connlog.Event) { events++ })
		if err != nil && !errors.Is(err, ErrSkip) {
			t.Errorf("%s: %v: %s", f.Name, err, line)
		}
	}
	if events == 0 {
		t.Errorf("%s: its lines tell nothing", f.Name)
	}
	if d, _ := Detect([]byte(block)); d.Name != f.Name {
		t.Errorf("%s: its lines are taken for %q", f.Name, d.Name)
	}
}

// TestDocsLayouts holds the layouts and mappings of the text to what is read.
func TestDocsLayouts(t *testing.T) {
	b, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	layouts := regexp.MustCompile(`--log-format '([^']*)'|\n    LogFormat "(.*)" \w+\n|log_format \w+ '([^{'][^']*)'`).FindAllStringSubmatch(string(b), -1)
	if len(layouts) != 3 {
		t.Errorf("%d layouts, want 3", len(layouts))
	}
	for _, l := range layouts {
		f, err := Layout(l[1] + l[2] + l[3])
		if err != nil || !f.Gives.Durations {
			t.Errorf("%q: %v, %+v", l[0], err, f.Gives)
		}
	}
	caddy, err := Mapping{Address: "request.client_ip", End: "ts", Duration: "duration", Status: "status"}.JSON()
	if err != nil {
		t.Fatal(err)
	}
	var got connlog.Event
	line := `{"ts":1795437330.7564,"msg":"handled request","request":{"remote_ip":"192.0.2.1","client_ip":"203.0.113.9"},"duration":14.25,"status":200}`
	if err := caddy.NewParser(Options{}).Parse([]byte(line), func(e *connlog.Event) { got = *e }); err != nil || got.ClientIP.String() != "203.0.113.9" || got.Held != 14250*time.Millisecond {
		t.Errorf("%+v (%v)", got, err)
	}
}

var addressLike = regexp.MustCompile(`\b\d{1,3}(\.\d{1,3}){3}\b`)

// TestDocsAreOfNobody wants only addresses that are made for documents.
func TestDocsAreOfNobody(t *testing.T) {
	b, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range addressLike.FindAllString(string(b), -1) {
		addr, err := netip.ParseAddr(text)
		ok := false
		for _, p := range []string{"192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "127.0.0.0/8"} {
			ok = ok || err == nil && netip.MustParsePrefix(p).Contains(addr)
		}
		if !ok {
			t.Errorf("%s may be somebody's", text)
		}
	}
}
