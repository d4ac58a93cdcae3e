package imap

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
)

// What one message may make us remember. Beyond it, parts are not looked into.
const (
	maxDepth       = 32
	maxParts       = 1000
	maxHeaderBytes = 256 << 10 // of one part
	maxHeaders     = 1 << 20   // of all parts together
	pieceBytes     = 8 << 10   // a longer line is looked at in pieces
)

// part is a part of a message (RFC 2045), or the message: where it is, and
// what its header says. All places are octets from the message's beginning.
type part struct {
	start, body, end int64
	lines            int64 // in the body

	header   []byte // up to a limit
	kind     string // the media type, in lower case
	sub      string
	encoding string
	params   map[string]string
	children []*part // of a multipart, or the message in a message

	boundary string
	digest   bool // the parts are messages if they do not say what they are
	inHeader bool
	from     int64 // the line that the body begins with
}

// isMessage tells whether the part is a message with parts of its own.
func (p *part) isMessage() bool { return p.kind == "message" && len(p.children) == 1 }

// structure finds the parts of a message in one pass. It never fails: where a
// message is malformed, it has fewer parts.
type structure struct {
	root    *part
	open    []*part // the part that lines belong to, and those around it
	at      int64   // where the next line begins
	line    int64
	parts   int
	headers int
	ending  int64 // how long the end of the last line was
}

// parse reads a message. With headerOnly it stops at its body.
func parse(r io.Reader, headerOnly bool) (*part, error) {
	s := &structure{root: &part{inHeader: true}, parts: 1}
	s.open = []*part{s.root}
	in := bufio.NewReaderSize(r, pieceBytes)
	begins := true
	for {
		piece, err := in.ReadSlice('\n')
		if len(piece) > 0 {
			s.take(piece, begins)
			begins = err == nil
		}
		if headerOnly && !s.root.inHeader {
			return s.root, nil
		}
		switch {
		case err == nil, errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF):
			s.close(0, s.at, 0)
			return s.root, nil
		default:
			return nil, err
		}
	}
}

// take takes a line, or a piece of a long one.
func (s *structure) take(piece []byte, begins bool) {
	start := s.at
	s.at += int64(len(piece))
	whole := piece[len(piece)-1] == '\n'
	if whole {
		defer func() { s.line++ }()
	}
	if begins && len(piece) > 2 && piece[0] == '-' && piece[1] == '-' && s.delimiter(piece, start) {
		s.ending = ending(piece)
		return
	}
	p := s.open[len(s.open)-1]
	if p.inHeader {
		s.takeHeader(p, piece, begins && whole && len(bytes.TrimRight(piece, "\r\n")) == 0)
	}
	s.ending = 0
	if whole {
		s.ending = ending(piece)
	}
}

// ending returns how long the end of a line is.
func ending(line []byte) int64 {
	switch {
	case bytes.HasSuffix(line, []byte("\r\n")):
		return 2
	case bytes.HasSuffix(line, []byte("\n")):
		return 1
	}
	return 0
}

func (s *structure) takeHeader(p *part, piece []byte, empty bool) {
	if !empty {
		if room := min(maxHeaderBytes-len(p.header), maxHeaders-s.headers); room > 0 {
			n := min(room, len(piece))
			p.header = append(p.header, piece[:n]...)
			s.headers += n
		}
		return
	}
	p.inHeader, p.body, p.from = false, s.at, s.line+1
	s.describe(p)
	encoded := p.encoding == "base64" || p.encoding == "quoted-printable"
	if p.kind == "message" && p.sub == "rfc822" && s.mayOpen() && !encoded {
		s.begin(p)
	}
}

// describe finds out what a part is.
func (s *structure) describe(p *part) {
	parentIsDigest := false
	if n := len(s.open); n > 1 {
		parentIsDigest = s.open[n-2].digest
	}
	h := messageHeader(p.header)
	kind, params, err := h.ContentType()
	p.kind, p.sub, _ = strings.Cut(strings.ToLower(kind), "/")
	p.params = params
	p.encoding = strings.ToLower(strings.TrimSpace(h.Get("Content-Transfer-Encoding")))
	switch {
	case !h.Has("Content-Type") && parentIsDigest:
		p.kind, p.sub, p.params = "message", "rfc822", nil
	case !h.Has("Content-Type"), err != nil && kind == "", p.kind == "", p.sub == "":
		p.kind, p.sub, p.params = "text", "plain", map[string]string{"charset": "us-ascii"}
	}
	if p.kind == "multipart" && s.mayOpen() {
		p.boundary = p.params["boundary"]
		p.digest = p.sub == "digest"
	}
}

func (s *structure) mayOpen() bool { return len(s.open) < maxDepth && s.parts < maxParts }

// begin opens a part within p.
func (s *structure) begin(p *part) {
	child := &part{start: s.at, inHeader: true}
	p.children = append(p.children, child)
	s.open = append(s.open, child)
	s.parts++
}

// delimiter deals with a line that may part one part from the next.
func (s *structure) delimiter(line []byte, start int64) bool {
	text := bytes.TrimRight(line[2:], " \t\r\n")
	for i := len(s.open) - 1; i >= 0; i-- {
		p := s.open[i]
		if p.boundary == "" || p.inHeader {
			continue
		}
		rest, ok := bytes.CutPrefix(text, []byte(p.boundary))
		if !ok || len(rest) > 0 && string(rest) != "--" {
			continue
		}
		// The end of the line before belongs to the delimiter.
		s.close(i+1, start, s.ending)
		if len(rest) == 0 && s.mayOpen() {
			s.begin(p)
			return true
		}
		p.boundary = "" // What follows is not looked into.
		return true
	}
	return false
}

// close closes parts from the depth on. What has come until end is theirs, but
// for the last octets of it.
func (s *structure) close(depth int, end, without int64) {
	for i := len(s.open) - 1; i >= depth; i-- {
		p := s.open[i]
		if p.inHeader {
			p.inHeader, p.body, p.from = false, max(end-without, p.start), s.line
			s.describe(p)
		}
		p.end = max(end-without, p.body)
		if n := len(p.children); n > 0 {
			p.end = max(p.end, p.children[n-1].end) // Its header has no room to end in.
		}
		p.lines = s.line - p.from
		if without > 0 && p.lines > 0 {
			p.lines--
		}
		s.open = s.open[:i]
	}
}

// find returns the part of a message with a number such as 1.2, nil if there
// is none (RFC 3501, 6.4.5).
func (p *part) find(number []int) *part {
	message := true // p is a message, and not its body
	for _, n := range number {
		if !message && p.isMessage() {
			p, message = p.children[0], true
		}
		switch {
		case p.kind == "multipart" && 1 <= n && n <= len(p.children):
			p = p.children[n-1]
		case p.kind != "multipart" && message && n == 1:
			// The body of a message that has no parts is its part 1.
		default:
			return nil
		}
		message = false
	}
	return p
}
