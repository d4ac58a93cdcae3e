package app_test

import (
	"errors"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"overstay/banlist"
	"overstay/connlog"
	"overstay/internal/app"
)

// effect shows that a setting of a service is taken over by a reload: base is
// what it is tried with, change the setting alone, and seen looks at a server
// after it. Guests that hold are there before.
type effect struct {
	protocol string // smtp by default
	base     func(*app.Service)
	hold     []func(*guest)
	change   func(*app.Service)
	seen     func(*testing.T, *reloading, []*guest)
}

var (
	client1 = netip.MustParseAddr("127.0.6.1")
	client2 = netip.MustParseAddr("127.0.6.2")
)

// visit connects to the service under test.
func visit(t *testing.T, r *reloading, address netip.Addr, speaks string) *guest {
	t.Helper()
	tcp, err := from(address, r.address["test"])
	if err != nil {
		t.Fatal(err)
	}
	g := newGuest("test", speaks, tcp)
	t.Cleanup(g.close)
	return g
}

// hears returns an effect's view of what the next client is told.
func hears(address netip.Addr, want string) func(*testing.T, *reloading, []*guest) {
	return func(t *testing.T, r *reloading, _ []*guest) {
		t.Helper()
		line, err := visit(t, r, address, "smtp").in.ReadString('\n')
		if !strings.HasPrefix(line, want) || want == "" && err != io.EOF {
			t.Errorf("the next client hears %q, %v, want %q", line, err, want)
		}
	}
}

// ends is the view that those who hold are sent away.
func ends(t *testing.T, _ *reloading, held []*guest) {
	t.Helper()
	for _, g := range held {
		if err := g.outlasts(); err != nil {
			t.Error(err)
		}
	}
}

// oneEnds is the view that one of those who hold is sent away. Each that goes
// gives the others more time.
func oneEnds(t *testing.T, r *reloading, _ []*guest) {
	t.Helper()
	logged(t, r, "a holder is sent away", func(e connlog.Event) bool {
		return e.Kind == connlog.Close && e.End == connlog.EndTimeout
	})
}

