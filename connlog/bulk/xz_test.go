package bulk_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"os/exec"
	"testing"

	"github.com/ulikunitz/xz"

	"overstay/connlog"
	"overstay/connlog/bulk"
)

func xzed(t testing.TB, c xz.WriterConfig, text []byte) []byte {
	t.Helper()
	var packed bytes.Buffer
	w, err := c.NewWriter(&packed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

// TestXZ reads what the library and the xz command write: blocks, streams,
// zeros between them, and every checksum.
func TestXZ(t *testing.T) {
	log := newGenerator(4, 20, false).log(200_000)
	want := slowly(t, "log", log, 0)
	files := map[string][]byte{
		"crc64":   xzed(t, xz.WriterConfig{CheckSum: xz.CRC64, DictCap: 1 << 16}, log),
		"crc32":   xzed(t, xz.WriterConfig{CheckSum: xz.CRC32, DictCap: 1 << 16}, log),
		"sha256":  xzed(t, xz.WriterConfig{CheckSum: xz.SHA256, DictCap: 1 << 16}, log),
		"blocks":  xzed(t, xz.WriterConfig{BlockSize: 7001, DictCap: 1 << 16}, log),
		"streams": append(append(xzed(t, xz.WriterConfig{}, log[:777]), make([]byte, 8)...), xzed(t, xz.WriterConfig{}, log[777:])...),
		"empty":   append(xzed(t, xz.WriterConfig{}, nil), xzed(t, xz.WriterConfig{}, log)...),
	}
	if path, err := exec.LookPath("xz"); err == nil {
		for _, args := range [][]string{{"-0"}, {"-9"}, {"-6", "--check=none"}, {"-1", "--block-size=10000", "-T2"}} {
			cmd := exec.CommandContext(t.Context(), path, append(args, "-c")...)
			cmd.Stdin = bytes.NewReader(log)
			packed, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			files["xz "+args[0]] = packed
		}
	} else {
		t.Log("there is no xz command here")
	}
	for name, packed := range files {
		t.Run(name, func(t *testing.T) {
			got := readAll(t, t.Context(), text("log", packed), bulk.Options{})
			same(t, got, want)
			if got.files[0].Compression != bulk.XZ {
				t.Errorf("taken for %s", got.files[0].Compression)
			}
		})
	}
}

// TestXZDamaged wants an error of a file that is cut off, or is changed where
// it matters.
func TestXZDamaged(t *testing.T) {
	log := newGenerator(4, 20, false).log(3000)
	want := slowly(t, "log", log, 0)
	for name, whole := range map[string][]byte{
		"crc32": xzed(t, xz.WriterConfig{CheckSum: xz.CRC32, BlockSize: 1000, DictCap: 4096}, log),
		"crc64": xzed(t, xz.WriterConfig{CheckSum: xz.CRC64, DictCap: 4096}, log),
	} {
		for i := len("\xfd7zXZ\x00"); i < len(whole); i++ {
			if i > 60 && i < len(whole)-60 && i%11 > 0 {
				continue // Text, of which each byte is like the others.
			}
			changed := bytes.Clone(whole)
			changed[i] ^= 1 << (i % 8)
			for _, packed := range [][]byte{whole[:i], changed} {
				got := readAll(t, t.Context(), text("log", packed), bulk.Options{Malformed: -1})
				if len(got.errs) == 1 && errors.Is(got.errs[0], connlog.ErrCompressed) {
					continue
				}
				if len(packed) < len(whole) || len(got.errs) > 0 {
					t.Fatalf("%s, byte %d of %d, %d left: errors %v", name, i, len(whole), len(packed), got.errs)
				}
				same(t, got, want) // The size of a chunk, of which there is no need.
			}
		}
	}
}

// TestXZDictionary wants a file that asks for much memory to be refused, also
// where the first block is modest.
func TestXZDictionary(t *testing.T) {
	modest := xzed(t, xz.WriterConfig{DictCap: 4096}, []byte(twoLines))
	greedy := bytes.Clone(modest)
	header := greedy[12 : 12+4*(int(greedy[12])+1)]
	at := bytes.Index(header, []byte{0x21, 1})
	header[at+2] = 40 // 4 GiB
	binary.LittleEndian.PutUint32(header[len(header)-4:], crc32.ChecksumIEEE(header[:len(header)-4]))
	for _, packed := range [][]byte{greedy, append(bytes.Clone(modest), greedy...)} {
		got := readAll(t, t.Context(), text("log", packed), bulk.Options{})
		if len(got.errs) != 1 || !errors.Is(got.errs[0], bulk.ErrDictionary) {
			t.Errorf("errors: %v", got.errs)
		}
	}
}

// FuzzXZ holds the frame to the library's own reader of it.
func FuzzXZ(f *testing.F) {
	log := []byte(twoLines)
	f.Add(xzed(f, xz.WriterConfig{CheckSum: xz.CRC32, DictCap: 1 << 16}, log))
	f.Add(xzed(f, xz.WriterConfig{BlockSize: 100, DictCap: 4096}, log))
	f.Add(append(xzed(f, xz.WriterConfig{}, nil), make([]byte, 4)...))
	f.Fuzz(func(t *testing.T, packed []byte) {
		if len(packed) > 1<<16 || !bytes.HasPrefix(packed, []byte("\xfd7zXZ\x00")) {
			t.Skip()
		}
		got := readAll(t, t.Context(), text("log", packed), bulk.Options{})
		if len(got.errs) > 0 && errors.Is(got.errs[0], bulk.ErrDictionary) {
			t.Skip()
		}
		r, err := xz.NewReader(bytes.NewReader(packed))
		var want []byte
		if err == nil {
			want, err = io.ReadAll(io.LimitReader(r, 1<<24))
		}
		if err == nil && len(want) < 1<<24 {
			if len(got.errs) > 0 && errors.Is(got.errs[0], io.ErrUnexpectedEOF) {
				t.Skip() // The library takes a stream that is cut off between blocks for whole.
			}
			same(t, got, slowly(t, "log", want, 0))
		}
	})
}
