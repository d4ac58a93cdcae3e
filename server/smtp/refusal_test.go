package smtp

import (
	"context"
	"errors"
	netsmtp "net/smtp"
	"strings"
	"sync"
	"testing"
	"time"

	"overstay/connlog"
	"overstay/server"
)

func TestWordsOfRefusals(t *testing.T) {
	s := start(t, Options{}, server.Service{Threads: 2, SessionsPerSource: 1})
	a := s.dial(t, "127.0.0.1")
	a.expect("220")
	if got := s.dial(t, "127.0.0.1").reply(); got != "421 4.7.0 Too many sessions from your address\r\n" {
		t.Errorf("sessions: %q", got)
	}
	s.dial(t, "127.0.0.2").expect("220")
	if got := s.dial(t, "127.0.0.3").reply(); got != "421 4.3.2 Too busy, please try later\r\n" {
		t.Errorf("busy: %q", got)
	}
	if got := s.dial(t, "127.0.0.66").reply(); got != "554 5.7.1 Your address is banned\r\n" {
		t.Errorf("banned: %q", got)
	}
	// A real client understands it.
	if _, err := netsmtp.Dial(s.Addr("smtp").String()); err == nil || !strings.Contains(err.Error(), "Too many sessions") {
		t.Errorf("net/smtp: %v", err)
	}
}

func TestOwnWords(t *testing.T) {
	users, store := fakeUsers{}, &fakeStore{}
	p, err := New(Options{Users: users, Store: store, Words: server.Words{Busy: "Come back later", BanSilently: true}})
	if err != nil {
		t.Fatal(err)
	}
	if got := string(p.Refusal(connlog.RefuseBusy)); got != "421 4.3.2 Come back later\r\n" {
		t.Errorf("busy: %q", got)
	}
	if got := p.Refusal(connlog.RefuseBanned); got != nil {
		t.Errorf("banned: %q", got)
	}
	relay := func(r Relay) *Relay { return &r }
	for name, o := range map[string]Options{
		"nothing":              {},
		"two lines":            {Users: users, Store: store, Words: server.Words{Banned: "two\r\nlines"}},
		"store without users":  {Store: store},
		"domains, no store":    {Relay: relay(Relay{Address: "localhost:25"}), Domains: []string{"example.org"}},
		"login without users":  {Relay: relay(Relay{Address: "localhost:25"}), RequireAuth: true},
		"relay without a port": {Relay: relay(Relay{Address: "localhost"})},
		"relay to no path":     {Relay: relay(Relay{Address: "unix:"})},
		"kept and passed on": {Users: users, Store: store, Domains: []string{"example.org"},
			Relay: relay(Relay{Address: "localhost:25", Domains: []string{"Example.ORG"}})},
	} {
		if _, err := New(o); !errors.Is(err, ErrOptions) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Limits of the server end a session that the library would keep, and that
// sends a byte now and then.
func TestSlowSender(t *testing.T) {
	for _, limits := range []server.Limits{{Unproven: 300 * time.Millisecond}, {Stage: 300 * time.Millisecond}} {
		slowSender(t, limits)
	}
}

func slowSender(t *testing.T, limits server.Limits) {
	s := start(t, Options{}, server.Service{Limits: limits})
	c := s.dial(t, "127.0.0.1")
	c.expect("220")
	c.say("EHLO x", "250-")
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

func TestShutdownSaysGoodbye(t *testing.T) {
	s := start(t, Options{}, server.Service{})
	waiting := s.dial(t, "127.0.0.1")
	waiting.expect("220")
	sending := s.dial(t, "127.0.0.1")
	sending.expect("220")
	sending.say("EHLO x", "250-")
	sending.say("MAIL FROM:<>", "250 ")
	sending.say("RCPT TO:<anna@example.org>", "250 ")
	sending.say("DATA", "354 ")
	ended := make(chan error, 1)
	go func() { ended <- s.Shutdown(context.Background()) }()
	waiting.expect("421 4.3.2 ")
	sending.send("hello\r\n.\r\n")
	sending.expect("250 ") // What was begun is finished.
	sending.expect("421 4.3.2 ")
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if e := s.log.closed(t, 1); e.End != connlog.EndShutdown {
		t.Errorf("close line: %+v", e)
	}
	if n := len(s.messages(t, "anna")); n != 1 {
		t.Errorf("%d messages", n)
	}
}

// A client that is out of time in the middle of a message is told so, and is
// not waited for again.
func TestOutOfTimeInAMessage(t *testing.T) {
	limits := server.Limits{Idle: time.Hour}
	limits.Total[connlog.StageData] = 50 * time.Millisecond
	s := start(t, Options{}, server.Service{Limits: limits})
	c := s.greeted(t)
	c.mailTo("anna@example.org")
	c.send("half")
	c.expect("451 4.4.2 ")
	if e := s.log.closed(t, 1); e.End != connlog.EndTimeout {
		t.Errorf("close line %+v", e)
	}
}
