package connlog

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestSkipPlain compares the look at eight bytes at once with one at each.
func TestSkipPlain(t *testing.T) {
	rng := seeded(t)
	const edge = "\x00\x01\x1f !\"#[\\]\x7f\x80\x81\xa2\xdc\xff"
	for range unraced(200_000) {
		b := []byte(strings.Repeat("a", rng.IntN(20)))
		for range rng.IntN(5) {
			if len(b) > 0 {
				b[rng.IntN(len(b))] = edge[rng.IntN(len(edge))]
			}
		}
		want := 0
		for want < len(b) && b[want] >= ' ' && b[want] < 0x80 && b[want] != '"' && b[want] != '\\' {
			want++
		}
		if got := skipPlain(b, 0); got != want {
			t.Fatalf("%q: stops at %d, want %d", b, got, want)
		}
	}
}

// TestDigits writes and reads numbers about each power of ten and of two, with
// and without eight bytes after them.
func TestDigits(t *testing.T) {
	numbers := []uint64{0, 1e19 - 1, 1e19, math.MaxUint64}
	for n := uint64(1); n < 1e19; n *= 10 {
		numbers = append(numbers, n-1, n, n+1)
	}
	for bit := range 64 {
		numbers = append(numbers, 1<<bit-1, 1<<bit, 1<<bit+1)
	}
	for _, n := range numbers {
		want := strconv.FormatUint(n, 10)
		if got := appendDigits(nil, n); string(got) != want {
			t.Errorf("%d is written %s", n, got)
		}
		for _, rest := range []string{"", ",", "}", ",\"user\":\"9\""} {
			got, next := readUint([]byte(want+rest), 0, math.MaxUint64)
			if got != n || next != len(want) {
				t.Errorf("%s%s is read as %d up to %d", want, rest, got, next)
			}
			if n == 0 {
				continue
			}
			if _, next := readUint([]byte(want+rest), 0, n-1); next != bad {
				t.Errorf("%s%s is within %d", want, rest, n-1)
			}
			for _, wrong := range []string{"0" + want, "-" + want, want + ".0", want + "e1", want + "E1"} {
				if _, next := readUint([]byte(wrong+rest), 0, math.MaxUint64); next != bad {
					t.Errorf("%s is a number", wrong)
				}
			}
		}
	}
}

// TestReadIPv4 compares what is taken for a dotted address with package netip.
func TestReadIPv4(t *testing.T) {
	rng := seeded(t)
	for range unraced(200_000) {
		text := fmt.Sprintf("%d.%d.%d.%d", rng.IntN(300), rng.IntN(300), rng.IntN(30), rng.IntN(300))
		if b := []byte(text); rng.IntN(2) == 0 {
			b[rng.IntN(len(b))] = "0129.. \"/:a"[rng.IntN(11)]
			text = string(b)
		}
		want, err := netip.ParseAddr(text)
		got, next := readIPv4([]byte(`"`+text+`","busy":12345678`), 0)
		if err != nil && next != bad && !strings.Contains(text, `"`) || err == nil && (got != want || next != len(text)+2) {
			t.Fatalf("%q is %v up to %d, want %v, %v", text, got, next, want, err)
		}
	}
}

// TestParseCutLines cuts lines at each byte: nothing is read past the end, and
// no part of a line is one.
func TestParseCutLines(t *testing.T) {
	rng := seeded(t)
	var p Parser
	var e Event
	for range 200 {
		event := randomEvent(rng)
		line := slices.Concat([]byte(`{"a":0,`), Append(nil, &event)[1:])
		for n := range line {
			if err := p.Parse(line[:n:n], &e); err == nil {
				t.Fatalf("%q is a line", line[:n])
			}
		}
	}
}
