package page

import (
	"strings"
	"unicode"
)

// clean takes from a text what could hide itself, turn around what stands
// beside it or be no text at all, and cuts it after so many characters.
func clean(s string, most int) string {
	var b strings.Builder
	written := 0
	marks := 0
	for _, r := range s { // What is no UTF-8 is U+FFFD already.
		switch {
		case unicode.Is(unicode.Mn, r):
			// A letter needs a mark or two; towers of them cover the lines around.
			if marks++; marks > 2 {
				continue
			}
		case r == '\n' || r == '\t':
			r, marks = ' ', 0
		case !unicode.IsGraphic(r):
			r, marks = unicode.ReplacementChar, 0
		default:
			marks = 0
		}
		if written++; written > most {
			b.WriteRune('…')
			break
		}
		b.WriteRune(r)
	}
	return b.String()
}

// short cleans what stands in a cell, a name or a command.
func short(s string) string { return clean(s, MaxText) }

// long cleans a sentence.
func long(s string) string { return clean(s, MaxLine) }
