package main

import (
	"bufio"
	"container/heap"
	"math/rand/v2"
	"net/netip"
	"os"
	"testing"
	"time"

	"overstay/connlog"
)

// threads of the server whose log is made up.
const threads = 100

// native writes the connection log of a busy mail server: some nine connections
// a second, from many sources, of which a few come often. Under attack one host
// holds more than half of the threads for ten minutes of each hour, so that
// others are turned away.
type native struct {
	out      *bufio.Writer
	size     int64
	rng      *rand.Rand
	zipf     *rand.Zipf
	now      time.Time
	seq      uint64
	conn     uint64
	open     leaving
	attacked bool
	text     []byte
}

// leaving are the connections that are open, the next one to end first.
type leaving []visit

type visit struct {
	until, since time.Time
	conn         uint64
	from         netip.Addr
	proven       bool
}

func (l leaving) Len() int           { return len(l) }
func (l leaving) Less(i, j int) bool { return l[i].until.Before(l[j].until) }
func (l leaving) Swap(i, j int)      { l[i], l[j] = l[j], l[i] }
func (l *leaving) Push(v any)        { *l = append(*l, v.(visit)) }
func (l *leaving) Pop() any {
	last := len(*l) - 1
	v := (*l)[last]
	*l = (*l)[:last]
	return v
}

// writeNative writes a log of about so many bytes and returns how many they are.
func writeNative(b *testing.B, path string, size int64, attacked bool) int64 {
	b.Helper()
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	n := native{
		out: bufio.NewWriterSize(f, 1<<20), rng: rng, zipf: rand.NewZipf(rng, 1.2, 8, 100_000), attacked: attacked,
		now: time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC),
	}
	n.write(connlog.Event{Kind: connlog.Start, Schema: 1, Services: []connlog.Service{{Service: "smtp", Threads: threads}}})
	for n.size < size {
		n.arrive()
	}
	if err := n.out.Flush(); err != nil {
		b.Fatal(err)
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
	return n.size
}

func (n *native) write(e connlog.Event) {
	n.seq++
	e.Time, e.Boot, e.Seq = n.now, "k3v9s0q2m4x7a1bz", n.seq
	n.text = append(connlog.Append(n.text[:0], &e), '\n')
	_, _ = n.out.Write(n.text) // Flush says what went wrong.
	n.size += int64(len(n.text))
}

// arrive lets the next client come, when those who leave before are gone.
func (n *native) arrive() {
	at := n.now.Add(time.Duration(n.rng.ExpFloat64() * float64(107*time.Millisecond)).Truncate(time.Microsecond))
	for len(n.open) > 0 && n.open[0].until.Before(at) {
		n.leave(heap.Pop(&n.open).(visit))
	}
	n.now = at
	from, stay := source(n.zipf.Uint64()), time.Duration((0.2+n.rng.ExpFloat64())*4*float64(time.Second))
	villain := n.attacked && at.Minute() < 10 && n.rng.IntN(8) == 0
	if villain {
		from, stay = netip.MustParseAddr("203.0.113.9"), time.Minute
	}
	if len(n.open) == threads {
		n.write(connlog.Event{Kind: connlog.Refuse, Service: "smtp", ClientIP: from, Reason: connlog.RefuseBusy, Busy: threads, Threads: threads})
		return
	}
	n.conn++
	n.write(connlog.Event{
		Kind: connlog.Open, Service: "smtp", Conn: n.conn, ClientIP: from, ClientPort: uint16(1024 + n.rng.IntN(60_000)),
		Busy: len(n.open) + 1, Threads: threads,
	})
	v := visit{until: at.Add(stay), since: at, conn: n.conn, from: from, proven: !villain && n.rng.IntN(10) < 7}
	heap.Push(&n.open, v)
	switch {
	case v.proven:
		n.write(connlog.Event{Kind: connlog.Proven, Service: "smtp", Conn: n.conn, ClientIP: from, By: connlog.ByMessage})
	case n.rng.IntN(2) == 0:
		n.write(connlog.Event{Kind: connlog.Fail, Service: "smtp", Conn: n.conn, ClientIP: from, What: connlog.FailLogin, User: "anna@example.org"})
	}
}

func (n *native) leave(v visit) {
	n.now = v.until.Truncate(time.Microsecond)
	e := connlog.Event{
		Kind: connlog.Close, Service: "smtp", Conn: v.conn, ClientIP: v.from, Held: n.now.Sub(v.since),
		BytesIn: n.rng.Int64N(100_000), BytesOut: n.rng.Int64N(2000), End: connlog.EndClient, Proven: v.proven,
	}
	e.Stages[connlog.StageGreeting] = e.Held / 8
	e.Stages[connlog.StageCommand] = e.Held / 4
	e.Stages[connlog.StageData] = e.Held / 2
	n.write(e)
}

// source is the address of a client, of the nets that are set aside for
// benchmarks (RFC 2544) and for documentation.
func source(n uint64) netip.Addr {
	if n%5 == 0 {
		return netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 0, byte(n >> 16), byte(n >> 8), byte(n), 15: 1})
	}
	return netip.AddrFrom4([4]byte{198, 18 + byte(n>>16)&1, byte(n >> 8), byte(n)})
}
