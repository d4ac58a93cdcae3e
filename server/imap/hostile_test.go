package imap

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	goimap "github.com/emersion/go-imap/v2"

	"overstay/connlog"
	"overstay/server"
	"overstay/server/mailstore"
)

// commands are one of each, with what they must be answered with in each
// state: not logged in, logged in, selected for reading, selected.
func commands() map[string][4]string {
	return map[string][4]string{
		"CAPABILITY":                     {"OK", "OK", "OK", "OK"},
		"NOOP":                           {"OK", "OK", "OK", "OK"},
		"CHECK":                          {"OK", "OK", "OK", "OK"},
		"LOGIN anna secret":              {"OK", "BAD", "BAD", "BAD"},
		"AUTHENTICATE NONE":              {"NO", "BAD", "BAD", "BAD"},
		"STARTTLS":                       {"NO", "NO", "NO", "NO"},
		"ENABLE UTF8=ACCEPT":             {"BAD", "OK", "OK", "OK"},
		"SELECT INBOX":                   {"BAD", "OK", "OK", "OK"},
		"SELECT none":                    {"BAD", "NO", "NO", "NO"},
		"SELECT ../ben":                  {"BAD", "NO", "NO", "NO"},
		"CREATE x/y":                     {"BAD", "OK", "OK", "OK"},
		"CREATE ../ben":                  {"BAD", "NO", "NO", "NO"},
		"CREATE INBOX":                   {"BAD", "NO", "NO", "NO"},
		"DELETE INBOX":                   {"BAD", "NO", "NO", "NO"},
		"RENAME none other":              {"BAD", "NO", "NO", "NO"},
		"SUBSCRIBE INBOX":                {"BAD", "OK", "OK", "OK"},
		"LIST \"\" *":                    {"BAD", "OK", "OK", "OK"},
		"LSUB \"\" *":                    {"BAD", "OK", "OK", "OK"},
		"LIST \"\" \"\"":                 {"BAD", "OK", "OK", "OK"},
		"NAMESPACE":                      {"BAD", "OK", "OK", "OK"},
		"STATUS INBOX (MESSAGES RECENT)": {"BAD", "OK", "OK", "OK"},
		"STATUS none (MESSAGES)":         {"BAD", "NO", "NO", "NO"},
		"APPEND none {1+}\r\nx":          {"BAD", "NO", "NO", "NO"},
		"APPEND INBOX {1+}\r\nx":         {"BAD", "OK", "OK", "OK"},
		"FETCH 1 FLAGS":                  {"BAD", "BAD", "OK", "OK"},
		"FETCH 1:* (BODY[] BINARY[1])":   {"BAD", "BAD", "BAD", "BAD"},
		"FETCH 4294967295 ALL":           {"BAD", "BAD", "OK", "OK"},
		"FETCH $ ALL":                    {"BAD", "BAD", "BAD", "BAD"},
		"UID FETCH 1:* BODY.PEEK[1.2.3]": {"BAD", "BAD", "OK", "OK"},
		"STORE 1 FLAGS ()":               {"BAD", "BAD", "NO", "OK"},
		"STORE 1 MODSEQ ()":              {"BAD", "BAD", "BAD", "BAD"},
		"SEARCH ALL":                     {"BAD", "BAD", "OK", "OK"},
		"SEARCH CHARSET KOI8 ALL":        {"BAD", "NO", "NO", "NO"},
		"SEARCH RETURN (SAVE) ALL":       {"BAD", "BAD", "BAD", "BAD"},
		"COPY 1 none":                    {"BAD", "BAD", "NO", "NO"},
		"MOVE 1 INBOX":                   {"BAD", "BAD", "NO", "NO"},
		"EXPUNGE":                        {"BAD", "BAD", "NO", "OK"},
		"UID EXPUNGE 1:*":                {"BAD", "BAD", "NO", "OK"},
		"CLOSE":                          {"BAD", "BAD", "OK", "OK"},
		"UNSELECT":                       {"BAD", "BAD", "OK", "OK"},
		"UNAUTHENTICATE":                 {"BAD", "BAD", "BAD", "BAD"},
		"IDLE\r\nDONE":                   {"BAD", "OK", "OK", "OK"},
		"LOGOUT":                         {"OK", "OK", "OK", "OK"},
	}
}

