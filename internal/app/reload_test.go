package app_test

import (
	"context"
	"crypto/tls"
	"errors"
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
	"overstay/server/certs"
)

// configFor returns a configuration with one service, smtp, and a user.
func configFor(t *testing.T) *app.Config {
	t.Helper()
	folder := t.TempDir()
	cfg := app.Default()
	cfg.State = filepath.Join(folder, "state")
	cfg.Mail.Users, cfg.TLS = equip(t, folder)
	s := serviceLike("smtp")
	s.Name, s.Listen = "test", "127.0.0.1:0"
	cfg.Services = []app.Service{s}
	return cfg
}

// another sets a value to something that it is not.
func another(t *testing.T, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int, reflect.Int64:
		v.SetInt(v.Int() + 1)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), v.Len()+1, v.Len()+1))
	case reflect.Struct:
		for i := range v.NumField() {
			another(t, v.Field(i))
		}
	default:
		t.Fatalf("no other value for a %v", v.Type())
	}
}

// startSettings returns the settings in v that wait for a restart, by their names.
func startSettings(prefix string, v reflect.Value) map[string]reflect.Value {
	all := map[string]reflect.Value{}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name := prefix + f.Tag.Get("toml")
		switch {
		case f.Tag.Get("read") == "start":
			all[name] = v.Field(i)
		case f.Type.Kind() == reflect.Struct && f.Type.PkgPath() != "net/netip":
			for name, field := range startSettings(name+".", v.Field(i)) {
				all[name] = field
			}
		}
	}
	return all
}

// Each setting that is only read at a start is named when it has changed, and
// stays what it was; and it is named again as long as it differs.
func TestWhatWaitsForARestart(t *testing.T) {
	t.Parallel()
	r := serveReloading(t, configFor(t))
	names := map[string]string{}
	for name := range startSettings("", reflect.ValueOf(r.cfg).Elem()) {
		names[name] = name + " has changed"
	}
	for name := range startSettings("", reflect.ValueOf(&r.cfg.Services[0]).Elem()) {
		names["service."+name] = `service "test": ` + name + " has changed"
	}
	for _, name := range []string{"state", "log", "mail", "tls", "scan", "list.path", "service.protocol", "service.smtp"} {
		if names[name] == "" {
			t.Errorf("%s does not wait for a restart", name)
		}
	}
	for name, want := range names {
		for range 2 {
			result := r.change(func(c *app.Config) {
				of, key := reflect.ValueOf(c).Elem(), name
				if inService, ok := strings.CutPrefix(name, "service."); ok {
					of, key = reflect.ValueOf(&c.Services[0]).Elem(), inService
				}
				another(t, startSettings("", of)[key])
			})
			if result.Err != nil || !slices.Equal(result.Restart, []string{want}) {
				t.Errorf("%s: %+v, want %q", name, result, want)
			}
		}
		if g := visit(t, r, client1, "smtp"); !g.login(password) {
			t.Errorf("%s has changed, and nobody can log in", name)
		}
	}
	for want, change := range map[string]func(*app.Config){
		`service "test" is gone`: func(c *app.Config) { c.Services[0].Name = "other" },
		`service "more" is new`: func(c *app.Config) {
			more := c.Services[0]
			more.Name = "more"
			c.Services = append(c.Services, more)
		},
		`service "test" listens on "127.0.0.1:0", not "127.0.0.1:1"`:        func(c *app.Config) { c.Services[0].Listen = "127.0.0.1:1" },
		`service "test" takes its threads from pool "test", not "together"`: func(c *app.Config) { c.Services[0].Pool = "together" },
	} {
		if result := r.change(change); result.Err != nil || !slices.Contains(result.Restart, want) {
			t.Errorf("%+v, want %q", result, want)
		}
	}
	if result := r.change(func(*app.Config) {}); result.Err != nil || len(result.Restart) > 0 {
		t.Errorf("all is as it was, but %+v", result)
	}
}

// impatient bans who holds three connections.
func impatient(c *app.Config) {
	c.Detector.DefaultPolicies = false
	c.Policies = []app.Policy{{
		Name: "hasty", When: app.Condition{Text: "open >= 3"}, Action: "ban", Duration: app.Duration(time.Hour), Factor: 1,
	}}
}

// hold opens connections until the client is banned.
func hold(t *testing.T, r *reloading, address netip.Addr) {
	t.Helper()
	for i := range 3 {
		// The third may be sent away before it is greeted.
		if _, err := visit(t, r, address, "smtp").in.Peek(1); err != nil && i < 2 {
			t.Fatal(err)
		}
	}
	list := r.list()
	eventually(t, "the holder is banned", func() bool { return list.Blocked(address, "test") })
}

