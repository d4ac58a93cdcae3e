package app_test

import (
	"net/http"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"overstay/banlist"
	"overstay/connlog"
	"overstay/internal/app"
)

// house is a server with all services, and its guests.
type house struct {
	*reloading
	list   *banlist.List
	watch  *http.Client
	guests []*guest
	tried  *tried
}

// tried counts what happened in all games, so that one in which nothing does
// is seen.
type tried struct {
	mu sync.Mutex
	n  map[string]int
}

func (t *tried) add(what string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.n[what]++
}

// room is a service, what is spoken there, and whether it is under TLS from
// the first byte.
type room struct {
	name, speaks string
	secure       bool
}

// GoString makes the story of a game that failed shorter.
func (r room) GoString() string { return r.name }

// rooms are all the services that guests come to.
var rooms = []room{
	{"imap", "imap", false}, {"https", "www", true}, {"pop3", "pop3", false}, {"behind", "smtp", false},
	{"imaps", "imap", true}, {"front", "smtp", false}, {"smtp", "smtp", false}, {"www", "www", false},
	{"submission", "smtp", true}, {"late", "smtp", false},
}

// guestsFrom are the addresses of guests. The first is what proxy_from of the
// service behind names, and never banned.
var guestsFrom = []netip.Addr{
	netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.4.1"), netip.MustParseAddr("127.0.4.2"), netip.MustParseAddr("127.0.5.1"),
}

// openHouse starts a server for one game.
func openHouse(t *testing.T, cfg *app.Config, tried *tried) *house {
	h := &house{reloading: serveReloading(t, cfg), watch: statusClient(), tried: tried}
	h.list = h.running.list()
	return h
}

// enter opens a connection to any service from any address.
func (h *house) enter(t *rapid.T) *guest {
	room := rapid.SampledFrom(rooms).Draw(t, "room")
	address := guestsFrom[rapid.IntRange(0, len(guestsFrom)-1).Draw(t, "from")]
	tcp, err := from(address, h.address[room.name])
	if err != nil {
		t.Fatal(err) // The kernel takes everybody.
	}
	g := newGuest(room.name, room.speaks, tcp)
	h.guests = append(h.guests, g)
	if room.name == "behind" && (address == guestsFrom[0]) != (rapid.IntRange(0, 4).Draw(t, "confused") == 0) {
		line := header(guestsFrom[rapid.IntRange(1, len(guestsFrom)-1).Draw(t, "client")])
		cut := len(line)
		if rapid.IntRange(0, 4).Draw(t, "short") == 0 {
			cut, g.broken = rapid.IntRange(0, cut-1).Draw(t, "cut"), true
		}
		g.say(line[:cut])
	}
	if room.secure {
		if rapid.IntRange(0, 4).Draw(t, "mute") == 0 {
			g.broken = true
		} else {
			g.secure()
		}
	}
	return g
}

// sane picks a guest that sense can be talked with.
func (h *house) sane(t *rapid.T) *guest {
	return h.pick(t, func(g *guest) bool { return !g.broken })
}

// member picks one that can log in.
func (h *house) member(t *rapid.T) *guest {
	return h.pick(t, func(g *guest) bool { return !g.broken && g.speaks != "www" })
}

func (h *house) pick(t *rapid.T, match func(*guest) bool) *guest {
	var some []*guest
	for _, g := range h.guests {
		if match(g) {
			some = append(some, g)
		}
	}
	if len(some) == 0 {
		t.Skip("there is none")
	}
	return rapid.SampledFrom(some).Draw(t, "guest")
}

// does returns an action of one guest.
func (h *house) does(what string, who func(*rapid.T) *guest, how func(*rapid.T, *guest) bool) func(*rapid.T) {
	return func(t *rapid.T) {
		if g := who(t); how(t, g) {
			h.tried.add(what + " " + g.speaks)
		}
	}
}

// parts returns an action after which a guest is gone.
func (h *house) parts(how func(*guest)) func(*rapid.T) {
	return func(t *rapid.T) {
		g := h.pick(t, func(*guest) bool { return true })
		how(g)
		h.guests = slices.DeleteFunc(h.guests, func(o *guest) bool { return o == g })
	}
}

