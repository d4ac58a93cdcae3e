package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// sources is how many addresses the clients have.
const sources = 250

// source returns the address of the i-th client.
func source(i int) net.IP { return net.IPv4(127, 77, 0, byte(1+i%sources)) }

// errNo is the error of an answer that is not the wanted one.
var errNo = errors.New("the server says no")

// talk is a client's side of a conversation.
type talk struct {
	conn net.Conn
	in   *bufio.Reader
}

// dial connects. Keepalives are the server's alone: thousands of sessions that
// were opened in one go send theirs in one go, and the loopback interface drops
// what is too much (net.core.netdev_max_backlog).
func dial(address string, from net.IP) (*talk, error) {
	d := net.Dialer{Timeout: patience, KeepAlive: -1, LocalAddr: &net.TCPAddr{IP: from}}
	c, err := d.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return &talk{conn: c, in: bufio.NewReaderSize(c, 1<<10)}, nil
}

// say says something and wants so many answers of SMTP.
func (t *talk) say(text string, answers int) error {
	if _, err := io.WriteString(t.conn, text); err != nil {
		return err
	}
	return t.reply(answers)
}

// reply wants so many answers of SMTP that are none of refusal.
func (t *talk) reply(answers int) error {
	for answers > 0 {
		line, err := t.in.ReadSlice('\n')
		switch {
		case err != nil:
			return err
		case len(line) < 4 || line[0] != '2' && line[0] != '3':
			return fmt.Errorf("%w: %q", errNo, line)
		case line[3] == ' ':
			answers--
		}
	}
	return nil
}

// tagged says a command of IMAP with the tag a, and wants an OK.
func (t *talk) tagged(command string) error {
	if _, err := io.WriteString(t.conn, command); err != nil {
		return err
	}
	for {
		line, err := t.in.ReadString('\n')
		switch {
		case err != nil:
			return err
		case strings.HasPrefix(line, "a OK"):
			return nil
		case strings.HasPrefix(line, "a "):
			return fmt.Errorf("%w: %q", errNo, line)
		}
	}
}

// transaction sends one message over a connection of its own, as a client does
// that knows of pipelining.
func transaction(address string, i int, text string) error {
	t, err := dial(address, source(i))
	if err != nil {
		return err
	}
	defer func() { _ = t.conn.Close() }() // All has been said.
	if err := t.reply(1); err != nil {
		return err
	}
	if err := t.say("EHLO client.example.org\r\n", 1); err != nil {
		return err
	}
	envelope := fmt.Sprintf("MAIL FROM:<sender@example.org>\r\nRCPT TO:<%s@localhost>\r\nDATA\r\n", userName(i))
	if err := t.say(envelope, 3); err != nil {
		return err
	}
	if err := t.say(text, 1); err != nil {
		return err
	}
	return t.say("QUIT\r\n", 1)
}

// message returns a message of some size, with the dot behind it.
func message(size int) string {
	const head = "From: <sender@example.org>\r\nTo: <user@localhost>\r\nSubject: soak\r\n\r\n"
	const line = "The quick brown fox jumps over the lazy dog, and does so again.\r\n"
	return head + strings.Repeat(line, max(1, (size-len(head))/len(line))) + ".\r\n"
}
