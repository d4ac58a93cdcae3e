package smtp

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
)

const (
	// maxCommandBytes bounds a command line: 512 and what extensions add
	// (RFC 5321, 4.5.3.1.4).
	maxCommandBytes = 2 << 10
	// maxAuthBytes bounds a line of a login (RFC 4954, 4).
	maxAuthBytes = 12288
)

// nextLine waits for a line and makes it pending, or deals with it.
func (l *link) nextLine() error {
	line, whole, err := l.readLine()
	if err != nil {
		return err
	}
	if l.challenge && whole {
		if !isLine(line) {
			line = []byte("*\r\n") // So the library ends the login.
		}
		l.pending = line
		return nil
	}
	verb, argument := splitCommand(line)
	switch {
	case !whole:
		l.over = true
		l.reply("500 5.5.2 Line too long, closing connection")
	case len(line) > maxCommandBytes && verb != "AUTH":
		l.reply("500 5.5.2 Line too long")
	case !isLine(line):
		l.reply("500 5.5.2 Not a command line: it ends with CR LF and has no other control characters")
	case verb == "STARTTLS":
		return l.startTLS(argument)
	case verb == "BDAT":
		return l.skipChunk(argument)
	default:
		l.pending = line
		switch verb {
		case "HELO", "EHLO":
			l.extended = verb == "EHLO"
		case "RCPT":
			l.pending = l.protocol.addDomain(line)
		}
	}
	return nil
}

// readLine reads up to the next LF, and tells whether it has found it before
// there was too much. The line is good until the next call.
func (l *link) readLine() (line []byte, whole bool, err error) {
	defer func() { l.line = nil }()
	for {
		piece, err := l.in.ReadSlice('\n')
		switch {
		case err == nil && len(l.line) == 0:
			return piece, true, nil
		case err == nil || errors.Is(err, bufio.ErrBufferFull):
			l.line = append(l.line, piece...)
		default:
			return nil, false, err // What was begun is not a line.
		}
		if err == nil || len(l.line) > maxAuthBytes {
			return l.line, len(l.line) <= maxAuthBytes, nil
		}
	}
}

// isLine tells whether a line ends with CR LF and has no other control
// characters: what two servers could understand differently is not understood.
func isLine(line []byte) bool {
	text, ok := bytes.CutSuffix(line, []byte("\r\n"))
	if !ok {
		return false
	}
	for _, c := range text {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// splitCommand returns a line's verb in upper case, and what follows it.
func splitCommand(line []byte) (verb, argument string) {
	verb, argument, _ = strings.Cut(strings.TrimRight(string(line[:min(len(line), maxCommandBytes)]), "\r\n"), " ")
	return strings.ToUpper(verb), strings.TrimSpace(argument)
}

// skipChunk answers BDAT (RFC 3030), which is not offered. The chunk follows
// all the same, and must not be taken for commands.
func (l *link) skipChunk(argument string) error {
	size, _, _ := strings.Cut(argument, " ")
	n, err := strconv.ParseInt(size, 10, 64)
	if err != nil || n < 0 || n > l.protocol.options.MaxMessageBytes {
		l.over = true // Who knows what follows.
	}
	l.reply("502 5.5.1 Messages in chunks are not taken")
	if l.over {
		return nil
	}
	_, err = io.CopyN(io.Discard, l.in, n)
	return err
}

// addDomain gives the postmaster a domain, who may be written to without one
// (RFC 5321, 4.5.1), but not in the library's opinion.
func (p *Protocol) addDomain(line []byte) []byte {
	const bare = "<postmaster>"
	i := bytes.IndexByte(line, '<')
	if i < 0 || len(line) < i+len(bare) || !bytes.EqualFold(line[i:i+len(bare)], []byte(bare)) {
		return line
	}
	at := i + len(bare) - 1
	return append(append(bytes.Clone(line[:at]), "@"+p.options.postmasterDomain()...), line[at:]...)
}
