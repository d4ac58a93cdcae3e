package smtp

import (
	"bytes"
	"strings"
	"testing"

	gosmtp "github.com/emersion/go-smtp"
)

// feed gives a text to t in pieces, and returns what goes out and how much of
// it was taken.
func feed(t *text, raw []byte, piece int) (out []byte, taken int) {
	for taken < len(raw) && !t.ended {
		taken += t.take(raw[taken:min(taken+piece, len(raw))])
	}
	return t.out, taken
}

func TestText(t *testing.T) {
	for _, c := range []struct {
		raw, mended string // mended is what a fixed one is, if the raw text is flawed
		flaw        *gosmtp.SMTPError
	}{
		{raw: ".\r\n"},
		{raw: "x\r\n.\r\n"},
		{raw: "\r\n.\r\n"},
		{raw: "..\r\n.x\r\n...\r\n.\r\n"},
		{raw: "x\n.\n\r\n.\r\n", flaw: errBare, mended: "x\r\n..\r\n\r\n.\r\n"},
		{raw: "x\n.\r\n\r\n.\r\n", flaw: errBare, mended: "x\r\n..\r\n\r\n.\r\n"},
		{raw: "x\r\n.\n\r\n.\r\n", flaw: errBare, mended: "x\r\n..\r\n\r\n.\r\n"},
		{raw: "x\r.\r\r\n.\r\n", flaw: errBare},
		{raw: "x\r.\r\n.\r\n", flaw: errBare, mended: "x .\r\n.\r\n"},
		{raw: "x\r\n.\r.\r\n.\r\n", flaw: errBare, mended: "x\r\n. .\r\n.\r\n"},
		{raw: "x\r\n.\r\r\ny\r\n.\r\n", flaw: errBare, mended: "x\r\n. \r\ny\r\n.\r\n"},
		{raw: "x\r\r\ny\r\n.\r\n", flaw: errBare, mended: "x \r\ny\r\n.\r\n"},
		{raw: "x\r\r\n.\r\n", flaw: errBare}, // Doubtful, so it is refused in any case.
		{raw: "x\n\r\n.\r\n", flaw: errBare, mended: "x\r\n\r\n.\r\n"},
		{raw: "\n.x\n\r\n.\r\n", flaw: errBare, mended: "\r\n..x\r\n\r\n.\r\n"},
		{raw: "a\x00b\r\n.\r\n", flaw: errNUL},
		{raw: strings.Repeat("x", maxLineBytes-2) + "\r\n.\r\n"},
		{raw: strings.Repeat("x", maxLineBytes+1) + "\r\n.\r\n", flaw: errLine},
		{raw: ".\x00\r\n.\r\n", flaw: errNUL},
		{raw: "." + strings.Repeat("\x00", 3) + "\r\n.\r\n", flaw: errNUL},
	} {
		for piece := 1; piece < 6; piece++ {
			for _, fix := range []bool{false, true} {
				x := &text{fix: fix}
				out, taken := feed(x, []byte(c.raw+"QUIT\r\n"), piece)
				want, flaw := c.raw, c.flaw
				if fix && c.mended != "" {
					want, flaw = c.mended, nil
				}
				if x.flaw != flaw || taken != len(c.raw) || !x.ended {
					t.Errorf("%.40q, fix %v: flaw %v, %d of %d bytes taken", c.raw, fix, x.flaw, taken, len(c.raw))
				}
				if flaw == nil && string(out) != want {
					t.Errorf("%.40q, fix %v: %.40q", c.raw, fix, out)
				}
				if i := end(out); i != len(out) {
					t.Errorf("%.40q, fix %v: %q goes out and ends at %d", c.raw, fix, out, i)
				}
			}
		}
	}
}

// end returns where a text ends, or -1: the obvious way.
func end(raw []byte) int {
	if bytes.HasPrefix(raw, []byte(".\r\n")) {
		return 3
	}
	if i := bytes.Index(raw, []byte("\r\n.\r\n")); i >= 0 {
		return i + 5
	}
	return -1
}

// flawless tells whether all line ends are CR LF, and there is no NUL.
func flawless(raw []byte) bool {
	rest := bytes.ReplaceAll(raw, []byte("\r\n"), nil)
	if bytes.ContainsAny(rest, "\r\n\x00") {
		return false
	}
	for line := range bytes.SplitSeq(raw, []byte("\r\n")) {
		if len(line) > maxLineBytes-2 {
			return false
		}
	}
	return true
}

func FuzzText(f *testing.F) {
	for _, s := range []string{
		".\r\n", "x\r\n.\r\nQUIT\r\n", "..\r\n.\r\n", "\n.\n\r\n.\r\n", "\r.\r\n", "\r\r\n.\r\n", "x\r\n.\r\r\n.\r\n", "\x00\r\n.\r\n",
		"\r\n.\r\r\r\n\n\n.\r\r\n.\r\n",
	} {
		f.Add([]byte(s), 1)
	}
	f.Fuzz(func(t *testing.T, raw []byte, piece int) {
		piece = max(1, piece%100)
		for _, fix := range []bool{false, true} {
			x := &text{fix: fix}
			out, taken := feed(x, raw, piece)
			want := end(raw)
			if x.ended != (want >= 0) || x.ended && taken != want {
				t.Fatalf("%q: ended %v after %d bytes, want %d", raw, x.ended, taken, want)
			}
			if x.ended && end(out) != len(out) || !x.ended && end(out) >= 0 {
				t.Fatalf("%q: %q goes out", raw, out)
			}
			if !x.ended {
				continue
			}
			if good := flawless(raw[:want]); good != (x.flaw == nil) && (!fix || good) {
				t.Fatalf("%q: flaw %v", raw, x.flaw)
			}
			if x.flaw == nil && !flawless(out) {
				t.Fatalf("%q: %q goes out", raw, out)
			}
			if x.flaw == nil && flawless(raw[:want]) && string(out) != string(raw[:want]) {
				t.Fatalf("%q was changed to %q", raw, out)
			}
		}
	})
}

func BenchmarkText(b *testing.B) {
	raw := []byte(strings.Repeat(strings.Repeat("x", 76)+"\r\n", 50))
	x := &text{}
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		x.out = x.out[:0]
		x.take(raw)
	}
}

func TestHops(t *testing.T) {
	for head, want := range map[string]int{
		"": 0,
		"Received: a\nRECEIVED: b\n\nReceived: c\n":  2,
		"X-Received: a\nReceive: x\nReceived\n: y\n": 0,
		"\nReceived: a\n":              0,
		"Received: a\n b\nReceived: c": 2,
	} {
		for piece := 1; piece < 4; piece++ {
			var h hops
			for rest := head; rest != ""; rest = rest[min(piece, len(rest)):] {
				h.add([]byte(rest[:min(piece, len(rest))]))
			}
			if h.n != want {
				t.Errorf("%q: %d, want %d", head, h.n, want)
			}
		}
	}
}
