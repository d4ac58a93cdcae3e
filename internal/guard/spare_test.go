package guard

import (
	"net/netip"
	"slices"
	"testing"

	"overstay/connlog"
)

func hosts(texts ...string) Hosts {
	var all Hosts
	for _, s := range texts {
		all = append(all, Host{Prefix: netip.MustParsePrefix(s), Kind: Proxy})
	}
	return all
}

func TestSpare(t *testing.T) {
	for _, c := range []struct {
		net   string
		hosts Hosts
		want  []string
	}{
		{"203.0.113.0/24", nil, []string{"203.0.113.0/24"}},
		{"203.0.113.0/24", hosts("198.51.100.1/32"), []string{"203.0.113.0/24"}},
		{"203.0.113.0/29", hosts("203.0.113.1/32"), []string{"203.0.113.0/32", "203.0.113.2/31", "203.0.113.4/30"}},
		{"203.0.113.0/29", hosts("203.0.113.1/32", "203.0.113.0/32"), []string{"203.0.113.2/31", "203.0.113.4/30"}},
		{"203.0.113.7/32", hosts("203.0.113.7/32"), nil},
		{"203.0.113.0/24", hosts("203.0.0.0/16"), nil},
		{"203.0.113.0/24", hosts("203.0.113.128/25"), []string{"203.0.113.0/25"}},
		{"2001:db8::/62", hosts("2001:db8:0:1::5/128"), []string{"2001:db8::/64", "2001:db8:0:2::/63"}},
		{"2001:db8::/64", hosts("2001:db8::5/128"), nil},
	} {
		var got []string
		for _, p := range c.hosts.Spare(netip.MustParsePrefix(c.net), connlog.AddressLevel) {
			got = append(got, p.String())
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s without %v: %v, want %v", c.net, c.hosts, got, c.want)
		}
	}
}

// TestSpareLeavesTheRest looks at each address of a net by itself.
func TestSpareLeavesTheRest(t *testing.T) {
	all := hosts("203.0.113.1/32", "203.0.113.77/32", "203.0.113.240/28")
	pieces := all.Spare(netip.MustParsePrefix("203.0.113.0/24"), connlog.AddressLevel)
	for i := range 256 {
		a := netip.AddrFrom4([4]byte{203, 0, 113, byte(i)})
		n := 0
		for _, p := range pieces {
			if p.Contains(a) {
				n++
			}
		}
		_, guarded := all.Within(netip.PrefixFrom(a, 32))
		if want := map[bool]int{true: 0, false: 1}[guarded]; n != want {
			t.Errorf("%v is in %d of the pieces, want %d", a, n, want)
		}
	}
}

// TestSpareOfTooMany is nothing at all.
func TestSpareOfTooMany(t *testing.T) {
	var all Hosts
	for i := 0; i < 256; i += 2 {
		all = append(all, Host{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}), 32)})
	}
	if pieces := all.Spare(netip.MustParsePrefix("203.0.113.0/24"), connlog.AddressLevel); len(pieces) != 0 {
		t.Errorf("%d pieces", len(pieces))
	}
}

func FuzzSpare(f *testing.F) {
	f.Add([]byte{203, 0, 113, 0}, 24, []byte{203, 0, 113, 9}, 32)
	f.Add(netip.MustParseAddr("2001:db8::").AsSlice(), 48, netip.MustParseAddr("2001:db8::1").AsSlice(), 128)
	f.Fuzz(func(t *testing.T, net []byte, bits int, host []byte, hostBits int) {
		a, ok1 := netip.AddrFromSlice(net)
		b, ok2 := netip.AddrFromSlice(host)
		p, err1 := a.Prefix(bits)
		q, err2 := b.Prefix(hostBits)
		if !ok1 || !ok2 || err1 != nil || err2 != nil {
			return
		}
		for _, piece := range (Hosts{{Prefix: q}}).Spare(p, connlog.AddressLevel) {
			if piece.Overlaps(q) || piece.Bits() < p.Bits() || !p.Contains(piece.Addr()) || piece != piece.Masked() {
				t.Errorf("%v without %v has the piece %v", p, q, piece)
			}
		}
	})
}
