package pop3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"overstay/connlog"
	"overstay/server"
)

// Every command in every state: what comes at the wrong time is refused, and
// changes nothing.
func TestCommandsInStates(t *testing.T) {
	config, _ := withTLS(t)
	const any = authorization | transaction
	for _, c := range []struct {
		command string
		ok      state // where it succeeds
		fails   state // where it is the client's failure
	}{
		{"CAPA", any, 0}, {"capa", any, 0}, {"CAPA x", 0, any},
		{"NOOP", transaction, authorization}, {"NOOP x", 0, any},
		{"STAT", transaction, authorization}, {"STAT 1", 0, any},
		{"LIST", transaction, authorization}, {"LIST 1", transaction, authorization}, {"LIST 9", 0, authorization}, {"LIST x", 0, any}, {"LIST 1 1", 0, any},
		{"UIDL", transaction, authorization}, {"UIDL 1", transaction, authorization}, {"UIDL 0", 0, authorization}, {"UIDL -1", 0, any},
		{"RETR", 0, any}, {"RETR 1", transaction, authorization}, {"RETR 3", 0, authorization}, {"RETR +1", 0, any}, {"RETR 1 1", 0, any},
		{"RETR 18446744073709551617", 0, authorization}, {"RETR 4294967297", 0, authorization}, {"RETR 1x", 0, any}, {"RETR ١", 0, any},
		{"TOP", 0, any}, {"TOP 1", 0, any}, {"TOP 1 0", transaction, authorization}, {"TOP 1 x", 0, any}, {"TOP 1 -1", 0, any}, {"TOP 9 1", 0, authorization},
		{"DELE", 0, any}, {"DELE 1", transaction, authorization}, {"DELE 9", 0, authorization}, {"DELE 1 2", 0, any},
		{"RSET", transaction, authorization}, {"RSET 1", 0, any},
		{"USER anna", authorization, transaction}, {"USER", 0, any}, {"USER a b", 0, any},
		{"PASS secret", 0, any}, {"PASS", 0, any},
		{"AUTH", authorization, transaction}, {"AUTH NONE", 0, any}, {"AUTH PLAIN " + b64("\x00anna\x00secret"), authorization, transaction},
		{"AUTH PLAIN a b", 0, any}, {"STLS", authorization, transaction}, {"STLS x", 0, any},
		{"APOP anna x", 0, any}, {"XTND", 0, any}, {"", 0, any}, {" ", 0, any}, {" STAT", 0, any}, {"STAT ", transaction, authorization},
		{"+OK", 0, any}, {"GET / HTTP/1.1", 0, any}, {"EHLO x", 0, any}, {"QUIT x", 0, any}, {"QUIT", any, 0},
		{"NOOP " + strings.Repeat("x", 300), 0, any}, {"USER " + strings.Repeat("x", 249), 0, any}, {"USER " + strings.Repeat("x", 248), authorization, transaction},
	} {
		for _, in := range []state{authorization, transaction} {
			s := start(t, Options{TLS: config}, server.Service{})
			s.deliver(t, "anna", "Subject: x\n\nhi\n", "y\n")
			conn := s.dial(t, "127.0.0.1")
			conn.expect("+OK")
			if in == transaction {
				conn.login("anna")
			}
			name := fmt.Sprintf("%.40q in state %d", c.command, in)
			conn.send(c.command + "\r\n")
			if got := conn.line(); strings.HasPrefix(got, "+OK") != (c.ok&in != 0) || !strings.HasPrefix(got, "+OK") && !strings.HasPrefix(got, "-ERR ") {
				t.Errorf("%s: %q", name, got)
			}
			_ = conn.Close()
			s.log.closed(t, 1)
			if n := len(s.log.fails(connlog.FailCommand)); (n == 1) != (c.fails&in != 0) || n > 1 {
				t.Errorf("%s: %d failures", name, n)
			}
			if n := s.left(t, "anna"); n != 2 {
				t.Errorf("%s: %d messages left", name, n)
			}
		}
	}
}

// Whatever the order of commands, a model of a few lines knows the answers.
func TestRandomOrder(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	s := start(t, Options{MaxErrors: 1 << 30}, server.Service{})
	for range 20 {
		const messages = 4
		for n := s.left(t, "anna"); n < messages; n++ {
			s.deliver(t, "anna", "Subject: x\n\ntext\n")
		}
		c := s.dial(t, "127.0.0.1")
		c.expect("+OK")
		named, inside := false, false
		var marked [messages]bool
		for range 60 {
			n := random.IntN(messages + 1) // 0 is no message.
			there := inside && n > 0 && !marked[max(n-1, 0)]
			var ok, long bool
			var command string
			switch random.IntN(10) {
			case 0:
				command, ok = "USER anna", !inside
				named = named || ok
			case 1:
				command, ok = "PASS secret", !inside && named
				named, inside = named && inside, inside || ok
			case 2:
				command, ok = "STAT", inside
			case 3:
				command, ok, long = "LIST", inside, inside
			case 4:
				command, ok = fmt.Sprint("LIST ", n), there
			case 5:
				command, ok, long = fmt.Sprint("RETR ", n), there, there
			case 6:
				command, ok = fmt.Sprint("DELE ", n), there
				if ok {
					marked[n-1] = true
				}
			case 7:
				command, ok = "RSET", inside
				if ok {
					marked = [messages]bool{}
				}
			case 8:
				command, ok, long = fmt.Sprint("TOP ", n, " 1"), there, there
			case 9:
				command = "XYZZY"
			}
			want := "-ERR "
			if ok {
				want = "+OK"
			}
			c.say(command, want)
			if long {
				c.rest()
			}
		}
		left := messages
		if random.IntN(2) == 0 {
			for _, m := range marked {
				if m {
					left--
				}
			}
			c.say("QUIT", "+OK")
		} else {
			_ = c.Close()
		}
		for end := time.Now().Add(10 * time.Second); s.Status().Services[0].Busy > 0; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("a thread is lost")
			}
		}
		if n := s.left(t, "anna"); n != left {
			t.Fatalf("%d messages left, want %d", n, left)
		}
	}
}

