package proxy

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"overstay/connlog"
)

// notes is what a watcher has told.
type notes []string

func (n *notes) Proven(by connlog.By, user string) { *n = append(*n, fmt.Sprintf("%s %s", by, user)) }

func (n *notes) Fail(what connlog.What, user string) int {
	*n = append(*n, fmt.Sprintf("fail %s %s", what, user))
	return len(*n)
}

// proofs returns how often a client was proven.
func (n notes) proofs() int {
	return len(n) - len(slices.DeleteFunc(slices.Clone(n), func(s string) bool { return !strings.HasPrefix(s, "fail") }))
}

// watched shows a conversation to a watcher, each line as a piece.
func watched(speaks string, enough proof, text string) (notes, watcher) {
	var n notes
	w := newWatcher(speaks, &n, enough)
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if said, ok := strings.CutPrefix(line, "C:"); ok {
			w.fromClient([]byte(strings.TrimPrefix(said, " ") + "\r\n"))
		} else if said, ok := strings.CutPrefix(line, "S:"); ok {
			w.fromUpstream([]byte(strings.TrimPrefix(said, " ") + "\r\n"))
		}
	}
	return n, w
}

// Whatever the client says, it is not proven by it: only by an answer to what
// is sure to be a login, a message or a request.
func TestNotFooled(t *testing.T) {
	for name, c := range map[string][2]string{
		"smtp: the client's own 235":             {SMTP, "S: 220 mx\nC: 235 ok\nC: 250 ok\nS: 500 what?\nS: 500 what?"},
		"smtp: before the greeting":              {SMTP, "C: AUTH PLAIN AGEAYg==\nS: 220 mx\nS: 235 fine"},
		"smtp: another answer first":             {SMTP, "S: 220 mx\nC: NOOP\nC: AUTH PLAIN AGEAYg==\nS: 250 fine\nS: 535 no"},
		"smtp: a command that looks like one":    {SMTP, "S: 220 mx\nC: VRFY AUTH\nS: 250 fine"},
		"smtp: talking on after AUTH":            {SMTP, "S: 220 mx\nC: AUTH PLAIN AGEAYg==\nC: NOOP\nS: 535 no\nS: 250 fine\nC: AUTH PLAIN AGEAYg==\nS: 235 fine"},
		"smtp: talking on after DATA":            {SMTP, "S: 220 mx\nC: DATA\nC: .\nS: 503 no\nS: 250 fine"},
		"smtp: a message without its end":        {SMTP, "S: 220 mx\nC: DATA\nS: 354 go\nC: a\nC: ..\nS: 250 fine"},
		"smtp: an end for some only":             {SMTP, "S: 220 mx\nC: DATA\nS: 354 go\nC: a\n" + "C: b\nS: 250 taken\nS: 250 fine"},
		"smtp: a chunk that was a command":       {SMTP, "S: 220 mx\nC: BDAT 6 LAST\nC: NOOP\nS: 502 what?\nS: 250 fine"},
		"smtp: a chunk of no size":               {SMTP, "S: 220 mx\nC: BDAT -1 LAST\nS: 250 fine"},
		"smtp: an answer too many":               {SMTP, "S: 220 mx\nS: 250 fine\nC: AUTH PLAIN AGEAYg==\nS: 235 fine"},
		"smtp: a refused message":                {SMTP, "S: 220 mx\nC: DATA\nS: 354 go\nC: .\nS: 554 no"},
		"smtp: in two lines":                     {SMTP, "S: 220 mx\nC: AUTH PLAIN AGEAYg==\nS: 235-fine"},
		"smtp: after STARTTLS":                   {SMTP, "S: 220 mx\nC: STARTTLS\nS: 220 go\nC: AUTH PLAIN AGEAYg==\nS: 235 fine"},
		"smtp: STARTTLS refused, talking on":     {SMTP, "S: 220 mx\nC: STARTTLS\nC: AUTH PLAIN AGEAYg==\nS: 454 no\nS: 235 fine"},
		"pop3: another answer first":             {POP3, "S: +OK\nC: USER a\nC: PASS b\nS: +OK\nS: -ERR no"},
		"pop3: before the greeting":              {POP3, "C: PASS a\nS: +OK\nS: -ERR no"},
		"pop3: in a list":                        {POP3, "S: +OK\nC: CAPA\nC: PASS b\nS: +OK\nS: +OK\nS: .\nS: -ERR no"},
		"pop3: the client's own +OK":             {POP3, "S: +OK\nC: +OK\nC: +OK\nS: -ERR\nS: -ERR"},
		"pop3: talking on after AUTH":            {POP3, "S: +OK\nC: AUTH PLAIN\nC: NOOP\nS: -ERR no\nS: +OK\nC: PASS x\nS: +OK"},
		"pop3: asking for mechanisms":            {POP3, "S: +OK\nC: AUTH\nS: +OK\nS: PLAIN\nS: ."},
		"imap: a tag twice":                      {IMAP, "S: * OK\nC: a NOOP\nC: a LOGIN x y\nS: a OK\nS: a NO"},
		"imap: a tag twice, the other way":       {IMAP, "S: * OK\nC: a LOGIN x y\nC: a NOOP\nS: a NO\nS: a OK"},
		"imap: a login in a literal":             {IMAP, "S: * OK\nC: a ID {13}\nS: + go\nC: a LOGIN x y\nC: b NOOP\nS: a OK\nS: b OK"},
		"imap: a literal that is refused":        {IMAP, "S: * OK\nC: a LOGIN {8}\nC: a NOOP\nS: a BAD\nS: a OK"},
		"imap: a literal that is not waited for": {IMAP, "S: * OK\nC: a LOGIN {8+}\nC: a NOOP\nS: a BAD\nS: a OK"},
		"imap: a literal of another command":     {IMAP, "S: * OK\nC: a X {13+}\nC: a LOGIN x y\nC: \nS: a BAD\nS: a OK"},
		"imap: an answer too many":               {IMAP, "S: * OK\nS: a OK\nC: a LOGIN x y\nS: a OK"},
		"imap: another tag":                      {IMAP, "S: * OK\nC: a LOGIN x y\nS: b OK"},
		"imap: a tag in an answer's literal":     {IMAP, "S: * OK\nC: a LOGIN x y\nS: * ID {6}\nS: a OK\nS: \nS: a NO"},
		"imap: the rest after a literal":         {IMAP, "S: * OK\nC: a ID\nS: * ID {0}\nS: a OK\nC: a LOGIN x y\nS: a OK\nS: a NO"},
		"imap: an untagged BAD":                  {IMAP, "S: * OK\nC: a LOGIN {6+}\nC: a NOOP\nS: * BAD what?\nS: a OK"},
		"imap: after STARTTLS":                   {IMAP, "S: * OK\nC: a STARTTLS\nS: a OK\nC: a LOGIN x y\nS: a OK"},
		"imap: a wish out of turn":               {IMAP, "S: * OK\nS: + go\nC: a LOGIN x y\nS: a OK"},
		"http: no answer":                        {HTTP, "C: GET / HTTP/1.1\nC: \nC: HTTP/1.1 200 OK\nC: Content-Length: 0\nC: "},
		"http: half an answer":                   {HTTP, "C: GET / HTTP/1.1\nC: \nS: HTTP/1.1 200 OK\nS: Content-Length: 5\nS: \nS: ab"},
		"http: half a chunk":                     {HTTP, "C: GET / HTTP/1.1\nC: \nS: HTTP/1.1 200 OK\nS: Transfer-Encoding: chunked\nS: \nS: 5\nS: abc"},
		"http: only a 100":                       {HTTP, "C: GET / HTTP/1.1\nC: \nS: HTTP/1.1 100 Continue\nS: "},
		"http: a 404 that says 200":              {HTTP, "C: GET / HTTP/1.1\nC: \nS: HTTP/1.1 404 No\nS: Content-Length: 40\nS: \nS: HTTP/1.1 200 OK\nS: Content-Length: 0\nS: "},
		"http: pipelined":                        {HTTP, "C: HEAD / HTTP/1.1\nC: \nC: GET / HTTP/1.1\nC: \nS: HTTP/1.1 404 No\nS: \nS: HTTP/1.1 200 OK\nS: Content-Length: 0\nS: "},
		"http: two lengths":                      {HTTP, "C: POST / HTTP/1.1\nC: Content-Length: 3\nC: Transfer-Encoding: chunked\nC: \nS: HTTP/1.1 200 OK\nS: Content-Length: 0\nS: "},
		"http: an answer without a request":      {HTTP, "S: HTTP/1.1 200 OK\nS: Content-Length: 0\nS: "},
		"http: bytes after becoming another":     {HTTP, "C: GET / HTTP/1.1\nC: \nS: HTTP/1.1 101 Go\nS: \nS: HTTP/1.1 200 OK\nS: Content-Length: 0\nS: "},
	} {
		if n, _ := watched(c[0], proof{}, c[1]); n.proofs() != 0 {
			t.Errorf("%s: %q", name, n)
		}
	}
}

