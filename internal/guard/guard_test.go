package guard

import (
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// machine returns one whose files are these, and that has one address.
func machine(t *testing.T, files map[string]string, env map[string]string) Machine {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return Machine{
		Root:   root,
		Getenv: func(name string) string { return env[name] },
		Interfaces: func() ([]net.Addr, error) {
			return []net.Addr{&net.IPNet{IP: net.ParseIP("192.0.2.5"), Mask: net.CIDRMask(24, 32)}}, nil
		},
		Alive: func(pid int) bool { return pid != gonePID },
	}
}

// told are the hosts of a kind, as text.
func told(h Hosts, k Kind) []string {
	var all []string
	for _, host := range h {
		if host.Kind == k {
			all = append(all, host.Prefix.String())
		}
	}
	slices.Sort(all)
	return all
}

func same(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

const routes4 = `Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	010200C0	0003	0	0	0	00000000	0	0	0
eth0	00000000	FE0200C0	0003	0	0	100	00000000	0	0	0
eth1	00000000	00000000	0001	0	0	0	00000000	0	0	0
eth0	000200C0	00000000	0001	0	0	0	00FFFFFF	0	0	0
eth0	006433C6	030200C0	0003	0	0	0	00FFFFFF	0	0	0
`

const routes6 = `20010db8000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400 00000003 00000000 00000003     eth0
20010db8000100000000000000000000 30 00000000000000000000000000000000 00 20010db8000000000000000000000009 00000400 00000003 00000000 00000003     eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo
`

func TestHostsOfAMachine(t *testing.T) {
	logins := slices.Concat(
		account(userProcess, 100, "203.0.113.7"), account(userProcess, 101, "2001:db8::7"),
		account(userProcess, 102, "0.0.0.0"),         // at the console
		account(userProcess, gonePID, "203.0.113.8"), // left without a word
		account(8, 103, "203.0.113.9"),               // logged out
		account(6, 104, "203.0.113.10"),              // has a prompt, not more
	)
	m := machine(t, map[string]string{
		"proc/net/route":           routes4,
		"proc/net/ipv6_route":      routes6,
		"run/utmp":                 string(logins),
		"run/systemd/sessions/1":   "UID=0\nREMOTE=1\nREMOTE_HOST=198.51.100.20\nCLASS=user\nSTATE=active\n",
		"run/systemd/sessions/2":   "REMOTE=1\nREMOTE_HOST=198.51.100.21\nCLASS=user\nSTATE=closing\n",
		"run/systemd/sessions/3":   "REMOTE=1\nREMOTE_HOST=198.51.100.22\nCLASS=greeter\nSTATE=active\n",
		"run/systemd/sessions/4":   "REMOTE=1\nREMOTE_HOST=attacker.example\nCLASS=user\nSTATE=active\n",
		"run/systemd/sessions/5":   "REMOTE=0\nREMOTE_HOST=198.51.100.23\nCLASS=user\nSTATE=active\n",
		"run/systemd/sessions/6":   "REMOTE=1\nREMOTE_HOST=2001:db8::20\nCLASS=user-early\nSTATE=online\n",
		"run/systemd/sessions/bad": "\x00\xff",
	}, map[string]string{"SSH_CONNECTION": "198.51.100.4 50022 192.0.2.5 22", "SSH_CLIENT": "198.51.100.4 50022 22"})
	hosts, err := m.Hosts()
	if err != nil {
		t.Fatal(err)
	}
	same(t, "own", told(hosts, Own), "192.0.2.5/32")
	same(t, "gateways", told(hosts, Gateway), "192.0.2.1/32", "192.0.2.254/32", "fe80::1/128")
	same(t, "operators", told(hosts, Operator),
		"198.51.100.20/32", "198.51.100.4/32", "2001:db8::20/128", "2001:db8::7/128", "203.0.113.7/32")
	if host, ok := hosts.Within(netip.MustParsePrefix("203.0.113.0/24")); !ok || host.Kind != Operator {
		t.Errorf("%v, %v: a net with an operator in it", host, ok)
	}
	if host, ok := hosts.Within(netip.MustParsePrefix("203.0.113.8/29")); ok {
		t.Errorf("%v is no operator any more", host)
	}
}

// TestAMachineWithoutThem has none, and says nothing is wrong.
func TestAMachineWithoutThem(t *testing.T) {
	hosts, err := machine(t, nil, map[string]string{"SSH_CONNECTION": "nonsense"}).Hosts()
	if err != nil {
		t.Fatal(err)
	}
	if len(hosts) != 1 {
		t.Errorf("%v, want its own address alone", hosts)
	}
}

// TestThisMachine is read as it is.
func TestThisMachine(t *testing.T) {
	hosts, err := Machine{}.Hosts()
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := hosts.Within(netip.MustParsePrefix("127.0.0.1/32")); !ok {
		t.Errorf("its loopback address is not among %v", hosts)
	}
	if !isAlive(os.Getpid()) || isAlive(1<<30) {
		t.Error("who lives is taken for dead, or the other way round")
	}
}

// TestWhatCannotBeReadIsAnError, not nothing.
func TestWhatCannotBeReadIsAnError(t *testing.T) {
	for _, name := range []string{"proc/net/route", "proc/net/ipv6_route", "run/utmp", "run/systemd/sessions/1"} {
		m := machine(t, nil, nil)
		// A folder is there, and is no file to read; the sessions' is a file.
		if strings.HasPrefix(name, "run/systemd") {
			if err := os.MkdirAll(filepath.Join(m.Root, "run/systemd"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(m.Root, "run/systemd/sessions"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		} else if err := os.MkdirAll(filepath.Join(m.Root, name), 0o700); err != nil {
			t.Fatal(err)
		}
		if hosts, err := m.Hosts(); err == nil {
			t.Errorf("%s cannot be read, and the hosts are %v", name, hosts)
		}
	}
	m := machine(t, nil, nil)
	m.Interfaces = func() ([]net.Addr, error) { return nil, fs.ErrPermission }
	if _, err := m.Hosts(); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("interfaces: %v", err)
	}
}
