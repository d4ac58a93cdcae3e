package page_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"flag"
	"html"
	"os"
	"regexp"
	"strings"
	"testing"

	"overstay/internal/page"
)

var update = flag.Bool("update", false, "write the golden files anew")

// written is a page as text.
func written(t *testing.T, p *page.Page) string {
	t.Helper()
	var text bytes.Buffer
	if err := page.Write(&text, p); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

// TestGolden compares a small page to the letter.
func TestGolden(t *testing.T) {
	const file = "testdata/sample.html"
	got := written(t, sample(12))
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the page is another one; look at it with -update and git diff")
	}
}

// TestPageAsksForNothing wants no address of anything in a page, no script, and
// a policy that forbids both.
func TestPageAsksForNothing(t *testing.T) {
	text := written(t, sample(12))
	for _, word := range []string{"http:", "https:", "//", "url(", "@import", "<script", "<link", "<img", "<iframe", "<object", "<form", " src=", " href=", " style=", " on"} {
		at := strings.Index(text, word)
		if word == " on" && at >= 0 && !regexp.MustCompile(`<[^>]* on[a-z]+=`).MatchString(text) {
			continue
		}
		if at >= 0 {
			t.Errorf("the page has %q: …%s…", word, text[max(0, at-20):at+30])
		}
	}
	_, rest, _ := strings.Cut(text, "<style>")
	style, _, _ := strings.Cut(rest, "</style>")
	sum := sha256.Sum256([]byte(style))
	want := `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'sha256-` + base64.StdEncoding.EncodeToString(sum[:]) + `'; base-uri 'none'; form-action 'none'">`
	if !strings.Contains(html.UnescapeString(text), want) {
		t.Errorf("the page's policy is not\n%s", want)
	}
}

// TestEmptyPage writes what has nothing to say.
func TestEmptyPage(t *testing.T) {
	text := written(t, &page.Page{Title: "empty.log"})
	for _, tag := range []string{"<section", "<table", "<figure", "<dl", "<footer"} {
		if strings.Contains(text, tag) {
			t.Errorf("the page has a %s> with nothing in it", tag)
		}
	}
}