// What is sure to be one is a proof, in all the ways it can be said.
func TestNotMissed(t *testing.T) {
	for name, c := range map[string][3]string{
		"smtp: pipelined message": {SMTP, "S: 220-mx\nS: 220 mx\nC: MAIL FROM:<>\nC: RCPT TO:<x>\nC: DATA\nS: 250 a\nS: 250 b\nS: 354 go\nC: .\nC: QUIT\nS: 250 taken", "message "},
		"smtp: chunks":            {SMTP, "S: 220 mx\nC: BDAT 3\nC: a\nS: 250 a\nC: bdat 0 last\nS: 250 taken", "message "},
		"smtp: lower case":        {SMTP, "S: 220 mx\nC: auth login YQ==\nS: 334 \nC: Yg==\nS: 235 fine", "login a"},
		"smtp: after a failure":   {SMTP, "S: 220 mx\nC: AUTH PLAIN\nS: 334 \nC: *\nS: 501 no\nC: AUTH X\nS: 235 fine", "login "},
		"pop3: pipelined":         {POP3, "S: +OK\nC: USER a\nC: PASS b\nS: +OK\nS: +OK", "login a"},
		"pop3: APOP":              {POP3, "S: +OK <1@x>\nC: APOP a c4c9\nS: +OK", "login a"},
		"pop3: AUTH":              {POP3, "S: +OK\nC: AUTH PLAIN\nS: + \nC: AGEAYg==\nS: +OK", "login a"},
		"imap: a literal at once": {IMAP, "S: * OK\nC: x LOGIN a {1+}\nC: b\nS: x OK", "login a"},
		"imap: two literals":      {IMAP, "S: * OK\nC: x LOGIN {1}\nS: + \nC: a {1}\nS: + \nC: b\nS: * CAPABILITY X\nS: x OK", "login "},
		"imap: initial answer":    {IMAP, "S: * OK\nC: x AUTHENTICATE PLAIN AGEAYg==\nS: x OK", "login a"},
		"http: HEAD":              {HTTP, "C: HEAD / HTTP/1.1\nC: \nS: HTTP/1.1 200 OK\nS: Content-Length: 10\nS: ", "request "},
		"http: after a 100":       {HTTP, "C: POST / HTTP/1.1\nC: Content-Length: 2\nC: \nS: HTTP/1.1 100 Continue\nS: \nC: \nS: HTTP/1.1 204 No\nS: ", "request "},
		"http: chunked request":   {HTTP, "C: POST / HTTP/1.1\nC: transfer-encoding: Chunked\nC: \nC: 1;x\nC: a\nC: 0\nC: \nS: HTTP/1.1 304 No\nS: ", "request "},
		"tcp":                     {TCP, "C: 12345678\nS: 12345678", "transfer "},
		"after STARTTLS":          {POP3, "S: +OK\nC: STLS\nS: +OK\nC: 12345678\nS: 12345678", "transfer "},
	} {
		n, w := watched(c[0], proof{bytes: 10}, c[1])
		if len(n) == 0 || n[len(n)-1] != c[2] || n.proofs() != 1 {
			t.Errorf("%s: %q, want %q", name, n, c[2])
		}
		if w.owed() && !strings.Contains(c[1], "QUIT") {
			t.Errorf("%s: something is owed", name)
		}
	}
	// An answer without a length ends with the connection.
	n, w := watched(HTTP, proof{}, "C: GET / HTTP/1.0\nC: \nS: HTTP/1.0 200 OK\nS: \nS: text")
	if n.proofs() != 0 || !w.owed() {
		t.Errorf("before its end: %q", n)
	}
	if w.upstreamEnded(); n == nil && w.owed() {
		t.Error("after its end something is owed")
	}
}