// Each command, in each state.
func TestEachCommandInEachState(t *testing.T) {
	s := start(t, Options{MaxErrors: 1000}, server.Service{})
	for command, wants := range commands() {
		for state, want := range wants {
			deliver(t, s.mail, "anna", letter)
			c := s.dial(t, "127.0.0.1")
			c.expect("* OK")
			for i, before := range []string{"LOGIN anna secret", "EXAMINE INBOX", "SELECT INBOX"} {
				if i < state && (i != 1 || state == 2) {
					c.say("x "+before, "x OK")
				}
			}
			text := command
			if state == 0 && strings.HasPrefix(command, "IDLE") {
				text = "IDLE"
			}
			if got := c.say("t "+text, "t "); !strings.Contains("\r\n"+got, "\r\nt "+want+" ") {
				t.Errorf("%q in state %d: %q", command, state, got)
			}
			if command != "LOGOUT" {
				c.say("u LOGOUT", "u OK")
			}
			_ = c.Close()
			_ = s.mail.DeleteFolder("anna", "x/y")
		}
	}
	if names, err := s.mail.Folders("anna"); err != nil || slices.Contains(names, "ben") {
		t.Errorf("%q, %v", names, err)
	}
	if _, err := os.Stat(s.mail.Path("ben")); err == nil {
		t.Error("somebody else's mail was touched")
	}
}

// In random order, over many connections: each command is answered, and each
// thread comes back.
func TestHostileOrder(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	s := start(t, Options{MaxErrors: 1000}, server.Service{})
	var all []string
	for command := range commands() {
		if command != "LOGOUT" {
			all = append(all, command)
		}
	}
	slices.Sort(all)
	all = append(all, "DELETE x", "RENAME INBOX old", "STORE 1:* +FLAGS.SILENT (\\Deleted)", "COPY 1:* INBOX", "MOVE 1:* x/y", "SELECT x/y")
	for range 10 {
		c := s.dial(t, "127.0.0.1")
		c.expect("* OK")
		for range 60 {
			command := all[r.IntN(len(all))]
			if r.IntN(4) == 0 {
				deliver(t, s.mail, "anna", letter)
			}
			if strings.HasPrefix(command, "IDLE") {
				command = "NOOP" // What follows it depends on the answer.
			}
			c.say("t "+command, "t ")
		}
		_ = c.Close()
	}
	s.log.closed(t, 10)
}

// Lines that are no commands end the conversation, with a word.
func TestNotCommands(t *testing.T) {
	s := start(t, Options{}, server.Service{})
	for i, text := range []string{"\r\n", "GET / HTTP/1.1\r\n", "a\r\n", "* OK\r\n", "a {5}\r\n", "\x16\x03\x01\r\n", "a+ NOOP\r\n", strings.Repeat("x", maxLineBytes+10)} {
		c := s.dial(t, "127.0.0.1")
		c.expect("* OK")
		c.send(text)
		if got := c.end(); !strings.Contains(got, "BYE") {
			t.Errorf("%.20q: %q", text, got)
		}
		if e := s.log.closed(t, i+1); e.Fails == 0 && i < 7 {
			t.Errorf("%.20q: close line %+v", text, e)
		}
	}
}

func TestTooManyErrors(t *testing.T) {
	s := start(t, Options{MaxErrors: 3}, server.Service{})
	c := s.login(t, "anna")
	for range 3 {
		c.say("a NONSENSE", "a BAD")
	}
	if got := c.end(); got != "* BYE Too many errors\r\n" {
		t.Errorf("%q", got)
	}
	if f := s.log.of(connlog.Fail); len(f) != 3 || f[0].What != connlog.FailCommand {
		t.Errorf("%+v", f)
	}
}

