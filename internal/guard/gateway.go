package guard

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// Flags of a route (linux/route.h, linux/ipv6_route.h).
const (
	routeUp      = 0x1
	routeGateway = 0x2
	routeReject  = 0x200
)

// gateways returns the next hops of the default routes.
func (m Machine) gateways() (Hosts, error) {
	var all Hosts
	var errs []error
	for name, parse := range map[string]func(io.Reader) ([]netip.Addr, error){
		"/proc/net/route": parseRoutes4, "/proc/net/ipv6_route": parseRoutes6,
	} {
		found, err := readRoutes(m.path(name), parse)
		if err != nil {
			errs = append(errs, fmt.Errorf("gateway: %w", err))
		}
		for _, a := range found {
			all = all.with(a, Gateway)
		}
	}
	return all, errors.Join(errs...)
}

func readRoutes(path string, parse func(io.Reader) ([]netip.Addr, error)) ([]netip.Addr, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // No such family, or not Linux.
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // It was only read.
	// A router of the backbone has a million routes; the default one is among
	// the first, if it has one.
	return parse(io.LimitReader(f, maxFileBytes))
}

// parseRoutes4 reads a table of IPv4 routes: a line with titles, then one for
// each route, with addresses in hexadecimal as the processor holds them.
func parseRoutes4(r io.Reader) ([]netip.Addr, error) {
	const destination, gateway, flags, mask = 1, 2, 3, 7
	var found []netip.Addr
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) <= mask || f[destination] != "00000000" || f[mask] != "00000000" || !leads(f[flags]) {
			continue
		}
		if hop, err := strconv.ParseUint(f[gateway], 16, 32); err == nil {
			var a [4]byte
			binary.NativeEndian.PutUint32(a[:], uint32(hop))
			found = append(found, netip.AddrFrom4(a))
		}
	}
	return found, lines.Err()
}

// parseRoutes6 reads a table of IPv6 routes: destination and its length,
// source and its length, next hop, three numbers, flags, device.
func parseRoutes6(r io.Reader) ([]netip.Addr, error) {
	const destination, bits, hop, flags = 0, 1, 4, 8
	nowhere := strings.Repeat("0", 32)
	var found []netip.Addr
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) <= flags || f[destination] != nowhere || f[bits] != "00" || !leads(f[flags]) {
			continue
		}
		if b, err := hex.DecodeString(f[hop]); err == nil && len(b) == 16 {
			found = append(found, netip.AddrFrom16([16]byte(b)))
		}
	}
	return found, lines.Err()
}

// leads says whether the flags of a route are those of one through a gateway.
func leads(flags string) bool {
	n, err := strconv.ParseUint(flags, 16, 32)
	return err == nil && n&(routeUp|routeGateway|routeReject) == routeUp|routeGateway
}
