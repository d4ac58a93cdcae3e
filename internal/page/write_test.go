package page_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"flag"
	"fmt"
	"html"
	"maps"
	"math"
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

// TestContrast computes the contrast of every text with what is behind it, in
// both schemes, as the Web Content Accessibility Guidelines 2.2 do (1.4.3), and
// that of what has to be told apart from the paper (1.4.11).
func TestContrast(t *testing.T) {
	text := written(t, sample(12))
	light, dark, found := strings.Cut(text, "prefers-color-scheme: dark")
	if !found {
		t.Fatal("no dark scheme")
	}
	dark, _, _ = strings.Cut(dark, "\n}\n")
	colours := coloursOf(light)
	check := func(scheme string) {
		readable := [][2]string{
			{"ink", "paper"}, {"ink", "raised"}, {"faint", "paper"}, {"faint", "raised"}, {"limit", "paper"},
			{"ink", "good-wash"}, {"ink", "warn-wash"}, {"ink", "bad-wash"}, {"good", "good-wash"}, {"warn", "warn-wash"}, {"bad", "bad-wash"},
		}
		for i := 1; i < page.MaxSeries; i++ {
			readable = append(readable, [2]string{fmt.Sprintf("n%d", i), fmt.Sprintf("s%d", i)})
		}
		for _, pair := range readable {
			if got := contrast(t, colours[pair[0]], colours[pair[1]]); got < 4.5 {
				t.Errorf("%s: %s on %s has a contrast of %.2f, want 4.5", scheme, pair[0], pair[1], got)
			}
		}
		for _, name := range []string{"limit", "most", "refused"} {
			if got := contrast(t, colours[name], colours["paper"]); got < 3 {
				t.Errorf("%s: %s has a contrast of %.2f to the paper, want 3", scheme, name, got)
			}
		}
	}
	check("light")
	maps.Copy(colours, coloursOf(dark))
	check("dark")
}

func coloursOf(style string) map[string]string {
	all := map[string]string{}
	for _, m := range regexp.MustCompile(`--([a-z0-9-]+): (#[0-9a-f]+);`).FindAllStringSubmatch(style, -1) {
		all[m[1]] = m[2]
	}
	return all
}

func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	x, y := luminance(t, a), luminance(t, b)
	return (max(x, y) + .05) / (min(x, y) + .05)
}

// luminance is the relative luminance of an sRGB colour (WCAG 2.2, glossary).
func luminance(t *testing.T, colour string) float64 {
	t.Helper()
	digits := strings.TrimPrefix(colour, "#")
	if len(digits) == 3 {
		digits = digits[:1] + digits[:1] + digits[1:2] + digits[1:2] + digits[2:] + digits[2:]
	}
	rgb, err := hex.DecodeString(digits)
	if err != nil || len(rgb) != 3 {
		t.Fatalf("%q is no colour", colour)
	}
	sum := 0.0
	for i, weight := range []float64{.2126, .7152, .0722} {
		v := float64(rgb[i]) / 255
		if v <= .04045 {
			v /= 12.92
		} else {
			v = math.Pow((v+.055)/1.055, 2.4)
		}
		sum += weight * v
	}
	return sum
}
