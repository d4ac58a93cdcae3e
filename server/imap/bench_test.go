package imap

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"overstay/server"
)

// BenchmarkFetch sends a message of 4 KB, all of it and with its structure.
func BenchmarkFetch(b *testing.B) {
	s := start(b, Options{}, server.Service{})
	deliver(b, s.mail, "anna", letter+strings.Repeat(strings.Repeat("x", 63)+"\n", 64))
	c := s.login(b, "anna")
	if err := c.SetDeadline(time.Now().Add(time.Hour)); err != nil {
		b.Fatal(err)
	}
	c.say("a SELECT INBOX", "a OK")
	for name, ask := range map[string]string{"body": "BODY.PEEK[]", "structure": "(ENVELOPE BODYSTRUCTURE)", "flags": "FLAGS"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.say("a FETCH 1 "+ask, "a OK")
			}
		})
	}
}

// BenchmarkIdleSession says what one client costs that waits in IDLE, both
// ends of the line together.
func BenchmarkIdleSession(b *testing.B) {
	const sessions = 500
	s := start(b, Options{}, server.Service{Threads: sessions + 1})
	deliver(b, s.mail, "anna", letter)
	s.login(b, "anna")
	for b.Loop() {
		before := inUse()
		for range sessions {
			c := s.login(b, "anna")
			c.say("a SELECT INBOX", "a OK")
			c.say("b IDLE", "+ ")
			c.in = nil // It is not the server's.
		}
		b.ReportMetric(float64(inUse()-before)/sessions, "B/session")
	}
}

func inUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}
