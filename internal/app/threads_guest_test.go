package app_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// guest is a connection to one of the services, and how far it has come.
type guest struct {
	service string
	speaks  string
	tcp     *net.TCPConn
	conn    net.Conn // tcp, or TLS over it
	in      *bufio.Reader
	web     *http.Transport // HTTP/2 on conn
	greeted bool
	broken  bool // no sense can be talked with it any more
}

func newGuest(service, speaks string, tcp *net.TCPConn) *guest {
	return &guest{service: service, speaks: speaks, tcp: tcp, conn: tcp, in: bufio.NewReader(tcp)}
}

// GoString makes the story of a game that failed shorter.
func (g *guest) GoString() string { return fmt.Sprintf("%s on %v", g.service, g.tcp.LocalAddr()) }

// patience is how long a guest waits for an answer. All limits of the servers
// are far below.
const patience = 20 * time.Second

// say sends text. That the server has hung up is no matter: hear will tell.
func (g *guest) say(text string) {
	_ = g.conn.SetDeadline(time.Now().Add(patience)) // It is open.
	if _, err := io.WriteString(g.conn, text); err != nil {
		g.broken = true
	}
}

// hear reads lines until one begins with one of the beginnings, which it
// returns. It returns an empty string if the server says something else at
// last.
func (g *guest) hear(beginnings ...string) string {
	for !g.broken {
		line, err := g.in.ReadString('\n')
		if err != nil {
			break
		}
		for _, b := range beginnings {
			if strings.HasPrefix(line, b) {
				return b
			}
		}
	}
	g.broken = true
	return ""
}

// ask says a line and hears what comes of it.
func (g *guest) ask(line string, beginnings ...string) string {
	if g.broken {
		return ""
	}
	g.say(line + "\r\n")
	return g.hear(beginnings...)
}

// greet hears the greeting, where there is one.
func (g *guest) greet() {
	if g.greeted || g.broken || g.speaks == "www" {
		return
	}
	g.greeted = true
	_ = g.conn.SetDeadline(time.Now().Add(patience)) // It is open.
	g.hear(map[string]string{"smtp": "220 ", "pop3": "+OK", "imap": "* OK"}[g.speaks])
	if g.speaks == "smtp" {
		g.ask("EHLO client.example", "250 ")
	}
}

// secure does a handshake.
func (g *guest) secure() {
	protocols := []string{"h2", "http/1.1"}
	if g.speaks != "www" {
		protocols = nil
	}
	t := tls.Client(g.tcp, &tls.Config{InsecureSkipVerify: true, NextProtos: protocols})
	_ = t.SetDeadline(time.Now().Add(patience)) // It is open.
	if t.Handshake() != nil {
		g.broken = true
		return
	}
	g.conn, g.in = t, bufio.NewReader(t)
	if g.speaks != "www" {
		return
	}
	left := t
	g.web = &http.Transport{ForceAttemptHTTP2: true, DialTLSContext: func(context.Context, string, string) (net.Conn, error) {
		if left == nil {
			return nil, errors.New("there is one connection only")
		}
		defer func() { left = nil }()
		return left, nil
	}}
}

// starttls asks for a handshake and reports whether it may begin.
func (g *guest) starttls() bool {
	g.greet()
	switch g.speaks {
	case "smtp":
		return g.ask("STARTTLS", "220 ", "4", "5") == "220 "
	case "pop3":
		return g.ask("STLS", "+OK", "-ERR") == "+OK"
	case "imap":
		return g.ask("t STARTTLS", "t OK", "t NO", "t BAD") == "t OK"
	}
	return false
}

// login logs in, and reports whether that went well.
func (g *guest) login(password string) bool {
	g.greet()
	switch g.speaks {
	case "smtp":
		plain := base64.StdEncoding.EncodeToString([]byte("\x00" + user + "\x00" + password))
		return g.ask("AUTH PLAIN "+plain, "235 ", "4", "5") == "235 "
	case "pop3":
		g.ask("USER "+user, "+OK", "-ERR")
		return g.ask("PASS "+password, "+OK", "-ERR") == "+OK"
	case "imap":
		return g.ask("l LOGIN "+user+" "+password, "l OK", "l NO", "l BAD") == "l OK"
	}
	return false
}

// work does what real clients do, and reports whether that went well.
func (g *guest) work() bool {
	g.greet()
	switch g.speaks {
	case "smtp":
		if g.ask("MAIL FROM:<a@example.com>", "250 ", "4", "5") != "250 " {
			return false
		}
		g.ask("RCPT TO:<nobody@localhost>", "250 ", "4", "5")
		g.ask("RCPT TO:<"+user+"@localhost>", "250 ", "4", "5")
		g.ask("DATA", "354 ", "4", "5")
		return g.ask("Subject: x\r\n\r\nx\r\n.", "250 ", "4", "5") == "250 "
	case "pop3":
		return g.ask("STAT", "+OK", "-ERR") == "+OK"
	case "imap":
		return g.ask("s SELECT INBOX", "s OK", "s NO", "s BAD") == "s OK"
	}
	return g.request()
}

