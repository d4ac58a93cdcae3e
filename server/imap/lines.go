package imap

import (
	"bytes"
	"strconv"
	"strings"
)

const (
	// maxLineBytes bounds a line, which is a command but for its literals.
	// The library takes a little more, and then ends without a word.
	maxLineBytes = 48 << 10
	// maxLiteralBytes bounds a literal that is no message.
	maxLiteralBytes = 4 << 10
	// maxLiteralsBytes bounds those of a command together.
	maxLiteralsBytes = 64 << 10
	// maxStrangerBytes bounds a line, and the literals of a command, of a
	// client that has not logged in: no name and password are that long.
	maxStrangerBytes = 8 << 10
	// maxNesting bounds how deep a command may be, which costs the library
	// much more memory than the client had to send.
	maxNesting = 500
	// maxHeadBytes is how much of a line is looked at: tag and command.
	maxHeadBytes = 128
	// maxTailBytes is how much of its end is: the announcement of a literal.
	maxTailBytes = 24
)

// lineEvent is what happened when more of a line came.
type lineEvent int

const (
	linePart    lineEvent = iota // nothing to be told
	lineBegins                   // the first of it came, but not the end
	lineEnds                     // the end came
	lineTooLong                  // it never ends
)

// lines follows what a client sends: commands, which are lines with literals
// in between (RFC 3501, 2.2 and 4.3). The zero value is at a beginning.
type lines struct {
	head    []byte // of the line that was begun, without its end
	tail    []byte
	size    int
	literal int64 // how much of a literal is still to come
	pushed  bool  // it comes without being asked for
	inside  bool  // of a command: a literal has ended
	pieces  int   // lines of the command, with the present one
	total   int64 // bytes of its literals, without a message
	nesting int   // words of it that something may be nested in
	known   bool  // the client has logged in
	skip    bool  // the rest of the command was refused
	skipped bool  // what was handed out last must be thrown away
	ended   bool  // the line has ended, the next begins
	body    bool  // what was handed out last is of a literal
}

// atStart tells whether the next byte begins a command.
func (s *lines) atStart() bool { return (s.size == 0 || s.ended) && s.literal == 0 && !s.inside }

// answered says that the command was answered. What is still to come of it, if
// it comes unasked, is not a new command, whatever it looks like.
func (s *lines) answered() {
	if s.skip || s.literal == 0 {
		return
	}
	if s.pushed {
		s.skip = true
		return
	}
	s.literal, s.inside = 0, false // It was not asked for, so it does not come.
}

// tooLarge tells whether the line announces a literal that the command cannot
// have, alone or with those before.
func (s *lines) tooLarge(command string) bool {
	if s.literal == 0 || s.announcesMessage(command) {
		return false
	}
	s.total += s.literal
	return s.literal > maxLiteralBytes || s.total > maxLiteralsBytes || !s.known && s.total > maxStrangerBytes
}

// announcesMessage tells whether it is the literal of an APPEND that may be
// large: not the one in the place of its first argument, and the only one.
func (s *lines) announcesMessage(command string) bool {
	_, rest, _ := strings.Cut(string(s.head), " ")
	_, argument, _ := strings.Cut(rest, " ")
	return command == "APPEND" && s.known && (s.pieces > 1 || !strings.HasPrefix(argument, "{"))
}

// tooDeep tells whether too much of the command, up to the end of this line,
// may be nested.
func (s *lines) tooDeep(line []byte) bool {
	s.nesting += bytes.Count(line, []byte("("))
	for word := range bytes.FieldsFuncSeq(line, func(r rune) bool { return r == ' ' || r == '(' }) {
		if bytes.EqualFold(word, []byte("NOT")) || bytes.EqualFold(word, []byte("OR")) {
			s.nesting++
		}
	}
	return s.nesting > maxNesting
}

// next returns how much of b belongs together: up to the end of a line or of a
// literal.
func (s *lines) next(b []byte) (n int, event lineEvent) {
	s.skipped, s.body = s.skip, s.literal > 0
	if s.body {
		n = int(min(int64(len(b)), s.literal))
		if s.literal -= int64(n); s.literal == 0 {
			s.inside = true
		}
		return n, linePart
	}
	if s.ended {
		s.head, s.tail, s.size, s.ended = s.head[:0], s.tail[:0], 0, false
	}
	begins := s.size == 0
	if begins {
		s.begin()
	}
	end := bytes.IndexByte(b, '\n')
	n = end + 1
	if end < 0 {
		n = len(b)
	}
	s.add(b[:n])
	switch {
	case s.size > maxLineBytes, !s.known && s.size > maxStrangerBytes:
		return n, lineTooLong
	case end >= 0:
		return n, s.endLine()
	case begins && !s.inside:
		return n, lineBegins
	}
	return n, linePart
}

// begin begins a line, with which a command begins or goes on.
func (s *lines) begin() {
	if !s.inside {
		s.pieces, s.total, s.nesting = 0, 0, 0
	}
	s.pieces++
}

func (s *lines) add(b []byte) {
	s.size += len(b)
	if room := maxHeadBytes - len(s.head); room > 0 {
		s.head = append(s.head, b[:min(room, len(b))]...)
	}
	s.tail = append(s.tail, b[max(0, len(b)-maxTailBytes):]...)
	if over := len(s.tail) - maxTailBytes; over > 0 {
		s.tail = append(s.tail[:0], s.tail[over:]...)
	}
}

// endLine finds out what follows a line.
func (s *lines) endLine() lineEvent {
	inside := s.inside
	s.ended, s.inside = true, false
	s.head = bytes.TrimRight(s.head, "\r\n")
	size, pushed, announced := literalSize(s.tail)
	if s.skip && !pushed {
		s.skip = false // Here it ends.
		return linePart
	}
	s.literal, s.pushed, s.inside = size, pushed, announced && size == 0
	if inside || s.skip {
		return linePart
	}
	return lineEnds
}

// extra tells whether anything but the end of the line follows the command.
func (s *lines) extra(name string) bool {
	return s.size > maxHeadBytes || !strings.HasSuffix(strings.ToUpper(string(s.head)), " "+name)
}

// literalSize returns the size of the literal that a line announces at its
// end, and whether it comes without being asked for.
func literalSize(line []byte) (size int64, pushed, ok bool) {
	line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
	line, ok = bytes.CutSuffix(line, []byte("}"))
	if !ok {
		return 0, false, false
	}
	line, pushed = bytes.CutSuffix(line, []byte("+"))
	open := bytes.LastIndexByte(line, '{')
	if open < 0 {
		return 0, false, false
	}
	size, err := strconv.ParseInt(string(line[open+1:]), 10, 64)
	if err != nil || size < 0 {
		return 0, false, false
	}
	return size, pushed, true
}

// parseCommand returns the tag and the name of a command, in upper case; that
// of UID has two words.
func parseCommand(line []byte) (tag, name string, ok bool) {
	tag, rest, found := strings.Cut(string(line), " ")
	name, rest, _ = strings.Cut(rest, " ")
	name = strings.ToUpper(name)
	if name == "UID" {
		second, _, _ := strings.Cut(rest, " ")
		name += " " + strings.ToUpper(second)
	}
	for _, s := range []string{tag, name} {
		if s == "" || strings.ContainsFunc(s, func(r rune) bool {
			return r < ' ' || r >= 0x7f || strings.ContainsRune(`(){%*"\`, r)
		}) {
			return "", "", false
		}
	}
	return tag, name, found && !strings.Contains(tag, "+")
}
