package proxy

import (
	"io"
	"net"
	"testing"

	"overstay/server"
)

// BenchmarkRelay passes a stream on: by the kernel alone (splice, as io.Copy
// does between two TCP connections), through buffers of the same size as ours,
// and through the proxy with its limits and its watcher. All three have a
// sender and a receiver on the same machine, so the ratios count.
func BenchmarkRelay(b *testing.B) {
	b.Run("splice", func(b *testing.B) {
		relay(b, func(client, upstream *net.TCPConn) { _, _ = io.Copy(upstream, client) })
	})
	b.Run("buffers", func(b *testing.B) {
		relay(b, func(client, upstream *net.TCPConn) {
			_, _ = io.CopyBuffer(struct{ io.Writer }{upstream}, struct{ io.Reader }{client}, make([]byte, largePiece))
		})
	})
	for _, speaks := range []string{TCP, SMTP} {
		b.Run("proxy "+speaks, func(b *testing.B) {
			address := sink(b, speaks == SMTP)
			s := start(b, Options{Upstream: address, Speaks: speaks}, server.Service{})
			c := s.dial(b, "127.0.0.1")
			if speaks == SMTP {
				c.hear("220 mx\r\n")
				c.send("DATA\r\n")
				c.hear("354 go\r\n")
			}
			pump(b, c.Conn)
		})
	}
}

// relay pumps through a function that copies.
func relay(b *testing.B, through func(client, upstream *net.TCPConn)) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	back, err := net.Dial("tcp", sink(b, false))
	if err != nil {
		b.Fatal(err)
	}
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	front, err := l.Accept()
	if err != nil {
		b.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		through(front.(*net.TCPConn), back.(*net.TCPConn))
	}()
	pump(b, client)
	_ = client.Close()
	<-done
	_ = front.Close()
	_ = back.Close()
}

// pump sends pieces of 64 KB, a line in each.
func pump(b *testing.B, c net.Conn) {
	text := make([]byte, 64<<10)
	for i := range text {
		text[i] = 'x'
		if i%80 == 79 {
			text[i-1], text[i] = '\r', '\n'
		}
	}
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Write(text); err != nil {
			b.Fatal(err)
		}
	}
}

// sink is an upstream that reads.
func sink(b *testing.B, mail bool) string {
	return upstream(b, func(c *talk) {
		if mail {
			c.send("220 mx\r\n")
			c.hear("DATA\r\n")
			c.send("354 go\r\n")
		}
		buffer := make([]byte, 256<<10)
		for {
			if _, err := c.Conn.Read(buffer); err != nil {
				return
			}
		}
	})
}

// BenchmarkWatch reads conversations along.
func BenchmarkWatch(b *testing.B) {
	for name, c := range map[string]struct{ speaks, begin, client, upstream string }{
		"smtp commands": {SMTP, "S: 220 mx", "RCPT TO:<a@example.org>\r\n", "250 fine\r\n"},
		"pop3 commands": {POP3, "S: +OK", "STAT\r\n", "+OK 1 1\r\n"},
		"imap commands": {IMAP, "S: * OK", "a NOOP\r\n", "a OK\r\n"},
		"http requests": {HTTP, "", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"},
	} {
		b.Run(name, func(b *testing.B) {
			_, w := watched(c.speaks, proof{}, c.begin)
			client, upstream := []byte(c.client), []byte(c.upstream)
			b.SetBytes(int64(len(client) + len(upstream)))
			b.ReportAllocs()
			for b.Loop() {
				w.fromClient(client)
				w.fromUpstream(upstream)
			}
		})
	}
}
