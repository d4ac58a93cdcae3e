package smtp

import (
	"bufio"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"overstay/server"
)

// next is a scripted upstream. It greets and says yes to everything, but for
// what the script has: what is answered to a line that begins with a key. An
// empty answer hangs up, "wait" says nothing more, "hang" answers the line with
// what would be right and hangs up then. The key "" is the greeting, "." the
// end of a message.
type next struct {
	addr   string
	script map[string]string

	mu     sync.Mutex
	lines  []string // all that was said to it
	conns  int
	here   int      // of them
	mails  []string // messages it has taken
	closed chan struct{}
}

func newNext(t testing.TB, script map[string]string) *next {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &next{addr: l.Addr().String(), script: script, closed: make(chan struct{})}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			n.mu.Lock()
			n.conns++
			n.here++
			n.mu.Unlock()
			running.Go(func() {
				defer func() {
					_ = c.Close()
					n.mu.Lock()
					defer n.mu.Unlock()
					n.here--
				}()
				_ = c.SetDeadline(time.Now().Add(20 * time.Second)) // It is open.
				n.serve(c)
			})
		}
	})
	t.Cleanup(func() { _ = l.Close(); close(n.closed); running.Wait() })
	return n
}

// set changes the script.
func (n *next) set(script map[string]string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.script = script
}

func (n *next) open() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.here
}

func (n *next) seen() (lines, mails []string, conns int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.lines), slices.Clone(n.mails), n.conns
}

// say answers a line, or the end of a mail, which it keeps if it says yes. It
// tells whether the answer was the usual one, and whether it goes on.
func (n *next) say(c net.Conn, line, usual, mail string) (yes, on bool) {
	n.mu.Lock()
	n.lines = append(n.lines, line)
	answer := usual
	for key, a := range n.script {
		if key == line || key != "" && key != "." && strings.HasPrefix(line, key) {
			answer = a
		}
	}
	if line == "." && (answer == usual || answer == "hang") {
		n.mails = append(n.mails, mail)
	}
	n.mu.Unlock()
	switch answer {
	case "":
		return false, false
	case "wait":
		<-n.closed
		return false, false
	case "hang":
		_, err := io.WriteString(c, usual+"\r\n")
		return err == nil, false
	}
	_, err := io.WriteString(c, answer+"\r\n")
	return answer == usual, err == nil
}

func (n *next) serve(c net.Conn) {
	if _, on := n.say(c, "", "220 next ESMTP", ""); !on {
		return
	}
	in := bufio.NewReader(c)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSuffix(line, "\r\n")
		usual := "250 2.0.0 ok"
		switch verb, _, _ := strings.Cut(line, " "); verb {
		case "EHLO":
			usual = "250-next\r\n250-8BITMIME\r\n250 SIZE 1000000"
		case "DATA":
			usual = "354 go"
		case "QUIT":
			return
		}
		yes, on := n.say(c, line, usual, "")
		if on && yes && line == "DATA" {
			on = n.take(c, in)
		}
		if !on {
			return
		}
	}
}

// take takes a message.
func (n *next) take(c net.Conn, in *bufio.Reader) bool {
	var mail strings.Builder
	for !strings.HasSuffix("\r\n"+mail.String(), "\r\n.\r\n") {
		line, err := in.ReadString('\n')
		if err != nil {
			return false
		}
		mail.WriteString(line)
	}
	_, on := n.say(c, ".", "250 2.0.0 taken", mail.String())
	return on
}

// front starts a server that relays example.net to the upstream.
func front(t testing.TB, r Relay, o Options) *site {
	t.Helper()
	if r.Timeout == 0 {
		r.Timeout = 20 * time.Second
	}
	if r.AnswerTimeout == 0 {
		r.AnswerTimeout = r.Timeout
	}
	r.Domains = []string{"Example.net"}
	o.Relay = &r
	return start(t, o, server.Service{})
}

// greeted is a conversation after EHLO.
func (s *site) greeted(t testing.TB) *talk {
	t.Helper()
	c := s.dial(t, "127.0.0.1")
	c.expect("220")
	c.say("EHLO x", "250-")
	return c
}