func TestTooManyErrors(t *testing.T) {
	s := start(t, Options{MaxErrors: 3}, server.Service{})
	s.deliver(t, "anna", "x\n")
	c := s.enter(t, "anna")
	for range 5 {
		c.say("RETR 7", "-ERR No such message\r\n") // A fair question.
	}
	c.say("XYZZY", "-ERR Unknown command\r\n")
	c.say("USER anna", "-ERR Not now\r\n")
	c.say("RETR x", "-ERR Not a number, and too many errors\r\n")
	c.gone()
	if e := s.log.closed(t, 1); e.Fails != 3 || e.End != connlog.EndServer {
		t.Errorf("close line %+v", e)
	}
	// Passwords that are guessed count as well.
	c = s.dial(t, "127.0.0.1")
	c.expect("+OK")
	c.send(strings.Repeat("USER anna\r\nPASS wrong\r\n", 5)) // At once.
	for i := range 3 {
		c.expect("+OK")
		if got := c.expect("-ERR [AUTH] "); strings.Contains(got, "too many") != (i == 2) {
			t.Errorf("%q", got)
		}
	}
	if e := s.log.closed(t, 2); e.Fails != 3 || e.Proven {
		t.Errorf("close line %+v", e)
	}
}

func TestLines(t *testing.T) {
	s := start(t, Options{}, server.Service{})
	s.deliver(t, "anna", "x\n")
	c := s.enter(t, "anna")
	c.send("STAT\nNO")
	c.expect("+OK 1 3")
	c.send("OP\r\nLI")
	c.expect("+OK")
	c.send("ST 1\r\nSTAT\r\n")
	c.expect("+OK 1 3")
	c.expect("+OK 1 3")
	for _, bad := range []string{"NOOP\rSTAT\r\n", "NO\x00OP\r\n", "NOOP\r\r\n", strings.Repeat("A", 2048), "AUTH PLAIN " + strings.Repeat("A", 4000) + "\r\n"} {
		c := s.dial(t, "127.0.0.1")
		c.expect("+OK")
		c.send(bad)
		c.expect("-ERR ")
		if strings.HasSuffix(bad, "\n") && len(bad) < 10 {
			c.gone() // Another would be reset.
		}
	}
	if n := len(s.log.fails(connlog.FailCommand)); n != 5 {
		t.Errorf("%d failures", n)
	}
	// A long password fits behind a challenge and in AUTH, not into a command.
	long := b64("\x00anna\x00" + strings.Repeat("p", 255))
	c = s.dial(t, "127.0.0.1")
	c.expect("+OK")
	c.say("AUTH PLAIN "+long, "-ERR [AUTH] ")
	c.say("AUTH PLAIN", "+ ")
	c.say(long, "-ERR [AUTH] ")
}

// Limits of the server end a session that sends a byte now and then.
func TestSlowSender(t *testing.T) {
	for _, limits := range []server.Limits{{Unproven: 300 * time.Millisecond}, {Stage: 300 * time.Millisecond}} {
		s := start(t, Options{}, server.Service{Limits: limits})
		c := s.dial(t, "127.0.0.1")
		c.expect("+OK")
		stop := make(chan struct{})
		var sender sync.WaitGroup
		sender.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(20 * time.Millisecond):
					_, _ = c.Write([]byte("N")) // Until it is cut.
				}
			}
		})
		e := s.log.closed(t, 1)
		close(stop)
		sender.Wait()
		if e.End != connlog.EndTimeout || e.Held < 290*time.Millisecond {
			t.Errorf("close line: %+v", e)
		}
	}
}

// A client that does not take what it asked for is let go.
func TestSlowReader(t *testing.T) {
	s := start(t, Options{}, server.Service{Limits: server.Limits{Write: 300 * time.Millisecond}})
	s.deliver(t, "anna", strings.Repeat(strings.Repeat("x", 79)+"\n", 1<<17))
	c := s.enter(t, "anna")
	c.send(strings.Repeat("RETR 1\r\n", 10) + "QUIT\r\n")
	if e := s.log.closed(t, 1); e.End != connlog.EndTimeout {
		t.Errorf("close line: %+v", e)
	}
	s.enter(t, "anna").say("QUIT", "+OK")
}

