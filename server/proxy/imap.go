package proxy

import (
	"bytes"
	"strconv"

	"overstay/connlog"
)

// maxLiteral is the largest literal that is believed.
const maxLiteral = 1 << 40

// imapWatch reads IMAP (RFC 9051, RFC 3501) along.
//
// Answers name their command by its tag, and a client may give two the same.
// So a login counts only if nothing else is under way when it is sent, and if
// nothing is sent until it is answered, save for what the upstream asks for.
type imapWatch struct {
	blind
	client, server line
	greeting       bool // is still to come
	open           int  // commands that are not answered yet
	replying       bool // an answer has begun
	proven         bool

	// The command that comes in.
	current []byte // its tag
	going   bool   // it goes on after a literal
	offered int64  // size of a literal that the upstream has to agree to
	offer   bool
	literal int64 // bytes of a literal still to come

	alone imapAlone // what the client must wait for, if it has sent such
	tag   []byte    // of that
	login login
	idle  bool // IDLE (RFC 2177)

	skip   int64 // bytes of a literal of the upstream still to come
	within bool  // its line goes on after that
}

// imapAlone is a command that must be the only one.
type imapAlone byte

const (
	imapNone imapAlone = iota
	imapLogin
	imapAuthenticate
	imapTLS  // STARTTLS, and COMPRESS (RFC 4978)
	imapIdle // until the upstream agrees
)

func (w *imapWatch) fromClient(b []byte) {
	for len(b) > 0 && !w.sealed {
		if w.literal > 0 {
			n := min(w.literal, int64(len(b)))
			w.literal -= n
			b = b[n:]
			continue
		}
		if w.greeting || w.offer || w.mustWait() {
			w.lose()
			break
		}
		text, rest, ok := w.client.next(b)
		b = rest
		if ok {
			w.said(text)
		}
	}
	if w.sealed && len(b) > 0 {
		w.blind.fromClient(b)
	}
}

// mustWait tells whether the client has to wait for an answer.
func (w *imapWatch) mustWait() bool {
	return w.alone != imapNone && !w.going && !w.login.asked
}

// said deals with a line of the client.
func (w *imapWatch) said(text []byte) {
	switch {
	case w.login.asked:
		w.login.answer(text)
		return
	case w.idle:
		w.idle = false // Whatever it says, it is DONE.
		return
	case !w.going:
		w.command(text)
	}
	w.going = false
	size, agreed, ok := literal(text)
	if !ok {
		return
	}
	if size > maxLiteral || agreed && !w.proven && w.alone != imapLogin {
		w.lose() // The upstream may not know literals without its consent.
		return
	}
	w.going = true
	if agreed {
		w.literal = size
	} else {
		w.offer, w.offered = true, size
	}
}

// command deals with the first line of a command.
func (w *imapWatch) command(text []byte) {
	tag, rest := word(text)
	verb, arguments := word(rest)
	w.open++
	w.replying = false
	w.current = append(w.current[:0], tag...)
	if w.open > maxQueue {
		w.lose()
		return
	}
	if w.open > 1 {
		return
	}
	switch {
	case is(verb, "LOGIN"):
		w.alone = imapLogin
		w.login = login{user: astring(arguments)}
	case is(verb, "AUTHENTICATE"):
		w.alone = imapAuthenticate
		w.login.begin(arguments)
	case is(verb, "STARTTLS"), is(verb, "COMPRESS"):
		w.alone = imapTLS
	case is(verb, "IDLE"):
		w.alone = imapIdle
	default:
		return
	}
	w.tag = append(w.tag[:0], tag...)
}

// literal tells whether a line ends with the size of a literal, and whether
// that follows without a word of the upstream (RFC 7888).
func literal(text []byte) (size int64, agreed, ok bool) {
	text, ok = bytes.CutSuffix(text, []byte{'}'})
	open := bytes.LastIndexByte(text, '{')
	if !ok || open < 0 {
		return 0, false, false
	}
	digits := text[open+1:]
	if n := len(digits) - 1; n > 0 && (digits[n] == '+' || digits[n] == '-') {
		digits, agreed = digits[:n], true
	}
	n, err := strconv.ParseUint(string(digits), 10, 62)
	if err != nil {
		return 0, false, false
	}
	return int64(n), agreed, true
}