// A literal that is refused must not be taken for commands when it comes all
// the same.
func TestRefusedLiterals(t *testing.T) {
	s := start(t, Options{MaxMessageBytes: 100}, server.Service{})
	c := s.login(t, "anna")
	inside := "x CREATE stolen\r\n" + strings.Repeat("y NOOP\r\n", 700)
	for _, command := range []string{"APPEND INBOX", "CREATE", "SELECT"} {
		c.send(fmt.Sprintf("b %s {%d+}\r\n%s tail\r\n", command, len(inside), inside))
		if got := c.say("c NOOP", "c OK"); !strings.Contains(got, "b ") || strings.Contains(got, "x ") || strings.Contains(got, "y ") || strings.Contains(got, "tail") {
			t.Errorf("%s: %q", command, got)
		}
	}
	c.say("d APPEND INBOX {101}", "d NO [TOOBIG]")
	c.say("e NOOP", "e OK")
	if names, err := s.mail.Folders("anna"); err != nil || len(names) != 1 {
		t.Errorf("%q, %v", names, err)
	}
	// A message that is not complete is not stored.
	c.send("f APPEND INBOX {50}\r\n")
	c.expect("+ ")
	c.send("half of it")
	if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	c.end()
	s.log.closed(t, 1)
	if l := farTexts(t, s.mail, mailstore.Inbox); len(l) != 0 {
		t.Errorf("%q", l)
	}
}

// UIDs stay when the server is another one, and for the library's own client.
func TestUIDsAcrossRestarts(t *testing.T) {
	dir := t.TempDir()
	var validity uint32
	var before []goimap.UID
	for round := range 3 {
		s := start(t, Options{Store: mailstore.NewStore(dir)}, server.Service{})
		for range 5 {
			deliver(t, s.mail, "anna", letter)
		}
		c := s.client(t, "anna", nil)
		d, err := c.Select("INBOX", nil).Wait()
		if err != nil {
			t.Fatal(err)
		}
		found, err := c.UIDSearch(&goimap.SearchCriteria{}, nil).Wait()
		if err != nil {
			t.Fatal(err)
		}
		uids := found.AllUIDs()
		if round > 0 && d.UIDValidity != validity || len(uids) != 5*(round+1)-round || !slices.Equal(uids[:len(before)], before) {
			t.Errorf("round %d: %d %v, before %d %v", round, d.UIDValidity, uids, validity, before)
		}
		// The last one goes, and its UID with it.
		set := goimap.UIDSetNum(uids[len(uids)-1])
		if err := c.Store(set, &goimap.StoreFlags{Op: goimap.StoreFlagsAdd, Flags: []goimap.Flag{goimap.FlagDeleted}}, nil).Close(); err != nil {
			t.Fatal(err)
		}
		if err := c.Expunge().Close(); err != nil {
			t.Fatal(err)
		}
		validity, before = d.UIDValidity, uids[:len(uids)-1]
		if round > 0 && slices.Contains(before, goimap.UID(5)) {
			t.Errorf("UID 5 came again: %v", before)
		}
		if err := c.Logout().Wait(); err != nil {
			t.Error(err)
		}
		s.stop()
	}
}

// Two sessions of one mailbox, and a third program: each hears of what the
// others do, with numbers that fit what it was told.
func TestTwoSessions(t *testing.T) {
	s := start(t, Options{}, server.Service{})
	for i := range 5 {
		deliver(t, s.mail, "anna", fmt.Sprintf("Subject: %d\n\n", i+1))
	}
	a, b := s.login(t, "anna"), s.login(t, "anna")
	a.say("s SELECT INBOX", "s OK")
	if got := b.say("s SELECT INBOX", "s OK"); !strings.Contains(got, "* 0 RECENT") {
		t.Errorf("recent for two: %q", got)
	}
	a.say(`t STORE 2,4 +FLAGS.SILENT (\Deleted)`, "t OK")
	a.say("t EXPUNGE", "t OK")
	// Without leave to tell of the expunge, the numbers are as they were.
	if got := b.say("t FETCH 3,4,5 BODY.PEEK[HEADER.FIELDS (Subject)]", "t NO [EXPUNGEISSUED]"); !strings.Contains(got, "Subject: 3") || !strings.Contains(got, "* 5 FETCH") || strings.Contains(got, "EXPUNGE\r\n") || strings.Contains(got, "Subject: 4") {
		t.Errorf("fetch: %q", got)
	}
	if got := b.say("u SEARCH ALL", "u OK"); !strings.Contains(got, "* SEARCH 1 3 5\r\n") || strings.Contains(got, "EXPUNGE") {
		t.Errorf("search: %q", got)
	}
	if got := b.say("v NOOP", "v OK"); got != "* 4 EXPUNGE\r\n* 2 EXPUNGE\r\nv OK NOOP completed\r\n" {
		t.Errorf("noop: %q", got)
	}
	if got := b.say("w FETCH 3 UID", "w OK"); !strings.Contains(got, "* 3 FETCH (UID 5)") {
		t.Errorf("fetch: %q", got)
	}
	b.say(`x STORE 1 +FLAGS (\Flagged)`, "x OK")
	if got := a.say("x NOOP", "x OK"); !strings.Contains(got, `* 1 FETCH (UID 1 FLAGS (\Flagged \Recent))`) {
		t.Errorf("flags: %q", got)
	}
	// What has come since the client was told must not go with an expunge.
	a.say(`x APPEND INBOX (\Deleted) {1+}`+"\r\nx", "x OK")
	b.send("x EXPUNGE\r\n")
	if got := b.expect("x OK"); strings.Contains(got, " EXPUNGE\r\n") || !strings.Contains(got, "* 4 EXISTS") {
		t.Errorf("expunge: %q", got)
	}
	// The mailbox goes away under a session.
	a.say("y CREATE x", "y OK")
	b.say("y SELECT x", "y OK")
	a.say("y DELETE x", "y OK")
	b.send("z NOOP\r\n")
	if got := b.end(); !strings.Contains(got, "* BYE The mailbox was deleted") {
		t.Errorf("deleted: %q", got)
	}
}