// takesNothing is the view that a client who does not read what it asked for is
// sent away.
func takesNothing(t *testing.T, r *reloading, _ []*guest) {
	t.Helper()
	visit(t, r, client1, "www").say("GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
	logged(t, r, "the taker is sent away", func(e connlog.Event) bool {
		return e.Kind == connlog.Close && e.End == connlog.EndTimeout && e.Stages[connlog.StageDeliver] >= time.Duration(moment)
	})
}

func stays(*guest) {}

// says returns a way to hold: after the greeting, text.
func says(text string) func(*guest) {
	return func(g *guest) {
		g.greet()
		g.say(text)
	}
}

func authenticates(g *guest) { g.login(password) }

const moment = app.Duration(50 * time.Millisecond)

// logged waits for an event.
func logged(t *testing.T, r *reloading, what string, is func(connlog.Event) bool) {
	t.Helper()
	eventually(t, what, func() bool { return slices.ContainsFunc(r.events(), is) })
}

// effects are the settings of a service that a reload takes over.
var effects = map[string]effect{
	"threads": {
		hold:   []func(*guest){stays},
		change: func(s *app.Service) { s.Threads = 1 }, seen: hears(client2, "421 4.3.2 "),
	},
	"unproven_per_source": {
		base: func(s *app.Service) { s.Threads = 2 }, hold: []func(*guest){stays},
		change: func(s *app.Service) { s.UnprovenPerSource = 1 }, seen: hears(client1, "421 4.7.0 "),
	},
	"sessions_per_source": {
		hold:   []func(*guest){authenticates},
		change: func(s *app.Service) { s.SessionsPerSource = 1 }, seen: hears(client1, "421 4.7.0 "),
	},
	"sessions_per_net": {
		hold:   []func(*guest){authenticates},
		change: func(s *app.Service) { s.SessionsPerNet = 1 }, seen: hears(client2, "421 4.7.0 "),
	},
	"idle":        {hold: []func(*guest){stays}, change: func(s *app.Service) { s.Idle = moment }, seen: ends},
	"idle_proven": {hold: []func(*guest){authenticates}, change: func(s *app.Service) { s.IdleProven = moment }, seen: ends},
	"idle_stressed": {
		base: func(s *app.Service) { s.Threads, s.StressFrom = 1, 0.5 }, hold: []func(*guest){stays},
		change: func(s *app.Service) { s.IdleStressed = moment }, seen: ends,
	},
	// 19 of 20 threads are next to nothing of the way from 0.95 on, and nearly
	// all of it from 0 on.
	"stress_from": {
		base: func(s *app.Service) {
			s.Threads, s.StressFrom, s.Idle, s.IdleStressed = 20, 0.95, 3*app.Duration(patience), moment
		},
		hold:   slices.Repeat([]func(*guest){stays}, 19),
		change: func(s *app.Service) { s.StressFrom = 0.001 }, seen: oneEnds,
	},
	"unproven": {hold: []func(*guest){stays}, change: func(s *app.Service) { s.Unproven = moment }, seen: ends},
	"session":  {hold: []func(*guest){authenticates}, change: func(s *app.Service) { s.Session = moment }, seen: ends},
	"proxy_from": {
		change: func(s *app.Service) { s.ProxyFrom = []app.Source{app.Source(netip.PrefixFrom(client1, 32))} },
		seen: func(t *testing.T, r *reloading, _ []*guest) {
			g := visit(t, r, client1, "smtp")
			g.say(header(client2))
			if g.greet(); g.broken {
				t.Error("the proxy's client is not served")
			}
			logged(t, r, "the proxy's client is in the log", func(e connlog.Event) bool { return e.Kind == connlog.Open && e.ClientIP == client2 })
		},
	},
	"greet_delay": {
		change: func(s *app.Service) { s.GreetDelay = app.Duration(300 * time.Millisecond) },
		seen: func(t *testing.T, r *reloading, _ []*guest) {
			visit(t, r, client1, "smtp").say("EHLO x\r\n")
			logged(t, r, "the early talker has failed", func(e connlog.Event) bool { return e.Kind == connlog.Fail && e.What == connlog.FailCommand })
		},
	},
	"stage_limits.greeting": {hold: []func(*guest){stays}, change: func(s *app.Service) { s.StageLimits.Greeting = moment }, seen: ends},
	"stage_limits.tls": {
		hold:   []func(*guest){func(g *guest) { g.starttls() }},
		change: func(s *app.Service) { s.StageLimits.TLS = moment }, seen: ends,
	},
	"stage_limits.login": {
		hold:   []func(*guest){says("AUTH PLAIN\r\n")},
		change: func(s *app.Service) { s.StageLimits.Login = moment }, seen: ends,
	},
	"stage_limits.command": {
		hold:   []func(*guest){says("NOO")},
		change: func(s *app.Service) { s.StageLimits.Command = moment }, seen: ends,
	},
	"stage_limits.data": {
		hold:   []func(*guest){(*guest).wait},
		change: func(s *app.Service) { s.StageLimits.Data = moment }, seen: ends,
	},
	"stage_limits.deliver": {
		protocol: "www", change: func(s *app.Service) { s.StageLimits.Deliver = moment }, seen: takesNothing,
	},
	"step":  {hold: []func(*guest){says("NOO")}, change: func(s *app.Service) { s.Step = moment }, seen: ends},
	"write": {protocol: "www", change: func(s *app.Service) { s.Write = moment }, seen: takesNothing},
	"stage_limits.idle": {
		hold:   []func(*guest){authenticates},
		change: func(s *app.Service) { s.StageLimits.Idle = moment }, seen: ends,
	},
	"words.busy": {
		base: func(s *app.Service) { s.Threads = 1 }, hold: []func(*guest){stays},
		change: func(s *app.Service) { s.Words.Busy = "Full" }, seen: hears(client2, "421 4.3.2 Full"),
	},
	"words.sessions": {
		base: func(s *app.Service) { s.SessionsPerSource = 1 }, hold: []func(*guest){stays},
		change: func(s *app.Service) { s.Words.Sessions = "Enough" }, seen: hears(client1, "421 4.7.0 Enough"),
	},
	"words.banned":       {change: func(s *app.Service) { s.Words.Banned = "Never" }, seen: hears(outlaw, "554 5.7.1 Never")},
	"words.ban_silently": {change: func(s *app.Service) { s.Words.BanSilently = true }, seen: hears(outlaw, "")},
}

// outlaw is banned at every service of these tests.
var outlaw = netip.MustParseAddr("127.0.6.9")

// outlawIn bans the outlaw before a server starts.
func outlawIn(t *testing.T, cfg *app.Config) {
	t.Helper()
	if err := os.Mkdir(cfg.State, 0o700); err != nil {
		t.Fatal(err)
	}
	list, err := banlist.Open(t.Context(), cfg.Path(cfg.List.Path), banlist.Options{Lazy: true})
	if err != nil {
		t.Fatal(err)
	}
	ban := banlist.Ban{Prefix: netip.PrefixFrom(outlaw, 32), Reason: "test", Origin: "operator:test"}
	_, err = list.Add(t.Context(), ban, banlist.AddOptions{})
	if err := errors.Join(err, list.Close()); err != nil {
		t.Fatal(err)
	}
}

// settings returns the names of all settings of a service, with how they are
// read.
func settings(prefix string, t reflect.Type, read map[string]string) {
	for i := range t.NumField() {
		f := t.Field(i)
		name := prefix + f.Tag.Get("toml")
		if f.Type.Kind() == reflect.Struct && f.Tag.Get("read") == "" {
			settings(name+".", f.Type, read)
		} else {
			read[name] = f.Tag.Get("read")
		}
	}
}

// TestEverySettingOfAServiceIsTakenOver, or is said to wait for a restart. A
// new one belongs into effects, or gets the tag read:"start".
func TestEverySettingOfAServiceIsTakenOver(t *testing.T) {
	t.Parallel()
	read := map[string]string{}
	settings("", reflect.TypeFor[app.Service](), read)
	for _, name := range []string{"name", "listen", "pool"} { // The server itself keeps these, and says so.
		delete(read, name)
	}
	for name, when := range read {
		if _, ok := effects[name]; ok == (when == "start") {
			t.Errorf("%s: read %q, but tested to have an effect: %v", name, when, ok)
		}
	}
	for name, e := range effects {
		if _, ok := read[name]; !ok {
			t.Errorf("%s: no such setting", name)
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e.try(t)
		})
	}
}

