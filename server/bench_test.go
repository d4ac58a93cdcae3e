package server

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"time"

	"overstay/connlog"
)

// loopService returns a service for benchmarks of its parts, which does not
// run: the benchmark is its accept loop.
func loopService(b testing.TB, threads int, proto *lines) *service {
	b.Helper()
	s := testService(threads)
	s.Protocol = proto
	srv, err := New(Options{Services: []Service{s}, Banned: &fixedList{}})
	if err != nil {
		b.Fatal(err)
	}
	svc := srv.services[0]
	svc.door = newDoor(&net.TCPAddr{})
	return svc
}

// fixedList bans one address.
type fixedList struct{ addr netip.Addr }

func (f *fixedList) Blocked(a netip.Addr, _ string) bool { return a == f.addr }

// BenchmarkTurnAway compares an accept loop that closes what comes with one
// that asks us first and closes then. Both take connections that wait in the
// kernel already, in turns, so that the client's work is not measured; the
// ratio is the figure that counts.
func BenchmarkTurnAway(b *testing.B) {
	for _, reason := range []connlog.Reason{connlog.RefuseBanned, connlog.RefuseBusy} {
		b.Run(string(reason), func(b *testing.B) {
			svc := loopService(b, 1, &lines{silent: true})
			if reason == connlog.RefuseBanned {
				svc.server.banned.(*fixedList).addr = netip.MustParseAddr("127.0.0.1")
			} else {
				svc.pool.take(originOf(netip.MustParseAddr("192.0.2.1")), sourceLimits{})
			}
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = l.Close() }()
			var bare, ours []time.Duration
			n := 0
			b.ReportAllocs()
			for b.Loop() {
				bare = append(bare, batch(b, l, func(c net.Conn) { _ = c.Close() }))
				ours = append(ours, batch(b, l, svc.admit))
				svc.server.refusals.flush(time.Now(), true)
				n += batchSize
			}
			slices.Sort(bare)
			slices.Sort(ours)
			x, y := bare[len(bare)/4], ours[len(ours)/4] // The machine has other things to do.
			b.ReportMetric(float64(x.Nanoseconds())/batchSize, "bare-ns/conn")
			b.ReportMetric(float64(y.Nanoseconds())/batchSize, "ours-ns/conn")
			b.ReportMetric(float64(y)/float64(x), "ours/bare")
			b.ReportMetric(0, "ns/op")
		})
	}
}

const batchSize = 200

// batch takes the time for accepting connections and doing something to them.
func batch(b testing.TB, l net.Listener, do func(net.Conn)) time.Duration {
	b.Helper()
	clients := make([]net.Conn, batchSize)
	for i := range clients {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		clients[i] = c
	}
	start := time.Now()
	for range clients {
		c, err := l.Accept()
		if err != nil {
			b.Fatal(err)
		}
		do(c)
	}
	took := time.Since(start)
	for _, c := range clients {
		_ = c.Close() // Done with.
	}
	return took
}

// nowhere is a connection without a network.
type nowhere struct {
	net.Conn
	addr *net.TCPAddr
}

func (n nowhere) RemoteAddr() net.Addr { return n.addr }
func (nowhere) Close() error           { return nil }
func (nowhere) SetLinger(int) error    { return nil }

// BenchmarkAdmit is admission and the close, with their log lines and without
// the kernel's part.
func BenchmarkAdmit(b *testing.B) {
	svc := loopService(b, 100, &lines{})
	raw := net.Conn(nowhere{addr: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1}})
	b.ReportAllocs()
	for b.Loop() {
		svc.admit(raw)
		c, err := svc.door.Accept()
		if err != nil {
			b.Fatal(err)
		}
		_ = c.Close() // It is nowhere.
	}
}

// BenchmarkRefuse is the decision against a connection, past the point where
// its lines are folded.
func BenchmarkRefuse(b *testing.B) {
	svc := loopService(b, 100, &lines{silent: true})
	svc.server.banned.(*fixedList).addr = netip.MustParseAddr("192.0.2.1")
	raw := net.Conn(nowhere{addr: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1}})
	b.ReportAllocs()
	for b.Loop() {
		svc.admit(raw)
	}
}

// BenchmarkRecheck looks through 10,000 open connections for banned ones:
// none is, or one in a hundred, or all are.
func BenchmarkRecheck(b *testing.B) {
	const open = 10_000
	for _, each := range []int{0, 100, 1} {
		b.Run(fmt.Sprintf("one-in-%d", each), func(b *testing.B) {
			svc := loopService(b, open, &lines{})
			list := &fixedList{addr: netip.MustParseAddr("192.0.2.1")}
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				list.addr, svc.server.banned = netip.Addr{}, list
				for i := svc.pool.busy.Load(); i < open; i++ {
					ip := net.IPv4(192, 0, 2, 2)
					if each > 0 && int(i)%each == 0 {
						ip = net.IPv4(192, 0, 2, 1)
					}
					svc.admit(nowhere{addr: &net.TCPAddr{IP: ip, Port: 1}})
					if _, err := svc.door.Accept(); err != nil {
						b.Fatal(err)
					}
				}
				list.addr = netip.MustParseAddr("192.0.2.1")
				b.StartTimer()
				svc.server.Recheck()
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N), "µs/recheck")
		})
	}
}

// A burst of 2,000 connections that are turned away, none of which takes its
// answer, leaves nothing behind.
func TestBurstOfRefusals(t *testing.T) {
	if testing.Short() {
		t.Skip("opens 2,000 connections")
	}
	r := run(t, Options{Services: []Service{testService(1)}})
	r.dial(t, "127.0.0.1").expect(t, "hi")
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	goroutines := runtime.NumGoroutine()
	var clients []net.Conn
	for i := range 2000 {
		c, err := net.Dial("tcp", r.Addr("test").String())
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		clients = append(clients, c)
		if n := runtime.NumGoroutine() - goroutines; n > 256+10 {
			t.Fatalf("%d goroutines", n)
		}
	}
	spoken := 0
	for _, c := range clients {
		_ = c.SetDeadline(time.Now().Add(10 * time.Second)) // It is open.
		if text, _ := io.ReadAll(c); len(text) > 0 {
			spoken++
		}
		_ = c.Close() // Done with.
	}
	if spoken < 256 {
		t.Errorf("only %d were told why", spoken)
	}
	eventually(t, "the refusers to end", func() bool { return len(r.refusals.slots) == 0 })
	r.log.mu.Lock()
	r.log.events = nil // The test's own.
	r.log.mu.Unlock()
	clear(clients)
	runtime.GC()
	runtime.GC() // Pools of the library are emptied by the second one.
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 1<<20 {
		t.Errorf("the heap has grown by %d KB", grown>>10)
	}
}

// What happens in the accept loop for each connection of a flood allocates
// nothing once its lines are folded.
func TestRefusingDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	svc := loopService(t, 1, &lines{silent: true})
	svc.server.banned.(*fixedList).addr = netip.MustParseAddr("192.0.2.1")
	raw := net.Conn(nowhere{addr: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1}})
	if n := testing.AllocsPerRun(1000, func() { svc.admit(raw) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// An admitted connection costs one allocation: itself.
func TestAdmittingAllocatesOnce(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	svc := loopService(t, 1, &lines{})
	raw := net.Conn(nowhere{addr: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1}})
	n := testing.AllocsPerRun(1000, func() {
		svc.admit(raw)
		c, err := svc.door.Accept()
		if err != nil {
			t.Fatal(err)
		}
		_ = c.Close() // It is nowhere.
	})
	if n != 1 {
		t.Errorf("%v allocations", n)
	}
}
