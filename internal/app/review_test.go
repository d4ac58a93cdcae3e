package app_test

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"overstay/banlist"
	"overstay/connlog"
	"overstay/internal/app"
)

// hasty is a policy that needs no pressure and no time: two unproven
// connections are too many.
const hasty = "unproven.open >= 2"

func hastyPolicy(action string) []app.Policy {
	return []app.Policy{{
		Name: "hasty", When: app.Condition{Text: hasty}, Action: action, Factor: 1,
		Duration: app.Duration(time.Hour),
	}}
}

// dial connects from a loopback address to the service www.
func (r *running) dial(source string) net.Conn {
	r.t.Helper()
	c, err := r.tryDial(source)
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

// tryDial is dial where the server may cut the connection at once.
func (r *running) tryDial(source string) (net.Conn, error) {
	return tryDialTo(r.t, r.address["www"].String(), source)
}

// isClosed waits until the other side has closed c.
func isClosed(t testing.TB, c net.Conn) {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	_, err := c.Read(make([]byte, 1))
	if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("the session of a banned source goes on: %v", err)
	}
}

// waiting returns the suggestions that wait.
func waiting(t testing.TB, list *banlist.List) []banlist.Ban {
	t.Helper()
	bans, err := list.Bans(t.Context(), banlist.Filter{States: []banlist.State{banlist.Suggested}})
	if err != nil {
		t.Fatal(err)
	}
	return bans
}

func suggestOnly(cfg *app.Config) {
	cfg.Detector.Action = "suggest"
	cfg.Detector.DefaultPolicies = false
	cfg.Policies = hastyPolicy("ban")
}

func TestApproveFreesThreads(t *testing.T) {
	r := serve(t, suggestOnly)
	list := r.list()
	held := []net.Conn{r.dial("127.0.4.1"), r.dial("127.0.4.1")}
	eventually(t, "a suggestion", func() bool { return len(waiting(t, list)) == 1 })
	suggestion := waiting(t, list)[0]
	if want := netip.MustParsePrefix("127.0.4.1/32"); suggestion.Prefix != want {
		t.Fatalf("suggested %v, want %v", suggestion.Prefix, want)
	}
	if list.Blocked(netip.MustParseAddr("127.0.4.1"), "www") {
		t.Fatal("a suggestion blocks before anybody approved it")
	}
	if _, err := list.Approve(t.Context(), suggestion.ID, banlist.Act{By: "operator:test"}); err != nil {
		t.Fatal(err)
	}
	for _, c := range held {
		isClosed(t, c)
	}
	r.stop()
	banned := 0
	for _, e := range r.events() {
		if e.Kind == connlog.Close && e.End == connlog.EndBanned {
			banned++
		}
	}
	if banned != len(held) {
		t.Errorf("%d sessions ended with end=banned, want %d", banned, len(held))
	}
}

func TestRejectKeepsTheSuggestionFromReturning(t *testing.T) {
	r := serve(t, suggestOnly)
	list := r.list()
	first := []net.Conn{r.dial("127.0.4.2"), r.dial("127.0.4.2")}
	eventually(t, "a suggestion", func() bool { return len(waiting(t, list)) == 1 })
	if _, err := list.Reject(t.Context(), waiting(t, list)[0].ID, time.Hour, banlist.Act{By: "operator:test"}); err != nil {
		t.Fatal(err)
	}
	for _, c := range first {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	// A server that is started anew has a detector that remembers nothing but
	// what log and list say.
	r.stop()
	again := serveWith(t, r.cfg)
	list = again.list()
	again.dial("127.0.4.2")
	again.dial("127.0.4.2")
	// Another source after it is suggested: by then the first was judged too.
	again.dial("127.0.4.3")
	again.dial("127.0.4.3")
	eventually(t, "the other source", func() bool { return len(waiting(t, list)) > 0 })
	for _, b := range waiting(t, list) {
		if b.Prefix.Addr() != netip.MustParseAddr("127.0.4.3") {
			t.Errorf("%v was suggested again", b.Prefix)
		}
	}
}

func TestOwnAddressIsNotBanned(t *testing.T) {
	r := serve(t, func(cfg *app.Config) { cfg.Policies = hastyPolicy("ban") })
	own := []net.Conn{r.dial("127.0.0.1"), r.dial("127.0.0.1")}
	other := []net.Conn{r.dial("127.0.4.4"), r.dial("127.0.4.4")}
	isClosed(t, other[0])
	isClosed(t, other[1])
	for _, c := range own {
		if err := c.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a session from this machine's own address ended: %v", err)
		}
	}
	if bans, err := r.list().Bans(t.Context(), banlist.Filter{}); err != nil || len(bans) != 1 {
		t.Errorf("%d bans (%v), want that of the other source alone", len(bans), err)
	}
}

func TestAllowedSourceIsNotBanned(t *testing.T) {
	r := serve(t, func(cfg *app.Config) {
		cfg.Policies = hastyPolicy("ban")
		cfg.List.Allow = []app.Source{app.Source(netip.MustParsePrefix("127.0.5.0/24"))}
	})
	allowed := []net.Conn{r.dial("127.0.5.1"), r.dial("127.0.5.1")}
	other := []net.Conn{r.dial("127.0.4.5"), r.dial("127.0.4.5")}
	isClosed(t, other[0])
	if r.list().Blocked(netip.MustParseAddr("127.0.5.1"), "www") {
		t.Error("an allowed source is blocked")
	}
	for _, c := range allowed {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	// What the configuration no longer names is no longer allowed.
	r.stop()
	r.cfg.List.Allow = nil
	again := serveWith(t, r.cfg)
	left, err := again.list().Allowed(t.Context())
	if err != nil || len(left) != 0 {
		t.Errorf("still allowed: %v, %v", left, err)
	}
}
