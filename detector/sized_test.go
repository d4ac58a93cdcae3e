package detector

import (
	"testing"
	"time"

	"overstay/connlog"
)

// TestRefusalOfNobody says how large a pool is, and blames nobody.
func TestRefusalOfNobody(t *testing.T) {
	d := mustNew(t, Options{})
	d.Observe(&connlog.Event{Kind: connlog.Refuse, Time: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Boot: "b", Seq: 1,
		Service: "smtp", Reason: connlog.RefuseBusy, Count: 1, Busy: 20, Threads: 20})
	if pools := d.Pools(); len(pools) != 1 || pools[0].Threads != 20 {
		t.Errorf("the pools are %+v, want one with 20 threads", pools)
	}
	if n := d.Stats().NoAddress; n != 1 {
		t.Errorf("%d lines without an address are counted, want 1", n)
	}
}
