package pop3

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"overstay/connlog"
	"overstay/server"
)

func TestSession(t *testing.T) {
	s := start(t, Options{}, server.Service{})
	s.deliver(t, "anna", "Subject: one\n\nfirst\n", "Subject: two\n\n.dot\n..\n\nend\n", "Subject: three\n\nx\n")
	c := s.dial(t, "127.0.0.1")
	c.expect("+OK mail.example.org ")
	c.login("anna")
	c.say("STAT", "+OK 3 77\r\n")
	if got := c.all("LIST"); got != "1 23\r\n2 33\r\n3 21\r\n" {
		t.Errorf("LIST %q", got)
	}
	c.say("list 2", "+OK 2 33\r\n")
	ids := strings.Fields(c.all("UIDL"))
	if len(ids) != 6 || ids[1] == ids[3] || ids[2] != "2" {
		t.Errorf("UIDL %q", ids)
	}
	c.say("UIDL 3", "+OK 3 "+ids[5]+"\r\n")
	c.say("RETR 2", "+OK 33 octets")
	if got := c.rest(); got != "Subject: two\r\n\r\n..dot\r\n...\r\n\r\nend\r\n" || len(unstuff(got)) != 33 {
		t.Errorf("RETR %q", got)
	}
	for lines, want := range map[string]string{
		"0": "Subject: two\r\n\r\n", "1": "Subject: two\r\n\r\n..dot\r\n", "3": "Subject: two\r\n\r\n..dot\r\n...\r\n\r\n",
		"99999999999999999999": "Subject: two\r\n\r\n..dot\r\n...\r\n\r\nend\r\n",
	} {
		if got := c.all("TOP 2 " + lines); got != want {
			t.Errorf("TOP 2 %s: %q", lines, got)
		}
	}
	c.say("DELE 1", "+OK")
	c.say("DELE 1", "-ERR")
	c.say("RETR 1", "-ERR")
	c.say("STAT", "+OK 2 54\r\n")
	if got := c.all("LIST"); got != "2 33\r\n3 21\r\n" {
		t.Errorf("LIST %q", got)
	}
	c.say("RSET", "+OK")
	c.say("STAT", "+OK 3 77\r\n")
	c.say("DELE 2", "+OK")
	c.say("NOOP", "+OK")
	s.deliver(t, "anna", "late\n") // It belongs to the next session.
	c.say("RETR 4", "-ERR No such message")
	c.say("QUIT", "+OK")
	c.gone()

	c = s.enter(t, "ANNA@example.org")
	now := strings.Fields(c.all("UIDL"))
	if len(now) != 6 || now[1] != ids[1] || now[3] != ids[5] || slices.Contains(ids, now[5]) {
		t.Errorf("UIDL before %q, after %q", ids, now)
	}
	c.say("QUIT", "+OK")
	e := s.log.closed(t, 1)
	if !e.Proven || e.End != connlog.EndServer || e.Stages[connlog.StageDeliver] <= 0 || e.Stages[connlog.StageLogin] <= 0 ||
		e.Stages[connlog.StageIdle] <= 0 || e.Stages[connlog.StageCommand] <= 0 || e.Stages[connlog.StageGreeting] <= 0 {
		t.Errorf("close line %+v", e)
	}
	p := s.log.of(connlog.Proven)
	if len(p) != 2 || p[0].By != connlog.ByLogin || p[1].User != "anna" {
		t.Errorf("proven lines %+v", p)
	}
	if f := s.log.of(connlog.Fail); len(f) != 0 {
		t.Errorf("fail lines %+v", f)
	}
}

