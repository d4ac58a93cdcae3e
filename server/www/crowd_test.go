package www

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"

	"overstay/connlog"
	"overstay/server"
)

// ask sends a request and returns the status, and whether the server keeps the
// connection. If not, it has given the thread back when ask returns.
func ask(t *testing.T, c net.Conn) (status int, kept bool) {
	t.Helper()
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(c)
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close() // It was read.
	if err != nil {
		t.Fatal(err)
	}
	if resp.Close {
		_, _ = in.ReadByte() // The end.
	}
	return resp.StatusCode, !resp.Close
}

// Three addresses that ask once on each connection and then hold it cannot
// fill a pool, however often they come back.
func TestOneRequestHoldsNoThread(t *testing.T) {
	const threads = 20
	s := start(t, Options{}, server.Service{Threads: threads, UnprovenPerSource: 4})
	kept := 0
	for round := range 3 {
		for i := range threads + 1 {
			status, keeps := ask(t, s.dial(t, fmt.Sprintf("127.0.0.%d", 2+i%3)))
			if status != 200 {
				t.Fatalf("round %d, connection %d: %d", round, i, status)
			}
			if keeps {
				kept++
			}
		}
		if status, _, _ := s.get(t, s.client, "/"); status != 200 {
			t.Fatalf("round %d: another client gets %d", round, status)
		}
	}
	if kept != threads/2-1 {
		t.Errorf("%d of %d connections kept", kept, threads)
	}
	eventually(t, "only what is kept holds a thread", func() bool { return s.Status().Services[0].Busy <= kept })

	// What they hold from before goes when others fill the rest.
	for i := range threads - kept {
		s.dial(t, fmt.Sprintf("127.0.0.%d", 10+i))
	}
	s.log.wait(t, connlog.Open, 3*(threads+2)+threads-kept)
	eventually(t, "another client is served", func() bool {
		status, _, _ := s.get(t, s.client, "/")
		return status == 200
	})
}

// eventually polls until ok, for at most ten seconds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}

// While there is room, connections are kept.
func TestKeepAlive(t *testing.T) {
	s := start(t, Options{}, server.Service{Threads: 4})
	c := s.dial(t, "127.0.0.1")
	for i := range 3 {
		if status, kept := ask(t, c); status != 200 || !kept {
			t.Fatalf("request %d: %d, kept: %v", i, status, kept)
		}
	}
	s.dial(t, "127.0.0.2")
	s.log.wait(t, connlog.Open, 2)
	if status, kept := ask(t, c); status != 200 || kept {
		t.Errorf("in a crowd: %d, kept: %v", status, kept)
	}
}

// deaf is a listener whose clients can be read from but not written to.
type deaf struct{ net.Listener }

func (d deaf) Accept() (net.Conn, error) {
	c, err := d.Listener.Accept()
	return deafConn{c}, err
}

type deafConn struct{ net.Conn }

func (deafConn) Write([]byte) (int, error) { return 0, syscall.EPIPE }

// A small answer is good as far as the handler can tell: the library writes it
// later. If that fails, the client did not get it.
func TestNotProvenByAnAnswerNotWritten(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, Options{}, server.Service{Listener: deaf{l}})
	s.raw(t, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
	if e := s.log.wait(t, connlog.Close, 1); e.Proven || e.Stages[connlog.StageDeliver] <= 0 {
		t.Errorf("close line: %+v", e)
	}
}
