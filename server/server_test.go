package server

import (
	"errors"
	"net"
	"strings"
	"testing"

	"overstay/connlog"
)

func TestAdmitsUntilThePoolIsFull(t *testing.T) {
	r := run(t, Options{Services: []Service{testService(2)}, Version: "v1", Host: "here"})
	a, b := r.dial(t, "127.0.0.1"), r.dial(t, "127.0.0.2")
	a.expect(t, "hi")
	b.expect(t, "hi")
	r.dial(t, "127.0.0.3").expect(t, "no: busy")

	if got := a.say("quit"); !strings.Contains(got, "EOF") {
		t.Fatalf("after quit: %q", got)
	}
	eventually(t, "a free thread", func() bool { return r.busy() == 1 })
	r.dial(t, "127.0.0.3").expect(t, "hi")

	st := r.Status().Services[0]
	if st.Accepted != 3 || st.Refused != (RefusedStatus{Busy: 1}) || st.Busy != 2 || st.Unproven != 2 {
		t.Errorf("status: %+v", st)
	}
	refused := r.log.of(connlog.Refuse)
	if len(refused) != 1 || refused[0].Reason != connlog.RefuseBusy || refused[0].Busy != 2 ||
		refused[0].Threads != 2 || refused[0].ClientIP.String() != "127.0.0.3" {
		t.Errorf("refuse lines: %+v", refused)
	}
	start := r.log.of(connlog.Start)
	if len(start) != 1 || start[0].Version != "v1" || start[0].Host != "here" ||
		start[0].Services[0].Listen != r.Addr("test").String() || start[0].Services[0].Threads != 2 {
		t.Errorf("start lines: %+v", start)
	}
	r.cancel()
	if err := <-r.served; err != nil { // Cutting sessions is no failure.
		t.Error(err)
	}
	if n := len(r.log.of(connlog.Stop)); n != 1 {
		t.Errorf("%d stop lines", n)
	}
	if last := r.log.events[len(r.log.events)-1]; last.Kind != connlog.Stop {
		t.Errorf("the last line is %v", last.Kind)
	}
	checkLog(t, r.log.events)
}

func TestLimitOfUnprovenSessions(t *testing.T) {
	s := testService(4)
	s.UnprovenPerSource = 2
	r := run(t, Options{Services: []Service{s}})
	a, b := r.dial(t, "127.0.0.1"), r.dial(t, "127.0.0.1")
	a.expect(t, "hi")
	b.expect(t, "hi")
	r.dial(t, "127.0.0.1").expect(t, "no: sessions")
	r.dial(t, "127.0.0.2").expect(t, "hi") // Somebody else.
	if got := a.say("login"); got != "ok" {
		t.Fatal(got)
	}
	r.dial(t, "127.0.0.1").expect(t, "hi") // One of the two is proven by now.
	r.dial(t, "127.0.0.1").expect(t, "no: sessions")
}

// TestUnprovenSessionsOfAnEmptyPool lets one source have many while nobody
// else wants them.
func TestUnprovenSessionsOfAnEmptyPool(t *testing.T) {
	s := testService(10)
	s.UnprovenPerSource = 2
	r := run(t, Options{Services: []Service{s}})
	for range 5 {
		r.dial(t, "127.0.0.1").expect(t, "hi")
	}
	r.dial(t, "127.0.0.1").expect(t, "no: sessions") // Half of the pool is held.
	r.dial(t, "127.0.0.2").expect(t, "hi")
}

func TestLimitOfAllSessions(t *testing.T) {
	s := testService(10)
	s.SessionsPerSource = 2
	r := run(t, Options{Services: []Service{s}})
	for range 2 {
		c := r.dial(t, "127.0.0.1")
		c.expect(t, "hi")
		if got := c.say("login"); got != "ok" {
			t.Fatal(got)
		}
	}
	r.dial(t, "127.0.0.1").expect(t, "no: sessions")
	if got := r.log.of(connlog.Start)[0].Services[0].SessionsPerSource; got != 2 {
		t.Errorf("start line says %d sessions", got)
	}
}