// FuzzWatch shows a conversation to two watchers, to one of them a byte at a
// time: they must tell the same. And without the upstream nobody is proven.
func FuzzWatch(f *testing.F) {
	conversation := func(text string) []byte {
		var b []byte
		for line := range strings.Lines(text) {
			said := strings.TrimSpace(line[2:]) + "\r\n"
			from := byte(0)
			if line[0] == 'S' {
				from = 128
			}
			b = append(append(b, from|byte(len(said))), said...)
		}
		return b
	}
	for i, text := range []string{
		"S: 220 mx\nC: EHLO x\nS: 250-mx\nS: 250 AUTH\nC: AUTH PLAIN\nS: 334\nC: AGEAYg==\nS: 235 fine\nC: DATA\nS: 354\nC: ..\nC: .\nS: 250 ok\nC: BDAT 3 LAST\nC: x\nS: 250 ok",
		"S: +OK\nC: CAPA\nS: +OK\nS: STLS\nS: .\nC: USER a\nS: +OK\nC: PASS b\nS: +OK\nC: STLS\nS: +OK",
		"S: * OK\nC: a LOGIN {1}\nS: +\nC: x {1+}\nC: y\nS: * X {2}\nS: \nS: \nS: a OK\nC: b IDLE\nS: + ok\nC: DONE\nS: b OK",
		"C: HEAD / HTTP/1.1\nC: \nS: HTTP/1.1 404 No\nS: \nC: POST / HTTP/1.1\nC: Transfer-Encoding: chunked\nC: \nC: 1\nC: a\nC: 0\nC: \nS: HTTP/1.1 200 OK\nS: Content-Length: 2\nS: \nS: ",
	} {
		f.Add(byte(i), conversation(text))
	}
	f.Fuzz(func(t *testing.T, protocol byte, b []byte) {
		speaks := []string{SMTP, POP3, IMAP, HTTP, TCP}[protocol%5]
		var whole, single, alone notes
		enough := proof{4, 100}
		one, two, three := newWatcher(speaks, &whole, enough), newWatcher(speaks, &single, enough), newWatcher(speaks, &alone, enough)
		for len(b) > 0 {
			upstream, n := b[0] >= 128, min(int(b[0]%128), len(b)-1)
			said := b[1 : 1+n]
			b = b[1+n:]
			if upstream {
				one.fromUpstream(said)
			} else {
				one.fromClient(said)
				three.fromClient(said)
			}
			for i := range said {
				if upstream {
					two.fromUpstream(said[i : i+1])
				} else {
					two.fromClient(said[i : i+1])
				}
			}
			if one.sure() != two.sure() || one.sure() && (one.stage() != two.stage() || one.owed() != two.owed() || one.atRest() != two.atRest()) {
				t.Fatalf("%s: in stage %d, a byte at a time %d", speaks, one.stage(), two.stage())
			}
		}
		if !slices.Equal(whole, single) {
			t.Errorf("%s: %q, a byte at a time %q", speaks, whole, single)
		}
		if alone.proofs() != 0 {
			t.Errorf("%s: without an answer %q", speaks, alone)
		}
	})
}

