package pop3

import (
	"bufio"
	"bytes"
	"errors"
)

// everything is the number of lines that a text has if it is sent whole.
const everything = -1

// errEnough ends the copying of a message of which only the top is wanted.
var errEnough = errors.New("pop3: enough lines")

// text writes a message as a multi-line answer (RFC 1939, section 3): lines
// end with CRLF, and one that begins with a dot gets another. Errors of w show
// when it is flushed.
type text struct {
	w     *bufio.Writer
	lines int // of the body, or everything

	body   bool // the header is through
	inLine bool // the last byte did not end a line
	cr     bool // it was a CR
	blank  bool // nothing but it stands in the line so far
}

// Write adds to the message. It returns errEnough when no more is wanted.
func (t *text) Write(b []byte) (int, error) {
	written := 0
	for len(b) > 0 {
		if !t.inLine && t.body && t.lines != everything {
			if t.lines == 0 {
				return written, errEnough
			}
			t.lines--
		}
		part, ends := b, false
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			part, ends = b[:i], true
		}
		if err := t.part(part, ends); err != nil {
			return written, err
		}
		n := len(part)
		if ends {
			n++
		}
		written += n
		b = b[n:]
	}
	return written, nil
}

// part writes a part of a line, and its end.
func (t *text) part(b []byte, ends bool) error {
	if !t.inLine {
		t.blank = true
		if len(b) > 0 && b[0] == '.' {
			_ = t.w.WriteByte('.') // An error stays, and the next call has it.
		}
	}
	if len(b) > 0 {
		t.blank = t.blank && !t.cr && len(b) == 1 && b[0] == '\r'
		t.cr = b[len(b)-1] == '\r'
	}
	t.inLine = !ends
	if _, err := t.w.Write(b); err != nil || !ends {
		return err
	}
	if !t.cr {
		_ = t.w.WriteByte('\r')
	}
	t.cr = false
	t.body = t.body || t.blank
	return t.w.WriteByte('\n')
}

// end ends the answer.
func (t *text) end() {
	if t.inLine {
		_ = t.part(nil, true) // An error stays, and flush has it.
	}
	_, _ = t.w.WriteString(".\r\n")
}
