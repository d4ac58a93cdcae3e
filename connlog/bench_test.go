package connlog_test

import (
	"encoding/json"
	"net/netip"
	"testing"
	"time"

	"overstay/connlog"
)

// journey is one connection's lines, as a server writes them.
func journey() []connlog.Event {
	at := time.Date(2026, 11, 23, 14, 21, 48, 123456000, time.UTC)
	head := connlog.Event{
		Time: at, Boot: "k3v9s0q2m4x7a1bz", Seq: 184467, Kind: connlog.Open,
		Service: "smtp", Conn: 98213, ClientIP: netip.MustParseAddr("203.0.113.9"),
	}
	open := head
	open.ClientPort, open.Busy, open.Threads = 51234, 42, 100
	proven := head
	proven.Kind, proven.Seq, proven.By, proven.User = connlog.Proven, 184470, connlog.ByLogin, "anna@example.org"
	end := head
	end.Kind, end.Seq, end.Held, end.End = connlog.Close, 184481, 2310442*time.Microsecond, connlog.EndClient
	end.Stages[connlog.StageGreeting] = 10512 * time.Microsecond
	end.Stages[connlog.StageCommand] = 200112 * time.Microsecond
	end.Stages[connlog.StageData] = 2099818 * time.Microsecond
	end.BytesIn, end.BytesOut, end.Proven = 48213, 512, true
	return []connlog.Event{open, proven, end}
}

func journeyLines() (lines [][]byte, bytes int64) {
	events := journey()
	for i := range events {
		line := connlog.Append(nil, &events[i])
		lines = append(lines, line)
		bytes += int64(len(line))
	}
	return lines, bytes
}

// shuffled writes the same lines with their keys in alphabetical order.
func shuffled(lines [][]byte) (out [][]byte, bytes int64) {
	for _, line := range lines {
		var m map[string]any
		if err := json.Unmarshal(line, &m); err != nil {
			panic(err)
		}
		other, err := json.Marshal(m)
		if err != nil {
			panic(err)
		}
		out = append(out, other)
		bytes += int64(len(other))
	}
	return out, bytes
}

func BenchmarkAppend(b *testing.B) {
	events := journey()
	for _, e := range events {
		b.Run(e.Kind.String(), func(b *testing.B) {
			b.ReportAllocs()
			buf := make([]byte, 0, 1024)
			for b.Loop() {
				buf = connlog.Append(buf[:0], &e)
			}
			b.SetBytes(int64(len(buf)))
		})
	}
}

func BenchmarkParse(b *testing.B) {
	native, nativeBytes := journeyLines()
	other, otherBytes := shuffled(native)
	for _, c := range []struct {
		name  string
		lines [][]byte
		bytes int64
	}{{"native", native, nativeBytes}, {"any_order", other, otherBytes}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(c.bytes)
			var p connlog.Parser
			var e connlog.Event
			for b.Loop() {
				for _, line := range c.lines {
					if err := p.Parse(line, &e); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
	b.Run("encoding_json", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(nativeBytes)
		for b.Loop() {
			for _, line := range native {
				var e jsonEvent
				if err := json.Unmarshal(line, &e); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}

// jsonEvent is the event as one would write it for encoding/json.
type jsonEvent struct {
	Time       time.Time        `json:"time"`
	Event      string           `json:"event"`
	Boot       string           `json:"boot"`
	Seq        uint64           `json:"seq"`
	Service    string           `json:"service"`
	Conn       uint64           `json:"conn"`
	ClientIP   netip.Addr       `json:"client_ip"`
	ClientPort uint16           `json:"client_port"`
	Busy       int              `json:"busy"`
	Threads    int              `json:"threads"`
	HeldUS     int64            `json:"held_us"`
	By         string           `json:"by"`
	What       string           `json:"what"`
	User       string           `json:"user"`
	StagesUS   map[string]int64 `json:"stages_us"`
	BytesIn    int64            `json:"bytes_in"`
	BytesOut   int64            `json:"bytes_out"`
	End        string           `json:"end"`
	Proven     bool             `json:"proven"`
	Fails      int              `json:"fails"`
	Reason     string           `json:"reason"`
	Count      uint64           `json:"count"`
}
