package server

import (
	"net"
	"testing"
)

// Connections come out in the order in which they went in, and whoever passes
// one does not wait.
func TestDoorKeepsTheOrder(t *testing.T) {
	d := newDoor(&net.TCPAddr{})
	var in []net.Conn
	for range 5 {
		c := &kept{}
		in = append(in, c)
		if !d.pass(c) {
			t.Fatal("the door is shut")
		}
	}
	for i, want := range in {
		if got, err := d.Accept(); got != want || err != nil {
			t.Errorf("%d: %v, %v", i, got, err)
		}
		if i == 1 && !d.pass(in[0]) {
			t.Error("the door is shut")
		}
	}
	if got, err := d.Accept(); got != in[0] || err != nil {
		t.Errorf("the last: %v, %v", got, err)
	}
}

// A protocol that takes nothing does not make the queue grow with connections
// that a ban has ended meanwhile.
func TestDoorForgetsWhatHasEnded(t *testing.T) {
	svc := loopService(t, 10, &lines{})
	raw := nowhere{addr: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1}}
	for range 10 * minPurge {
		svc.admit(raw)
		if n := svc.server.cut(func(c *Conn) bool { return c.ID()%1000 != 0 }); n > 1 {
			t.Fatalf("%d ended", n)
		}
		if busy := svc.pool.busy.Load(); busy == 10 {
			svc.server.cut(func(*Conn) bool { return true })
		}
	}
	if n := len(svc.door.queue); n > 2*minPurge {
		t.Errorf("%d wait", n)
	}
	_ = svc.door.Close() // It cannot fail.
	svc.server.handlers.Wait()
	if svc.door.pass(raw) {
		t.Error("the door is open")
	}
	if n := svc.pool.busy.Load(); n != 0 {
		t.Errorf("%d threads held", n)
	}
}
