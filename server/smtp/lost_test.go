package smtp

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"overstay/server/scan"
	"overstay/server/scan/clamdtest"
)

// Whatever becomes of the upstream and of the scanner: a message that was
// accepted is where it was to go, for all its recipients; one that was not, is
// in no mailbox.
func TestNothingIsLost(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	n := newNext(t, nil)
	f := clamdtest.NewFake(t, clamdtest.Clean)
	s := front(t, Relay{Address: n.addr, Timeout: 2 * time.Second},
		Options{Scanners: scanners(t, scan.Options{Address: f.Address}), MaxErrors: 1 << 20})
	verdicts := []string{"stream: OK\x00", "stream: OK\x00", "stream: OK\x00", "stream: X FOUND\x00", "stream: O", "?\x00", ""}
	hows := []string{"", "hang", "450 4.2.0 Later", "550 5.7.1 No", "421 4.3.2 Bye", "?"}
	steps := []string{"", "EHLO", "MAIL", "RCPT", "DATA", "."}
	type fate struct{ accepted, here, there bool }
	fates := make([]fate, 300)
	c := s.greeted(t)
	for i := range fates {
		script := map[string]string{}
		if r.IntN(2) == 0 {
			script[steps[r.IntN(len(steps))]] = hows[r.IntN(len(hows))]
		}
		n.set(script)
		verdict := verdicts[r.IntN(len(verdicts))]
		f.Answer(func(string) string { return verdict })
		said := &fates[i]
		c.say("MAIL FROM:<a@example.com>", "250 ")
		for _, to := range []string{"anna@example.org", "x@example.net"}[r.IntN(2):] {
			c.send("RCPT TO:<" + to + ">\r\n")
			if taken := strings.HasPrefix(c.reply(), "250 "); taken && to[0] == 'a' {
				said.here = true
			} else if taken {
				said.there = true
			}
		}
		if r.IntN(3) == 0 {
			n.set(nil) // It is well again.
		}
		c.send("DATA\r\n")
		if !strings.HasPrefix(c.reply(), "354 ") {
			c.say("RSET", "250 ")
			continue
		}
		c.send(fmt.Sprintf("number %d.\r\n.\r\n", i))
		said.accepted = strings.HasPrefix(c.reply(), "250 ")
	}
	c.say("QUIT", "221 ")
	here, accepted := strings.Join(s.messages(t, "anna"), ""), 0
	_, mails, _ := n.seen()
	there := strings.Join(mails, "")
	for i, f := range fates {
		number := fmt.Sprintf("number %d.", i)
		isHere, isThere := strings.Contains(here, number), strings.Contains(there, number)
		switch {
		case f.accepted && (isHere != f.here || isThere != f.there):
			t.Errorf("%s: %+v, but here %v, there %v", number, f, isHere, isThere)
		case !f.accepted && isHere:
			t.Errorf("%s: not accepted, but here", number)
		case f.accepted:
			accepted++
		}
		if strings.Count(here, number) > 1 {
			t.Errorf("%s: more than once", number)
		}
	}
	if accepted < 20 || accepted > len(fates)-20 {
		t.Errorf("%d messages of %d accepted: nothing was tried", accepted, len(fates))
	}
}
