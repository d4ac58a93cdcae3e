package connlog

import (
	"bytes"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

func gzipped(t testing.TB, text []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := z.Write(text)
	if err = errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zstded(t testing.TB, text []byte) []byte {
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close() //nolint:errcheck // it writes to memory
	return z.EncodeAll(text, nil)
}

// beats returns n lines.
func beats(n int) []byte {
	var b []byte
	for i := range n {
		e := Event{Kind: Beat, Boot: "b", Seq: uint64(i) + 1, Time: time.Unix(1795000000, int64(i)*1000)}
		b = append(Append(b, &e), '\n')
	}
	return b
}

// seqs reads all events and returns their seq, and the errors.
func seqs(r *Reader) (seqs []uint64, errs []error) {
	for e, err := range r.Events() {
		if err != nil {
			errs = append(errs, err)
		} else {
			seqs = append(seqs, e.Seq)
		}
	}
	return seqs, errs
}

func TestReaderFormats(t *testing.T) {
	text := beats(5000)
	half := bytes.IndexByte(text[len(text)/2:], '\n') + len(text)/2 + 1
	skippable := []byte("\x50\x2a\x4d\x18\x03\x00\x00\x00abc")
	for name, data := range map[string][]byte{
		"plain":                 text,
		"no newline at the end": text[:len(text)-1],
		"gzip":                  gzipped(t, text),
		"gzip members":          append(gzipped(t, text[:half]), gzipped(t, text[half:])...),
		"zstd":                  zstded(t, text),
		"zstd frames":           append(zstded(t, text[:half]), zstded(t, text[half:])...),
		"zstd skippable":        append(skippable, zstded(t, text)...),
	} {
		t.Run(name, func(t *testing.T) {
			for _, in := range []io.Reader{bytes.NewReader(data), iotest.OneByteReader(bytes.NewReader(data)), iotest.DataErrReader(bytes.NewReader(data))} {
				got, errs := seqs(NewReader(in))
				if len(errs) > 0 || len(got) != 5000 || got[4999] != 5000 {
					t.Errorf("%d events, errors %v", len(got), errs)
				}
			}
		})
	}
}

func TestReaderDamage(t *testing.T) {
	text := beats(20000)
	for name, data := range map[string][]byte{"gzip": gzipped(t, text), "zstd": zstded(t, text)} {
		got, errs := seqs(NewReader(bytes.NewReader(data[:len(data)*3/4])))
		if len(errs) != 1 || !errors.Is(errs[0], ErrCompressed) || len(got) < 1000 {
			t.Errorf("%s cut off: %d events, errors %v", name, len(got), errs)
		}
		for i, seq := range got {
			if seq != uint64(i)+1 {
				t.Fatalf("%s cut off: event %d has seq %d", name, i, seq)
			}
		}
		damaged := bytes.Clone(data)
		damaged[len(data)/2] ^= 0x55
		if _, errs := seqs(NewReader(bytes.NewReader(damaged))); len(errs) == 0 {
			t.Errorf("%s damaged: no error", name)
		}
		if _, errs := seqs(NewReader(bytes.NewReader(data[:7]))); len(errs) != 1 || !errors.Is(errs[0], ErrCompressed) {
			t.Errorf("%s head only: errors %v", name, errs)
		}
	}
	broken := errors.New("broken")
	in := io.MultiReader(bytes.NewReader(beats(3)), iotest.ErrReader(broken))
	if got, errs := seqs(NewReader(in)); len(got) != 3 || len(errs) != 1 || !errors.Is(errs[0], broken) {
		t.Errorf("%d events, errors %v", len(got), errs)
	}
}

func TestReaderBadLines(t *testing.T) {
	good := string(beats(1))
	text := good + "garbage\n" + good + "\n" + good + strings.Repeat("x", 11<<20) + "\n" + good + "\xff\x00\n" + good + `{"torn":`
	r := NewReader(strings.NewReader(text))
	got, errs := seqs(r)
	if len(got) != 5 {
		t.Errorf("%d events", len(got))
	}
	var at []uint64
	for _, err := range errs {
		if line, ok := errors.AsType[*LineError](err); ok {
			at = append(at, line.Line)
		}
	}
	if want := []uint64{2, 4, 6, 8, 10}; !slices.Equal(at, want) {
		t.Errorf("errors in lines %v, want %v: %v", at, want, errs)
	}
	if lines, malformed := r.Count(); lines != 10 || malformed != 5 {
		t.Errorf("%d lines, %d malformed", lines, malformed)
	}
	if long, ok := errors.AsType[*LongLineError](errs[2]); !ok || long.Bytes != 11<<20 || long.Offset != int64(3*len(good)+9) {
		t.Errorf("error %v", errs[2])
	}
}

// TestReaderLimit puts lines of about the limit at all places of the buffer.
func TestReaderLimit(t *testing.T) {
	rng := seeded(t)
	var text []byte
	var want []int
	for range 3000 {
		n := rng.IntN(300)
		if rng.IntN(20) == 0 {
			n = 900 + rng.IntN(200)
		}
		text = append(append(text, bytes.Repeat([]byte{'x'}, n)...), '\n')
		want = append(want, n)
	}
	r := NewReader(bytes.NewReader(text))
	r.MaxLineBytes = 1000
	var got []int
	for line, err := range r.Lines() {
		if long, ok := errors.AsType[*LongLineError](err); ok {
			got = append(got, int(long.Bytes))
			if long.Bytes <= 1000 {
				t.Errorf("a line of %d bytes is too long", long.Bytes)
			}
			continue
		}
		if err != nil || len(line) > 1000 {
			t.Fatal(len(line), err)
		}
		got = append(got, len(line))
	}
	if !slices.Equal(got, want) {
		t.Errorf("lengths differ")
	}
}

func TestReaderStops(t *testing.T) {
	r := NewReader(bytes.NewReader(zstded(t, beats(100))))
	for _, err := range r.Events() {
		must(t, err)
		break
	}
	if lines, _ := r.Count(); lines != 1 {
		t.Errorf("%d lines", lines)
	}
	if _, err := OpenReader(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("no error")
	}
}

// FuzzReader reads anything, in bounded memory, without a panic.
func FuzzReader(f *testing.F) {
	text := beats(20)
	f.Add(text)
	f.Add(gzipped(f, text))
	f.Add(zstded(f, text))
	f.Add([]byte("\x28\xb5\x2f\xfd"))
	f.Add([]byte("\x1f\x8b"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := NewReader(bytes.NewReader(data))
		r.MaxLineBytes = 4096
		events := uint64(0)
		for e, err := range r.Events() {
			if (e == nil) == (err == nil) {
				t.Fatal(e, err)
			}
			if e != nil {
				events++
			}
		}
		if lines, malformed := r.Count(); events+malformed != lines {
			t.Errorf("%d events and %d malformed of %d lines", events, malformed, lines)
		}
	})
}

// FuzzLineScanner compares with bytes.Split, for any sizes of reads.
func FuzzLineScanner(f *testing.F) {
	f.Add([]byte("a\nbb\n\nccc"), 2, 3)
	f.Add([]byte("\n\n"), 1, 1)
	f.Add([]byte(strings.Repeat("x", 100)+"\ny\n"), 5, 7)
	f.Fuzz(func(t *testing.T, data []byte, limit, size int) {
		limit, size = 1+limit&0xff, 1+size&0xf
		s := newLineScanner(&shortReader{data, size}, 0, limit)
		pieces := bytes.Split(data, []byte{'\n'})
		offset := int64(0)
		for _, want := range pieces[:len(pieces)-1] {
			got, err := s.next()
			if long, ok := errors.AsType[*LongLineError](err); ok {
				if len(want) <= limit || long.Bytes != int64(len(want)) || long.Offset != offset {
					t.Fatalf("%v for %q", err, want)
				}
			} else if err != nil || !bytes.Equal(got, want) || len(want) > limit {
				t.Fatalf("%q, %v; want %q", got, err, want)
			}
			if offset += int64(len(want)) + 1; s.offset != offset {
				t.Fatalf("offset %d, want %d", s.offset, offset)
			}
		}
		last := pieces[len(pieces)-1]
		if got, err := s.next(); !errors.Is(err, io.EOF) {
			t.Fatalf("%q, %v after the last line", got, err)
		}
		if s.partial() != int64(len(last)) {
			t.Fatalf("partial %d, want %d", s.partial(), len(last))
		}
	})
}

// shortReader gives size bytes at a time.
type shortReader struct {
	data []byte
	size int
}

func (r *shortReader) Read(b []byte) (int, error) {
	if len(r.data) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), r.size)], r.data)
	r.data = r.data[n:]
	return n, nil
}