// Many messages, as a client that syncs sees them.
func TestManyMessages(t *testing.T) {
	t.Parallel()
	s := start(t, Options{}, server.Service{})
	c := s.client(t, "anna", nil)
	const n = 300
	body := strings.ReplaceAll(letter, "\n", "\r\n")
	for range n {
		a := c.Append("INBOX", int64(len(body)), &goimap.AppendOptions{Flags: []goimap.Flag{goimap.FlagSeen}, Time: time.Unix(1e9, 0)})
		if _, err := a.Write([]byte(body)); err != nil {
			t.Fatal(err)
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Wait(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Select("INBOX", nil).Wait(); err != nil {
		t.Fatal(err)
	}
	all := goimap.SeqSet{{Start: 1, Stop: 0}}
	got, err := c.Fetch(all, &goimap.FetchOptions{
		UID: true, Flags: true, RFC822Size: true, Envelope: true, InternalDate: true,
		BodySection: []*goimap.FetchItemBodySection{{Peek: true}},
	}).Collect()
	if err != nil || len(got) != n {
		t.Fatalf("%d messages, %v", len(got), err)
	}
	for i, m := range got {
		if m.UID != goimap.UID(i+1) || m.RFC822Size != int64(len(body)) || string(m.BodySection[0].Bytes) != body ||
			m.Envelope.Subject != "Grüße" || !m.InternalDate.Equal(time.Unix(1e9, 0)) || !slices.Equal(m.Flags, []goimap.Flag{goimap.FlagSeen}) {
			t.Fatalf("message %d: %+v", i+1, m)
		}
	}
	if d, err := c.Move(goimap.SeqSet{{Start: 1, Stop: 100}}, "Archive").Wait(); err == nil {
		t.Errorf("moved to nowhere: %+v", d)
	}
	if err := c.Create("Archive", nil).Wait(); err != nil {
		t.Fatal(err)
	}
	if d, err := c.Move(goimap.SeqSet{{Start: 1, Stop: 100}}, "Archive").Wait(); err != nil || len(d.SourceUIDs.(goimap.UIDSet)) != 1 {
		t.Errorf("%+v, %v", d, err)
	}
	d, err := c.Status("Archive", &goimap.StatusOptions{NumMessages: true, UIDNext: true}).Wait()
	if err != nil || *d.NumMessages != 100 || d.UIDNext != 101 {
		t.Errorf("%+v, %v", d, err)
	}
	if err := c.Logout().Wait(); err != nil {
		t.Error(err)
	}
}

// A search that nobody waits for any more ends.
func TestCutSearch(t *testing.T) {
	s := start(t, Options{}, server.Service{})
	c, err := net.Dial("tcp", s.Addr("imap").String())
	if err != nil {
		t.Fatal(err)
	}
	l := &link{Conn: c}
	if l.cut() {
		t.Error("it is open")
	}
	_ = c.Close()
	if !l.cut() {
		t.Error("it is closed")
	}
}
