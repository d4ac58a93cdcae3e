package www

import (
	"bufio"
	"context"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"overstay/connlog"
	"overstay/server"
)

func TestProvenByRequest(t *testing.T) {
	s := start(t, Options{}, server.Service{})
	if status, _, _ := s.get(t, s.client, "/none"); status != 404 {
		t.Fatal(status)
	}
	if status, _, _ := s.get(t, s.client, "/"); status != 200 {
		t.Fatal(status)
	}
	p := s.log.wait(t, connlog.Proven, 1)
	if p.By != connlog.ByRequest || p.Conn != 1 {
		t.Errorf("proven line: %+v", p)
	}
	if busy := s.Status().Services[0]; busy.Busy != 1 || busy.Unproven != 0 {
		t.Errorf("one connection holds one thread: %+v", busy)
	}
	s.client.CloseIdleConnections()
	e := s.log.wait(t, connlog.Close, 1)
	if e.End != connlog.EndClient || !e.Proven || e.Fails != 0 {
		t.Errorf("close line: %+v", e)
	}
	for _, stage := range []connlog.Stage{connlog.StageGreeting, connlog.StageCommand, connlog.StageDeliver, connlog.StageIdle} {
		if e.Stages[stage] <= 0 {
			t.Errorf("no time in stage %d: %v", stage, e.Stages)
		}
	}
	// Without keep-alive.
	if got := s.raw(t, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
		t.Errorf("%q", got)
	}
	if e := s.log.wait(t, connlog.Close, 2); !e.Proven {
		t.Errorf("close line: %+v", e)
	}
	// A page that is not there proves nothing.
	s.raw(t, "GET /none HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	if e := s.log.wait(t, connlog.Close, 3); e.Proven {
		t.Errorf("close line: %+v", e)
	}
}

// The time in which a request comes in is that of its own stage, also of a
// second one.
func TestStagesOfTwoRequests(t *testing.T) {
	s := start(t, Options{}, server.Service{})
	c := s.dial(t, "127.0.0.1")
	for i := range 2 {
		for _, part := range []string{"GET / HTT", "P/1.1\r\nHost: x\r\n\r\n"} {
			if _, err := io.WriteString(c, part); err != nil {
				t.Fatal(err)
			}
			time.Sleep(30 * time.Millisecond) // Of the command stage, as we shall see.
		}
		if _, err := c.Read(make([]byte, 4096)); err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
	}
	_ = c.Close()
	if e := s.log.wait(t, connlog.Close, 1); e.Stages[connlog.StageCommand] < 50*time.Millisecond || e.Stages[connlog.StageIdle] <= 0 {
		t.Errorf("stages %v", e.Stages)
	}
}

// A large answer that the client does not take is not an answered request.
func TestNotProvenByHalfAnAnswer(t *testing.T) {
	root := folder(t, map[string]string{"big": strings.Repeat("x", 32<<20)})
	s := start(t, Options{Root: root}, server.Service{})
	c := s.dial(t, "127.0.0.1")
	if _, err := io.WriteString(c, "GET /big HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	if e := s.log.wait(t, connlog.Close, 1); e.Proven || e.End != connlog.EndReset {
		t.Errorf("close line: %+v", e)
	}
}

func TestMalformedRequestsFail(t *testing.T) {
	s := start(t, Options{}, server.Service{})
	for i, request := range []string{
		"EHLO x\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/9.9\r\nHost: x\r\n\r\n", "\x16\x03\x01\x02\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 100<<10) + "\r\n\r\n",
	} {
		s.raw(t, request)
		e := s.log.wait(t, connlog.Close, i+1)
		if e.Fails != 1 || e.Proven {
			t.Errorf("%.20q: close line %+v", request, e)
		}
		if f := s.log.of(connlog.Fail); len(f) != i+1 || f[i].What != connlog.FailCommand {
			t.Errorf("%.20q: fail lines %+v", request, f)
		}
	}
}