func TestPositionText(t *testing.T) {
	rng := seeded(t)
	for range 1000 {
		want := Position{Device: rng.Uint64(), Inode: rng.Uint64(), Offset: rng.Int64()}
		want.Fingerprint[rng.IntN(8)] = byte(rng.IntN(256))
		if rng.IntN(10) == 0 {
			want = Position{}
		}
		text, err := want.MarshalText()
		must(t, err)
		var got Position
		if err := got.UnmarshalText(text); err != nil || got != want {
			t.Fatalf("%s: %v, %v", text, got, err)
		}
	}
}

func FuzzPosition(f *testing.F) {
	f.Add("2049:131:0011223344556677:99")
	f.Add("1:2:zz11223344556677:3")
	f.Add(":::")
	f.Add("1:2:0011223344556677:-1")
	f.Fuzz(func(t *testing.T, text string) {
		var p, q Position
		if err := p.UnmarshalText([]byte(text)); err != nil {
			if !errors.Is(err, ErrPosition) || !p.IsZero() {
				t.Fatal(p, err)
			}
			return
		}
		if err := q.UnmarshalText([]byte(p.String())); err != nil || p != q {
			t.Fatalf("%q: %v, %v, %v", text, p, q, err)
		}
	})
}

func TestRotatedNames(t *testing.T) {
	stamp := time.Date(2026, 11, 23, 14, 21, 48, 123456000, time.UTC)
	for path, want := range map[string]string{
		"/var/log/connections.log": "/var/log/connections-20261123T142148.123456Z.log",
		"log/conn":                 "log/conn-20261123T142148.123456Z",
		".hidden":                  ".hidden-20261123T142148.123456Z",
	} {
		name := rotatedName(path, stamp)
		if name != want {
			t.Errorf("%s becomes %s, want %s", path, name, want)
		}
		for _, suffix := range []string{"", ".zst", ".gz"} {
			got, compressed, ok := rotatedAt(path, filepath.Base(name)+suffix)
			if !ok || !got.Equal(stamp) || compressed != (suffix != "") {
				t.Errorf("%s%s: %v, %v, %v", name, suffix, got, compressed, ok)
			}
		}
	}
	for _, name := range []string{"conn.log", "conn-x.log", "conn-20261123T142148.123456Z", "con-20261123T142148.123456Z.log", "conn-20261123T142148.123456Z.log.zst.tmp"} {
		if _, _, ok := rotatedAt("conn.log", name); ok {
			t.Errorf("%s counts as rotated", name)
		}
	}
}
