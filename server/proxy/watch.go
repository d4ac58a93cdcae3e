package proxy

import (
	"bytes"

	"overstay/connlog"
)

// noter is told what a client has managed, and what not; *server.Conn is one.
type noter interface {
	Proven(by connlog.By, user string)
	Fail(what connlog.What, user string) int
}

// watcher reads a conversation along. What is said is shown to it before it is
// passed on, so that an answer is never seen before its question. Its methods
// are called one at a time.
type watcher interface {
	fromClient(b []byte)
	fromUpstream(b []byte)
	// upstreamEnded is called when the upstream has said all.
	upstreamEnded()
	// upstreamIsSilent is called when the upstream was silent for too long.
	upstreamIsSilent()

	// stage tells where the conversation is.
	stage() connlog.Stage
	// sure tells whether the conversation can be read.
	sure() bool
	// atRest tells whether what the upstream said ends with a line, after
	// which words of ours would be understood.
	atRest() bool
	// owed tells whether the upstream has not said all that it has to.
	owed() bool
}

func newWatcher(speaks string, to noter, proof proof) watcher {
	b := blind{to: to, proof: proof}
	switch speaks {
	case SMTP:
		return &smtpWatch{blind: b, greeting: true}
	case POP3:
		return &pop3Watch{blind: b, queue: []pop3Kind{pop3Other}} // The greeting is an answer, too.
	case IMAP:
		return &imapWatch{blind: b, greeting: true}
	case HTTP:
		return &httpWatch{blind: b}
	}
	b.sealed = true
	return &b
}

// bulk is how much in one direction, without a word in the other, is data.
const bulk = 64 << 10

// proof is what proves a client where nothing can be read: either of the two,
// of which a number that is not positive is never reached.
type proof struct {
	turns int   // in which the client spoke and the upstream answered
	bytes int64 // of the upstream, to a client that has spoken
}

// blind watches a conversation that it cannot read. It is also what the other
// watchers become when they cannot go on.
type blind struct {
	to    noter
	proof proof

	sealed bool // the conversation cannot be read
	lost   bool // because the client talked past its turn
	proved bool

	up, down int64 // since it cannot
	turns    int   // likewise
	inRow    int64 // in the present direction
	waiting  bool  // the client spoke last
	gaveUp   bool  // and waits no longer
}

// seal goes on without reading.
func (w *blind) seal() { w.sealed = true }

// lose goes on without reading, and without believing. The client may have
// brought it about.
func (w *blind) lose() { w.sealed, w.lost = true, true }

func (w *blind) fromClient(b []byte) {
	w.up += int64(len(b))
	if !w.waiting {
		w.waiting, w.inRow = true, 0
	}
	w.inRow += int64(len(b))
}

func (w *blind) fromUpstream(b []byte) {
	w.down += int64(len(b))
	if w.waiting {
		w.waiting, w.inRow = false, 0
		w.turns++
	}
	w.gaveUp = false
	w.inRow += int64(len(b))
	w.weigh()
}

// weigh looks whether the client has had enough of answers.
func (w *blind) weigh() {
	enough := w.proof.turns > 0 && w.turns >= w.proof.turns || w.proof.bytes > 0 && w.up > 0 && w.down >= w.proof.bytes
	if enough && !w.lost && !w.proved {
		w.proved = true
		w.to.Proven(connlog.ByTransfer, "")
	}
}

func (w *blind) upstreamEnded()    {}
func (w *blind) upstreamIsSilent() { w.gaveUp = true }
func (w *blind) sure() bool        { return !w.sealed }
func (w *blind) atRest() bool      { return false }
func (w *blind) owed() bool        { return false }

func (w *blind) stage() connlog.Stage {
	switch {
	case w.up == 0 && w.down == 0:
		return connlog.StageGreeting
	case w.inRow > bulk || w.gaveUp:
		return connlog.StageData
	case w.waiting:
		return connlog.StageUpstream
	}
	return connlog.StageIdle
}

// What a line may have of interest, at its beginning and its end.
const (
	maxLine = 2 << 10
	maxTail = 32
)

// line puts lines together that come in parts, in bounded memory.
type line struct {
	part []byte
	tail []byte // the end of a line that is too long
	long bool   // the present line is
}

// next cuts a line off b, without its end. It returns false if b has none, and
// has kept all of b then. The middle of a line that is too long is left out.
// The text is good until the next call.
func (l *line) next(b []byte) (text, rest []byte, ok bool) {
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		l.keep(b)
		return nil, nil, false
	}
	text, rest = b[:i], b[i+1:]
	if len(l.part) > 0 || l.long {
		l.keep(text)
		text = l.part
		if l.long {
			text = append(text, l.tail...)
		}
		l.part, l.tail, l.long = l.part[:0], l.tail[:0], false
	}
	return bytes.TrimSuffix(text, []byte{'\r'}), rest, true
}

func (l *line) keep(b []byte) {
	if room := maxLine - len(l.part); !l.long && len(b) <= room {
		l.part = append(l.part, b...)
		return
	} else if !l.long {
		l.part = append(l.part, b[:room]...)
		l.long, b = true, b[room:]
	}
	l.tail = append(l.tail, b[max(0, len(b)-maxTail):]...)
	if extra := len(l.tail) - maxTail; extra > 0 {
		l.tail = append(l.tail[:0], l.tail[extra:]...)
	}
}

// begun tells whether a part of a line has come.
func (l *line) begun() bool { return len(l.part) > 0 || l.long }

// word cuts the first word off a command. A command of one word has no rest.
func word(b []byte) (first, rest []byte) {
	first, rest, _ = bytes.Cut(b, []byte{' '})
	return first, rest
}

// is tells whether a word is the one named, which is in upper case.
func is(b []byte, name string) bool {
	return len(b) == len(name) && bytes.EqualFold(b, []byte(name))
}
