package occupancy

import (
	"testing"

	"overstay/connlog"
)

// TestBelt carries notes as they are, and waits for all of them.
func TestBelt(t *testing.T) {
	var got []uint64
	b := NewBelt(func(n *Notes) {
		for i := range n.all {
			got = append(got, n.all[i].conn)
		}
	})
	var n Notes
	for conn := range uint64(1000) {
		n.Reset()
		n.Observe(&connlog.Event{Kind: connlog.Open, Conn: 2 * conn})
		n.Observe(&connlog.Event{Kind: connlog.Close, Conn: 2*conn + 1})
		b.Take(&n)
		if conn == 500 {
			if b.Wait(); len(got) != 1002 {
				t.Errorf("%d of 1002 had been taken", len(got))
			}
		}
	}
	b.Close()
	for i, conn := range got {
		if conn != uint64(i) {
			t.Fatalf("%d came as number %d", conn, i)
		}
	}
	if len(got) != 2000 {
		t.Errorf("%d of 2000 were taken", len(got))
	}
}
