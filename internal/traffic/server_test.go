package traffic

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
)

// boundedServer is a tiny server with a bounded number of threads, for the
// live clients to talk to.
type boundedServer struct {
	smtp    bool
	threads int
	silent  bool                     // takes connections and says nothing
	refuse  func(netip.Addr) Outcome // Done lets it in, nil lets in all

	addr    netip.AddrPort
	workers sync.WaitGroup

	mu   sync.Mutex
	open map[net.Conn]bool // with a thread
	seen books
}

// books are what a server has seen.
type books struct {
	sources  map[netip.Addr]int
	users    map[string]int
	sessions int // let in
	messages int
	mostBusy int
}

// books returns a copy: a connection that was made last may still be on its
// way in when the clients are done.
func (s *boundedServer) books() books {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.seen
	b.sources, b.users = maps.Clone(b.sources), maps.Clone(b.users)
	return b
}

// serve starts the server on a loopback address and stops it with the test.
func serve(t *testing.T, host string, s *boundedServer) *boundedServer {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Skipf("no listener on %s here: %v", host, err)
	}
	s.addr = l.Addr().(*net.TCPAddr).AddrPort()
	s.open = map[net.Conn]bool{}
	s.seen.sources = map[netip.Addr]int{}
	s.seen.users = map[string]int{}
	s.workers.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.workers.Go(func() { s.connection(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		s.cut()
		s.workers.Wait()
	})
	return s
}

// cut ends all connections that hold a thread, and says how many.
func (s *boundedServer) cut() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.open)
	for c := range s.open {
		_ = c.Close()
		delete(s.open, c)
	}
	return n
}

func (s *boundedServer) admit(c net.Conn) Outcome {
	s.mu.Lock()
	defer s.mu.Unlock()
	from := c.RemoteAddr().(*net.TCPAddr).AddrPort().Addr()
	s.seen.sources[from]++
	if s.refuse != nil {
		if o := s.refuse(from); o != Done {
			return o
		}
	}
	if len(s.open) >= s.threads {
		return Busy
	}
	s.open[c] = true
	s.seen.sessions++
	s.seen.mostBusy = max(s.seen.mostBusy, len(s.open))
	return Done
}

func (s *boundedServer) connection(c net.Conn) {
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	if o := s.admit(c); o != Done {
		_, _ = io.WriteString(c, s.words(o))
		// Closing with bytes unread would take the words back.
		_ = c.(*net.TCPConn).CloseWrite()
		_ = c.SetDeadline(time.Now().Add(time.Second))
		_, _ = io.Copy(io.Discard, c)
		return
	}
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.open, c)
	}()
	switch {
	case s.silent:
		_, _ = io.Copy(io.Discard, c)
	case s.smtp:
		s.mail(c)
	default:
		s.web(c)
	}
}

func (s *boundedServer) words(o Outcome) string {
	if s.smtp {
		return map[Outcome]string{
			Busy:     "421 4.3.2 Too busy, please try later\r\n",
			Sessions: "421 4.7.0 Too many sessions from your address\r\n",
			Banned:   "554 5.7.1 Your address is banned\r\n",
			Failed:   "not a reply\r\n",
			Cut:      "",
		}[o]
	}
	status := map[Outcome]int{Busy: 503, Sessions: 429, Banned: 403, Failed: 500}[o]
	if status == 0 {
		return ""
	}
	return fmt.Sprintf("HTTP/1.1 %d %s\r\nConnection: close\r\nContent-Length: 4\r\n\r\nsad\n",
		status, http.StatusText(status))
}

func (s *boundedServer) web(c net.Conn) {
	r, err := http.ReadRequest(bufio.NewReader(c))
	if err != nil || r.URL.Path != "/file" {
		_, _ = io.WriteString(c, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
		return
	}
	_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello")
}

func (s *boundedServer) mail(c net.Conn) {
	in := bufio.NewReader(c)
	say := func(line string) { _, _ = io.WriteString(c, line+"\r\n") }
	say("220 ready")
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		verb, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch verb {
		case "EHLO":
			_, _ = io.WriteString(c, "250-here\r\n250 AUTH PLAIN\r\n")
		case "AUTH":
			s.count(func() { s.seen.users[rest]++ })
			say("535 5.7.8 No")
		case "MAIL":
			say("250 ok")
		case "RCPT":
			if rest != "TO:<anna@example.org>" {
				say("550 5.1.1 Who?")
				continue
			}
			say("250 ok")
		case "DATA":
			say("354 go on")
			for line != ".\r\n" {
				if line, err = in.ReadString('\n'); err != nil {
					return
				}
			}
			s.count(func() { s.seen.messages++ })
			say("250 kept")
		case "QUIT":
			say("221 bye")
			return
		}
	}
}

func (s *boundedServer) count(what func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	what()
}
