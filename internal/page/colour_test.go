package page_test

import (
	"encoding/hex"
	"fmt"
	"maps"
	"math"
	"regexp"
	"strings"
	"testing"

	"overstay/internal/page"
)

// schemes returns the colours of the page in the light and in the dark.
func schemes(t *testing.T) map[string]map[string]string {
	t.Helper()
	light, dark, found := strings.Cut(written(t, sample(12)), "prefers-color-scheme: dark")
	if !found {
		t.Fatal("no dark scheme")
	}
	dark, _, _ = strings.Cut(dark, "\n}\n")
	day := coloursOf(light)
	night := maps.Clone(day)
	maps.Copy(night, coloursOf(dark))
	return map[string]map[string]string{"light": day, "dark": night}
}

// TestContrast computes the contrast of every text with what is behind it, in
// both schemes, as the Web Content Accessibility Guidelines 2.2 do (1.4.3), and
// that of what has to be told apart from the paper (1.4.11).
func TestContrast(t *testing.T) {
	for scheme, colours := range schemes(t) {
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
}

// How colours look to those who see one kind of light less (Machado, Oliveira
// and Fernandes 2009, severity 1.0), in linear RGB.
var sights = map[string][3][3]float64{
	"all":          {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}},
	"protanopes":   {{.152286, 1.052583, -.204868}, {.114503, .786281, .099216}, {-.003882, -.048116, 1.051998}},
	"deuteranopes": {{.367322, .860646, -.227968}, {.280085, .672501, .047413}, {-.011820, .042940, .968881}},
	"tritanopes":   {{1.255528, -.076749, -.178779}, {-.078411, .930809, .147602}, {.004733, .691367, .303900}},
}

// TestColoursCanBeToldApart wants a difference between any two colours of the
// stack, and a clear one where they lie on each other, whoever looks at them.
func TestColoursCanBeToldApart(t *testing.T) {
	for scheme, colours := range schemes(t) {
		var names []string
		for i := 1; i < page.MaxSeries; i++ {
			names = append(names, fmt.Sprintf("s%d", i))
		}
		names = append(names, "rest")
		for who, sight := range sights {
			for i, a := range names {
				for k, b := range names[:i] {
					least := 9.0
					if k == i-1 {
						least = 20
					}
					if d := difference(t, sight, colours[a], colours[b]); d < least {
						t.Errorf("%s: %s and %s differ by %.0f to %s, want %.0f", scheme, b, a, d, who, least)
					}
				}
			}
		}
	}
}

// difference is the distance of two colours in CIELAB (CIE 1976).
func difference(t *testing.T, sight [3][3]float64, a, b string) float64 {
	t.Helper()
	x, y := lab(t, sight, a), lab(t, sight, b)
	return math.Sqrt((x[0]-y[0])*(x[0]-y[0]) + (x[1]-y[1])*(x[1]-y[1]) + (x[2]-y[2])*(x[2]-y[2]))
}

func lab(t *testing.T, sight [3][3]float64, colour string) [3]float64 {
	t.Helper()
	rgb := linear(t, colour)
	seen := [3]float64{}
	for i, row := range sight {
		seen[i] = min(max(row[0]*rgb[0]+row[1]*rgb[1]+row[2]*rgb[2], 0), 1)
	}
	f := func(v float64) float64 {
		if v > .008856 {
			return math.Cbrt(v)
		}
		return 7.787*v + 16.0/116
	}
	x := f((.4124*seen[0] + .3576*seen[1] + .1805*seen[2]) / .9505)
	y := f(.2126*seen[0] + .7152*seen[1] + .0722*seen[2])
	z := f((.0193*seen[0] + .1192*seen[1] + .9505*seen[2]) / 1.089)
	return [3]float64{116*y - 16, 500 * (x - y), 200 * (y - z)}
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

// luminance is the relative luminance of a colour (WCAG 2.2, glossary).
func luminance(t *testing.T, colour string) float64 {
	t.Helper()
	rgb := linear(t, colour)
	return .2126*rgb[0] + .7152*rgb[1] + .0722*rgb[2]
}

// linear is an sRGB colour in linear light.
func linear(t *testing.T, colour string) (rgb [3]float64) {
	t.Helper()
	digits := strings.TrimPrefix(colour, "#")
	if len(digits) == 3 {
		digits = digits[:1] + digits[:1] + digits[1:2] + digits[1:2] + digits[2:] + digits[2:]
	}
	bytes, err := hex.DecodeString(digits)
	if err != nil || len(bytes) != 3 {
		t.Fatalf("%q is no colour", colour)
	}
	for i, b := range bytes {
		if v := float64(b) / 255; v <= .04045 {
			rgb[i] = v / 12.92
		} else {
			rgb[i] = math.Pow((v+.055)/1.055, 2.4)
		}
	}
	return rgb
}
