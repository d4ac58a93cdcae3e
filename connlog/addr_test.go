package connlog

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
)

// TestAddr compares what is read of an address with package netip, of texts
// that are addresses or nearly.
func TestAddr(t *testing.T) {
	rng := seeded(t)
	texts := []string{
		"::", "::1", "1::", "2001:db8::5", "2001:db8:0:1::", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "1::8",
		"::ffff:203.0.113.9", "::ffff:cb00:7109", "fe80::1%eth0", "203.0.113.9", "0.0.0.0", "01.2.3.4", "1.2.3", "256.1.1.1",
		":", ":::", "1:::2", "1::2::3", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8::", "12345::", "g::", ":1", "1:", "",
		"ABCD:ef01::", "1:2:3:4:5:6:7:8:", "::1:2:3:4:5:6:7:8", "1.2.3.4:5", "::1.2.3.4",
	}
	const letters = "0123456789abcdefF:::::..%"
	for range 20_000 {
		var ip [16]byte
		for i := range ip {
			if rng.IntN(2) == 0 {
				ip[i] = byte(rng.Uint32())
			}
		}
		text := []byte(netip.AddrFrom16(ip).String())
		for range rng.IntN(3) {
			text[rng.IntN(len(text))] = letters[rng.IntN(len(letters))]
		}
		texts = append(texts, string(text))
	}
	var p Parser
	for _, text := range texts {
		want, err := netip.ParseAddr(text)
		for _, after := range []string{"", `,"busy":1`, strings.Repeat(" ", 60)} {
			var got netip.Addr
			line := []byte(`"` + text + `"` + after)
			next := p.addr(line, 0, &got)
			switch ok := err == nil || text == ""; {
			case ok != (next != bad):
				t.Fatalf("%q before %q: read to %d, package netip says %v", text, after, next, err)
			case ok && (got != want.Unmap() || next != len(text)+2):
				t.Fatalf("%q before %q: %v, read to %d, want %v", text, after, got, next, want)
			}
		}
	}
}

func BenchmarkAddr(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	var text []byte
	for range 1000 {
		ip := [16]byte{0x20, 1, 0xd, 0xb8, 0, byte(rng.Uint32()), 0, byte(rng.Uint32()), 15: byte(rng.Uint32())}
		text = append(text, `"`+netip.AddrFrom16(ip).String()+"\"\n"...)
	}
	lines := bytes.Split(text, []byte("\n"))
	for i := range lines {
		lines[i] = append(bytes.Clone(lines[i]), make([]byte, 60)...)
	}
	for name, read := range map[string]func([]byte){
		"here":  func(line []byte) { _, _ = readIPv6(line, 0) },
		"netip": func(line []byte) { _, _ = netip.ParseAddr(borrow(line[1:bytes.LastIndexByte(line, '"')])) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				read(lines[i%1000])
				i++
			}
		})
	}
}