func (e effect) try(t *testing.T) {
	folder := t.TempDir()
	users, pair := equip(t, folder)
	if err := os.WriteFile(filepath.Join(folder, "large"), make([]byte, 32<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	protocol := "smtp"
	if e.protocol != "" {
		protocol = e.protocol
	}
	cfg := app.Default()
	cfg.State, cfg.Mail.Users, cfg.TLS = filepath.Join(folder, "state"), users, pair
	cfg.Detector.Enabled = false
	s := serviceLike(protocol)
	s.Name, s.Listen, s.UnprovenPerSource = "test", "127.0.0.1:0", -1
	s.Idle, s.IdleProven, s.IdleStressed, s.Unproven = 3600e9, 3600e9, 3600e9, 3600e9
	s.StageLimits = app.StageLimits{}
	s.WWW.Root = folder
	if protocol != "www" {
		s.WWW.Root = ""
	}
	if e.base != nil {
		e.base(&s)
	}
	cfg.Services = []app.Service{s}
	outlawIn(t, cfg)
	r := serveReloading(t, cfg)
	held := make([]*guest, 0, len(e.hold))
	for _, hold := range e.hold {
		g := visit(t, r, client1, protocol)
		if _, err := g.in.Peek(1); err != nil { // Not before it has its thread.
			t.Fatal(err)
		}
		hold(g)
		held = append(held, g)
	}
	if result := r.change(func(c *app.Config) { e.change(&c.Services[0]) }); result.Err != nil || len(result.Restart) > 0 {
		t.Fatalf("reload: %+v", result)
	}
	e.seen(t, r, held)
}
