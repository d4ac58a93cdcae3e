package score_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"io"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"overstay/connlog"
	"overstay/connlog/formats"
)

// flow is a TCP connection as the wire saw it.
type flow struct{ client, server netip.AddrPort }

// span is from the first packet to the server's end: whatever the client does
// after it, the thread is free.
type span struct {
	from, to time.Duration
	answered bool
	over     bool // the server has ended it
}

// wireFlows reads the connections out of the lab's capture: classic pcap with
// nanoseconds, Linux cooked headers or Ethernet, IPv4.
func wireFlows(t *testing.T) map[flow][]span {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(labDir, "wire.pcap.gz"))
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	const header, magic = 24, 0xa1b23c4d
	le := binary.LittleEndian
	if len(b) < header || le.Uint32(b) != magic && le.Uint32(b) != 0xa1b2c3d4 {
		t.Fatalf("no capture: %x", b[:min(len(b), 4)])
	}
	fraction := time.Nanosecond
	if le.Uint32(b) != magic {
		fraction = time.Microsecond
	}
	out := map[flow][]span{}
	for b = b[header:]; len(b) >= 16; {
		at := time.Duration(le.Uint32(b))*time.Second + time.Duration(le.Uint32(b[4:]))*fraction
		size := int(le.Uint32(b[8:]))
		wirePacket(out, at, b[16:16+size])
		b = b[16+size:]
	}
	return out
}

// wirePacket takes in an Ethernet frame.
func wirePacket(out map[flow][]span, at time.Duration, b []byte) {
	const ethernet, tcp = 14, 6
	if len(b) < ethernet+40 || b[12] != 8 || b[13] != 0 || b[ethernet+9] != tcp {
		return
	}
	ip := b[ethernet:]
	length := int(ip[0]&15) * 4
	if len(ip) < length+20 {
		return
	}
	segment := ip[length:]
	from := netip.AddrPortFrom(netip.AddrFrom4([4]byte(ip[12:16])), binary.BigEndian.Uint16(segment))
	to := netip.AddrPortFrom(netip.AddrFrom4([4]byte(ip[16:20])), binary.BigEndian.Uint16(segment[2:]))
	const fin, syn, rst, ack = 1, 2, 4, 16
	switch flags := segment[13]; {
	case flags&(syn|ack) == syn:
		key := flow{from, to}
		if n := len(out[key]); n == 0 || out[key][n-1].answered { // else it was sent again
			out[key] = append(out[key], span{from: at, to: at})
		}
	case flags&(syn|ack) == syn|ack:
		if spans := out[flow{to, from}]; len(spans) > 0 {
			spans[len(spans)-1].answered = true
		}
	case flags&(fin|rst) != 0:
		for _, key := range []flow{{from, to}, {to, from}} {
			if spans := out[key]; len(spans) > 0 && !spans[len(spans)-1].over {
				s := &spans[len(spans)-1]
				s.to, s.over = at, key.server == from
			}
		}
	}
}

// wireSum adds up what a client held of a port: connections, time, and the
// most at once.
func wireSum(flows map[flow][]span, client netip.Addr, port uint16) (conns int, held time.Duration, peak int) {
	type edge struct {
		at time.Duration
		by int
	}
	var edges []edge
	for key, spans := range flows {
		if key.client.Addr() != client || key.server.Port() != port {
			continue
		}
		for _, s := range spans {
			if s.answered {
				conns++
				held += s.to - s.from
				edges = append(edges, edge{s.from, 1}, edge{s.to, -1})
			}
		}
	}
	slices.SortFunc(edges, func(a, b edge) int { return int(a.at - b.at) })
	now := 0
	for _, e := range edges {
		now += e.by
		peak = max(peak, now)
	}
	return conns, held, peak
}

// TestLabAgainstTheWire compares what each log says that a malicious client
// held with what the capture saw: within a fiftieth or ten seconds where the
// server logs it honestly.
func TestLabAgainstTheWire(t *testing.T) {
	roles, server := labRoles(t)
	flows := wireFlows(t)
	t.Logf("%-20s %-4s %15s %19s %11s", "log, and wire", "who", "connections", "held", "peak")
	for _, l := range []struct {
		file  string
		port  uint16
		only  string // the service of that port
		loose string // why the log may say something else
	}{
		{"nginx-json.log.gz", 80, "", ""},
		{"nginx-rt.log.gz", 80, "", ""},
		{"haproxy.log.gz", 8080, "web", ""},
		{"haproxy.log.gz", 8081, "raw", ""},
		{"mail.log.gz", 25, "", ""},
		{"endlessh.log", 2222, "", "it notices at its next line that a client is gone"},
		{"dovecot.log", 143, "", ""},
		{"nginx-access.log.gz", 80, "", "no durations"},
		{"vsftpd.log", 21, "", "no ends"},
		{"auth-iso.log", 22, "", ""},
	} {
		lines := labLines(t, l.file)
		f, _ := formats.Detect([]byte(strings.Join(lines, "\n") + "\n"))
		var events []connlog.Event
		for _, e := range labEvents(t, f, lines) {
			if l.only == "" || e.Service == l.only {
				events = append(events, e)
			}
		}
		for addr, row := range labRows(t, events, roles, server) {
			conns, held, peak := wireSum(flows, addr, l.port)
			t.Logf("%-20s .%-3s %7d %7d %8.1fs %8.1fs %5d %5d  %s", l.file, lastNumber(addr), row.conns, conns, row.held.Seconds(), held.Seconds(), row.peak, peak, l.loose)
			// A client that keeps its connection has more requests than the wire
			// has connections, and idles where no line tells of it.
			if l.loose != "" || row.conns > conns {
				continue
			}
			if diff := (row.held - held).Seconds(); math.Abs(diff) > max(10, held.Seconds()/50) {
				t.Errorf("%s .%s: held %v, on the wire %v", l.file, lastNumber(addr), row.held, held)
			}
			if row.conns != conns || row.peak < peak*98/100-1 || row.peak > peak*102/100+1 {
				t.Errorf("%s .%s: %d connections, %d at once; on the wire %d and %d", l.file, lastNumber(addr), row.conns, row.peak, conns, peak)
			}
		}
	}
}
