package smtp

import (
	"bufio"
	"context"
	"io"
	"net"
	"strings"
	"testing"

	gosmtp "github.com/emersion/go-smtp"

	"overstay/server"
)

// nowhere takes messages and forgets them.
type nowhere struct{}

func (nowhere) Begin([]string) (Delivery, error) { return forgotten{io.Discard}, nil }

type forgotten struct{ io.Writer }

func (forgotten) Commit() error { return nil }
func (forgotten) Abort()        {}

// bare is a session of the library without us.
type bare struct{}

func (bare) Reset()                                 {}
func (bare) Logout() error                          { return nil }
func (bare) Mail(string, *gosmtp.MailOptions) error { return nil }
func (bare) Rcpt(string, *gosmtp.RcptOptions) error { return nil }
func (bare) Data(r io.Reader) error                 { _, err := io.Copy(io.Discard, r); return err }

// transactions sends b.N messages over one connection, as a client does that
// knows of pipelining.
func transactions(b *testing.B, addr, text string) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	in := bufio.NewReader(c)
	answers := func(n int) {
		for ; n > 0; n-- {
			for {
				line, err := in.ReadString('\n')
				if err != nil || line[0] > '3' {
					b.Fatal(line, err)
				}
				if line[3] == ' ' {
					break
				}
			}
		}
	}
	say := func(s string, n int) {
		if _, err := io.WriteString(c, s); err != nil {
			b.Fatal(err)
		}
		answers(n)
	}
	answers(1)
	say("EHLO x\r\n", 1)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		say("MAIL FROM:<a@example.net>\r\nRCPT TO:<anna@example.org>\r\nDATA\r\n", 3)
		say(text+".\r\n", 1)
	}
}

// A transaction here, beside one of the library alone.
func BenchmarkTransaction(b *testing.B) {
	small := "Subject: x\r\n\r\n" + strings.Repeat("hello\r\n", 100)
	large := strings.Repeat(strings.Repeat("x", 76)+"\r\n", 100_000)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	alone := gosmtp.NewServer(gosmtp.BackendFunc(func(*gosmtp.Conn) (gosmtp.Session, error) { return bare{}, nil }))
	ended := make(chan struct{})
	go func() { defer close(ended); _ = alone.Serve(l) }()
	defer func() { _ = alone.Shutdown(context.Background()); <-ended }()
	s := start(b, Options{Users: fakeUsers{}, Store: nowhere{}}, server.Service{})
	for name, addr := range map[string]string{"overstay": s.Addr("smtp").String(), "library": l.Addr().String()} {
		b.Run("small/"+name, func(b *testing.B) { transactions(b, addr, small) })
		b.Run("8MB/"+name, func(b *testing.B) { transactions(b, addr, large) })
	}
}