func TestDefaultUnprovenLimit(t *testing.T) {
	for _, c := range []struct{ threads, want int }{{0, 10}, {100, 10}, {10, 4}, {1000, 100}} {
		s := testService(c.threads)
		s.UnprovenPerSource = 0
		srv, err := New(Options{Services: []Service{s}})
		if err != nil {
			t.Fatal(err)
		}
		if got := srv.services[0].current().perSource.unproven; got != c.want {
			t.Errorf("%d threads: limit %d, want %d", c.threads, got, c.want)
		}
	}
}

func TestBannedBeforeEverything(t *testing.T) {
	r := run(t, Options{Services: []Service{testService(1)}})
	r.dial(t, "127.0.0.1").expect(t, "hi") // The pool is full,
	r.banned.set("127.0.0.2", true)
	r.dial(t, "127.0.0.2").expect(t, "no: banned") // but that is not the reason.
	if st := r.Status().Services[0].Refused; st != (RefusedStatus{Banned: 1}) {
		t.Errorf("refused: %+v", st)
	}
}

func TestSilentRefusal(t *testing.T) {
	s := testService(1)
	s.Protocol = &lines{silent: true}
	r := run(t, Options{Services: []Service{s}})
	r.banned.set("127.0.0.2", true)
	if got := r.dial(t, "127.0.0.2").line(); !strings.HasPrefix(got, "error: ") {
		t.Errorf("got %q", got)
	}
	eventually(t, "a refuse line", func() bool { return len(r.log.of(connlog.Refuse)) == 1 })
}

func TestBanFreesThreadsAtOnce(t *testing.T) {
	r := run(t, Options{Services: []Service{testService(20)}})
	var held []*client
	for range 10 {
		c := r.dial(t, "127.0.0.2")
		c.expect(t, "hi")
		held = append(held, c)
	}
	other := r.dial(t, "127.0.0.1")
	other.expect(t, "hi")

	if n := r.Recheck(); n != 0 {
		t.Fatalf("%d sessions ended without a ban", n)
	}
	r.banned.set("127.0.0.2", true)
	if n := r.Recheck(); n != 10 {
		t.Fatalf("Recheck ended %d sessions, want 10", n)
	}
	if got := r.busy(); got != 1 {
		t.Fatalf("%d threads held right after Recheck, want 1", got)
	}
	for _, c := range held {
		if got := c.line(); !strings.Contains(got, "reset") {
			t.Errorf("the banned client reads %q", got)
		}
	}
	if got := other.say("login"); got != "ok" {
		t.Errorf("the other one reads %q", got)
	}
	closes := r.log.of(connlog.Close)
	if len(closes) != 10 {
		t.Fatalf("%d close lines", len(closes))
	}
	for _, e := range closes {
		if e.End != connlog.EndBanned || e.ClientIP.String() != "127.0.0.2" {
			t.Errorf("close line: %+v", e)
		}
	}
	if n := r.Recheck(); n != 0 {
		t.Errorf("a second Recheck ended %d", n)
	}
}

// A ban between the first look into the list and the registration must not
// slip through, though Recheck cannot see the connection yet.
func TestBanDuringAdmission(t *testing.T) {
	list := &blocklist{}
	list.hook = func(call int) {
		if call == 2 {
			list.set("127.0.0.1", true)
		}
	}
	r := run(t, Options{Services: []Service{testService(1)}, Banned: list})
	c, err := net.Dial("tcp", r.Addr("test").String())
	if err == nil { // It may have been reset already.
		defer func() { _ = c.Close() }()
		if got := newClient(t, c).line(); !strings.HasPrefix(got, "error: ") {
			t.Errorf("got %q", got)
		}
	}
	eventually(t, "the close line", func() bool { return len(r.log.of(connlog.Close)) == 1 })
	if e := r.log.of(connlog.Close)[0]; e.End != connlog.EndBanned {
		t.Errorf("close line: %+v", e)
	}
	eventually(t, "a free thread", func() bool { return r.busy() == 0 })
}

