package proxy

import (
	"bytes"
	"encoding/base64"
)

// login is a SASL exchange that is under way: SMTP and POP3 have the same, and
// IMAP nearly.
type login struct {
	mechanism mechanism
	user      string
	asked     bool // the upstream has asked, and it is the client's turn
}

// mechanism is one whose user name can be read. Its password is never looked
// at: the name is cut out of the text that has both.
type mechanism int

const (
	otherMechanism mechanism = iota
	plainMechanism
	loginMechanism
)

// begin notes the arguments of an AUTH or AUTHENTICATE command.
func (l *login) begin(arguments []byte) {
	*l = login{}
	name, initial := word(arguments)
	switch {
	case is(name, "PLAIN"):
		l.mechanism = plainMechanism
	case is(name, "LOGIN"):
		l.mechanism = loginMechanism
	}
	if len(initial) > 0 {
		l.answer(initial)
	}
}

// answer notes an answer of the client: the first one has the name.
func (l *login) answer(text []byte) {
	l.asked = false
	if l.user == "" && l.mechanism != otherMechanism {
		l.user = l.name(text)
		l.mechanism = otherMechanism
	}
}

// name returns the user of a base64 text: all of it (LOGIN), or the second of
// three fields (PLAIN, RFC 4616).
func (l *login) name(text []byte) string {
	plain, err := base64.StdEncoding.AppendDecode(nil, text)
	if err != nil {
		return ""
	}
	if l.mechanism == loginMechanism {
		return string(plain)
	}
	fields := bytes.Split(plain, []byte{0})
	if len(fields) != 3 {
		return ""
	}
	return string(fields[1])
}
