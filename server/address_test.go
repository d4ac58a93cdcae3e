package server

import (
	"net"
	"strconv"
	"strings"
	"testing"

	"overstay/connlog"
)

// disguised gives connections the addresses a test wants.
type disguised struct {
	net.Listener
	next chan net.Addr
}

type disguisedConn struct {
	*net.TCPConn
	addr net.Addr
}

func (c *disguisedConn) RemoteAddr() net.Addr { return c.addr }

func (d *disguised) Accept() (net.Conn, error) {
	c, err := d.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &disguisedConn{c.(*net.TCPConn), <-d.next}, nil
}

func TestIPv6(t *testing.T) {
	s := testService(10)
	s.Listen, s.SessionsPerSource = "[::1]:0", 1
	r := run(t, Options{Services: []Service{s}})
	r.dial(t, "::1").expect(t, "hi")
	r.dial(t, "::1").expect(t, "no: sessions")
	r.banned.set("::1", true)
	if n := r.Recheck(); n != 1 {
		t.Errorf("%d sessions ended", n)
	}
	r.dial(t, "::1").expect(t, "no: banned")
}

func TestAddresses(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &disguised{l, make(chan net.Addr, 1)}
	s := testService(10)
	s.Listener, s.SessionsPerSource = d, 1
	r := run(t, Options{Services: []Service{s}})
	r.banned.set("198.51.100.7", true)
	for i, c := range []struct{ addr, want string }{
		{"2001:db8::1", "hi"},
		{"2001:db8::ffff:2", "no: sessions"},  // The same /64,
		{"2001:db8:0:1::1", "hi"},             // and another one.
		{"::ffff:192.0.2.1", "hi"},            // Mapped,
		{"192.0.2.1", "no: sessions"},         // so the same.
		{"::ffff:198.51.100.7", "no: banned"}, // Banned as IPv4.
		{"fe80::1%lo", "hi"},                  // A zone does no harm.
		{"fe80::2%" + strconv.Itoa(2), "no: sessions"},
	} {
		host, zone, _ := strings.Cut(c.addr, "%")
		d.next <- &net.TCPAddr{IP: net.ParseIP(host), Zone: zone, Port: 1000 + i}
		if got := r.dial(t, "127.0.0.1").line(); got != c.want {
			t.Errorf("%s: got %q, want %q", c.addr, got, c.want)
		}
	}
	for _, e := range r.log.of(connlog.Open) {
		if e.ClientIP.Is4In6() || e.ClientIP.Zone() != "" || e.ClientPort < 1000 {
			t.Errorf("open line with %v port %d", e.ClientIP, e.ClientPort)
		}
	}
	d.next <- &net.UnixAddr{Name: "/nowhere"}
	if got := r.dial(t, "127.0.0.1").line(); !strings.HasPrefix(got, "error: ") {
		t.Errorf("a peer without an address got %q", got)
	}
}

func TestLimitOfSessionsPerNet(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &disguised{l, make(chan net.Addr, 1)}
	s := testService(20)
	s.Listener, s.SessionsPerNet = d, 2
	r := run(t, Options{Services: []Service{s}})
	var first *client
	for i, c := range []struct{ addr, want string }{
		{"198.51.100.1", "hi"},
		{"198.51.100.2", "hi"},
		{"198.51.100.3", "no: sessions"},
		{"::ffff:198.51.100.4", "no: sessions"},
		{"198.51.101.1", "hi"}, // Another net.
		{"2001:db8:1::1", "hi"},
		{"2001:db8:1:1::1", "hi"},           // Another /64,
		{"2001:db8:1:2::1", "no: sessions"}, // but the same /48.
		{"2001:db8:2::1", "hi"},
	} {
		d.next <- &net.TCPAddr{IP: net.ParseIP(c.addr), Port: 1000 + i}
		conn := r.dial(t, "127.0.0.1")
		if got := conn.line(); got != c.want {
			t.Errorf("%s: got %q, want %q", c.addr, got, c.want)
		}
		if i == 0 {
			first = conn
		}
	}
	if got := first.say("login"); got != "ok" { // Proven or not, it counts.
		t.Fatal(got)
	}
	first.say("quit")
	eventually(t, "its thread to be free", func() bool { return len(r.log.of(connlog.Close)) == 1 })
	eventually(t, "its place in the net to be free", func() bool {
		d.next <- &net.TCPAddr{IP: net.ParseIP("198.51.100.3"), Port: 2000}
		return r.dial(t, "127.0.0.1").line() == "hi"
	})
}