func TestShutdown(t *testing.T) {
	s := start(t, Options{}, server.Service{})
	s.deliver(t, "anna", "a\n", "b\n")
	waiting := s.enter(t, "anna")
	waiting.say("DELE 1", "+OK")
	working := s.dial(t, "127.0.0.1")
	working.expect("+OK")
	working.say("AUTH PLAIN", "+ ")
	ended := make(chan error, 1)
	go func() { ended <- s.Shutdown(context.Background()) }()
	waiting.expect("-ERR [SYS/TEMP] Service shutting down")
	waiting.gone()
	working.say(b64("\x00ben\x00secret"), "+OK") // What was begun is finished.
	working.expect("-ERR [SYS/TEMP] Service shutting down")
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if e := s.log.closed(t, 1); e.End != connlog.EndShutdown {
		t.Errorf("close line: %+v", e)
	}
	if n := s.left(t, "anna"); n != 2 {
		t.Errorf("%d messages left", n)
	}
}

// fakeStore is a mailbox of two messages that fails where it is told to.
type fakeStore struct {
	open, read, remove error
	text               io.Reader
	panics             string

	mu     sync.Mutex
	opened int
}

func (f *fakeStore) bug(where string) {
	if f.panics == where {
		panic("a bug")
	}
}

func (f *fakeStore) held() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.opened
}

func (f *fakeStore) Open(string) (Maildrop, error) {
	f.bug("open")
	f.mu.Lock()
	defer f.mu.Unlock()
	f.opened++
	return f, f.open
}

func (f *fakeStore) Len() int       { return 2 }
func (f *fakeStore) ID(int) string  { return "id" }
func (f *fakeStore) Size(int) int64 { return 4 }

func (f *fakeStore) Read(int) (io.ReadCloser, error) {
	f.bug("read")
	return io.NopCloser(f.text), f.read
}

func (f *fakeStore) Remove([]int) error {
	f.bug("remove")
	return f.remove
}

func (f *fakeStore) Close() {
	f.mu.Lock()
	f.opened--
	f.mu.Unlock()
	f.bug("close")
}

// When the disk fails the client is not to blame, and believes nothing false.
func TestStoreFailures(t *testing.T) {
	fire := errors.New("disk on fire")
	for name, c := range map[string]struct {
		store *fakeStore
		do    func(*talk)
	}{
		"open":   {&fakeStore{open: fire}, func(c *talk) { c.say("PASS secret", "-ERR [SYS/TEMP] Mailbox cannot") }},
		"in use": {&fakeStore{open: ErrInUse}, func(c *talk) { c.say("PASS secret", "-ERR [IN-USE]") }},
		"read": {&fakeStore{read: fire}, func(c *talk) {
			c.say("PASS secret", "+OK")
			c.say("RETR 1", "-ERR [SYS/TEMP] Message cannot")
			c.say("NOOP", "+OK")
		}},
		"read on": {&fakeStore{text: io.MultiReader(strings.NewReader("x\r\n"), iotest.ErrReader(fire))}, func(c *talk) {
			c.say("PASS secret", "+OK")
			c.say("RETR 1", "+OK")
			c.expect("x\r\n")
			c.gone() // A part must not pass for the whole.
		}},
		"remove": {&fakeStore{remove: fire}, func(c *talk) {
			c.say("PASS secret", "+OK")
			c.say("DELE 1", "+OK")
			c.say("QUIT", "-ERR [SYS/TEMP] Some deleted messages not removed")
			c.gone()
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, Options{Store: c.store}, server.Service{})
			conn := s.dial(t, "127.0.0.1")
			conn.expect("+OK")
			conn.say("USER anna", "+OK")
			c.do(conn)
			_ = conn.Close()
			s.log.closed(t, 1)
			if c.store.open == nil && c.store.held() != 0 {
				t.Error("the mailbox was not given back")
			}
			if f := s.log.of(connlog.Fail); len(f) != 0 {
				t.Errorf("fail lines: %+v", f)
			}
		})
	}
}

func TestPanicGivesTheThreadBack(t *testing.T) {
	for _, where := range []string{"open", "read", "remove", "close"} {
		store := &fakeStore{panics: where}
		s := start(t, Options{Store: store}, server.Service{})
		c := s.dial(t, "127.0.0.1")
		c.expect("+OK")
		c.send("USER anna\r\nPASS secret\r\nRETR 1\r\nDELE 1\r\nQUIT\r\n")
		all, _ := io.ReadAll(c.in) // A reset ends it as well.
		if where != "close" && !strings.HasSuffix(string(all), "-ERR [SYS/TEMP] Internal error\r\n") {
			t.Errorf("%s: %q", where, all)
		}
		s.log.closed(t, 1)
		if busy := s.Status().Services[0].Busy; busy != 0 || store.held() != 0 {
			t.Errorf("%s: %d threads and %d mailboxes held", where, busy, store.held())
		}
		s.dial(t, "127.0.0.1").expect("+OK")
	}
}
