package detector

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"overstay/connlog"
)

// TestStarvingMachine has an office that gets work done until the machine has
// no time left for its server, and then sits there as the attackers do. It has
// been seen for seconds only, so a quarter of an hour says little for it; its
// proofs of the last minute must.
func TestStarvingMachine(t *testing.T) {
	d := mustNew(t, Options{Policies: DefaultPolicies(), BansPerMinute: 1000})
	office := netip.MustParseAddr("192.0.2.1")
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var seq, conn uint64
	banned := map[netip.Addr]bool{}
	observe := func(e connlog.Event) {
		seq++
		e.Boot, e.Seq, e.Time, e.Service = "b", seq, at, "smtp"
		for _, decision := range d.Observe(&e) {
			banned[decision.Source.Addr()] = true
		}
	}
	open := func(from netip.Addr, busy int) {
		conn++
		observe(connlog.Event{Kind: connlog.Open, Conn: conn, ClientIP: from, Busy: busy, Threads: 100})
	}

	observe(connlog.Event{Kind: connlog.Start, Services: []connlog.Service{{Service: "smtp", Threads: 100}}})
	for range 150 { // Thirty a second, for five seconds.
		at = at.Add(time.Second / 30)
		open(office, 1)
		observe(connlog.Event{Kind: connlog.Proven, Conn: conn, ClientIP: office, By: connlog.ByMessage})
		observe(connlog.Event{Kind: connlog.Close, Conn: conn, ClientIP: office, End: connlog.EndClient, Proven: true})
	}
	for i := range 100 {
		from := office
		if i >= 25 {
			from = netip.MustParseAddr(fmt.Sprintf("203.0.113.%d", 1+i%15))
		}
		open(from, i+1)
	}
	for range 4 {
		at = at.Add(time.Second)
		observe(connlog.Event{Kind: connlog.Refuse, ClientIP: netip.MustParseAddr("198.51.100.9"), Reason: connlog.RefuseBusy, Busy: 100, Threads: 100})
	}
	if banned[office] {
		t.Error("the office was banned")
	}
	if len(banned) != 15 {
		t.Errorf("%d sources banned, want the 15 attackers", len(banned))
	}
}
