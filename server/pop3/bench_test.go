package pop3

import (
	"io"
	"strings"
	"testing"
	"time"

	"overstay/server"
)

// One message of 10 KB, asked for and received.
func BenchmarkRetr(b *testing.B) {
	s := start(b, Options{}, server.Service{})
	s.deliver(b, "anna", "Subject: x\n\n"+strings.Repeat(strings.Repeat("x", 76)+"\n", 130))
	c := s.enter(b, "anna")
	if err := c.SetDeadline(time.Time{}); err != nil {
		b.Fatal(err)
	}
	c.send("RETR 1\r\n")
	first := c.line()
	size := len(first) + len(c.rest()) + len(".\r\n")
	answer := make([]byte, size)
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		c.send("RETR 1\r\n")
		if _, err := io.ReadFull(c.in, answer); err != nil {
			b.Fatal(err)
		}
	}
}

// A client that looks for new mail and finds none, as most do most of the time.
func BenchmarkSession(b *testing.B) {
	s := start(b, Options{}, server.Service{})
	b.ReportAllocs()
	for b.Loop() {
		c := s.dial(b, "127.0.0.1")
		c.send("USER anna\r\nPASS secret\r\nSTAT\r\nQUIT\r\n")
		if answer, err := io.ReadAll(c.in); err != nil || !strings.HasSuffix(string(answer), "+OK 0 0\r\n+OK Bye\r\n") {
			b.Fatal(string(answer), err)
		}
		_ = c.Close() // It has ended.
	}
}
