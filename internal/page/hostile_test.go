package page_test

import (
	"bytes"
	"fmt"
	"html"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"overstay/internal/page"
)

// hostile are texts that mean harm to a page.
var hostile = []string{
	`<script>alert(1)</script>`, `"><svg onload=alert(1)>`, `'><img src=x onerror=alert(1)>`, "` onmouseover=alert(1) x=`",
	`javascript:alert(1)`, `</title><script>`, `</style><script>`, `<!--`, `]]>`, `{{.Page}}`, `&lt;script&gt;`, `&#60;script&#62;`,
	"a\u202egnp.exe", "\u2066\u2067\u2068\u2069", "nul\x00nul", "bad \xff\xfe utf-8", "esc\x1b[2J", "line\u2028line\nline\r", "\ufeff\u200b\u200d",
	strings.Repeat("x", 10_000), strings.Repeat("界", 10_000), "z" + strings.Repeat("\u0300", 5000), "+ADw-script+AD4-",
}

// everywhere is a page with a text in every place that there is.
func everywhere(s string) *page.Page {
	p := sample(12)
	p.Title, p.Lead, p.Foot = s, s, s
	p.Verdicts = []page.Verdict{{Tone: page.Tone(s), Word: s, Text: []string{s}, Advice: []page.Advice{{Text: s, Command: s}}}}
	p.Facts = []page.Fact{{Name: s, Value: s, Note: s}}
	c := &p.Charts[0]
	c.Title, c.Caption, c.Name = s, s, s
	c.Most.Name, c.Limit.Name, c.Refused.Name = s, s, s
	for i := range c.Stack {
		c.Stack[i].Name = s
	}
	p.Tables = []page.Table{{
		Title: s, Caption: s, More: s, Columns: []page.Column{{Name: s}, {Name: s, Number: true}, {Name: s}},
		Rows: []page.Row{{Cells: []string{s, s, s}, Part: .5, Series: 1}},
	}}
	p.Notes = page.Notes{Title: s, Lines: []string{s}}
	return p
}

// A tag, with the values of its attributes apart.
var (
	tagPattern   = regexp.MustCompile(`<[^>]*>`)
	valuePattern = regexp.MustCompile(`"[^"]*"`)
)

// skeleton is the page without its texts: its tags and their attributes' names.
func skeleton(text string) []string {
	var all []string
	for _, tag := range tagPattern.FindAllString(text, -1) {
		all = append(all, valuePattern.ReplaceAllString(strings.Replace(tag, ` class="wide"`, "", 1), `""`)) // That is of long texts.
	}
	return all
}

// TestHostileText puts hostile texts in every place, and wants the tags of a
// page with harmless ones, and nothing that hides, turns around or overflows.
func TestHostileText(t *testing.T) {
	harmless := skeleton(written(t, everywhere("harmless")))
	for _, s := range hostile {
		wantHarmless(t, harmless, s)
	}
}

func wantHarmless(t *testing.T, harmless []string, s string) {
	t.Helper()
	text := written(t, everywhere(s))
	if got := skeleton(text); !slices.Equal(got, harmless) {
		t.Errorf("%.60q changes the tags of the page", s)
	}
	if !utf8.ValidString(text) {
		t.Errorf("%.60q: the page is no UTF-8", s)
	}
	if i := strings.IndexFunc(text, func(r rune) bool {
		return r < ' ' && r != '\n' || r == 0x7f || r >= 0x200b && r <= 0x200f || r >= 0x2028 && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0xfeff
	}); i >= 0 {
		t.Errorf("%.60q: the page has a character that cannot be seen: %q", s, text[i:min(i+8, len(text))])
	}
	if len(text) > 200_000 {
		t.Errorf("%.60q: a page of %d bytes", s, len(text))
	}
}

func FuzzHostileText(f *testing.F) {
	for _, s := range hostile {
		f.Add(s)
	}
	var text bytes.Buffer
	if err := page.Write(&text, everywhere("harmless")); err != nil {
		f.Fatal(err)
	}
	harmless := skeleton(text.String())
	f.Fuzz(func(t *testing.T, s string) {
		if s != "" { // An empty text leaves its place out.
			wantHarmless(t, harmless, s)
		}
	})
}

// TestCutText wants a long name cut and marked.
func TestCutText(t *testing.T) {
	text := written(t, &page.Page{Title: strings.Repeat("x", 10_000)})
	if want := "<title>" + strings.Repeat("x", page.MaxText) + "…</title>"; !strings.Contains(text, want) {
		t.Errorf("a title of 10,000 characters is not cut after %d", page.MaxText)
	}
}

// TestPageIsBounded writes more than fits, of short rows and of the longest
// ones, and wants a page within its bound that says what it left out.
func TestPageIsBounded(t *testing.T) {
	for name, test := range map[string]struct {
		cell string
		rows int
	}{
		"many":  {"203.0.113.1", page.MaxRows + 100},
		"large": {strings.Repeat("'", 10_000), 300}, // Each takes five bytes.
	} {
		table := page.Table{Title: "Sources", More: "and more."}
		for range 8 {
			table.Columns = append(table.Columns, page.Column{Name: test.cell, Number: true})
		}
		for range test.rows {
			table.Rows = append(table.Rows, page.Row{Cells: slices.Repeat([]string{test.cell}, 8)})
		}
		p := sample(page.MaxBuckets)
		p.Tables = []page.Table{table}
		text := written(t, p)
		if len(text) > page.MaxBytes {
			t.Errorf("%s: %d bytes, want %d at most", name, len(text), page.MaxBytes)
		}
		rows := strings.Count(text, "<tr") - strings.Count(text, "<thead")
		left := test.rows - rows
		if rows < 1 || left < 1 || !strings.Contains(html.UnescapeString(text), fmt.Sprintf("… +%d. and more.", left)) {
			t.Errorf("%s: %d rows are there and the page does not say that %d are not", name, rows, left)
		}
	}
	huge := &page.Page{}
	for range 600 {
		huge.Notes.Lines = append(huge.Notes.Lines, strings.Repeat("x", page.MaxLine))
	}
	if err := page.Write(&bytes.Buffer{}, huge); err == nil || err.Error() != page.ErrTooLarge.Error() {
		t.Errorf("sentences without end: error %v, want %v", err, page.ErrTooLarge)
	}
}

// TestTowersOfMarksAreCut wants two marks on a letter at most, as names have.
func TestTowersOfMarksAreCut(t *testing.T) {
	text := written(t, &page.Page{Title: "z" + strings.Repeat("\u0300", 50) + "e\u0301"})
	if want := "<title>z\u0300\u0300e\u0301</title>"; !strings.Contains(text, want) {
		t.Errorf("the title is not %q", want)
	}
}
