package guard

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"runtime"
	"slices"
	"testing"
)

const gonePID = 4242

// account writes an entry of utmp as this processor's C library does.
func account(kind uint16, pid int32, addr string) []byte {
	r := record{size: 384, addr: 348}
	if runtime.GOARCH == "arm64" {
		r = record{size: 400, addr: 360}
	}
	return accountAs(r, kind, pid, addr)
}

func accountAs(r record, kind uint16, pid int32, addr string) []byte {
	entry := make([]byte, r.size)
	binary.NativeEndian.PutUint16(entry, kind)
	binary.NativeEndian.PutUint32(entry[recordProcess:], uint32(pid))
	copy(entry[44:], "someone")
	copy(entry[76:], "198.51.100.99") // The name of a host is what its owner says.
	copy(entry[r.addr:], netip.MustParseAddr(addr).AsSlice())
	return entry
}

// TestAccountsOfBothLayouts reads what another processor wrote.
func TestAccountsOfBothLayouts(t *testing.T) {
	alive := func(int) bool { return true }
	for _, r := range []record{{384, 348}, {400, 360}} {
		var text []byte
		for range 3 {
			text = append(text, accountAs(r, userProcess, 1, "203.0.113.7")...)
			text = append(text, accountAs(r, userProcess, 1, "2001:db8::7")...)
		}
		got := parseAccounts(text, alive)
		want := []netip.Addr{netip.MustParseAddr("203.0.113.7"), netip.MustParseAddr("2001:db8::7")}
		if len(got) != 6 || !slices.Equal(got[:2], want) {
			t.Errorf("entries of %d bytes: %v", r.size, got)
		}
	}
	// The last entry is being written.
	torn := append(account(userProcess, 1, "203.0.113.7"), account(userProcess, 1, "203.0.113.8")[:100]...)
	if got := parseAccounts(torn, alive); len(got) != 1 {
		t.Errorf("a torn file: %v", got)
	}
}

func FuzzAccounts(f *testing.F) {
	f.Add(account(userProcess, 1, "203.0.113.7"))
	f.Add(append(account(8, 1, "203.0.113.7"), account(userProcess, 2, "2001:db8::7")...))
	f.Add([]byte{7})
	f.Fuzz(func(t *testing.T, text []byte) {
		found := parseAccounts(text, func(pid int) bool { return pid > 0 })
		if len(found) > len(text)/384 {
			t.Errorf("%d logins in %d bytes", len(found), len(text))
		}
		for _, a := range found {
			if !a.IsValid() || a.IsUnspecified() {
				t.Errorf("logged in from %v", a)
			}
		}
	})
}

func FuzzSession(f *testing.F) {
	f.Add([]byte("REMOTE=1\nREMOTE_HOST=198.51.100.20\nCLASS=user\nSTATE=active\n"))
	f.Add([]byte("REMOTE=1\nREMOTE_HOST=\"fe80::1%eth0\"\nCLASS=user\n=\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if a := parseSession(text); a.IsValid() && !bytes.Contains(text, []byte("REMOTE=")) {
			t.Errorf("%v is said nowhere", a)
		}
	})
}

func FuzzRoutes(f *testing.F) {
	f.Add([]byte(routes4))
	f.Add([]byte(routes6))
	f.Fuzz(func(_ *testing.T, text []byte) {
		_, _ = parseRoutes4(bytes.NewReader(text))
		_, _ = parseRoutes6(bytes.NewReader(text))
	})
}