// The words of a refusal are read by a real client, though it sends its
// request after it was refused.
func TestWordsOfRefusals(t *testing.T) {
	s := start(t, Options{}, server.Service{Threads: 2, SessionsPerSource: 1})
	s.dial(t, "127.0.0.1")
	s.log.wait(t, connlog.Open, 1)
	for _, c := range []struct {
		from   string
		status int
		retry  string
	}{
		{"127.0.0.1", 429, "10"}, {"127.0.0.66", 403, ""},
	} {
		cl := client(c.from)
		status, body, header := s.get(t, cl, "/")
		if status != c.status || header.Get("Retry-After") != c.retry || body == "" {
			t.Errorf("%s: %d %q %v", c.from, status, body, header)
		}
		cl.CloseIdleConnections()
	}
	s.dial(t, "127.0.0.2")
	s.log.wait(t, connlog.Open, 2)
	cl := client("127.0.0.3")
	defer cl.CloseIdleConnections()
	if status, body, header := s.get(t, cl, "/"); status != 503 || header.Get("Retry-After") != "10" || !strings.Contains(body, "Too busy") {
		t.Errorf("busy: %d %q %v", status, body, header)
	}
	// A request larger than one packet, whose rest comes after the answer.
	c := s.dial(t, "127.0.0.3")
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n"); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(c)
	if line, err := in.ReadString('\n'); err != nil || !strings.HasPrefix(line, "HTTP/1.1 503 ") {
		t.Errorf("%q, %v", line, err)
	}
	if _, err := io.WriteString(c, strings.Repeat("X: y\r\n", 2000)); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(in); err != nil || !strings.Contains(string(rest), "Too busy") {
		t.Errorf("%q, %v", rest, err)
	}
}

func TestBanSilently(t *testing.T) {
	s := start(t, Options{Words: server.Words{BanSilently: true}}, server.Service{})
	c := s.dial(t, "127.0.0.66")
	if got, _ := io.ReadAll(c); len(got) != 0 {
		t.Errorf("got %q", got)
	}
}

// Whoever sends its header byte by byte is cut when its time is over.
func TestSlowHeader(t *testing.T) {
	for name, c := range map[string]struct {
		o   Options
		svc server.Service
	}{
		"by the library": {Options{HeaderTime: 200 * time.Millisecond}, server.Service{}},
		"by the server":  {Options{}, server.Service{Limits: server.Limits{Unproven: 200 * time.Millisecond}}},
		"by the stage":   {Options{}, server.Service{Limits: server.Limits{Stage: 200 * time.Millisecond}}},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, c.o, c.svc)
			conn := s.dial(t, "127.0.0.1")
			stop := make(chan struct{})
			var sender sync.WaitGroup
			sender.Go(func() {
				for i := 0; ; i++ {
					const header = "GET / HTTP/1.1\r\nHost: x\r\n"
					b := "X"
					if i < len(header) {
						b = header[i : i+1]
					}
					select {
					case <-stop:
						return
					case <-time.After(10 * time.Millisecond):
						_, _ = io.WriteString(conn, b) // Until it is cut.
					}
				}
			})
			e := s.log.wait(t, connlog.Close, 1)
			close(stop)
			sender.Wait()
			if e.End != connlog.EndTimeout || e.Proven {
				t.Errorf("close line: %+v", e)
			}
		})
	}
}

func TestPanicGivesTheThreadBack(t *testing.T) {
	s := start(t, Options{Status: func() server.Status { panic("a bug") }}, server.Service{})
	s.raw(t, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
	if e := s.log.wait(t, connlog.Close, 1); e.Proven {
		t.Errorf("close line: %+v", e)
	}
	if status, _, _ := s.get(t, s.client, "/"); status != 200 {
		t.Errorf("afterwards: %d", status)
	}
}

func TestShutdownFinishesAnswers(t *testing.T) {
	asked, release := make(chan struct{}, 1), make(chan struct{})
	s := start(t, Options{}, server.Service{})
	slow := start(t, Options{Status: func() server.Status { asked <- struct{}{}; <-release; return server.Status{} }}, server.Service{})
	idle := s.dial(t, "127.0.0.1")
	if _, err := io.WriteString(idle, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	s.log.wait(t, connlog.Proven, 1)
	if err := s.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if e := s.log.wait(t, connlog.Close, 1); e.End != connlog.EndShutdown {
		t.Errorf("close line: %+v", e)
	}

	answered := make(chan string, 1)
	go func() { answered <- slow.raw(t, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n") }()
	<-asked
	ended := make(chan error, 1)
	go func() { ended <- slow.Shutdown(context.Background()) }()
	select {
	case err := <-ended:
		t.Fatalf("it did not wait: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	close(release)
	if got := <-answered; !strings.Contains(got, "HTTP/1.1 ") {
		t.Errorf("answer %q", got)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
