package scan

import (
	"bytes"
	"fmt"
	"strings"
)

// maxSignatureBytes bounds the name of a signature.
const maxSignatureBytes = 100

// Verdict is what the scanner found; the zero Verdict says: nothing.
type Verdict struct {
	// Signature is the name of what was found: printable ASCII without spaces,
	// and short.
	Signature string
}

// Found tells whether there was a virus.
func (v Verdict) Found() bool { return v.Signature != "" }

// parseAnswer understands an answer of clamd, without its end.
func parseAnswer(answer []byte) (Verdict, error) {
	const prefix, found = "stream: ", " FOUND"
	switch {
	case string(answer) == "stream: OK":
		return Verdict{}, nil
	case bytes.HasPrefix(answer, []byte(prefix)) && bytes.HasSuffix(answer, []byte(found)):
		name := answer[len(prefix)-1 : len(answer)-len(found)+1] // With the spaces: there may be one only.
		return Verdict{Signature: cleanName(string(name))}, nil
	case string(answer) == "INSTREAM size limit exceeded. ERROR":
		return Verdict{}, ErrTooLarge
	}
	return Verdict{}, fmt.Errorf("%w: it says %q", ErrScanner, answer)
}

// cleanName makes the name of a signature safe for a reply.
func cleanName(s string) string {
	s = strings.TrimSpace(s)
	if len(s) > maxSignatureBytes {
		s = s[:maxSignatureBytes]
	}
	s = strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return '_'
		}
		return r
	}, s)
	if s == "" {
		return "unnamed"
	}
	return s
}
