package smtp

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	gosmtp "github.com/emersion/go-smtp"
)

const (
	// maxUpstreamLine bounds a line of the upstream's.
	maxUpstreamLine = 4 << 10
	// maxUpstreamLines bounds an answer.
	maxUpstreamLines = 100
	// maxUpstreamText is how much of an answer the client is told.
	maxUpstreamText = 200
	// partingTime is how long a goodbye may take.
	partingTime = time.Second
)

var errAnswer = errors.New("smtp: the upstream's answer is none")

// dialogue is a connection to the upstream, with us as the client. The library
// has a client too, but one that may wait forever for a server that does not
// read, and that keeps all a server says.
type dialogue struct {
	relay      *Relay
	conn       net.Conn
	in         *bufio.Reader
	out        *bufio.Writer
	extensions map[string]string
	forget     func() bool
}

// newDialogue uses a connection. It is closed when ctx ends.
func newDialogue(ctx context.Context, c net.Conn, r *Relay) *dialogue {
	d := &dialogue{relay: r}
	d.use(c)
	d.forget = context.AfterFunc(ctx, func() { _ = c.Close() }) // Reads and writes fail then.
	return d
}

func (d *dialogue) use(c net.Conn) {
	d.conn = c
	d.in = bufio.NewReaderSize(c, maxUpstreamLine)
	d.out = bufio.NewWriterSize(patient{c, d.relay.Timeout}, 32<<10)
}

// patient gives each write its own time.
type patient struct {
	net.Conn
	timeout time.Duration
}

func (p patient) Write(b []byte) (int, error) {
	if err := p.SetWriteDeadline(time.Now().Add(p.timeout)); err != nil {
		return 0, err
	}
	return p.Conn.Write(b)
}

// startTLS forgets what came in the clear (RFC 3207, 4.2).
func (d *dialogue) startTLS(ctx context.Context, config *tls.Config) error {
	if err := d.conn.SetDeadline(time.Now().Add(d.relay.Timeout)); err != nil {
		return err
	}
	c := tls.Client(d.conn, config)
	if err := c.HandshakeContext(ctx); err != nil {
		return err
	}
	d.use(c)
	return nil
}

// command says something and wants an answer with that code.
func (d *dialogue) command(code int, format string, v ...any) error {
	if _, err := fmt.Fprintf(d.out, format+"\r\n", v...); err != nil {
		return err
	}
	if err := d.out.Flush(); err != nil {
		return err
	}
	return d.answer(code, d.relay.Timeout)
}

// answer wants an answer with that code. Another one is a *refusal.
func (d *dialogue) answer(want int, timeout time.Duration) error {
	code, text, err := d.read(timeout)
	if err != nil {
		return err
	}
	if code != want {
		return &refusal{code: code, text: strings.Join(text, " ")}
	}
	return nil
}

// read reads an answer.
func (d *dialogue) read(timeout time.Duration) (code int, text []string, err error) {
	if err := d.conn.SetReadDeadline(time.Now().Add(timeout)); err != nil {
		return 0, nil, err
	}
	for range maxUpstreamLines {
		line, err := d.in.ReadSlice('\n')
		if err != nil {
			return 0, nil, err
		}
		c, part, last, ok := parseReply(string(line))
		if !ok || code != 0 && c != code {
			return 0, nil, errAnswer
		}
		code = c
		text = append(text, part)
		if last {
			return code, text, nil
		}
	}
	return 0, nil, errAnswer
}

// parseReply understands one line of an answer.
func parseReply(line string) (code int, text string, last, ok bool) {
	line = strings.TrimRight(line, "\r\n")
	if len(line) < 3 || line[0] < '2' || line[0] > '5' {
		return 0, "", false, false
	}
	code, err := strconv.Atoi(line[:3])
	if err != nil || code < 200 {
		return 0, "", false, false
	}
	if len(line) == 3 {
		return code, "", true, true
	}
	return code, line[4:], line[3] == ' ', line[3] == ' ' || line[3] == '-'
}

// hello introduces us, and learns what the upstream can do.
func (d *dialogue) hello(name string) error {
	verb := "EHLO"
	if d.relay.LMTP {
		verb = "LHLO"
	}
	d.extensions = map[string]string{}
	if _, err := fmt.Fprintf(d.out, "%s %s\r\n", verb, name); err != nil {
		return err
	}
	if err := d.out.Flush(); err != nil {
		return err
	}
	code, lines, err := d.read(d.relay.Timeout)
	switch {
	case err != nil:
		return err
	case code == 250:
		for _, line := range lines[1:] {
			word, argument, _ := strings.Cut(line, " ")
			d.extensions[strings.ToUpper(word)] = argument
		}
		return nil
	case code >= 500 && code <= 504 && !d.relay.LMTP:
		return d.command(250, "HELO %s", name)
	}
	return &refusal{code: code, text: strings.Join(lines, " ")}
}

// mail says who the sender is.
func (d *dialogue) mail(from string, o *gosmtp.MailOptions) error {
	parameters := ""
	if _, ok := d.extensions["SIZE"]; ok && o.Size > 0 {
		parameters += fmt.Sprintf(" SIZE=%d", o.Size)
	}
	if _, ok := d.extensions["8BITMIME"]; ok && o.Body != "" {
		parameters += " BODY=" + string(o.Body) // One that the library knows.
	}
	return d.command(250, "MAIL FROM:<%s>%s", from, parameters)
}

// rcpt names a recipient.
func (d *dialogue) rcpt(to string) error {
	err := d.command(250, "RCPT TO:<%s>", to)
	var other *refusal
	if errors.As(err, &other) && other.code == 251 {
		return nil // It forwards (RFC 5321, 3.4).
	}
	return err
}

// data asks whether the message may come.
func (d *dialogue) data() error { return d.command(354, "DATA") }

// text sends the message, whose lines end with LF, and waits for the answer. A
// server that has seen enough may answer and hang up before the end.
func (d *dialogue) text(r io.Reader) error {
	w := textproto.NewWriter(d.out).DotWriter()
	buf := make([]byte, 32<<10)
	for {
		n, err := r.Read(buf)
		if _, failed := w.Write(buf[:n]); failed != nil {
			return d.lastAnswer(failed)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return err // It is our trouble, and without an end the upstream has nothing.
		}
	}
	if err := w.Close(); err != nil {
		return d.lastAnswer(err)
	}
	return d.answer(250, d.relay.AnswerTimeout)
}

// lastAnswer returns what the upstream said before it hung up, or err.
func (d *dialogue) lastAnswer(err error) error {
	var refused *refusal
	if last := d.answer(250, partingTime); errors.As(last, &refused) {
		return last
	}
	return err
}

// quit says goodbye and does not wait for the answer.
func (d *dialogue) quit() {
	if d.conn.SetDeadline(time.Now().Add(partingTime)) == nil {
		_, _ = io.WriteString(d.conn, "QUIT\r\n") // It is only polite.
	}
	d.close()
}

func (d *dialogue) close() {
	d.forget()
	_ = d.conn.Close() // What counts has been said.
}
