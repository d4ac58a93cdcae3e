package guard

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
)

// record is one layout of the entries of utmp(5). The address is in the order
// of the network, the numbers are as the processor holds them.
type record struct{ size, addr int }

// The process is at the same place in both.
const (
	recordProcess = 4
	userProcess   = 7 // ut_type of somebody who is logged in
	lastType      = 9
)

// accounted returns where the people are that utmp has logged in.
func (m Machine) accounted() ([]netip.Addr, error) {
	text, err := readFile(m.path("/run/utmp"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("operators: %w", err)
	}
	alive := m.Alive
	if alive == nil {
		alive = isAlive
	}
	return parseAccounts(text, alive), nil
}

// parseAccounts reads the logins of a utmp file. A session whose process has
// gone is over, though nobody wrote that down.
func parseAccounts(text []byte, alive func(pid int) bool) []netip.Addr {
	// Most 64-bit systems keep the layout of 32 bits; see bits/wordsize.h of
	// the C library.
	layouts := []record{{size: 384, addr: 348}, {size: 400, addr: 360}}
	if runtime.GOARCH == "arm64" {
		slices.Reverse(layouts)
	}
	at := slices.IndexFunc(layouts, func(r record) bool { return r.fits(text) })
	if at < 0 {
		at = 0 // Perhaps its last entry is being written.
	}
	layout := layouts[at]
	var found []netip.Addr
	for len(text) >= layout.size {
		entry := text[:layout.size]
		text = text[layout.size:]
		if binary.NativeEndian.Uint16(entry) != userProcess {
			continue
		}
		a := address([16]byte(entry[layout.addr:]))
		pid := int(int32(binary.NativeEndian.Uint32(entry[recordProcess:])))
		if !a.IsUnspecified() && pid > 0 && alive(pid) {
			found = append(found, a)
		}
	}
	return found
}

// fits says whether the file can be one of these records.
func (r record) fits(text []byte) bool {
	if len(text)%r.size != 0 {
		return false
	}
	for ; len(text) > 0; text = text[r.size:] {
		if binary.NativeEndian.Uint16(text) > lastType {
			return false
		}
	}
	return true
}

// address reads 16 bytes of which an IPv4 address takes the first four.
func address(b [16]byte) netip.Addr {
	if [12]byte(b[4:]) == [12]byte{} {
		return netip.AddrFrom4([4]byte(b[:4]))
	}
	return netip.AddrFrom16(b)
}

// isAlive says whether there is such a process, ours or not.
func isAlive(pid int) bool {
	p, err := os.FindProcess(pid)
	if err != nil {
		return false
	}
	defer func() { _ = p.Release() }() // It holds nothing worth an error.
	return !errors.Is(p.Signal(syscall.Signal(0)), os.ErrProcessDone)
}

// sessions returns where the people are whose sessions systemd-logind keeps.
// It is what sd_session_get_remote_host(3) reads; where a system has no utmp
// any more it is all there is.
func (m Machine) sessions() ([]netip.Addr, error) {
	const folder = "/run/systemd/sessions"
	entries, err := os.ReadDir(m.path(folder))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("operators: %w", err)
	}
	var found []netip.Addr
	var errs []error
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue // Beside each file is a pipe, which would wait for a reader.
		}
		text, err := readFile(filepath.Join(m.path(folder), e.Name()))
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // It may have ended.
			errs = append(errs, fmt.Errorf("operators: %w", err))
		}
		if a := parseSession(text); a.IsValid() {
			found = append(found, a)
		}
	}
	return found, errors.Join(errs...)
}

// parseSession reads where somebody is logged in from, if it is from elsewhere
// and by an address.
func parseSession(text []byte) netip.Addr {
	said := map[string]string{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		if key, value, ok := strings.Cut(lines.Text(), "="); ok {
			said[key] = strings.Trim(value, `"`)
		}
	}
	// A user's session is of the class user, or of one that begins so.
	if said["REMOTE"] != "1" || !strings.HasPrefix(said["CLASS"], "user") || said["STATE"] == "closing" {
		return netip.Addr{}
	}
	a, err := netip.ParseAddr(said["REMOTE_HOST"])
	if err != nil {
		return netip.Addr{}
	}
	return a
}

// readFile reads what fits into the bound of a file.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // It was only read.
	return io.ReadAll(io.LimitReader(f, maxFileBytes))
}