func TestHowConnectionsEnd(t *testing.T) {
	r := run(t, Options{Services: []Service{testService(10)}})
	for _, c := range []struct {
		how  string
		want connlog.End
		do   func(*client)
	}{
		{"quit", connlog.EndServer, func(c *client) { c.say("quit") }},
		{"close", connlog.EndClient, func(c *client) { _ = c.Close() }},
		{"half-close", connlog.EndClient, func(c *client) { _ = c.Conn.(*net.TCPConn).CloseWrite() }},
		{"reset", connlog.EndReset, func(c *client) {
			_ = c.Conn.(*net.TCPConn).SetLinger(0)
			_ = c.Close()
		}},
	} {
		before := len(r.log.of(connlog.Close))
		cl := r.dial(t, "127.0.0.1")
		cl.expect(t, "hi")
		if cl.say("fail") != "ok" || cl.say("login") != "ok" || cl.say("login") != "ok" {
			t.Fatal("no answer")
		}
		c.do(cl)
		eventually(t, c.how, func() bool { return len(r.log.of(connlog.Close)) > before })
		e := r.log.of(connlog.Close)[before]
		if e.End != c.want || !e.Proven || e.Fails != 1 || e.BytesOut != 12 || e.BytesIn < 17 {
			t.Errorf("%s: %+v", c.how, e)
		}
	}
	if n := len(r.log.of(connlog.Proven)); n != 4 {
		t.Errorf("%d proven lines, want one for each connection", n)
	}
	checkLog(t, r.log.events)
}

func TestUserIsClipped(t *testing.T) {
	long := strings.Repeat("ä", 200)
	if got := clip(long); len(got) != 256 || got != long[:256] {
		t.Errorf("%d bytes", len(got))
	}
	if got := clip("x" + long); len(got) != 255 {
		t.Errorf("%d bytes: a rune was cut", len(got))
	}
	if got := clip(strings.Repeat("\xff", 300)); len(got) > 256 {
		t.Errorf("%d bytes", len(got))
	}
}

func TestFailLinesAreBounded(t *testing.T) {
	r := run(t, Options{Services: []Service{testService(1)}})
	c := r.dial(t, "127.0.0.1")
	c.expect(t, "hi")
	for range maxFailLines + 20 {
		if got := c.say("fail"); got != "ok" {
			t.Fatal(got)
		}
	}
	c.say("quit")
	eventually(t, "the close line", func() bool { return len(r.log.of(connlog.Close)) == 1 })
	if got := r.log.of(connlog.Close)[0].Fails; got != maxFailLines+20 {
		t.Errorf("the close line has %d fails", got)
	}
	if got := len(r.log.of(connlog.Fail)); got != maxFailLines {
		t.Errorf("%d fail lines", got)
	}
}

func TestSharedPool(t *testing.T) {
	a, b := testService(2), testService(0)
	b.Name = "other"
	a.Pool, b.Pool = "both", "both"
	r := run(t, Options{Services: []Service{a, b}})
	r.dial(t, "127.0.0.1").expect(t, "hi")
	for _, want := range []string{"hi", "no: busy"} {
		c, err := net.Dial("tcp", r.Addr("other").String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		newClient(t, c).expect(t, want)
	}
	start := r.log.of(connlog.Start)[0]
	if start.Services[0].Pool != "both" || start.Services[1].Threads != 2 {
		t.Errorf("start line: %+v", start.Services)
	}
}

func TestOptionsThatDoNotFit(t *testing.T) {
	twice := testService(1)
	noName, noProtocol, negative := testService(1), testService(1), testService(-1)
	noName.Name, noProtocol.Protocol = "", nil
	a, b := testService(1), testService(2)
	a.Pool, b.Pool, b.Name = "p", "p", "b"
	for name, services := range map[string][]Service{
		"twice": {twice, twice}, "no name": {noName}, "no protocol": {noProtocol},
		"negative": {negative}, "pools contradict": {a, b},
	} {
		_, err := New(Options{Services: services})
		var wrong *ServiceError
		if !errors.As(err, &wrong) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := New(Options{}); !errors.Is(err, ErrNoService) {
		t.Error(err)
	}
}
