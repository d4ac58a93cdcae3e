package imap

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"overstay/connlog"
	"overstay/server"
)

const letter = "From: Ben <ben@example.net>\nTo: anna@example.org\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\n" +
	"Date: Mon, 2 Mar 2026 10:00:00 +0100\nMessage-ID: <1@example.net>\n\nHello\nAnna\n"

func TestConversation(t *testing.T) {
	s := start(t, Options{}, server.Service{})
	deliver(t, s.mail, "anna", letter)
	deliver(t, s.mail, "anna", "Subject: two\n\n2\n")
	c := s.dial(t, "127.0.0.1")
	if got := c.expect("* OK"); !strings.Contains(got, "AUTH=PLAIN") || strings.Contains(got, "STARTTLS") || strings.Contains(got, "LOGINDISABLED") {
		t.Errorf("greeting %q", got)
	}
	c.say("a NOOP", "a OK")
	c.say("a SELECT INBOX", "a BAD")
	if got := c.say("b LOGIN anna@example.org secret", "b OK"); !strings.Contains(got, "UIDPLUS") {
		t.Errorf("login: %q", got)
	}
	got := c.say("c SELECT inbox", "c OK [READ-WRITE]")
	for _, want := range []string{"* 2 EXISTS\r\n", "* 2 RECENT\r\n", "[UIDNEXT 3]", "[UIDVALIDITY ", "[UNSEEN 1]", `\Deleted`} {
		if !strings.Contains(got, want) {
			t.Errorf("select: %q lacks %q", got, want)
		}
	}
	wire := strings.ReplaceAll(letter, "\n", "\r\n")
	for ask, want := range map[string]string{
		"FETCH 1 BODY.PEEK[]":                             "* 1 FETCH (BODY[] {" + itoa(len(wire)) + "}\r\n" + wire + ")\r\n",
		"FETCH 1 (UID RFC822.SIZE)":                       "* 1 FETCH (UID 1 RFC822.SIZE " + itoa(len(wire)) + ")\r\n",
		"FETCH 1 BODY.PEEK[TEXT]":                         "* 1 FETCH (BODY[TEXT] {13}\r\nHello\r\nAnna\r\n)\r\n",
		"FETCH 1 BODY.PEEK[1]":                            "* 1 FETCH (BODY[1] {13}\r\nHello\r\nAnna\r\n)\r\n",
		"FETCH 1 BODY.PEEK[2]":                            "* 1 FETCH (BODY[2] {0}\r\n)\r\n",
		"FETCH 1 BODY.PEEK[]<2.4>":                        "* 1 FETCH (BODY[]<2> {4}\r\nom: )\r\n",
		"FETCH 1 BODY.PEEK[]<9223372036854775807.9>":      "{0}\r\n)\r\n",
		"FETCH 1 BODY.PEEK[]<1.9223372036854775807>":      "{" + itoa(len(wire)-1) + "}\r\n",
		"FETCH 1 BODY.PEEK[HEADER.FIELDS (message-id X)]": "{31}\r\nMessage-ID: <1@example.net>\r\n\r\n)\r\n",
		"UID FETCH 2 FLAGS":                               "* 2 FETCH (UID 2 FLAGS (\\Recent))\r\n",
		"FETCH 2 ENVELOPE":                                "ENVELOPE (NIL \"two\" NIL NIL NIL NIL NIL NIL NIL NIL)",
		"FETCH 1 ENVELOPE":                                `("Mon, 02 Mar 2026 10:00:00 +0100" "=?utf-8?q?Gr=C3=BC=C3=9Fe?=" (("Ben" NIL "ben" "example.net"))`,
		"FETCH 1 BODYSTRUCTURE":                           `("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 13 2 NIL NIL NIL NIL)`,
		"SEARCH UNSEEN SMALLER 100":                       "* SEARCH 2\r\n",
		"UID SEARCH FROM ben":                             "* SEARCH 1\r\n",
		"SEARCH TEXT anna NOT BODY hello":                 "* SEARCH\r\n",
		"SEARCH OR BODY anna UID 2":                       "* SEARCH 1 2\r\n",
		"UID SEARCH RETURN (MIN MAX COUNT) ALL":           "MIN 1 MAX 2 COUNT 2",
	} {
		if got := c.say("d "+ask, "d OK"); !strings.Contains(got, want) {
			t.Errorf("%s: %q lacks %q", ask, got, want)
		}
	}
	if got := c.say("e UID SEARCH CHARSET UTF-8 SUBJECT {7+}\r\ngr\u00fc\u00dfe", "e OK"); !strings.Contains(got, "* SEARCH 1\r\n") {
		t.Errorf("search: %q", got)
	}
	if got := c.say("e FETCH 1 BODY[]", "e OK"); !strings.HasPrefix(got, "* 1 FETCH (FLAGS (\\Seen \\Recent) BODY[]") {
		t.Errorf("implied flag: %q", got)
	}
	if got := c.say(`f STORE 1:2 +FLAGS (\Deleted $Forwarded odd)`, "f OK"); !strings.Contains(got, `* 2 FETCH (FLAGS (\Deleted $Forwarded \Recent))`) {
		t.Errorf("store: %q", got)
	}
	if got := c.say("g UID EXPUNGE 1", "g OK"); got != "* 1 EXPUNGE\r\ng OK UID EXPUNGE completed\r\n" {
		t.Errorf("expunge: %q", got)
	}
	c.say("h CREATE Work/2026/", "h OK")
	c.say("h CREATE Work", "h NO [ALREADYEXISTS]")
	c.say("h COPY 1 Nowhere", "h NO [TRYCREATE]")
	if got := c.say("h LIST \"\" *", "h OK"); strings.Count(got, "* LIST") != 3 || !strings.Contains(got, `(\HasChildren) "/" "Work"`) {
		t.Errorf("list: %q", got)
	}
	if got := c.say("h COPY 1 Work/2026", "h OK [COPYUID "); !strings.Contains(got, " 2 1]") {
		t.Errorf("copy: %q", got)
	}
	if got := c.say("h UID MOVE 2 Work/2026", "h OK"); !strings.Contains(got, " 2 2]") || !strings.Contains(got, "* 1 EXPUNGE") {
		t.Errorf("move: %q", got)
	}
	if got := c.say("h STATUS Work/2026 (MESSAGES UIDNEXT UNSEEN SIZE)", "h OK"); !strings.Contains(got, "(MESSAGES 2 UIDNEXT 3 UNSEEN 2 SIZE 38)") {
		t.Errorf("status: %q", got)
	}
	c.send("i APPEND INBOX (\\Seen) \"01-Mar-2026 10:00:00 +0000\" {3}\r\n")
	c.expect("+ ")
	if got := c.say("abc", "i OK [APPENDUID "); !strings.Contains(got, "* 1 EXISTS") {
		t.Errorf("append: %q", got)
	}
	if got := c.say("i FETCH 1 (INTERNALDATE FLAGS UID)", "i OK"); !strings.Contains(got, `UID 3 FLAGS (\Seen) INTERNALDATE " 1-Mar-2026 10:00:00 +0000"`) {
		t.Errorf("appended: %q", got)
	}
	c.say("j CLOSE", "j OK")
	c.say("k LOGOUT", "k OK")
	if got := c.end(); got != "" {
		t.Errorf("after the end: %q", got)
	}
	e := s.log.closed(t, 1)
	if !e.Proven || e.Fails != 1 || e.Stages[connlog.StageLogin] <= 0 || e.Stages[connlog.StageDeliver] <= 0 || e.Stages[connlog.StageIdle] <= 0 {
		t.Errorf("close line %+v", e)
	}
	if p := s.log.of(connlog.Proven); len(p) != 1 || p[0].User != "anna" || p[0].By != connlog.ByLogin {
		t.Errorf("proven: %+v", p)
	}
}

