package banlist

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParseForm(t *testing.T) {
	for form, want := range map[string]string{
		"192.0.2.1":                 "192.0.2.1/32",
		"::ffff:192.0.2.1":          "192.0.2.1/32",
		"2001:db8::1":               "2001:db8::1/128",
		"fe80::1%eth0":              "fe80::1/128",
		"192.0.2.77/24":             "192.0.2.0/24",
		"2001:db8::77/32":           "2001:db8::/32",
		"192.0.2.*":                 "192.0.2.0/24",
		"192.0.*":                   "192.0.0.0/16",
		"192.0.*.*":                 "192.0.0.0/16",
		"192.*":                     "192.0.0.0/8",
		"192.0.2.10-10":             "192.0.2.10/32",
		"192.0.2.0-255":             "192.0.2.0/24",
		"192.0.2.10-20":             "192.0.2.10/31 192.0.2.12/30 192.0.2.16/30 192.0.2.20/32",
		"192.0.2.254-192.0.3.1":     "192.0.2.254/31 192.0.3.0/31",
		"0.0.0.0-255.255.255.255":   "0.0.0.0/0",
		"2001:db8::-2001:db8::ffff": "2001:db8::/112",
		"2001:db8::1-2001:db8::2":   "2001:db8::1/128 2001:db8::2/128",
		"ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff": "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127",

		"": "", "*": "", "*.2.3.4": "", "192.0.*.4": "", "192.0.2.1.*": "", "192.0.2.1*": "", "192.0.256.*": "",
		"192.0.02.*": "", "192.0.2.20-10": "", "192.0.2.1-": "", "-192.0.2.1": "", "192.0.2.1-256": "",
		"192.0.2.1-2001:db8::1": "", "2001:db8::1-5": "", "192.0.2.1/33": "", "192.0.2": "", "host.example": "",
		"192.0.2.0/24-192.0.3.0/24": "", "192.0.2.1-5-9": "",
	} {
		got, err := ParseForm(form)
		if strings.Trim(fmt.Sprint(got), "[]") != want || (err == nil) != (want != "") || err != nil && !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: %v %v, want %s", form, got, err, want)
		}
	}
}

// A range is covered exactly, by few prefixes.
func TestCoverRange(t *testing.T) {
	for lo := 0; lo < 256; lo += 5 {
		for hi := lo; hi < 256; hi++ {
			first, last := netip.AddrFrom4([4]byte{192, 0, 2, byte(lo)}), netip.AddrFrom4([4]byte{192, 0, 2, byte(hi)})
			var seen int
			cover := coverRange(first, last)
			for _, p := range cover {
				seen += 1 << (32 - p.Bits())
				if p != p.Masked() || p.Addr().Less(first) || last.Less(lastAddr(p)) {
					t.Fatalf("%v to %v: %v", first, last, cover)
				}
			}
			if seen != hi-lo+1 || len(cover) > 14 {
				t.Fatalf("%v to %v: %v", first, last, cover)
			}
		}
	}
	widest := coverRange(addr("::1"), addr("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe"))
	if len(widest) != 254 {
		t.Errorf("%d prefixes", len(widest))
	}
}

// say writes items as lines: "+prefix reason" for a ban, "!" for an exception.
func say(t testing.TB, items func(func(Item, error) bool)) []string {
	t.Helper()
	var out []string
	for it, err := range items {
		switch {
		case err != nil:
			out = append(out, "error "+strings.SplitN(err.Error(), ":", 2)[0])
		case it.Ban != nil:
			out = append(out, fmt.Sprintf("%d +%v %s", it.Line, it.Ban.Prefix, it.Ban.Reason))
		default:
			out = append(out, fmt.Sprintf("%d !%v %s", it.Line, it.Allow.Prefix, it.Allow.Note))
		}
	}
	return out
}

func TestParseText(t *testing.T) {
	in := "\uFEFF# a list\r\n\r\n192.0.2.1\r\n  192.0.2.2   #  slow # very \r\n!198.51.100.* # office\nnonsense\n! 203.0.113.1-2\n2001:db8::/32#six"
	equal(t, "text", []string{
		"3 +192.0.2.1/32 ", "4 +192.0.2.2/32 slow # very", "5 !198.51.100.0/24 office", "error line 6",
		"7 !203.0.113.1/32 ", "7 !203.0.113.2/32 ", "8 +2001:db8::/32 six",
	}, say(t, ParseText(strings.NewReader(in))))
}

