package proxy

import (
	"bytes"
	"slices"
	"strconv"

	"overstay/connlog"
)

// maxQueue is how many commands may wait for their answers. A client that has
// more under way has no use for them.
const maxQueue = 1000

type smtpKind byte

const (
	smtpOther smtpKind = iota
	smtpAuth
	smtpRecipient
	smtpData
	smtpMessage // the end of one
	smtpChunk   // BDAT (RFC 3030)
	smtpTLS
)

// smtpWatch reads SMTP (RFC 5321) along, with pipelining (RFC 2920), chunks
// (RFC 3030) and logins (RFC 4954). Answers come in the order of the commands.
type smtpWatch struct {
	blind
	client, server line
	greeting       bool       // is still to come
	queue          []smtpKind // commands without an answer
	replying       bool       // an answer has begun

	login   login
	message bool // the client sends one
	ending  int  // how much of its end has come: an index into messageEnd
	chunk   int64
}

// messageEnd ends a message. Only this is the end (RFC 5321, 4.1.1.4): an
// upstream that thinks otherwise answers when no answer is due.
const messageEnd = "\r\n.\r\n"

func (w *smtpWatch) fromClient(b []byte) {
	for len(b) > 0 && !w.sealed {
		switch {
		case w.chunk > 0:
			n := min(w.chunk, int64(len(b)))
			w.chunk -= n
			b = b[n:]
		case w.message:
			b = w.skipMessage(b)
		default:
			text, rest, ok := w.client.next(b)
			b = rest
			if w.greeting || w.mustWait() {
				w.lose()
			} else if ok {
				w.command(text)
			}
		}
	}
	if w.sealed && len(b) > 0 {
		w.blind.fromClient(b)
	}
}

// mustWait tells whether the client has to wait for an answer before it may go
// on: what it says now is a command or something else, depending on that.
func (w *smtpWatch) mustWait() bool {
	if len(w.queue) == 0 {
		return false
	}
	switch w.queue[len(w.queue)-1] {
	case smtpAuth:
		return !w.login.asked
	case smtpData, smtpTLS:
		return true
	}
	return false
}

func (w *smtpWatch) command(text []byte) {
	if w.login.asked {
		w.login.answer(text)
		return
	}
	verb, rest := word(text)
	kind := smtpOther
	switch {
	case is(verb, "AUTH"):
		kind = smtpAuth
		w.login.begin(rest)
	case is(verb, "RCPT"):
		kind = smtpRecipient
	case is(verb, "DATA"):
		kind = smtpData
	case is(verb, "STARTTLS"):
		kind = smtpTLS
	case is(verb, "BDAT"):
		if kind = w.bdat(rest); w.sealed {
			return
		}
	}
	w.push(kind)
}

// bdat notes a chunk, and returns what its answer will be about.
func (w *smtpWatch) bdat(arguments []byte) smtpKind {
	size, last := word(arguments)
	n, err := strconv.ParseInt(string(size), 10, 63)
	if err != nil || n < 0 {
		w.lose()
		return smtpOther
	}
	w.chunk = n
	if is(bytes.TrimSpace(last), "LAST") {
		return smtpMessage
	}
	return smtpChunk
}

func (w *smtpWatch) push(kind smtpKind) {
	if len(w.queue) >= maxQueue {
		w.lose()
		return
	}
	w.queue = append(w.queue, kind)
}

// skipMessage returns what follows the end of the message.
func (w *smtpWatch) skipMessage(b []byte) []byte {
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case messageEnd[w.ending]:
			w.ending++
		case '\r':
			w.ending = 1
		default:
			w.ending = 0
			// Nothing can begin before the next of these.
			next := bytes.IndexByte(b[i:], '\r')
			if next < 0 {
				return nil
			}
			i += next - 1
		}
		if w.ending == len(messageEnd) {
			w.message = false
			w.push(smtpMessage)
			return b[i+1:]
		}
	}
	return nil
}

func (w *smtpWatch) fromUpstream(b []byte) {
	for len(b) > 0 && !w.sealed {
		text, rest, ok := w.server.next(b)
		b = rest
		w.replying = true
		if ok && !w.greeting && len(w.queue) == 0 {
			w.unasked(text)
		} else if code, last := replyCode(text); ok && last {
			w.replying = false
			w.reply(code)
		} else if ok && code == 0 {
			w.lose()
		}
	}
	if w.sealed && len(b) > 0 {
		w.blind.fromUpstream(b)
	}
}

// unasked deals with an answer to no command: a goodbye, or a proof that the
// two ends see different commands than the watcher does.
func (w *smtpWatch) unasked(text []byte) {
	if code, last := replyCode(text); code == 421 {
		w.replying = !last
		return
	}
	w.lose()
}

// replyCode returns the code of an answer's line, 0 if it has none, and
// whether it is the last line.
func replyCode(text []byte) (code int, last bool) {
	if len(text) < 3 || len(text) > 3 && text[3] != ' ' && text[3] != '-' {
		return 0, false
	}
	for _, c := range text[:3] {
		if c < '0' || c > '9' {
			return 0, false
		}
		code = 10*code + int(c-'0')
	}
	return code, len(text) == 3 || text[3] == ' '
}

// reply deals with the whole answer to the oldest command.
func (w *smtpWatch) reply(code int) {
	if w.greeting {
		w.greeting = false
		return
	}
	kind := w.queue[0]
	if kind == smtpAuth && code == 334 {
		w.login.asked = true
		return
	}
	w.queue = slices.Delete(w.queue, 0, 1)
	good, refused := code >= 200 && code < 300, code >= 500
	switch {
	case kind == smtpAuth:
		w.endLogin(good, refused)
	case kind == smtpMessage && good:
		w.to.Proven(connlog.ByMessage, "")
	case kind == smtpRecipient && refused:
		w.to.Fail(connlog.FailRecipient, "")
	case kind == smtpData && code == 354:
		// A message may be empty: its end needs a line's end before it.
		w.message, w.ending = true, len("\r\n")
	case kind == smtpTLS && good:
		w.seal()
	case (kind == smtpChunk || kind == smtpMessage) && code >= 500 && code <= 504:
		// Whether the upstream took the chunk for one is not known.
		w.lose()
	case code >= 500 && code <= 504:
		w.to.Fail(connlog.FailCommand, "")
	}
}

func (w *smtpWatch) endLogin(good, refused bool) {
	user := w.login.user
	w.login = login{}
	switch {
	case good:
		w.to.Proven(connlog.ByLogin, user)
	case refused:
		w.to.Fail(connlog.FailLogin, user)
	}
}

func (w *smtpWatch) atRest() bool { return !w.sealed && !w.replying }

func (w *smtpWatch) owed() bool {
	return !w.sealed && (w.greeting || w.message || w.chunk > 0 || len(w.queue) > 0)
}

func (w *smtpWatch) stage() connlog.Stage {
	switch {
	case w.sealed:
		return w.blind.stage()
	case w.message || w.chunk > 0:
		return connlog.StageData
	case w.login.asked:
		return connlog.StageLogin
	case w.greeting || len(w.queue) > 0:
		return w.answering()
	case w.client.begun():
		return connlog.StageCommand
	}
	return connlog.StageIdle
}

func (w *smtpWatch) answering() connlog.Stage {
	if w.replying {
		return connlog.StageDeliver
	}
	return connlog.StageUpstream
}
