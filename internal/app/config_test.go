package app

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"overstay/connlog"
	"overstay/detector"
)

func TestExampleIsTheDefault(t *testing.T) {
	var text bytes.Buffer
	if err := WriteExample(&text); err != nil {
		t.Fatal(err)
	}
	got, err := parse("example.toml", text.Bytes())
	if err != nil {
		t.Fatalf("%v\n%s", err, text.String())
	}
	want := Default()
	want.Policies = DefaultPolicies()
	same := cmp.Comparer(func(a, b Source) bool { return netip.Prefix(a) == netip.Prefix(b) })
	if diff := cmp.Diff(want, got, same, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("the example reads as something else than the defaults (-want +got):\n%s", diff)
	}
}

func TestEverySettingIsDescribed(t *testing.T) {
	var text bytes.Buffer
	if err := WriteExample(&text); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(text.Bytes(), []byte("# \n")) {
		t.Errorf("a setting has no description:\n%s", text.String())
	}
}

func TestEmptyFileIsTheDefault(t *testing.T) {
	got, err := parse("empty.toml", nil)
	if err != nil {
		t.Fatal(err)
	}
	same := cmp.Comparer(func(a, b Source) bool { return a == b })
	if diff := cmp.Diff(Default(), got, same); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDurationText(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"90s": 90 * time.Second, "1h30m": 90 * time.Minute, "7d": 7 * 24 * time.Hour, "0s": 0, "500ms": 500 * time.Millisecond,
	} {
		got, err := ParseDuration(text)
		if err != nil || got != want {
			t.Errorf("%q is %v, %v, want %v", text, got, err, want)
		}
		back, err := Duration(got).MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ParseDuration(string(back)); err != nil || again != want {
			t.Errorf("%v is written as %q, which is read as %v, %v", want, back, again, err)
		}
	}
	for _, text := range []string{"", "d", "1.5d", "-1d", "-3s", "week", "99999999999d", "10"} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("%q was read as %v", text, got)
		}
	}
}

func TestPoliciesOfTheFile(t *testing.T) {
	c, err := parse("test.toml", []byte(`
[[policy]]
name = "thread-hogging"
duration = "3m"
[[policy]]
name = "short-flood"
action = "off"
[[policy]]
name = "mine"
when = "open > 3"
`))
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]Policy{}
	for _, p := range c.ActivePolicies() {
		byName[p.Name] = p
	}
	if len(byName) != len(DefaultPolicies()) {
		t.Errorf("%d policies, want one off and one added", len(byName))
	}
	if p := byName["thread-hogging"]; p.Duration != Duration(3*time.Minute) || p.When != DefaultPolicies()[0].When || p.Action != "ban" {
		t.Errorf("the file changes one thing of it, and got %+v", p)
	}
	if p := byName["mine"]; p.Action != "suggest" {
		t.Errorf("a policy without an action does %q, want suggest", p.Action)
	}
	if _, ok := byName["short-flood"]; ok {
		t.Error("a policy that is off is in force")
	}
	c.Detector.Action = "suggest"
	for _, p := range c.ActivePolicies() {
		if p.Action != "suggest" {
			t.Errorf("%s still does %s", p.Name, p.Action)
		}
	}
	c.Detector.DefaultPolicies = false
	if n := len(c.ActivePolicies()); n != 2 {
		t.Errorf("%d policies without the built-in ones, want the two of the file", n)
	}
}