func TestParseInverted(t *testing.T) {
	in := "# who may connect\n*\n!192.0.2.1, !192.0.2.2 !198.51.100.10-11 # spam\n198.51.100.10\n!bad\n"
	equal(t, "inverted", []string{
		"3 +192.0.2.1/32 spam", "3 +192.0.2.2/32 spam", "3 +198.51.100.10/31 spam", "4 !198.51.100.10/32 ", "error line 5",
	}, say(t, ParseInverted(strings.NewReader(in))))
	equal(t, "one line", []string{"1 +192.0.2.1/32 "}, say(t, ParseInverted(strings.NewReader("*,!192.0.2.1"))))
	equal(t, "not inverted", []string{"error line 1"}, say(t, ParseInverted(strings.NewReader("192.0.2.1\n!192.0.2.2"))))
}

func TestParseTextLongLine(t *testing.T) {
	in := io.MultiReader(strings.NewReader("192.0.2.1\n"), strings.NewReader(strings.Repeat("x", 10<<20)))
	last := errors.New("none")
	for _, err := range ParseText(in) {
		last = err
	}
	if !errors.Is(last, ErrInvalid) || !strings.Contains(last.Error(), "line 2") {
		t.Error(last)
	}
}

var fromFile = ImportOptions{Origin: "import:list.txt", By: "operator:me"}

func TestImportTextAllOrNothing(t *testing.T) {
	l := fresh(t)
	const in = "192.0.2.1 # slow\n!192.0.2.2\nbad\n0.0.0.0-127.255.255.255\n192.0.2.2\n"
	res, err := l.Import(t.Context(), ParseText(strings.NewReader(in)), fromFile)
	var bad *LineError
	if !errors.As(err, &bad) || bad.Line != 3 || !errors.Is(err, ErrTooWide) || len(res.Errors) != 2 {
		t.Fatal(res, err)
	}
	states(t, l)
	skip := fromFile
	skip.Skip = true
	res, err = l.Import(t.Context(), ParseText(strings.NewReader(in)), skip)
	if err != nil || res.Skipped != 2 || res.Allowed != 1 || res.Outcomes[Banned] != 1 || res.Outcomes[Exempt] != 1 {
		t.Fatal(res, err)
	}
	blocked(t, l, "smtp", "192.0.2.1", "!192.0.2.2", "!1.2.3.4")
	if b, ok := l.Match(addr("192.0.2.1"), ""); !ok || b.Origin != "import:list.txt" || b.Reason != "slow" || !b.Expires.IsZero() {
		t.Errorf("%+v", b)
	}
	// The same again changes nothing; after a lift it bans again.
	res, err = l.Import(t.Context(), ParseText(strings.NewReader("192.0.2.1")), fromFile)
	if err != nil || res.Outcomes[Standing] != 1 {
		t.Error(res, err)
	}
	if _, err := l.Lift(t.Context(), "192.0.2.1", me); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Import(t.Context(), ParseText(strings.NewReader("192.0.2.1")), fromFile); err != nil {
		t.Fatal(err)
	}
	blocked(t, l, "smtp", "192.0.2.1")
}

func TestExportTextServices(t *testing.T) {
	l := fresh(t)
	smtp := ban("b", "192.0.2.2/32")
	smtp.Services = []string{"smtp"}
	decide(t, l, []Ban{ban("a", "192.0.2.0/28"), smtp, suggest("c", "192.0.2.3/32")}, Banned, Banned, Waiting)
	if _, err := l.Allow(t.Context(), Allowance{Prefix: pfx("198.51.100.0/24"), Note: "office"}); err != nil {
		t.Fatal(err)
	}
	for service, want := range map[string]string{
		"":     "192.0.2.0/28 # holds threads\n!198.51.100.0/24 # office\n1",
		"www":  "192.0.2.0/28 # holds threads\n!198.51.100.0/24 # office\n1",
		"smtp": "192.0.2.0/28 # holds threads\n192.0.2.2 # holds threads\n!198.51.100.0/24 # office\n0",
	} {
		var out bytes.Buffer
		n, err := l.ExportText(t.Context(), &out, service)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, service, want, out.String()+fmt.Sprint(n))
	}
}

