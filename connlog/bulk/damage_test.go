package bulk_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"overstay/connlog"
	"overstay/connlog/bulk"
)

func gzipped(t testing.TB, text []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func zstded(t testing.TB, text []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close() //nolint:errcheck // it writes nowhere
	return w.EncodeAll(text, nil)
}

// bzipped is twoLines, as the bzip2 command packs it: there is no Go for that.
const bzipped = "" +
	"QlpoOTFBWSZTWe7BvVIAAIRbgDAQEAd9MAQQnmf/CjAAu1glSaGnqaAAAAeoJQpqMAANAAAVU1JsiaAGmjQDRpZLN36eV7jgvJps" +
	"ipY95RRvIiSIIZruC4VEvbEUeLYjCg8VI1Rh0CfwcMkAzPPw4xYJ3FFhRahC1NJXiiqS5RyeKz0iT3f2dHeqiDgRkIg88N3sQQh3" +
	"PRoRnJM+MeSjZAVrhkBKDSoncKKK78XckU4UJDuwb1SA"

const twoLines = `{"time":"2026-11-23T14:00:00.000001Z","event":"open","boot":"b","seq":1,"service":"smtp","conn":1,"client_ip":"203.0.113.9"}
{"time":"2026-11-23T14:00:01.000001Z","event":"close","boot":"b","seq":2,"service":"smtp","conn":1,"client_ip":"203.0.113.9","held_us":1000000}
`

func TestCompressed(t *testing.T) {
	bz, err := base64.StdEncoding.DecodeString(bzipped)
	if err != nil {
		t.Fatal(err)
	}
	want := slowly(t, "log", []byte(twoLines), 0)
	for _, c := range []struct {
		kind   bulk.Compression
		stored []byte
	}{
		{bulk.Plain, []byte(twoLines)},
		{bulk.Gzip, gzipped(t, []byte(twoLines))},
		{bulk.Gzip, append(gzipped(t, []byte(twoLines[:100])), gzipped(t, []byte(twoLines[100:]))...)},
		{bulk.Zstd, zstded(t, []byte(twoLines))},
		{bulk.Zstd, append(zstded(t, []byte(twoLines[:100])), zstded(t, []byte(twoLines[100:]))...)},
		{bulk.Bzip2, bz},
	} {
		got := readAll(t, t.Context(), text("log", c.stored), bulk.Options{})
		same(t, got, want)
		if got.files[0].Compression != c.kind || got.files[0].Format != bulk.Native {
			t.Errorf("%s was taken for %s, %s", c.kind, got.files[0].Compression, got.files[0].Format)
		}
	}
}

// TestDamaged wants all that is before the damage, the error of the file, and
// the file after it.
func TestDamaged(t *testing.T) {
	log := newGenerator(3, 20, false).log(300_000)
	packed := map[string][]byte{"gzip": gzipped(t, log), "zstd": zstded(t, log)}
	for name, whole := range packed {
		for _, cut := range []int{11, len(whole) / 2, len(whole) - 1} {
			t.Run(fmt.Sprintf("%s cut at %d", name, cut), func(t *testing.T) {
				want := slowly(t, "cut", whole[:cut], 0)
				if cut > 20 && name == "gzip" && len(want.events) == 0 {
					t.Fatal("nothing is left before the damage")
				}
				got := readAll(t, t.Context(), []bulk.Input{
					{Name: "cut", From: bytes.NewReader(whole[:cut])}, {Name: "zwhole", From: strings.NewReader(later)},
				}, bulk.Options{ChunkBytes: 5000})
				if len(got.errs) != 1 || !errors.Is(got.errs[0], connlog.ErrCompressed) {
					t.Fatalf("errors: %v", got.errs)
				}
				if f, ok := errors.AsType[*bulk.FileError](got.errs[0]); !ok || f.Name != "cut" || got.files[0].Err == nil {
					t.Errorf("%v, %+v", got.errs[0], got.files[0])
				}
				got.errs, want.errs = nil, nil
				rest := slowly(t, "zwhole", []byte(later), 0)
				want.events, want.places = append(want.events, rest.events...), append(want.places, rest.places...)
				same(t, got, want)
			})
		}
	}
}

// later is a log that begins after every other one.
const later = `{"time":"2030-01-01T00:00:00.000000Z","event":"stop"}` + "\n"

func TestUnreadable(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "good")
	if err := os.WriteFile(good, []byte(twoLines), 0o600); err != nil {
		t.Fatal(err)
	}
	got := readAll(t, t.Context(), append(bulk.Files(filepath.Join(dir, "missing"), dir, good),
		bulk.Input{Name: "xz", From: strings.NewReader("\xfd7zXZ\x00\x00\x04")}), bulk.Options{})
	if len(got.events) != 2 || len(got.errs) != 3 || len(got.files) != 4 {
		t.Fatalf("%d events, errors %v, files %+v", len(got.events), got.errs, got.files)
	}
	all := errors.Join(got.errs...)
	if !errors.Is(all, fs.ErrNotExist) || !errors.Is(all, connlog.ErrCompressed) {
		t.Errorf("errors: %v", all)
	}
	for _, err := range got.errs {
		if n := strings.Count(err.Error(), dir); n > 1 {
			t.Errorf("%v says the name %d times", err, n)
		}
	}
}