// request asks for a page, over HTTP/2 where that was agreed on.
func (g *guest) request() bool {
	r, err := http.NewRequest(http.MethodGet, "http://localhost/", nil)
	if err != nil {
		return false
	}
	_ = g.conn.SetDeadline(time.Now().Add(patience)) // It is open.
	if g.web != nil {
		r.URL.Scheme = "https"
		resp, err := g.web.RoundTrip(r)
		g.broken = err != nil
		return taken(resp, err)
	}
	if r.Write(g.conn) != nil {
		g.broken = true
		return false
	}
	resp, err := http.ReadResponse(g.in, r)
	g.broken = err != nil || resp.Close
	return taken(resp, err)
}

// taken reads the whole answer, and reports whether it is a page.
func taken(resp *http.Response, err error) bool {
	if err != nil {
		return false
	}
	defer func() { _ = resp.Body.Close() }()
	_, err = io.Copy(io.Discard, resp.Body)
	return err == nil && resp.StatusCode == http.StatusOK
}

// wait begins what a client may do for long: IDLE, a message, a request.
func (g *guest) wait() {
	g.greet()
	switch g.speaks {
	case "smtp":
		if g.ask("MAIL FROM:<a@example.com>", "250 ", "4", "5") == "250 " &&
			g.ask("RCPT TO:<"+user+"@localhost>", "250 ", "4", "5") == "250 " &&
			g.ask("DATA", "354 ", "4", "5") == "354 " {
			g.say("Subject: half")
		}
	case "pop3":
		g.say("USER")
	case "imap":
		g.ask("i IDLE", "+ ", "i NO", "i BAD")
	case "www":
		g.say("GET / HTTP/1.1\r\nHost: loc")
	}
	g.broken = true
}

// leave says goodbye in the words of the protocol.
func (g *guest) leave() {
	switch {
	case g.broken:
	case g.speaks == "imap":
		g.greet()
		g.ask("q LOGOUT", "q OK", "q BAD")
	case g.speaks != "www":
		g.greet()
		g.ask("QUIT", "221 ", "+OK", "-ERR")
	}
	g.close()
}

// close closes it in order, reset without.
func (g *guest) close() {
	if g.web != nil {
		g.web.CloseIdleConnections()
	}
	_ = g.conn.SetDeadline(time.Now().Add(time.Second)) // Who has not read our goodbye by then needs none.
	_ = g.conn.Close()                                  // The server may have been faster.
}

func (g *guest) reset() {
	_ = g.tcp.SetLinger(0)
	_ = g.tcp.Close() // Likewise.
	g.close()
}

// halfClose says that nothing more follows, and reads on.
func (g *guest) halfClose() {
	_ = g.tcp.CloseWrite() // Likewise.
	g.broken = true
}

// outlasts waits until the server ends it, and reports an error if it does not.
func (g *guest) outlasts() error {
	_ = g.tcp.SetDeadline(time.Now().Add(patience)) // It is open.
	_, err := io.Copy(io.Discard, g.tcp)
	if e := net.Error(nil); errors.As(err, &e) && e.Timeout() {
		return fmt.Errorf("%s: silent for %v, and served still", g.service, patience)
	}
	return nil
}

// header is what a proxy says first, in version 1.
func header(client netip.Addr) string {
	return fmt.Sprintf("PROXY TCP4 %s 127.0.0.1 1234 25\r\n", client)
}

// hostile are first or later words that no service wants to hear.
var hostile = []string{
	"\x00", "\r\n", "\n\n\n", "\r\r\r", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "\x16\x03\x01\xff\xff",
	"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
	"GET / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
	"EHLO x\r\nDATA\r\nMAIL FROM:<>\r\nRCPT TO:<>\r\n.\r\n", "BDAT 99999999999 LAST\r\n", "AUTH PLAIN\r\n=\r\n",
	"STARTTLS\r\nNOOP\r\n", "STLS\r\nUSER a\r\n", "a STARTTLS\r\nb NOOP\r\n",
	"a LOGIN {4294967295}\r\n", "a APPEND INBOX {99999999}\r\n", "a LOGIN {3+}\r\nabc {3+}\r\nabc\r\n", "a IDLE\r\nDONE\r\nDONE\r\n",
	"a FETCH 1:* (((((((((((((\r\n", "TOP 1 99999999999\r\n", "RETR -1\r\n", "USER \r\nPASS \r\n",
	"PROXY TCP4 127.0.0.1\r\n", "PROXY UNKNOWN\r\n", "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\xff", strings.Repeat("x", 5000), strings.Repeat("A b\r\n", 500),
}
