package smtp

import (
	"strings"
	"testing"
	"time"

	"overstay/server"
	"overstay/server/scan"
	"overstay/server/scan/clamdtest"
)

// What a banned source has waiting waits no longer: the scanner is for others.
func TestBanFreesTheScanner(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	f := clamdtest.NewFake(t, func(m string) string {
		if strings.Contains(m, "slow") {
			<-release
		}
		return clamdtest.Clean(m)
	})
	all := scanners(t, scan.Options{Address: f.Address, Scanners: 1})
	s := start(t, Options{Scanners: all, PassUnscanned: true}, server.Service{})
	const clients = 4
	for range clients {
		c := s.dial(t, "127.0.0.5")
		c.expect("220")
		c.say("EHLO x", "250-")
		c.mailTo("anna@example.org")
		c.send("slow\r\n.\r\n")
	}
	waitFor(t, "all wait", func() bool {
		running, waiting := all.Load()
		return running == 1 && waiting == clients-1
	})
	s.ban("127.0.0.5")
	waitFor(t, "nobody waits", func() bool {
		running, waiting := all.Load()
		return running+waiting == 0
	})
	if got := s.greeted(t).mail("hello"); !strings.HasPrefix(got, "250 ") {
		t.Errorf("got %q", got)
	}
	if got := s.messages(t, "anna"); len(got) != 1 {
		t.Errorf("anna has %q", got)
	}
}

func waitFor(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not within 10 s: " + what)
		}
	}
}