func TestGarbage(t *testing.T) {
	for _, garbage := range []string{
		"", "\n", "\n\n\n", "\x00", "\xff\xfe\n\x00\x00\n", "\x1f\x8b", "\x1f\x8bnot gzip\n", "(\xb5/\xfd", "BZh no\n",
		"{", strings.Repeat("{\"a\":", 10_000) + "\n", strings.Repeat("\x00", 5000),
	} {
		want := slowly(t, "garbage", []byte(garbage), 0)
		got := readAll(t, t.Context(), text("garbage", []byte(garbage)), bulk.Options{ChunkBytes: 7})
		if len(got.events) != 0 || fmt.Sprint(got.malformed) != fmt.Sprint(want.malformed) || got.files[0].Malformed != got.files[0].Lines {
			t.Errorf("%.20q: %+v", garbage, got)
		}
	}
}

// bomb is text without end, of which it counts what was read.
type bomb struct {
	text string
	read atomic.Int64
	most int64
}

func (b *bomb) Read(p []byte) (int, error) {
	if b.read.Load() >= b.most {
		return 0, io.EOF
	}
	n := 0
	for n < len(p) {
		n += copy(p[n:], b.text)
	}
	b.read.Add(int64(n))
	return n, nil
}

// TestMemoryIsBounded reads far more than memory may hold of lines that are as
// bad as lines can be.
func TestMemoryIsBounded(t *testing.T) {
	services := `{"time":"2026-11-23T14:00:00Z","event":"beat","services":[{}` + strings.Repeat(",{}", 1000) + "]}\n"
	for name, line := range map[string]string{
		"no newline": "aaaaaaaaaaaaaaaa", "newlines": "\n\n\n\n\n\n\n\n", "zeros": strings.Repeat("\x00", 4096),
		"services": services, "short events": `{"time":"2026-11-23T14:00:00Z","event":"x"}` + "\n",
		"users": userLines(),
	} {
		t.Run(name, func(t *testing.T) {
			most := int64(unraced(64)) << 20
			if strings.HasPrefix(line, "\n") { // There is an error for each of them.
				most /= 16
			}
			b := &bomb{text: line, most: most}
			var peak uint64
			n := 0
			for batch, err := range bulk.NewReader([]bulk.Input{{Name: "bomb", From: b}}, bulk.Options{Workers: 2}).Batches(t.Context()) {
				if err != nil {
					t.Fatal(err)
				}
				if n++; n%64 == 0 {
					peak = max(peak, live())
				}
				if len(batch.Malformed) > 10 {
					t.Fatalf("%d malformed lines told", len(batch.Malformed))
				}
			}
			if n == 0 || b.read.Load() < most {
				t.Errorf("%d batches of %d bytes", n, b.read.Load())
			}
			if peak > 48<<20 {
				t.Errorf("%d MB in use", peak>>20)
			}
		})
	}
}

// userLines are many lines with names that do not come again.
func userLines() string {
	var lines strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&lines, `{"time":"2026-11-23T14:00:00.000000Z","event":"fail","service":"s%d","user":"%0100d"}`+"\n", i, i)
	}
	return lines.String()
}

