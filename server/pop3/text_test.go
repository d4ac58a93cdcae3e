package pop3

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

// sendText sends a message in pieces, as a client gets it.
func sendText(message string, lines, piece int) string {
	var out bytes.Buffer
	w := bufio.NewWriter(&out)
	t := &text{w: w, lines: lines}
	for b := []byte(message); len(b) > 0; {
		n := min(piece, len(b))
		if _, err := t.Write(b[:n]); err != nil {
			if !errors.Is(err, errEnough) {
				panic(err)
			}
			break
		}
		b = b[n:]
	}
	t.end()
	_ = w.Flush() // Into memory.
	return out.String()
}

func TestText(t *testing.T) {
	for _, c := range []struct {
		message string
		lines   int
		want    string
	}{
		{"", everything, ".\r\n"},
		{"a", everything, "a\r\n.\r\n"},
		{"a\n", everything, "a\r\n.\r\n"},
		{"a\r\n", everything, "a\r\n.\r\n"},
		{"a\r", everything, "a\r\n.\r\n"},
		{".", everything, "..\r\n.\r\n"},
		{".\r\n..\n.a\n", everything, "..\r\n...\r\n..a\r\n.\r\n"},
		{"a\r\n.\r\nQUIT", everything, "a\r\n..\r\nQUIT\r\n.\r\n"},
		{"a\rb\r\r\n", everything, "a\rb\r\r\n.\r\n"},
		{"h\n\nb\nc\n", 0, "h\r\n\r\n.\r\n"},
		{"h\n\nb\nc\n", 1, "h\r\n\r\nb\r\n.\r\n"},
		{"h\r\n\r\nb\r\nc\r\n", 1, "h\r\n\r\nb\r\n.\r\n"},
		{"h\n\n\n\nc\n", 2, "h\r\n\r\n\r\n\r\n.\r\n"},
		{"h\n\nb\nc", 9, "h\r\n\r\nb\r\nc\r\n.\r\n"},
		{"only\nheader\n", 0, "only\r\nheader\r\n.\r\n"},
		{"\nb\nc\n", 1, "\r\nb\r\n.\r\n"},
		{"h\n\r\r\nstill\n", 0, "h\r\n\r\r\nstill\r\n.\r\n"},
	} {
		for piece := 1; piece <= len(c.message)+1; piece++ {
			if got := sendText(c.message, c.lines, piece); got != c.want {
				t.Errorf("%q, %d lines, in pieces of %d: %q, want %q", c.message, c.lines, piece, got, c.want)
			}
		}
	}
}

// A client that takes the transparency back has the message, with its own line
// ends, and cannot be made to see an end where there is none.
func FuzzText(f *testing.F) {
	f.Add("a\n.\nb\r\n\r\r\n", 3, 1)
	f.Add(".\r", 1, -1)
	f.Fuzz(func(t *testing.T, message string, piece, lines int) {
		piece, lines = max(piece, 1), max(lines, everything)
		got := sendText(message, lines, piece)
		body, found := strings.CutSuffix(got, ".\r\n")
		if !found || body != "" && !strings.HasSuffix(body, "\r\n") || strings.Contains("\r\n"+body, "\r\n.\r\n") {
			t.Fatalf("%q", got)
		}
		want := strings.ReplaceAll(strings.ReplaceAll(message, "\r\n", "\n"), "\n", "\r\n")
		switch plain := unstuff(body); {
		case lines != everything && !strings.HasPrefix(want+"\r\n", strings.TrimSuffix(plain, "\n")):
			t.Fatalf("%q is no top of %q", plain, want)
		case lines == everything && plain != want && plain != want+"\r\n" && plain != want+"\n":
			t.Fatalf("%q became %q", want, plain)
		}
	})
}

func BenchmarkText(b *testing.B) {
	message := []byte(strings.Repeat(strings.Repeat("x", 76)+"\r\n", 1000))
	w := bufio.NewWriterSize(io.Discard, outBytes)
	b.SetBytes(int64(len(message)))
	b.ReportAllocs()
	for b.Loop() {
		t := &text{w: w, lines: everything}
		if _, err := t.Write(message); err != nil {
			b.Fatal(err)
		}
		t.end()
	}
}
