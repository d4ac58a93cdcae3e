package app_test

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"overstay/banlist"
	"overstay/connlog"
	"overstay/internal/app"
)

// smallPool gives www a pool of so many threads, and no other limit.
func smallPool(threads int) func(*app.Config) {
	return func(cfg *app.Config) {
		noLimit(cfg)
		for i := range cfg.Services {
			if cfg.Services[i].Protocol == "www" {
				cfg.Services[i].Threads = threads
				// Only a ban ends what the attackers hold.
				cfg.Services[i].Idle, cfg.Services[i].IdleStressed = app.Duration(time.Minute), app.Duration(time.Minute)
			}
		}
	}
}

// holdFrom takes one thread from each of so many addresses, one after the
// other, and keeps it with half a request.
func holdFrom(r *running, first string, n int) []net.Conn {
	r.t.Helper()
	var held []net.Conn
	a := netip.MustParseAddr(first)
	for range n {
		c := r.dial(a.String())
		if _, err := io.WriteString(c, "GET / HTTP/1.1\r\n"); err != nil {
			r.t.Fatal(err)
		}
		held = append(held, c)
		a = a.Next()
	}
	return held
}

// served asks for a page from an address, and says whether it came.
func served(r *running, from string) bool {
	c, err := r.tryDial(from)
	if err != nil {
		return false
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second)) // Fails if it is cut, and then so does the read.
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
	answer, _ := io.ReadAll(c)
	return strings.HasPrefix(string(answer), "HTTP/1.1 200")
}

// banned returns the bans of the list, in the order of their prefixes.
func (r *running) banned() []banlist.Ban {
	r.t.Helper()
	bans, err := r.list().Bans(r.t.Context(), banlist.Filter{States: []banlist.State{banlist.Active}})
	if err != nil {
		r.t.Fatal(err)
	}
	return bans
}

// TestANetIsBannedAsOne where each of its addresses holds a single thread: with
// one ban all threads are free, also those of addresses that come later.
func TestANetIsBannedAsOne(t *testing.T) {
	t.Parallel()
	const threads = 50
	r := serve(t, smallPool(threads))
	// Where nothing was ever proven nobody can be told from the others.
	if !served(r, "127.0.20.1") {
		t.Fatal("nobody is served before the attack")
	}
	held := holdFrom(r, "127.0.10.2", threads)
	if served(r, "127.0.20.1") {
		t.Fatal("somebody was served although no thread is free")
	}
	eventually(t, "a client to be served", func() bool { return served(r, "127.0.20.1") })
	for _, c := range held {
		isClosed(t, c)
	}
	want := netip.MustParsePrefix("127.0.10.0/26")
	if bans := r.banned(); len(bans) != 1 || bans[0].Prefix != want {
		t.Errorf("banned are %v, want %v alone", bans, want)
	}
	decided := r.decisions()
	if len(decided) != 1 {
		t.Fatalf("%d decisions: %+v", len(decided), decided)
	}
	if e := decided[0].Decision.Evidence.Net; e == nil || e.Members != threads || e.Prefix != netip.MustParsePrefix("127.0.10.0/24") {
		t.Errorf("the evidence for the net is %+v", e)
	}
	if served(r, "127.0.10.60") || !served(r, "127.0.10.64") {
		t.Error("who comes later is banned by what the ban says of the net")
	}
	r.stop()
	ended, refused := 0, 0
	for _, e := range r.events() {
		if e.Kind == connlog.Close && e.End == connlog.EndBanned {
			ended++
		}
		if e.Kind == connlog.Refuse && e.Reason == connlog.RefuseBanned {
			refused++
		}
	}
	if ended != threads || refused != 1 {
		t.Errorf("%d sessions ended as banned and %d were refused, want %d and 1", ended, refused, threads)
	}
}

// TestANetIsBannedAroundOurselves where an address of this machine is in it.
func TestANetIsBannedAroundOurselves(t *testing.T) {
	t.Parallel()
	const threads = 50
	r := serve(t, smallPool(threads))
	if !served(r, "127.0.20.2") {
		t.Fatal("nobody is served before the attack")
	}
	ours := holdFrom(r, "127.0.0.1", 1)[0]
	held := holdFrom(r, "127.0.0.2", threads-1)
	eventually(t, "a client to be served", func() bool { return served(r, "127.0.20.2") })
	for _, c := range held {
		isClosed(t, c)
	}
	var prefixes []string
	for _, b := range r.banned() {
		prefixes = append(prefixes, b.Prefix.String())
	}
	want := "[127.0.0.0/32 127.0.0.2/31 127.0.0.4/30 127.0.0.8/29 127.0.0.16/28 127.0.0.32/27]"
	if got := fmt.Sprint(prefixes); got != want {
		t.Errorf("banned are %s, want %s", got, want)
	}
	if _, err := io.WriteString(ours, "Host: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if err := ours.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if n, err := ours.Read(make([]byte, 100)); n == 0 {
		t.Errorf("a session from this machine's own address ended: %v", err)
	}
}