func TestImportLong(t *testing.T) {
	n := 2*importBatch + 5
	if testing.Short() || raced {
		n = importBatch + 5
	}
	l, other := fresh(t), 0
	items := func(yield func(Item, error) bool) {
		for p := range crowd(n, 9) {
			if !yield(Item{Ban: &Ban{Prefix: p}}, nil) {
				return
			}
		}
	}
	res, err := l.Import(t.Context(), items, fromFile)
	if err != nil || res.Outcomes[Banned] != n || l.Size() != n {
		t.Fatal(res, err, l.Size())
	}
	for p := range crowd(n, 9) {
		if !l.Blocked(p.Addr(), "www") {
			other++
		}
	}
	if other > 0 {
		t.Errorf("%d of %d do not block", other, n)
	}
}

// filledSmall returns a list with entries in every state.
func filledSmall(t *testing.T) *List {
	l := fresh(t)
	ctx := t.Context()
	smtp := ban("smtp", "192.0.2.9/32")
	smtp.Services, smtp.Evidence = []string{"imap", "smtp"}, []byte(`{"a":"<&>\u2028","b":[1,2.50]}`)
	past := ban("past", "192.0.2.10/32")
	past.Decided = past.Decided.Add(-2 * time.Hour)
	decide(t, l, []Ban{ban("a", "192.0.2.1/32"), suggest("s", "192.0.2.2/32"), suggest("r", "192.0.2.3/32"),
		ban("l", "2001:db8::/64"), smtp, past}, Banned, Waiting, Waiting, Banned, Banned, Past)
	if _, err := l.Reject(ctx, "r", time.Hour, me); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Lift(ctx, "l", me); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Allow(ctx, Allowance{Prefix: pfx("198.51.100.0/24"), Note: "office", By: "me", Expires: time.Now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	return l
}

func TestJSONRoundTrip(t *testing.T) {
	l := filledSmall(t)
	var out bytes.Buffer
	if err := l.ExportJSON(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	m := fresh(t)
	for _, want := range []int{0, 6} { // The second time all is known.
		res, err := m.Import(t.Context(), ParseJSON(bytes.NewReader(out.Bytes())), fromFile)
		if err != nil || res.Outcomes[Known] != want {
			t.Fatal(res, err)
		}
	}
	var again bytes.Buffer
	if err := m.ExportJSON(t.Context(), &again); err != nil {
		t.Fatal(err)
	}
	equal(t, "export of the import", out.String(), again.String())
	blocked(t, m, "smtp", "192.0.2.1", "192.0.2.9", "!192.0.2.2", "!2001:db8::1")
	decide(t, m, []Ban{ban("l", "2001:db8::/64")}, Known)
}

func TestParseJSONErrors(t *testing.T) {
	const head = `{"format":"overstay-banlist","version":1}` + "\n"
	for in, line := range map[string]int{
		"":                               0,
		"192.0.2.1\n":                    1,
		`{"format":"other","version":1}`: 1,
		`{"format":"overstay-banlist","version":2}`: 1,
		head + "{}":                                     2,
		head + "\n{\"ban\":{},\"allow\":{}}":            3,
		head + `{"ban":{"id":"x","prefix":"nonsense"}}`: 2,
		head + `{"ban":{"id":"x","prefix":"192.0.2.1/32","origin":"policy:x","state":"active"}}`:                                  2,
		head + `{"ban":{"id":"x","prefix":"192.0.2.1/32","origin":"policy:x","state":"odd","decided":"2026-01-01T00:00:00Z"}}`:    2,
		head + `{"ban":{"id":"x","prefix":"192.0.2.1/32","origin":"policy:x","duration":"5 apples"}}`:                             2,
		head + `{"ban":{"id":"x","prefix":"192.0.2.1/32","origin":"policy:x","state":"lifted","decided":"2026-01-01T00:00:00Z"}}`: 0,
	} {
		_, err := fresh(t).Import(t.Context(), ParseJSON(strings.NewReader(in)), fromFile)
		var bad *LineError
		got := 0
		if errors.As(err, &bad) {
			got = bad.Line
		}
		if got != line || (err == nil) != (line == 0) {
			t.Errorf("%s: %v, want line %d", in, err, line)
		}
	}
}

// Whatever a file holds, reading it ends, and what is read is well formed.
// What is written of it reads as the same.
func FuzzParseText(f *testing.F) {
	for _, s := range []string{"192.0.2.1 # slow\n!192.0.2.*\n", "192.0.2.1-198.51.100.7", "2001:db8::-2001:db8::ffff # x # y",
		"*\n!192.0.2.1, 192.0.2.2\r\n", "\uFEFF::ffff:192.0.2.1/120\n\xff", "fe80::1%eth0#\u202e"} {
		f.Add(s, false)
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, in string, inverted bool) {
		parse := ParseText
		if inverted {
			parse = ParseInverted
		}
		var items []string
		var out strings.Builder
		for it, err := range parse(strings.NewReader(in)) {
			if err != nil {
				continue
			}
			if err := it.check(ImportOptions{Origin: "import:x", Force: true}, now()); err != nil {
				if !errors.Is(err, ErrTooWide) { // Nobody allows everybody.
					t.Fatal(err)
				}
				continue
			}
			var mark, reason string
			var p netip.Prefix
			if it.Ban != nil {
				p, reason = it.Ban.Prefix, it.Ban.Reason
			} else {
				mark, p, reason = "!", it.Allow.Prefix, it.Allow.Note
			}
			line := mark + shortPrefix(p)
			if reason != "" {
				line += " # " + reason
			}
			items = append(items, fmt.Sprint(mark, p, reason))
			out.WriteString(line + "\n")
		}
		var again []string
		for it, err := range ParseText(strings.NewReader(out.String())) {
			if err != nil {
				t.Fatal(err)
			}
			if it.Ban != nil {
				again = append(again, fmt.Sprint("", it.Ban.Prefix, it.Ban.Reason))
			} else {
				again = append(again, fmt.Sprint("!", it.Allow.Prefix, it.Allow.Note))
			}
		}
		if !slices.Equal(items, again) {
			t.Fatalf("%q, again %q", items, again)
		}
	})
}

// What an import of JSON takes, an export gives back, and that imports as the
// same.
func FuzzParseJSON(f *testing.F) {
	const head = `{"format":"overstay-banlist","version":1}` + "\n"
	for _, s := range []string{
		head + `{"ban":{"id":"x","prefix":"192.0.2.1/32","services":["smtp"],"origin":"policy:x","state":"active","decided":"2026-01-01T00:00:00Z","duration":"1h0m0s","evidence":{"a":[1]}}}`,
		head + `{"allow":{"prefix":"2001:db8::/48","note":"a \u0000 note","expires":"2026-01-01T00:00:00Z"}}`,
		head + "{}\n\n{\"ban\":null}", "x",
		head + `{"ban":{"prefix":"::ffff:192.0.2.1/128"}}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		first := rewrite(t, in, true)
		if again := rewrite(t, first, false); again != first {
			t.Fatalf("%s, again\n%s", first, again)
		}
	})
}

// rewrite reads an export, and writes what can be imported of it.
func rewrite(t *testing.T, in string, hostile bool) string {
	var out strings.Builder
	enc := json.NewEncoder(&out)
	if err := enc.Encode(exportHead{exportFormat, exportVersion}); err != nil {
		t.Fatal(err)
	}
	for it, err := range ParseJSON(strings.NewReader(in)) {
		if err == nil {
			err = it.check(ImportOptions{Origin: "import:x", Force: true}, time.Unix(1e9, 0).UTC())
		}
		if err != nil && hostile {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if it.Ban != nil && it.Ban.Decided.IsZero() {
			continue // It gets its time from the list.
		}
		if err := enc.Encode(exportLine{Ban: it.Ban, Allow: it.Allow}); err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}
