package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
)

// screen draws tables over each other on a terminal, and below each other
// elsewhere.
type screen struct {
	out      io.Writer
	terminal bool
	opened   bool
}

// Control sequences of terminals (ECMA-48 and xterm).
const (
	enterScreen = "\x1b[?1049h\x1b[?25l" // the other screen, cursor hidden
	leaveScreen = "\x1b[?25h\x1b[?1049l"
	toTop       = "\x1b[H"
	clearLine   = "\x1b[K"
	clearRest   = "\x1b[J"
)

func newScreen(out io.Writer) *screen {
	_, _, ok := terminal(out)
	return &screen{out: out, terminal: ok}
}

func (s *screen) open() {
	fmt.Fprint(s.out, enterScreen)
	s.opened = true
}

func (s *screen) close() {
	if s.opened {
		fmt.Fprint(s.out, leaveScreen)
		s.opened = false
	}
}

// draw shows what f prints, in one write so that nothing flickers, cut to the
// terminal's size as it is now.
func (s *screen) draw(f func(u *ui)) {
	var text bytes.Buffer
	f(&ui{out: &text, err: &text})
	if !s.opened {
		_, _ = s.out.Write(text.Bytes())
		return
	}
	columns, rows, ok := terminal(s.out)
	if !ok {
		columns, rows = 80, 24
	}
	lines := strings.Split(strings.TrimSuffix(text.String(), "\n"), "\n")
	if len(lines) > rows {
		lines = lines[:rows]
	}
	var frame strings.Builder
	frame.WriteString(toTop)
	for i, line := range lines {
		if r := []rune(line); len(r) > columns {
			line = string(r[:columns])
		}
		frame.WriteString(line + clearLine)
		if i < len(lines)-1 {
			frame.WriteString("\r\n")
		}
	}
	frame.WriteString(clearRest)
	fmt.Fprint(s.out, frame.String())
}
