package server

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/pires/go-proxyproto"
)

// header returns a header of the PROXY protocol for a client and one of our
// addresses, with extensions of so many bytes in version 2.
func header(t testing.TB, version byte, client string, extension int) []byte {
	t.Helper()
	ours := "192.0.2.25:25"
	if netip.MustParseAddrPort(client).Addr().Is6() {
		ours = "[2001:db8::25]:25"
	}
	h := proxyproto.HeaderProxyFromAddrs(version, net.TCPAddrFromAddrPort(netip.MustParseAddrPort(client)),
		net.TCPAddrFromAddrPort(netip.MustParseAddrPort(ours)))
	if extension > 0 {
		if err := h.SetTLVs([]proxyproto.TLV{{Type: 0xe0, Value: make([]byte, extension-3)}}); err != nil {
			t.Fatal(err)
		}
	}
	b, err := h.Format()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// v2 returns a header of version 2 with the given bytes behind the signature.
func v2(rest string) string { return string(proxyproto.SIGV2) + rest }

const (
	localPeer = "192.0.2.99:99" // what the connection's own address is
	dgram4    = "\x21\x12\x00\x0c\xc0\x00\x02\x01\xc0\x00\x02\x02\x00\x01\x00\x02"
)

var headers = []struct {
	name, text string
	want       string // the client; "" for a failure
}{
	{"v1, IPv4", "PROXY TCP4 203.0.113.9 192.0.2.25 51234 25\r\n", "203.0.113.9:51234"},
	{"v1, IPv6", "PROXY TCP6 2001:db8:9::1 2001:db8::25 51234 25\r\n", "[2001:db8:9::1]:51234"},
	{"v1, mapped", "PROXY TCP6 ::ffff:203.0.113.9 2001:db8::25 51234 25\r\n", "203.0.113.9:51234"},
	{"v1, unknown", "PROXY UNKNOWN\r\n", localPeer},
	{"v1, unknown with more", "PROXY UNKNOWN what ever\r\n", localPeer},
	{"v2, IPv4", v2("\x21\x11\x00\x0c\xcb\x00\x71\x09\xc0\x00\x02\x19\x00\x50\x00\x19"), "203.0.113.9:80"},
	{"v2, local", v2("\x20\x00\x00\x00"), localPeer},
	{"v2, local with addresses", v2("\x20\x11\x00\x0c\xcb\x00\x71\x09\xc0\x00\x02\x19\x00\x50\x00\x19"), localPeer},
	{"v2, local with a rest", v2("\x20\x11\x00\x02ab"), localPeer},
	{"v2, unspec", v2("\x21\x00\x00\x00"), localPeer},
	{"v2, unspec with more", v2("\x21\x00\x00\x03abc"), localPeer},
	{"v2, datagrams", v2(dgram4), localPeer},
	{"v2, unix", v2("\x21\x31\x00\xd8" + strings.Repeat("\x00", 216)), localPeer},

	{"no header", "EHLO client.example.org\r\n", ""},
	{"v1, no line end", "PROXY TCP4 203.0.113.9 192.0.2.25 51234 " + strings.Repeat("2", 200), ""},
	{"v1, bare LF", "PROXY TCP4 203.0.113.9 192.0.2.25 51234 25\n", ""},
	{"v1, nonsense", "PROXY TCP4 203.0.113.999 192.0.2.25 51234 25\r\n", ""},
	{"v1, zone", "PROXY TCP6 fe80::1%lo 2001:db8::25 51234 25\r\n", ""},
	{"v1, other family", "PROXY TCP4 2001:db8::1 2001:db8::25 51234 25\r\n", ""},
	{"v1, no space", "PROXYTCP4 203.0.113.9 192.0.2.25 51234 25\r\n", ""},
	{"v2, too long", v2("\x21\x11\x10\x01"), ""},
	{"v2, too short", v2("\x21\x11\x00\x04\xcb\x00\x71\x09"), ""},
	{"v2, other version", v2("\x31\x11\x00\x0c\xcb\x00\x71\x09\xc0\x00\x02\x19\x00\x50\x00\x19"), ""},
	{"v2, other family", v2("\x21\x99\x00\x0c\xcb\x00\x71\x09\xc0\x00\x02\x19\x00\x50\x00\x19"), ""},
}

// A header is understood whole and in pieces, and nothing behind it is lost.
func TestHeaders(t *testing.T) {
	const rest = "EHLO client.example.org\r\n"
	for _, c := range headers {
		for how, pieces := range map[string]func(io.Reader) io.Reader{
			"whole": func(r io.Reader) io.Reader { return r }, "bytes": iotest.OneByteReader, "halves": iotest.HalfReader,
		} {
			t.Run(c.name+", "+how, func(t *testing.T) {
				k := &kept{Conn: readOnly{pieces(strings.NewReader(c.text + rest))}, remote: &net.TCPAddr{}}
				client, err := k.readHeader(netip.MustParseAddrPort(localPeer))
				if c.want == "" {
					if !errors.Is(err, errHeader) {
						t.Errorf("error: %v", err)
					}
					return
				}
				if err != nil || client != netip.MustParseAddrPort(c.want) {
					t.Fatalf("client %v, error %v", client, err)
				}
				if c.want != localPeer && k.RemoteAddr().String() != c.want {
					t.Errorf("the connection says %v", k.RemoteAddr())
				}
				if got, err := io.ReadAll(k); string(got) != rest || err != nil {
					t.Errorf("behind it: %q, %v", got, err)
				}
			})
		}
	}
}

// Long extensions are read past. The longest that is taken is 4 KB.
func TestHeadersWithExtensions(t *testing.T) {
	for _, n := range []int{3, 400, 484, 485, 1000, 4096 - 12} {
		text := append(header(t, 2, "203.0.113.9:80", n), "rest"...)
		k := &kept{Conn: readOnly{bytes.NewReader(text)}}
		client, err := k.readHeader(netip.AddrPort{})
		if err != nil || client.String() != "203.0.113.9:80" {
			t.Errorf("%d bytes: %v, %v", n, client, err)
		}
		if got, _ := io.ReadAll(k); string(got) != "rest" {
			t.Errorf("%d bytes: behind it: %q", n, got)
		}
	}
}

// A header that is too long is not waited for.
func TestHeaderThatIsTooLong(t *testing.T) {
	start := strings.NewReader(v2("\x21\x11\xff\xff"))
	k := &kept{Conn: readOnly{io.MultiReader(start, iotest.ErrReader(io.ErrClosedPipe))}}
	if _, err := k.readHeader(netip.AddrPort{}); !errors.Is(err, errHeader) || errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("error: %v", err)
	}
}