func TestIdle(t *testing.T) {
	s := start(t, Options{}, server.Service{})
	c, other := s.login(t, "anna"), s.login(t, "anna")
	c.say("b SELECT INBOX", "b OK")
	c.say("c IDLE", "+ ")
	begin := time.Now()
	deliver(t, s.mail, "anna", letter)
	if got := c.expect("* 1 RECENT"); !strings.Contains(got, "* 1 EXISTS") {
		t.Errorf("new mail: %q", got)
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	other.say("b SELECT INBOX", "b OK")
	other.say(`c STORE 1 +FLAGS (\Flagged \Deleted)`, "c OK")
	c.expect(`* 1 FETCH (UID 1 FLAGS (\Flagged \Deleted \Recent))`)
	other.say("d EXPUNGE", "d OK")
	c.expect("* 1 EXPUNGE")
	c.say("DONE", "c OK")
	c.say("d NOOP", "d OK")
}

func itoa(n int) string { return strconv.Itoa(n) }

// Who is silent for too long is told why it ends; a client that has logged in
// may be silent for longer.
func TestIdleLimits(t *testing.T) {
	s := start(t, Options{}, server.Service{Limits: server.Limits{Idle: 300 * time.Millisecond, ProvenIdle: time.Minute}})
	silent, known := s.dial(t, "127.0.0.1"), s.login(t, "anna")
	known.say("b SELECT INBOX", "b OK")
	known.say("c IDLE", "+ ")
	if got := silent.end(); !strings.Contains(got, "* BYE Timeout") {
		t.Errorf("%q", got)
	}
	if e := s.log.closed(t, 1); e.End != connlog.EndTimeout {
		t.Errorf("close line %+v", e)
	}
	known.say("DONE", "c OK")
	known.say("d LOGOUT", "d OK")
}