// Deletions count when QUIT says so, and at no other end.
func TestOnlyQuitDeletes(t *testing.T) {
	for name, end := range map[string]func(*site, *talk){
		"cut": func(_ *site, c *talk) { _ = c.Close() },
		"too many errors": func(_ *site, c *talk) {
			for range 10 {
				c.say("NONSENSE", "-ERR")
			}
			c.gone()
		},
		"not a line":  func(_ *site, c *talk) { c.say("QUIT\x00", "-ERR"); c.gone() },
		"long line":   func(_ *site, c *talk) { c.send(strings.Repeat("x", 5000)); c.expect("-ERR") },
		"half a QUIT": func(_ *site, c *talk) { c.send("QUIT"); _ = c.Close() },
		"shutdown": func(s *site, c *talk) {
			_ = s.Shutdown(t.Context())
			c.expect("-ERR [SYS/TEMP] Service shutting down")
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, Options{}, server.Service{})
			s.deliver(t, "anna", "a\n", "b\n")
			c := s.enter(t, "anna")
			c.say("DELE 1", "+OK")
			end(s, c)
			s.log.closed(t, 1)
			if n := s.left(t, "anna"); n != 2 {
				t.Errorf("%d messages left", n)
			}
		})
	}
	s := start(t, Options{}, server.Service{})
	s.deliver(t, "anna", "a\n", "b\n")
	c := s.enter(t, "anna")
	c.say("DELE 1", "+OK")
	c.say("QUIT", "+OK")
	if n := s.left(t, "anna"); n != 1 {
		t.Errorf("after QUIT %d messages left", n)
	}
}

func TestMailboxInUse(t *testing.T) {
	s := start(t, Options{}, server.Service{})
	s.deliver(t, "anna", "a\n")
	first := s.enter(t, "anna")
	second := s.dial(t, "127.0.0.1")
	second.expect("+OK")
	second.say("USER anna", "+OK")
	second.say("PASS secret", "-ERR [IN-USE] ")
	second.say("STAT", "-ERR") // It has no mailbox.
	s.enter(t, "ben").say("QUIT", "+OK")
	first.say("QUIT", "+OK")
	second.login("anna") // The mailbox is free before the answer to QUIT.
	second.say("STAT", "+OK 1 3\r\n")
	third := s.dial(t, "127.0.0.1")
	third.expect("+OK")
	third.say("AUTH PLAIN "+b64("\x00anna\x00secret"), "-ERR [IN-USE] ")
	_ = second.Close() // A dropped line gives the mailbox back as well.
	for end := time.Now().Add(10 * time.Second); ; {
		third.send("AUTH PLAIN " + b64("\x00anna\x00secret") + "\r\n")
		if got := third.line(); strings.HasPrefix(got, "+OK") {
			break
		} else if !strings.HasPrefix(got, "-ERR [IN-USE]") || time.Now().After(end) {
			t.Fatalf("%q", got)
		}
	}
	if n := len(s.log.fails(connlog.FailLogin)); n != 0 {
		t.Errorf("%d failed logins: the password was right", n)
	}
	if n := len(s.log.of(connlog.Proven)); n != 4 {
		t.Errorf("%d connections proven", n)
	}
}

// Somebody else may take messages away; the numbers stay.
func TestMessagesVanish(t *testing.T) {
	s := start(t, Options{}, server.Service{})
	s.deliver(t, "anna", "a\n", "b\n", "c\n")
	c := s.enter(t, "anna")
	second, third := s.file(t, "anna", "b\n"), s.file(t, "anna", "c\n")
	if err := os.Remove(second); err != nil {
		t.Fatal(err)
	}
	// This one only gets another name, as readers give it.
	seen := filepath.Join(s.mail.Path("anna"), "cur", filepath.Base(third)+":2,S")
	if err := os.Rename(third, seen); err != nil {
		t.Fatal(err)
	}
	c.say("STAT", "+OK 3 9\r\n")
	c.say("RETR 2", "-ERR Message is gone")
	c.say("TOP 2 0", "-ERR Message is gone")
	if got := c.all("RETR 3"); got != "c\r\n" {
		t.Errorf("the renamed one: %q", got)
	}
	c.say("DELE 2", "+OK")
	c.say("DELE 3", "+OK")
	c.say("QUIT", "+OK")
	if n := s.left(t, "anna"); n != 1 {
		t.Errorf("%d messages left", n)
	}
}