// The detector reads the log back when its settings change, and decides again
// what it had decided: nobody is banned twice, and who was let go stays so.
func TestReloadBansNobodyTwice(t *testing.T) {
	t.Parallel()
	cfg := configFor(t)
	impatient(cfg)
	r := serveReloading(t, cfg)
	hold(t, r, client1)
	hold(t, r, client2)
	list := r.list()
	before, err := list.Bans(t.Context(), banlist.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := list.Lift(t.Context(), client2.String(), banlist.Act{By: "test"}); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		read := r.live.Load()
		if result := r.change(func(c *app.Config) { c.Detector.BansPerMinute += i + 1 }); result.Err != nil {
			t.Fatal(result.Err)
		}
		eventually(t, "the detector has read the log again", func() bool { return r.live.Load() > read })
	}
	after, err := list.Bans(t.Context(), banlist.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	if len(before) != 2 || len(after) != 2 || len(r.decisions()) != 2 {
		t.Errorf("%d bans, then %d; %d decisions; want 2 of each", len(before), len(after), len(r.decisions()))
	}
	if !list.Blocked(client1, "test") || list.Blocked(client2, "test") {
		t.Error("who was banned is not, or who was let go is banned again")
	}
	r.stop()
	checkLives(t, r.events())
}

// What the file allows is let go at once; what it no longer names can be banned
// again; what a person allowed stays.
func TestReloadChangesTheAllowList(t *testing.T) {
	t.Parallel()
	cfg := configFor(t)
	impatient(cfg)
	r := serveReloading(t, cfg)
	hold(t, r, client1)
	list := r.list()
	byHand := netip.MustParsePrefix("198.51.100.0/24")
	if _, err := list.Allow(t.Context(), banlist.Allowance{Prefix: byHand, By: "test"}); err != nil {
		t.Fatal(err)
	}
	net := netip.MustParsePrefix("127.0.6.0/24")
	if result := r.change(func(c *app.Config) { c.List.Allow = []app.Source{app.Source(net)} }); result.Err != nil || len(result.Restart) > 0 {
		t.Fatalf("%+v", result)
	}
	eventually(t, "the allowed are let go", func() bool { return !list.Blocked(client1, "test") })
	for range 4 { // One more than the policy wants.
		if g := visit(t, r, client1, "smtp"); !g.login(password) {
			t.Error("an allowed client is not served")
		}
	}
	if result := r.change(func(*app.Config) {}); result.Err != nil {
		t.Fatal(result.Err)
	}
	allowed, err := list.Allowed(t.Context())
	if err != nil || len(allowed) != 1 || allowed[0].Prefix != byHand {
		t.Errorf("allowed are %+v, %v, want what was allowed by hand", allowed, err)
	}
	hold(t, r, client2)
}

// Nothing of a file with an error is taken over.
func TestBrokenFileChangesNothing(t *testing.T) {
	t.Parallel()
	r := serveReloading(t, configFor(t))
	path := filepath.Join(r.cfg.State, "overstay.toml")
	const good = "[list]\nallow = [\"127.0.6.0/24\"]\n[[service]]\nname = \"test\"\nprotocol = \"smtp\"\nlisten = \"127.0.0.1:0\"\nthreads = 1\nwords.busy = \"Full\"\n"
	g := visit(t, r, client1, "smtp")
	g.greet()
	for what, text := range map[string]string{
		"syntax": good + "[", "unknown key": good + "nonsense = 1\n", "type": good + "idle = 3\n", "value": good + "stress_from = 2.0\n",
		"words": good + "words.banned = \"a\\nb\"\n", "condition": good + "[[policy]]\nname = \"x\"\nwhen = \"open >\"\n",
		"two sizes":    good + "pool = \"p\"\n[[service]]\nname = \"more\"\nprotocol = \"smtp\"\nlisten = \"127.0.0.1:0\"\npool = \"p\"\nthreads = 2\n",
		"no such pool": good + "[[policy]]\nname = \"x\"\nwhen = \"open > 1\"\npools = [\"q\"]\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var wrong *app.ConfigError
		if result := r.load(func() (*app.Config, error) { return app.Load(path) }); !errors.As(result.Err, &wrong) {
			t.Errorf("%s: %+v", what, result)
		}
	}
	if result := r.load(func() (*app.Config, error) { return app.Load(filepath.Join(r.cfg.State, "none")) }); !errors.Is(result.Err, os.ErrNotExist) {
		t.Errorf("no file: %+v", result)
	}
	second := visit(t, r, client2, "smtp")
	if second.greet(); second.broken || g.broken || g.ask("NOOP", "250 ") == "" {
		t.Error("the old settings are not in force")
	}
	allowed, err := r.list().Allowed(context.Background())
	if err != nil || len(allowed) != 0 {
		t.Errorf("allowed are %+v, %v", allowed, err)
	}
	if err := os.WriteFile(path, []byte(good), 0o600); err != nil {
		t.Fatal(err)
	}
	if result := r.load(func() (*app.Config, error) { return app.Load(path) }); result.Err != nil {
		t.Fatal(result.Err)
	}
	hears(client1, "421 4.3.2 Full")(t, r, nil)
}

// Users and certificates are read when their files change, without a reload.
func TestUsersAndCertificatesNeedNoReload(t *testing.T) {
	t.Parallel()
	r := serveReloading(t, configFor(t))
	if g := visit(t, r, client1, "smtp"); !g.login(password) {
		t.Fatal("the first user cannot log in")
	}
	if err := os.Remove(r.cfg.Mail.Users); err != nil {
		t.Fatal(err)
	}
	addUser(t, r.cfg.Mail.Users, user, "changed")
	if g := visit(t, r, client1, "smtp"); g.login(password) {
		t.Error("the old password is good still")
	}
	if g := visit(t, r, client1, "smtp"); !g.login("changed") {
		t.Error("the new password is not good")
	}
	serial := func() string {
		g := visit(t, r, client1, "smtp")
		defer g.close() // Or the threads run out before the certificate is looked at.
		if !g.starttls() {
			t.Fatal("no STARTTLS")
		}
		g.secure()
		if g.broken {
			t.Fatal("no handshake")
		}
		return g.conn.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	before := serial()
	for _, file := range []string{r.cfg.TLS.Cert, r.cfg.TLS.Key} {
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := certs.SelfSigned(r.cfg.TLS.Cert, r.cfg.TLS.Key, []string{"localhost"}, time.Now()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the new certificate is shown", func() bool { return serial() != before })
	r.stop()
	for _, e := range r.events() {
		if e.Kind == connlog.Fail && e.What != connlog.FailLogin {
			t.Errorf("%+v", e)
		}
	}
}
