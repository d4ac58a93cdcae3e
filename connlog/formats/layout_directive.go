package formats

import "strings"

// layoutText takes the text of a layout out of a line of the server's
// configuration, log_format NAME 'text' 'more text'; or LogFormat "text" NAME.
// What is no such line is the text itself.
func layoutText(s string) string {
	s = strings.TrimSpace(s)
	word, rest := cutWord(s)
	switch {
	case word == "log_format":
		_, rest = cutWord(rest) // its name
		if next, behind := cutWord(rest); strings.HasPrefix(next, "escape=") {
			rest = behind
		}
		var text strings.Builder
		for rest != "" && rest[0] != ';' {
			var piece string
			piece, rest = cutPiece(rest)
			text.WriteString(piece)
		}
		return text.String()
	case strings.EqualFold(word, "LogFormat") && strings.HasPrefix(rest, `"`):
		text, _ := cutPiece(rest)
		return text
	}
	// Apache's stands between quotes itself, so those within are taken back.
	return strings.ReplaceAll(s, `\"`, `"`)
}

// cutWord takes a word from the beginning of s, and the blanks behind it.
func cutWord(s string) (word, rest string) {
	n := strings.IndexAny(s, " \t\r\n")
	if n < 0 {
		return s, ""
	}
	return s[:n], strings.TrimLeft(s[n:], " \t\r\n")
}

// cutPiece takes a text between quotes from the beginning of s, or one without
// up to a blank or a semicolon, and the blanks behind it.
func cutPiece(s string) (piece, rest string) {
	quote := s[0]
	if quote != '\'' && quote != '"' {
		n := strings.IndexAny(s, " \t\r\n;")
		if n < 0 {
			return s, ""
		}
		return s[:n], strings.TrimLeft(s[n:], " \t\r\n")
	}
	var text strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == quote:
			return text.String(), strings.TrimLeft(s[i+1:], " \t\r\n")
		case s[i] == '\\' && i+1 < len(s) && strings.IndexByte(`'"\`, s[i+1]) >= 0:
			i++
		}
		text.WriteByte(s[i])
	}
	return text.String(), ""
}
