package guard

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
)

// Kind says what a host is to this machine.
type Kind string

// What is never banned.
const (
	Own      Kind = "own address"
	Gateway  Kind = "gateway"
	Proxy    Kind = "trusted proxy" // nothing that is read here: a setting
	Operator Kind = "operator"
)

// Host is an address, or a net, that is never banned.
type Host struct {
	Prefix netip.Prefix
	Kind   Kind
}

// Hosts are never banned. The value is only read.
type Hosts []Host

// Within returns a host that a ban of p would hit, if there is one.
func (h Hosts) Within(p netip.Prefix) (Host, bool) {
	for _, host := range h {
		if p.Overlaps(host.Prefix) {
			return host, true
		}
	}
	return Host{}, false
}

// Machine reads the hosts of a machine. The zero value is this one; the fields
// are for another root of the files, other variables and other processes. It
// may be copied, and used by several goroutines at the same time.
type Machine struct {
	Root       string                     // of the files, empty for "/"
	Getenv     func(string) string        // nil for os.Getenv
	Interfaces func() ([]net.Addr, error) // nil for net.InterfaceAddrs
	Alive      func(pid int) bool         // nil for the processes of the system
}

// Hosts reads all there are now.
func (m Machine) Hosts() (Hosts, error) {
	own, err1 := m.own()
	gateways, err2 := m.gateways()
	operators, err3 := m.Operators()
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, fmt.Errorf("guard: %w", err)
	}
	return append(append(own, gateways...), operators...), nil
}

// own returns the addresses of all interfaces, the loopback ones included.
func (m Machine) own() (Hosts, error) {
	read := m.Interfaces
	if read == nil {
		read = net.InterfaceAddrs
	}
	found, err := read()
	if err != nil {
		return nil, fmt.Errorf("own addresses: %w", err)
	}
	var own Hosts
	for _, a := range found {
		p, err := netip.ParsePrefix(a.String())
		if err != nil {
			continue // An address of a family that is not IP.
		}
		own = own.with(p.Addr(), Own)
	}
	return own, nil
}

// Operators returns where people are logged in from.
func (m Machine) Operators() (Hosts, error) {
	getenv := m.Getenv
	if getenv == nil {
		getenv = os.Getenv
	}
	var all Hosts
	// Both begin with the client's address (ssh(1)).
	for _, name := range []string{"SSH_CONNECTION", "SSH_CLIENT"} {
		first, _, _ := strings.Cut(strings.TrimSpace(getenv(name)), " ")
		if a, err := netip.ParseAddr(first); err == nil {
			all = all.with(a, Operator)
		}
	}
	accounted, err1 := m.accounted()
	sessions, err2 := m.sessions()
	for _, a := range append(accounted, sessions...) {
		all = all.with(a, Operator)
	}
	return all, errors.Join(err1, err2)
}

// with returns the hosts and one more, if it is one and not among them.
func (h Hosts) with(a netip.Addr, k Kind) Hosts {
	a = a.Unmap().WithZone("")
	if !a.IsValid() || a.IsUnspecified() {
		return h
	}
	host := Host{Prefix: netip.PrefixFrom(a, a.BitLen()), Kind: k}
	for _, known := range h {
		if known == host {
			return h
		}
	}
	return append(h, host)
}

// path returns where a file of the system is.
func (m Machine) path(name string) string {
	if m.Root == "" {
		return name
	}
	return filepath.Join(m.Root, name)
}

// maxFileBytes bounds what is read of any file.
const maxFileBytes = 4 << 20