// astring returns the first of a command's arguments, if it stands on the same
// line.
func astring(arguments []byte) string {
	quoted, ok := bytes.CutPrefix(arguments, []byte{'"'})
	if !ok {
		first, _ := word(arguments)
		if _, _, ok := literal(first); ok {
			return ""
		}
		return string(first)
	}
	text, _, _ := bytes.Cut(quoted, []byte{'"'})
	return string(text)
}

func (w *imapWatch) fromUpstream(b []byte) {
	for len(b) > 0 && !w.sealed {
		if w.skip > 0 {
			n := min(w.skip, int64(len(b)))
			w.skip -= n
			b = b[n:]
			continue
		}
		text, rest, ok := w.server.next(b)
		b = rest
		w.replying = true
		if ok {
			w.answer(text)
		}
	}
	if w.sealed && len(b) > 0 {
		w.blind.fromUpstream(b)
	}
}

// answer deals with a line of the upstream.
func (w *imapWatch) answer(text []byte) {
	tag, rest := word(text)
	size, _, hasLiteral := literal(text)
	switch {
	case w.within, is(tag, "*"):
		if w.within = hasLiteral; w.within {
			w.skip = size
		}
		if !is(tag, "*") {
			return // The rest of a line that has had a literal.
		}
		if status, _ := word(rest); is(status, "BAD") && w.alone != imapIdle {
			w.alone = imapNone // Which command it means is not said.
		}
		w.greeting = false
	case is(tag, "+"):
		w.goOn()
	default:
		w.ended(tag, rest)
	}
}

// goOn deals with the upstream's wish to hear more.
func (w *imapWatch) goOn() {
	switch {
	case w.offer:
		w.offer, w.literal = false, w.offered
	case w.alone == imapAuthenticate:
		w.login.asked = true
	case w.alone == imapIdle:
		w.alone, w.idle = imapNone, true
	default:
		w.lose()
	}
}

// ended deals with the end of a command.
func (w *imapWatch) ended(tag, rest []byte) {
	if w.open == 0 {
		w.lose()
		return
	}
	w.open--
	if bytes.Equal(tag, w.current) && w.literal == 0 {
		w.offer, w.going = false, false // It is not wanted.
	}
	w.idle = false
	if w.alone == imapNone || !bytes.Equal(tag, w.tag) {
		return
	}
	alone, user := w.alone, w.login.user
	w.alone, w.login = imapNone, login{}
	status, _ := word(rest)
	good := is(status, "OK")
	switch {
	case alone == imapTLS && good:
		w.seal()
	case alone != imapLogin && alone != imapAuthenticate:
	case good && !w.going:
		w.proven = true
		w.to.Proven(connlog.ByLogin, user)
	default:
		w.to.Fail(connlog.FailLogin, user)
	}
}

func (w *imapWatch) atRest() bool { return !w.sealed && !w.within && !w.server.begun() }

func (w *imapWatch) owed() bool { return !w.sealed && (w.greeting || w.open > 0 && !w.idle) }

func (w *imapWatch) stage() connlog.Stage {
	switch {
	case w.sealed:
		return w.blind.stage()
	case w.literal > 0:
		return connlog.StageData
	case w.login.asked:
		return connlog.StageLogin
	case w.idle:
		return connlog.StageIdle
	case w.greeting, w.offer:
		return connlog.StageUpstream
	case w.client.begun(), w.going:
		return connlog.StageCommand
	case w.open > 0 && w.replying:
		return connlog.StageDeliver
	case w.open > 0:
		return connlog.StageUpstream
	}
	return connlog.StageIdle
}