func live() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestBomb unpacks a small file that has no end to speak of, until it is told
// to stop.
func TestBomb(t *testing.T) {
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	zeros := make([]byte, 1<<20)
	for range unraced(200) {
		if _, err := w.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	got := readAll(t, t.Context(), text("bomb", packed.Bytes()), bulk.Options{})
	f := got.files[0]
	if f.Lines != 1 || f.TooLong != 1 || f.Text != uint64(unraced(200))<<20 || len(got.malformed) != 1 {
		t.Errorf("%+v, %v", f, got.malformed)
	}
}

// endless is text that goes on until the reader is gone.
type endless struct{ line string }

func (e endless) Read(p []byte) (int, error) { return copy(p, e.line), nil }

// TestCancelled ends readings that would not end, in the middle of all they do.
func TestCancelled(t *testing.T) {
	for name, line := range map[string]string{"events": later, "one line": "aaaaaaaa", "no format": "\n"} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			time.AfterFunc(20*time.Millisecond, cancel)
			var last error
			for _, err := range bulk.NewReader([]bulk.Input{{Name: "endless", From: endless{line}}}, bulk.Options{}).Batches(ctx) {
				last = err
			}
			if !errors.Is(last, context.Canceled) {
				t.Errorf("the last was %v", last)
			}
		})
	}
}

// TestPipeThatSaysNothing ends a reading whose input blocks: a pipe by its
// path, which is opened here, and one that is handed in.
func TestPipeThatSaysNothing(t *testing.T) {
	for _, byPath := range []bool{true, false} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		in := bulk.Input{Name: "pipe", From: r}
		if byPath {
			in = bulk.Input{Name: fmt.Sprintf("/dev/fd/%d", r.Fd())}
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(20*time.Millisecond, cancel)
		got := readAll(t, ctx, []bulk.Input{in, {Name: "other", From: strings.NewReader(twoLines)}}, bulk.Options{})
		if err := errors.Join(got.errs...); !errors.Is(err, context.Canceled) {
			t.Errorf("by path %v: %v", byPath, err)
		}
		cancel()
		if err := errors.Join(r.Close(), w.Close()); err != nil {
			t.Error(err)
		}
	}
}

// TestLeftEarly wants nothing to go on behind a loop that was left; the leak
// check of the package looks.
func TestLeftEarly(t *testing.T) {
	log := newGenerator(5, 20, false).log(500_000)
	for left := range 5 {
		r := bulk.NewReader(text("log", log), bulk.Options{ChunkBytes: 10_000})
		n := 0
		for _, err := range r.Batches(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			if n++; n > left {
				break
			}
		}
		for _, err := range r.Batches(t.Context()) {
			if !errors.Is(err, bulk.ErrUsed) {
				t.Errorf("read twice: %v", err)
			}
		}
	}
}

// TestLongLineCutOff wants a line that is too long, and cut off by damage, not
// to count as one.
func TestLongLineCutOff(t *testing.T) {
	var long bytes.Buffer
	rng := rand.New(rand.NewPCG(1, 1))
	for range 20_000 {
		long.WriteByte(byte('a' + rng.IntN(26)))
	}
	packed := gzipped(t, []byte(twoLines+long.String()+"\n"))
	for _, limit := range []int{1000, connlog.DefaultMaxLineBytes} {
		got := readAll(t, t.Context(), text("cut", packed[:len(packed)-3000]), bulk.Options{ChunkBytes: 500, MaxLineBytes: limit})
		if f := got.files[0]; f.Lines != 2 || f.Events != 2 || f.TooLong != 0 || len(got.errs) != 1 {
			t.Errorf("limit %d: %+v, %v", limit, f, got.errs)
		}
	}
}

// TestFilesAreClosed leaves a loop early, with files that were looked at and
// not read yet, and one that can be opened only once.
func TestFilesAreClosed(t *testing.T) {
	descriptors := func() int {
		open, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip("cannot see what is open: ", err)
		}
		return len(open)
	}
	dir := t.TempDir()
	var paths []string
	for i := range 20 {
		paths = append(paths, filepath.Join(dir, fmt.Sprint(i)))
		if err := os.WriteFile(paths[i], []func(testing.TB, []byte) []byte{gzipped, zstded}[i%2](t, newGenerator(uint64(i), 20, false).log(50_000)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close() //nolint:errcheck // only read
	if _, err := w.WriteString(later); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	paths = append(paths, fmt.Sprintf("/dev/fd/%d", r.Fd()))
	before := descriptors()
	for batch, err := range bulk.NewReader(bulk.Files(paths...), bulk.Options{ChunkBytes: 1000}).Batches(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if batch.File.Events > 10 {
			break
		}
	}
	if after := descriptors(); after != before {
		t.Errorf("%d descriptors are open, %d before", after, before)
	}
}
