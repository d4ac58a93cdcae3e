package app_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"testing"
	"time"

	"overstay/connlog"
	"overstay/internal/app"
)

// netnsEnv tells the test binary that it runs in a network namespace of its
// own, where it may have any address.
const netnsEnv = "OVERSTAY_TEST_NETNS"

// inNamespace runs the calling test again in a network namespace in which the
// given networks are local, and reports whether this is that run.
func inNamespace(t *testing.T, local ...string) bool {
	t.Helper()
	if os.Getenv(netnsEnv) == "" {
		if os.Getuid() != 0 {
			t.Skip("needs root, for a network namespace of its own")
		}
		for _, tool := range []string{"unshare", "ip"} {
			if _, err := exec.LookPath(tool); err != nil {
				t.Skipf("needs the program %s, for a network namespace", tool)
			}
		}
		cmd := exec.Command("unshare", "--net", os.Args[0], "-test.v", "-test.run=^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), netnsEnv+"=1")
		out, err := cmd.CombinedOutput()
		if err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name())) {
			t.Fatalf("in its namespace: %v\n%s", err, out)
		}
		return false
	}
	commands := [][]string{{"link", "set", "lo", "up"}}
	for _, network := range local {
		family := "-6"
		if netip.MustParsePrefix(network).Addr().Is4() {
			family = "-4"
		}
		commands = append(commands, []string{family, "route", "add", "local", network, "dev", "lo"})
	}
	// A local network of IPv6 does not make its addresses ones to bind to.
	if err := os.WriteFile("/proc/sys/net/ipv6/ip_nonlocal_bind", []byte("1"), 0); err != nil {
		t.Fatal(err)
	}
	for _, arguments := range commands {
		if out, err := exec.Command("ip", arguments...).CombinedOutput(); err != nil {
			t.Fatalf("ip %v: %v: %s", arguments, err, out)
		}
	}
	return true
}

// TestIPv6HoldersOfOneHost attacks over IPv6 from forty addresses of one /64,
// which is one host, and over IPv4 on the same socket.
func TestIPv6HoldersOfOneHost(t *testing.T) {
	if !inNamespace(t, "2001:db8::/32", "198.51.100.0/24") {
		return
	}
	const least = 20
	r := serve(t, func(cfg *app.Config) {
		noLimit(cfg)
		for i := range cfg.Services {
			cfg.Services[i].Listen = "[::]:0"
		}
		cfg.Detector.DefaultPolicies = false
		cfg.Policies = hastyPolicy("ban")
		cfg.Policies[0].When.Text = fmt.Sprintf("unproven.open >= %d", least)
	})
	port := r.address["www"].Port()
	six := netip.AddrPortFrom(netip.MustParseAddr("2001:db8:1::1"), port).String()
	four := netip.AddrPortFrom(netip.MustParseAddr("198.51.100.1"), port).String()

	holders := func(address string, from func(i int) string) {
		var held []net.Conn
		for i := range least {
			c, err := tryDialTo(t, address, from(i))
			if err != nil && i < least-1 { // The last one may be cut off at once.
				t.Fatal(err)
			}
			if err == nil {
				held = append(held, c)
			}
		}
		for _, c := range held {
			isClosed(t, c)
		}
	}
	holders(six, func(i int) string { return fmt.Sprintf("2001:db8:bad:7::%x", 1+i*977) })
	holders(four, func(int) string { return "198.51.100.9" })

	for from, want := range map[string]string{
		"2001:db8:bad:7:1:2:3:4": "403", // the same host
		"2001:db8:bad:8::1":      "200", // its neighbour
		"198.51.100.10":          "200",
		"198.51.100.9":           "403",
	} {
		to := six
		if netip.MustParseAddr(from).Is4() {
			to = four
		}
		if got := statusOf(t, to, from); got != want {
			t.Errorf("%s got %s, want %s", from, got, want)
		}
	}
	r.stop()
	sources := map[string]bool{}
	for _, d := range r.decisions() {
		sources[d.Decision.Source.String()] = true
	}
	if len(sources) != 2 || !sources["2001:db8:bad:7::/64"] || !sources["198.51.100.9/32"] {
		t.Errorf("banned %v", sources)
	}
	for _, e := range r.events() {
		if e.Kind == connlog.Open && e.ClientIP.Is4In6() {
			t.Errorf("the log has the mapped address %v", e.ClientIP)
		}
	}
}

// tryDialTo connects from an address. The server may cut the connection at once.
func tryDialTo(t testing.TB, address, from string) (net.Conn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 5 * time.Second}
	c, err := d.DialContext(t.Context(), "tcp", address)
	if err == nil {
		t.Cleanup(func() { _ = c.Close() })
	}
	return c, err
}

// statusOf asks for /healthz and returns the three digits of the answer. A
// server that has to turn somebody away waits a second for his request, which is
// not always enough for a machine that does other things.
func statusOf(t *testing.T, address, from string) string {
	t.Helper()
	for range 5 {
		status, err := tryStatusOf(t, address, from)
		if err == nil {
			return status
		}
		t.Logf("%s: %v", from, err)
	}
	t.Fatalf("%s was not answered", from)
	return ""
}

func tryStatusOf(t *testing.T, address, from string) (string, error) {
	c, err := tryDialTo(t, address, from)
	if err != nil {
		return "", err
	}
	if _, err := fmt.Fprintf(c, "GET /healthz HTTP/1.0\r\n\r\n"); err != nil {
		return "", err
	}
	if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return "", err
	}
	answer := make([]byte, 12)
	_, err = io.ReadFull(c, answer)
	return string(answer[9:12]), err
}