func (h *house) actions() map[string]func(*rapid.T) {
	enter := func(t *rapid.T) {
		g := h.enter(t)
		if rapid.Bool().Draw(t, "listens") {
			g.greet()
		}
	}
	send := func(t *rapid.T, g *guest) bool {
		text := rapid.SampledFrom(hostile).Draw(t, "text")
		if rapid.Bool().Draw(t, "noise") {
			text = string(rapid.SliceOfN(rapid.Byte(), 1, 40).Draw(t, "bytes"))
		}
		g.say(text)
		g.broken = true
		return true
	}
	work := h.does("work", h.sane, func(_ *rapid.T, g *guest) bool { return g.work() })
	anybody := func(t *rapid.T) *guest { return h.pick(t, func(*guest) bool { return true }) }
	return map[string]func(*rapid.T){
		"enter": enter, "enter again": enter, "enter once more": enter, "crowd": h.crowd,
		"log in":     h.does("login", h.member, func(_ *rapid.T, g *guest) bool { return g.login(password) }),
		"log in ill": h.does("failed login", h.member, func(_ *rapid.T, g *guest) bool { return !g.login("wrong") && !g.broken }),
		"work":       work, "work again": work, "work once more": work,
		"stall":       h.does("stall", h.sane, func(_ *rapid.T, g *guest) bool { g.wait(); return true }),
		"send":        h.does("hostile", anybody, send),
		"half-close":  h.does("half-close", anybody, func(_ *rapid.T, g *guest) bool { g.halfClose(); return true }),
		"starttls":    h.does("starttls", h.plain, h.starttls),
		"leave":       h.parts((*guest).leave),
		"close":       h.parts((*guest).close),
		"reset":       h.parts((*guest).reset),
		"reset again": h.parts((*guest).reset),
		"ban":         h.ban,
		"unban":       h.unban,
		"unban again": h.unban,
		"reload":      h.configure,
		"":            h.check,
	}
}

// plain picks a guest in the clear.
func (h *house) plain(t *rapid.T) *guest {
	return h.pick(t, func(g *guest) bool { return !g.broken && g.conn == g.tcp && g.speaks != "www" })
}

