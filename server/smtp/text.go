package smtp

import (
	"bufio"

	gosmtp "github.com/emersion/go-smtp"
)

// maxLineBytes bounds a line of a message. The limit is 1000 (RFC 5321,
// 4.5.3.1.6), but not everybody keeps it.
const maxLineBytes = 16 << 10

// What is wrong with the text of a message.
var (
	errLine = &gosmtp.SMTPError{Code: 554, EnhancedCode: gosmtp.EnhancedCode{5, 6, 0}, Message: "Line too long"}
	errBare = &gosmtp.SMTPError{Code: 550, EnhancedCode: gosmtp.EnhancedCode{5, 6, 0}, Message: "A CR or LF alone in the message"}
	errNUL  = &gosmtp.SMTPError{Code: 550, EnhancedCode: gosmtp.EnhancedCode{5, 6, 0}, Message: "A NUL in the message"}
)

// text is the text of a message on its way in. It ends with CR LF . CR LF and
// nothing else, however much it looks like it (RFC 5321, 4.1.1.4). What comes
// out of it, for the library, has no other line ends than CR LF.
//
// A message with a CR or LF alone may be two messages to another server
// (SMTP smuggling), so it is refused, or mended if fix is set: a LF becomes a
// line end, a CR a space.
type text struct {
	fix   bool
	ended bool // the end has come, but perhaps not gone out
	// flaw is why the message is refused. Nothing of it goes out any more.
	flaw *gosmtp.SMTPError
	// doubtful means that its end is one to us, but may be none to others.
	doubtful bool

	state  textState
	crs    bool // the last line ended with CR CR LF
	length int  // of this line
	out    []byte
	gone   int // of out
}

// textState is where in a line the text is.
type textState int

const (
	lineStart   textState = iota // after CR LF
	lineDot                      // after a dot at the start, which is held back
	lineDotCR                    // after dot and CR, which are held back
	lineMiddle                   // within it
	lineCR                       // after a CR, which is held back
	lineCRs                      // after more than one
	mendedStart                  // after a line end that was a LF alone
)

// done tells whether all of it has gone out.
func (t *text) done() bool { return t.ended && t.gone == len(t.out) }

// read takes what has come and gives out what it means. It waits only as long
// as it has nothing to give.
func (t *text) read(in *bufio.Reader, b []byte) (int, error) {
	for t.gone == len(t.out) {
		t.out, t.gone = t.out[:0], 0
		if _, err := in.Peek(1); err != nil {
			return 0, err
		}
		came, _ := in.Peek(in.Buffered())
		_, _ = in.Discard(t.take(came)) // It is there.
	}
	n := copy(b, t.out[t.gone:])
	t.gone += n
	if t.done() {
		t.out, t.gone = nil, 0 // The next message may be far away.
	}
	return n, nil
}

// take takes bytes up to the end of the text, and returns how many.
func (t *text) take(came []byte) int {
	for i := 0; i < len(came); {
		if t.state == lineMiddle {
			run := ordinary(came[i:])
			t.put(came[i : i+run]...)
			if i += run; i == len(came) {
				break
			}
		}
		t.next(came[i])
		i++
		if t.ended {
			return i
		}
	}
	return len(came)
}

// ordinary returns how many bytes mean just themselves.
func ordinary(b []byte) int {
	for i, c := range b {
		if c <= '\r' && (c == '\r' || c == '\n' || c == 0) {
			return i
		}
	}
	return len(b)
}

// next takes one byte.
func (t *text) next(c byte) {
	switch t.state {
	case lineStart:
		if c == '.' {
			t.state = lineDot
			return
		}
	case mendedStart:
		if c == '.' {
			t.put('.') // It stands for itself, and goes out as two.
		}
	case lineDot:
		switch c {
		case '\r':
			t.state = lineDotCR
			return
		case '\n':
			t.put('.') // Not an end, so it must not look like one.
		}
		t.put('.')
	case lineDotCR:
		if c == '\n' {
			t.end()
			return
		}
		t.put('.')
		t.loneCR()
		if c == '\r' {
			t.state = lineCRs
			return
		}
	case lineCR, lineCRs:
		if c == '\n' {
			t.put('\r', '\n')
			t.crs, t.state, t.length = t.state == lineCRs, lineStart, 0
			return
		}
		t.loneCR()
		if c == '\r' {
			t.state = lineCRs
			return
		}
	}
	t.crs = false
	t.middle(c)
}

// middle takes a byte that is none of the beginning of a line.
func (t *text) middle(c byte) {
	t.state = lineMiddle
	switch c {
	case '\r':
		t.state = lineCR
	case '\n':
		if !t.fix {
			t.refuse(errBare)
		}
		t.put('\r', '\n')
		t.state, t.length = mendedStart, 0
	case 0:
		t.refuse(errNUL)
	default:
		t.put(c)
	}
}

// loneCR deals with a CR that no LF follows.
func (t *text) loneCR() {
	if !t.fix {
		t.refuse(errBare)
	}
	t.put(' ')
}

// end deals with the end of the text.
func (t *text) end() {
	t.ended = true
	if t.crs {
		t.doubtful = true
		t.refuse(errBare) // Even if it is to be mended.
	}
	if t.flaw == nil {
		t.out = append(t.out, ".\r\n"...)
		return
	}
	// What went out may have stopped anywhere.
	t.out = append(t.out, " \r\n.\r\n"...)
}

// refuse notes the first flaw.
func (t *text) refuse(why *gosmtp.SMTPError) {
	if t.flaw == nil {
		t.flaw = why
	}
}

// put lets bytes of a line go out.
func (t *text) put(b ...byte) {
	if t.length += len(b); t.length > maxLineBytes {
		t.refuse(errLine)
	}
	if t.flaw == nil {
		t.out = append(t.out, b...)
	}
}