// The memory that a line takes is bounded, and its two ends are kept.
func TestLine(t *testing.T) {
	var l line
	for range 100 {
		if _, _, ok := l.next([]byte(strings.Repeat("x", 1000))); ok {
			t.Fatal("a line without an end")
		}
		if len(l.part) > maxLine || len(l.tail) > maxTail {
			t.Fatalf("%d bytes and %d", len(l.part), len(l.tail))
		}
	}
	text, rest, ok := l.next([]byte("end {5}\r\nnext\n"))
	if !ok || !strings.HasSuffix(string(text), "end {5}") || len(text) != maxLine+maxTail-1 || string(rest) != "next\n" {
		t.Errorf("%d bytes, rest %q", len(text), rest)
	}
	if text, rest, ok = l.next(rest); string(text) != "next" || len(rest) != 0 || !ok {
		t.Errorf("%q %q", text, rest)
	}
}

// A client that talks past its turn is not read any more: what it says could
// be one thing or another.
func TestTalkingPast(t *testing.T) {
	for name, c := range map[string][2]string{
		"smtp AUTH":         {SMTP, "S: 220 mx\nC: AUTH PLAIN\nC: NOOP"},
		"pop3 STLS":         {POP3, "S: +OK\nC: STLS\nC: NOOP"},
		"imap STARTTLS":     {IMAP, "S: * OK\nC: a STARTTLS\nC: b NOOP"},
		"imap AUTHENTICATE": {IMAP, "S: * OK\nC: a AUTHENTICATE PLAIN\nC: AGEAYg=="},
		"imap literal":      {IMAP, "S: * OK\nC: a LOGIN {1}\nC: x"},
		"imap literals":     {IMAP, "S: * OK\nC: a ID {1+}"},
		"http pipelining":   {HTTP, "C: GET / HTTP/1.1\nC: \nC: GET"},
	} {
		n, w := watched(c[0], proof{1, 1}, c[1])
		if w.sure() {
			t.Errorf("%s: it goes on", name)
		}
		w.fromUpstream([]byte("1234567890\n"))
		w.fromClient([]byte("1234567890\n"))
		if n.proofs() != 0 {
			t.Errorf("%s: %q", name, n)
		}
	}
}