func TestThousandMessages(t *testing.T) {
	s := start(t, Options{}, server.Service{})
	const n = 1000
	text := func(i int) string {
		return fmt.Sprintf("Subject: %d\n\n.%s\n", i, strings.Repeat("line\n.\n", i%40))
	}
	for i := range n {
		s.deliver(t, "anna", text(i))
	}
	c := s.enter(t, "anna")
	sizes := strings.Split(strings.TrimSpace(c.all("LIST")), "\r\n")
	if len(sizes) != n || strings.Count(c.all("UIDL"), "\r\n") != n {
		t.Fatalf("%d messages listed", len(sizes))
	}
	// All at once: the answers come in order while commands are still sent.
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for i := range n {
			c.send(fmt.Sprintf("RETR %d\r\nDELE %d\r\n", i+1, i+1))
		}
		c.send("QUIT\r\n")
	}()
	for i := range n {
		c.expect("+OK")
		got := unstuff(c.rest())
		if want := strings.ReplaceAll(text(i), "\n", "\r\n"); got != want {
			t.Fatalf("message %d: %q, want %q", i+1, got, want)
		}
		if want := fmt.Sprintf("%d %d", i+1, len(got)); sizes[i] != want {
			t.Fatalf("listed as %q, sent as %q", sizes[i], want)
		}
		c.expect(fmt.Sprintf("+OK Message %d deleted", i+1))
	}
	c.expect("+OK Bye")
	<-sent
	if left := s.left(t, "anna"); left != 0 {
		t.Errorf("%d messages left", left)
	}
}

func TestWordsOfRefusals(t *testing.T) {
	s := start(t, Options{}, server.Service{Threads: 2, SessionsPerSource: 1})
	s.dial(t, "127.0.0.1").expect("+OK")
	s.dial(t, "127.0.0.1").expect("-ERR [IN-USE] Too many sessions from your address\r\n")
	s.dial(t, "127.0.0.2").expect("+OK")
	s.dial(t, "127.0.0.3").expect("-ERR [SYS/TEMP] Too busy, please try later\r\n")
	s.dial(t, "127.0.0.66").expect("-ERR [SYS/PERM] Your address is banned\r\n")

	own, err := New(Options{Users: people{}, Store: Maildirs{}, Words: server.Words{
		Busy: "Later", Sessions: "Fewer", Banned: "Never", BanSilently: true,
	}})
	if err != nil {
		t.Fatal(err)
	}
	for reason, want := range map[connlog.Reason]string{
		connlog.RefuseBusy: "-ERR [SYS/TEMP] Later\r\n", connlog.RefuseSessions: "-ERR [IN-USE] Fewer\r\n", connlog.RefuseBanned: "",
	} {
		if got := string(own.Refusal(reason)); got != want {
			t.Errorf("%s: %q", reason, got)
		}
	}
	own.options.Words.BanSilently = false
	if got := string(own.Refusal(connlog.RefuseBanned)); got != "-ERR [SYS/PERM] Never\r\n" {
		t.Errorf("banned: %q", got)
	}
	for _, bad := range []server.Words{{Busy: "a\r\n+OK"}, {Sessions: "a\x00"}, {Banned: strings.Repeat("x", 500)}} {
		if _, err := New(Options{Users: people{}, Store: Maildirs{}, Words: bad}); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
	if _, err := New(Options{}); err == nil {
		t.Error("neither users nor store")
	}
}

// The sessions of a banned source end, and give their mailboxes back.
func TestBanEndsSessions(t *testing.T) {
	list := &banned{}
	s := start(t, Options{}, server.Service{}, list)
	s.deliver(t, "anna", "a\n")
	c := s.enter(t, "anna")
	c.say("DELE 1", "+OK")
	list.set(netip.MustParseAddr("127.0.0.1"))
	if n := s.Recheck(); n != 1 {
		t.Errorf("%d sessions ended", n)
	}
	if e := s.log.closed(t, 1); e.End != connlog.EndBanned {
		t.Errorf("close line %+v", e)
	}
	list.set(netip.Addr{})
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		release, err := s.mail.Lock("anna")
		if err == nil {
			release()
			break
		}
		if time.Now().After(end) {
			t.Fatal("the mailbox stays locked")
		}
	}
	if n := s.left(t, "anna"); n != 1 {
		t.Errorf("%d messages left", n)
	}
}