// readOnly is a connection that only reads.
type readOnly struct{ io.Reader }

func (readOnly) Write(b []byte) (int, error)      { return len(b), nil }
func (readOnly) Close() error                     { return nil }
func (readOnly) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (readOnly) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (readOnly) SetDeadline(time.Time) error      { return nil }
func (readOnly) SetReadDeadline(time.Time) error  { return nil }
func (readOnly) SetWriteDeadline(time.Time) error { return nil }

// FuzzHeader wants the same answer for a header that comes at once and for one
// in pieces, and every byte behind it.
func FuzzHeader(f *testing.F) {
	for _, h := range headers {
		f.Add([]byte(h.text+"rest"), uint8(3))
	}
	f.Add(header(f, 2, "[2001:db8::9]:80", 600), uint8(0))
	peer := netip.MustParseAddrPort(localPeer)
	f.Fuzz(func(t *testing.T, text []byte, piece uint8) {
		read := func(r io.Reader) (netip.AddrPort, []byte, error) {
			k := &kept{Conn: readOnly{r}}
			client, err := k.readHeader(peer)
			rest, _ := io.ReadAll(k)
			return client, rest, err
		}
		client, rest, err := read(bytes.NewReader(text))
		again, restAgain, errAgain := read(&piecewise{text, int(piece) + 1})
		if client != again || (err == nil) != (errAgain == nil) {
			t.Fatalf("whole: %v, %v; in pieces of %d: %v, %v", client, err, int(piece)+1, again, errAgain)
		}
		if err != nil {
			return
		}
		if !bytes.Equal(rest, restAgain) || !bytes.HasSuffix(text, rest) || len(text)-len(rest) > maxV2Bytes {
			t.Fatalf("behind it: %q and %q", rest, restAgain)
		}
		if !client.IsValid() || client.Addr().Is4In6() || client.Addr().Zone() != "" {
			t.Fatalf("client %v", client)
		}
	})
}

// piecewise reads a few bytes at a time.
type piecewise struct {
	text []byte
	n    int
}

func (p *piecewise) Read(b []byte) (int, error) {
	n := copy(b[:min(len(b), p.n)], p.text)
	if n == 0 {
		return 0, io.EOF
	}
	p.text = p.text[n:]
	return n, nil
}