// TestNothingIsSomething keeps what a file sets to nothing from being taken
// for what it does not set.
func TestNothingIsSomething(t *testing.T) {
	c, err := parse("test.toml", []byte("[[policy]]\nname = \"slow-hogging\"\nfor = \"0s\"\nmemory = \"0s\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	if p := c.Policies[0]; p.For != 0 || p.Memory != 0 || p.Duration == 0 {
		t.Errorf("for and memory are set to nothing, the rest is not set: %+v", p)
	}
	const service = "[[service]]\nname = \"smtp\"\nlisten = \"127.0.0.1:0\"\n"
	for _, text := range []string{
		"[log]\nkeep = 0", "[log]\nmax_age = \"0s\"", service + "threads = 0", service + "idle = \"0s\"",
		service + "unproven = \"0s\"", service + "[service.smtp]\nmax_recipients = 0",
		"[[service]]\nname = \"imap\"\nlisten = \"127.0.0.1:0\"\n[service.imap]\nmax_message_bytes = 0",
		"[detector]\nnet_v4 = 0", "[detector]\nnet_v6 = 0", "[detector]\nmax_nets = 0", "[[policy]]\nname = \"short-flood\"\nlevel = \"\"",
		"[[policy]]\nname = \"short-flood\"\nfactor = 0", "[[policy]]\nname = \"short-flood\"\nduration = \"0s\"",
	} {
		if _, err := parse("test.toml", []byte(text)); err == nil {
			t.Errorf("taken without a word:\n%s", text)
		}
	}
}

// TestLengthsOfTimeHaveUnits keeps a bare number from being a number of
// nanoseconds.
func TestLengthsOfTimeHaveUnits(t *testing.T) {
	const service = "[[service]]\nname = \"smtp\"\nlisten = \"127.0.0.1:0\"\n"
	for key, text := range map[string]string{
		"log.max_age": "[log]\nmax_age = 3600", "service.idle": service + "idle = 3", "service.stage_limits.data": service + "stage_limits.data = 0",
		"policy.for": "[[policy]]\nname = \"short-flood\"\nfor = 5",
	} {
		var ce *ConfigError
		if _, err := parse("test.toml", []byte(text)); !errors.As(err, &ce) || ce.Key != key || !errors.Is(err, errBareNumber) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := parse("test.toml", []byte(service+"threads = 3\n[[policy]]\nname = \"short-flood\"\nfactor = 2")); err != nil {
		t.Error(err)
	}
}

// TestWhatTheDetectorRefuses is refused when the file is read, not when a
// server runs without a detector.
func TestWhatTheDetectorRefuses(t *testing.T) {
	many := strings.Builder{}
	for i := range 70 {
		fmt.Fprintf(&many, "[[policy]]\nname = \"p%d\"\nwhen = \"open > 1\"\n", i)
	}
	for _, text := range []string{
		"[[policy]]\nname = \"short-flood\"\nduration = \"4000d\"",
		"[[policy]]\nname = \"short-flood\"\nmax = \"4000d\"",
		"[[policy]]\nname = \"x\"\nlevel = \"host\"\nwhen = \"open > 1\"",
		"[[policy]]\nname = \"x\"\nlevel = \"net\"\nwhen = \"open > 1\"",
		"[[policy]]\nname = \"x\"\nproven_nets = true\nwhen = \"net.open > 1\"",
		"[[policy]]\nname = \"x\"\nwhen = \"net.opne > 1\"",
		"[detector]\nnet_v4 = 15", "[detector]\nnet_v4 = 32", "[detector]\nnet_v6 = 31", "[detector]\nnet_v6 = 64",
		"[[policy]]\nname = \"x\"\nwhen = \"open > 1\"\npools = [\"wwww\"]\n[[service]]\nname = \"www\"\nlisten = \"127.0.0.1:0\"",
		many.String(),
	} {
		var ce *ConfigError
		if _, err := parse("test.toml", []byte(text)); !errors.As(err, &ce) || ce.File != "test.toml" {
			t.Errorf("%.80s: %v", text, err)
		}
	}
}

func TestPolicyReachesTheDetector(t *testing.T) {
	c, err := parse("test.toml", []byte(`
[detector]
net_v4 = 20
net_v6 = 40
max_nets = 77
[[policy]]
name = "mine"
level = "net"
when = "net.open > 3"
averts = true
proven_nets = true
for = "1s"
action = "ban"
duration = "2m"
factor = 3
max = "4h"
memory = "5d"
pools = ["www"]
services = ["smtp"]
`))
	if err != nil {
		t.Fatal(err)
	}
	o := c.detectorOptions()
	if o.NetLevel != (connlog.Level{V4: 20, V6: 40}) || o.MaxNets != 77 {
		t.Errorf("nets of %+v, %d of them", o.NetLevel, o.MaxNets)
	}
	all := o.Policies
	want := detector.Policy{
		Name: "mine", Level: detector.LevelNet, When: "net.open > 3", Averts: true, ProvenNets: true, For: time.Second, Action: detector.Ban, Duration: 2 * time.Minute,
		Escalate: detector.Escalate{Factor: 3, Max: 4 * time.Hour, Memory: 5 * 24 * time.Hour},
		Pools:    []string{"www"}, Services: []string{"smtp"},
	}
	if diff := cmp.Diff(want, all[len(all)-1]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestServicesOfTheFileReplaceTheDefaults(t *testing.T) {
	c, err := parse("test.toml", []byte("[[service]]\nname = \"www\"\nlisten = \"[::1]:0\"\nthreads = 7\n"))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Services) != 1 || c.Services[0].Protocol != "www" || c.Services[0].Threads != 7 || c.Services[0].Idle != defaultService("www").Idle {
		t.Errorf("got %+v", c.Services)
	}
}

func TestSharedPoolHasOneSize(t *testing.T) {
	_, err := parse("test.toml", []byte(`
[[service]]
name = "a"
protocol = "www"
listen = "127.0.0.1:0"
pool = "both"
threads = 7
[[service]]
name = "b"
protocol = "www"
listen = "127.0.0.1:0"
pool = "both"
threads = 8
`))
	var ce *ConfigError
	if !errors.As(err, &ce) || ce.File != "test.toml" || ce.Key != `service "b"` {
		t.Errorf("got %v", err)
	}
}

func FuzzConfig(f *testing.F) {
	var example bytes.Buffer
	if err := WriteExample(&example); err != nil {
		f.Fatal(err)
	}
	f.Add(example.Bytes())
	f.Add([]byte("[[policy]]\nname = 'x'\nwhen = 'open > 1'\n"))
	f.Add([]byte("state = 3"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := parse("fuzz.toml", text)
		var ce *ConfigError
		if err != nil && !errors.As(err, &ce) {
			t.Fatalf("%T: %v", err, err)
		}
		if err == nil {
			if _, err := detector.New(c.detectorOptions()); err != nil {
				t.Fatalf("a configuration that was read cannot be used: %v", err)
			}
		}
	})
}