// starttls stops in the middle of the handshake, or not.
func (h *house) starttls(t *rapid.T, g *guest) bool {
	if !g.starttls() {
		return false
	}
	if rapid.Bool().Draw(t, "all of it") {
		g.secure()
		return !g.broken
	}
	g.say("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
	g.broken = true
	return true
}

// crowd lets many come and go at the same time.
func (h *house) crowd(t *rapid.T) {
	room := rapid.SampledFrom(rooms).Draw(t, "room")
	how := rapid.SliceOfN(rapid.IntRange(0, 3), 2, 12).Draw(t, "how")
	var crowd sync.WaitGroup
	for i, how := range how {
		crowd.Go(func() {
			tcp, err := from(guestsFrom[i%len(guestsFrom)], h.address[room.name])
			if err != nil {
				return
			}
			g := newGuest(room.name, room.speaks, tcp)
			switch how {
			case 0:
				if !room.secure && room.name != "behind" { // Nobody waits there for a greeting alone.
					g.greet()
				}
			case 1:
				g.say(hostile[i])
			case 2:
				g.halfClose()
			}
			g.reset()
		})
	}
	crowd.Wait()
}

func (h *house) ban(t *rapid.T) {
	prefix := netip.PrefixFrom(guestsFrom[rapid.IntRange(1, len(guestsFrom)-1).Draw(t, "who")], 32)
	if _, err := h.list.Add(t.Context(), banlist.Ban{Prefix: prefix, Reason: "test", Origin: "operator:test"}, banlist.AddOptions{}); err != nil {
		t.Fatal(err)
	}
}

func (h *house) unban(t *rapid.T) {
	who := guestsFrom[rapid.IntRange(1, len(guestsFrom)-1).Draw(t, "who")].String()
	_, _ = h.list.Lift(t.Context(), who, banlist.Act{By: "test"}) // Nobody may have banned it.
}

// configure reloads with other limits. The number of threads of the shared
// pool is the same for all who share it.
func (h *house) configure(t *rapid.T) {
	result := h.change(func(next *app.Config) {
		mail := rapid.IntRange(1, 6).Draw(t, "threads of mail")
		for i := range next.Services {
			s := &next.Services[i]
			switch {
			case s.Name == watcher:
				continue
			case s.Pool == "mail":
				s.Threads = mail
			default:
				s.Threads = rapid.IntRange(1, 6).Draw(t, "threads")
			}
			s.SessionsPerSource = rapid.IntRange(0, 3).Draw(t, "sessions")
			s.UnprovenPerSource = rapid.IntRange(-1, 3).Draw(t, "unproven")
		}
	})
	if result.Err != nil || len(result.Restart) > 0 {
		t.Fatalf("reload: %+v", result)
	}
	h.tried.add("reload")
}

// check waits until no more threads are held than there are guests: one of
// them who is served by way of the proxy holds two.
func (h *house) check(t *rapid.T) {
	may := map[string]int{}
	for _, g := range h.guests {
		may[h.pool(g.service)]++
		if g.service == "front" {
			may["behind"]++
		}
	}
	h.settle(t, may)
}

func (h *house) pool(service string) string {
	for _, s := range h.cfg.Services {
		if s.Name == service && s.Pool != "" {
			return s.Pool
		}
	}
	return service
}

// settle waits until each pool has no more threads held than it may have.
func (h *house) settle(t *rapid.T, may map[string]int) map[string]figures {
	var all map[string]figures
	var err error
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(500 * time.Microsecond) {
		if all, err = h.status(h.watch); err != nil {
			continue // The one before was too old.
		}
		fine := true
		for name, f := range all {
			fine = fine && (name == watcher || f.Busy <= may[f.Pool]) && f.Unproven <= f.Busy
		}
		if fine {
			return all
		}
	}
	t.Fatalf("threads are held for nobody: may be %v, but %+v, %v", may, all, err)
	return nil
}

// Whatever guests do, to all services at once, in whatever order: no thread
// is lost, the log tells of each connection from its beginning to its end, and
// of all who were turned away.
func TestNoThreadIsLeaked(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	users, pair := equip(t, folder)
	behind := freeAddress(t)
	all := &tried{n: map[string]int{}}
	games := 0
	rapid.Check(t, func(rt *rapid.T) {
		games++
		cfg := allServices(filepath.Join(folder, strconv.Itoa(games)), users, behind, pair)
		cfg.Detector.Enabled = rapid.Bool().Draw(rt, "detector")
		h := openHouse(t, cfg, all)
		defer h.stop()
		defer h.watch.CloseIdleConnections()
		rt.Repeat(h.actions())
		h.end(rt)
	})
	t.Logf("%d games: %v", games, all.n)
	for _, what := range []string{
		"end client", "end reset", "end timeout", "end banned", "refused busy", "refused sessions", "refused banned",
		"fail command", "fail tls", "fail login", "hostile smtp", "work smtp", "reload",
	} {
		if games >= 20 && all.n[what] == 0 {
			t.Errorf("never tried in %d games: %s", games, what)
		}
	}
}

// end ends a game in one of three ways, and looks at what is left.
func (h *house) end(t *rapid.T) {
	var last map[string]figures
	switch rapid.SampledFrom([]string{"leave", "leave", "stay", "outstay"}).Draw(t, "end") {
	case "outstay":
		for _, g := range h.guests {
			if err := g.outlasts(); err != nil {
				t.Fatal(err)
			}
			g.close()
		}
		last = h.settle(t, nil)
	case "leave":
		for i, g := range h.guests {
			[]func(*guest){(*guest).close, (*guest).reset, (*guest).leave}[i%3](g)
		}
		last = h.settle(t, nil)
	}
	h.watch.CloseIdleConnections()
	h.stop()
	for _, g := range h.guests {
		g.close()
	}
	events := h.events()
	opened, refused := checkLives(t, events), refusals(events)
	for name, f := range last {
		r := refused[name]
		// Some may have been let in since: those that waited in the kernel, or
		// for their proxy's word.
		if name != watcher && (f.Accepted > opened[name] || f.RefusedBusy > r[connlog.RefuseBusy] ||
			f.RefusedSessions > r[connlog.RefuseSessions] || f.RefusedBanned > r[connlog.RefuseBanned]) {
			t.Errorf("%s: %+v, but the log has %d opened and %v refused", name, f, opened[name], r)
		}
	}
	for _, e := range events {
		switch e.Kind {
		case connlog.Close:
			h.tried.add("end " + string(e.End))
		case connlog.Refuse:
			h.tried.add("refused " + string(e.Reason))
		case connlog.Fail:
			h.tried.add("fail " + string(e.What))
		case connlog.Proven:
			h.tried.add("proven " + e.Service)
		}
	}
	if text := h.said.String(); strings.Contains(text, "panic") {
		t.Errorf("it panicked:\n%s", text)
	}
}
