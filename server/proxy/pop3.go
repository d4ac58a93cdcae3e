package proxy

import (
	"bytes"
	"slices"

	"overstay/connlog"
)

type pop3Kind byte

const (
	pop3Other pop3Kind = iota
	pop3Lines          // the answer has many lines, and ends with a dot
	pop3Pass           // PASS and APOP
	pop3Auth
	pop3TLS
)

// pop3Watch reads POP3 (RFC 1939) along, with pipelining (RFC 2449) and
// logins (RFC 5034). Answers come in the order of the commands.
type pop3Watch struct {
	blind
	client, server line
	queue          []pop3Kind // commands without an answer
	lines          bool       // an answer of many lines goes on
	login          login
}

func (w *pop3Watch) fromClient(b []byte) {
	for len(b) > 0 && !w.sealed {
		text, rest, ok := w.client.next(b)
		b = rest
		if w.mustWait() {
			w.lose()
		} else if ok {
			w.command(text)
		}
	}
	if w.sealed && len(b) > 0 {
		w.blind.fromClient(b)
	}
}

// mustWait tells whether the client has to wait for an answer before it may go
// on.
func (w *pop3Watch) mustWait() bool {
	if len(w.queue) == 0 {
		return false
	}
	switch w.queue[len(w.queue)-1] {
	case pop3Auth:
		return !w.login.asked
	case pop3TLS:
		return true
	}
	return false
}

func (w *pop3Watch) command(text []byte) {
	if w.login.asked {
		w.login.answer(text)
		return
	}
	verb, rest := word(text)
	kind := pop3Other
	switch {
	case is(verb, "CAPA"), is(verb, "RETR"), is(verb, "TOP"):
		kind = pop3Lines
	case is(verb, "LIST"), is(verb, "UIDL"):
		if len(bytes.TrimSpace(rest)) == 0 {
			kind = pop3Lines
		}
	case is(verb, "AUTH"):
		kind = pop3Auth
		if w.login.begin(rest); len(bytes.TrimSpace(rest)) == 0 {
			kind = pop3Lines // It asks for the mechanisms.
		}
	case is(verb, "USER"):
		w.login.user = string(rest)
	case is(verb, "APOP"):
		kind = pop3Pass
		name, _ := word(rest)
		w.login.user = string(name)
	case is(verb, "PASS"):
		kind = pop3Pass
	case is(verb, "STLS"):
		kind = pop3TLS
	}
	if len(w.queue) >= maxQueue {
		w.lose()
		return
	}
	w.queue = append(w.queue, kind)
}

func (w *pop3Watch) fromUpstream(b []byte) {
	for len(b) > 0 && !w.sealed {
		text, rest, ok := w.server.next(b)
		b = rest
		switch {
		case !ok:
		case w.lines:
			w.lines = len(text) != 1 || text[0] != '.'
		case len(w.queue) == 0:
			w.lose() // An answer to no command.
		default:
			w.reply(text)
		}
	}
	if w.sealed && len(b) > 0 {
		w.blind.fromUpstream(b)
	}
}

// reply deals with the first line of the answer to the oldest command.
func (w *pop3Watch) reply(text []byte) {
	kind := w.queue[0]
	status, _ := word(text)
	good := is(status, "+OK")
	if kind == pop3Auth && is(status, "+") {
		w.login.asked = true
		return
	}
	if !good && !is(status, "-ERR") {
		w.lose()
		return
	}
	w.queue = slices.Delete(w.queue, 0, 1)
	switch {
	case kind == pop3Lines:
		w.lines = good
	case kind == pop3TLS && good:
		w.seal()
	case kind == pop3Pass, kind == pop3Auth:
		user := w.login.user
		w.login = login{}
		if good {
			w.to.Proven(connlog.ByLogin, user)
		} else {
			w.to.Fail(connlog.FailLogin, user)
		}
	}
}

func (w *pop3Watch) atRest() bool { return !w.sealed && !w.lines && !w.server.begun() }

func (w *pop3Watch) owed() bool { return !w.sealed && (w.lines || len(w.queue) > 0) }

func (w *pop3Watch) stage() connlog.Stage {
	switch {
	case w.sealed:
		return w.blind.stage()
	case w.lines || w.server.begun():
		return connlog.StageDeliver
	case w.login.asked:
		return connlog.StageLogin
	case len(w.queue) > 0:
		return connlog.StageUpstream
	case w.client.begun():
		return connlog.StageCommand
	}
	return connlog.StageIdle
}
