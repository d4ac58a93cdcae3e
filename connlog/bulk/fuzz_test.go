package bulk_test

import (
	"bytes"
	"testing"

	"overstay/connlog/bulk"
)

// FuzzCutting wants of any text, in any cutting, what the sequential reader
// makes of it.
func FuzzCutting(f *testing.F) {
	f.Add([]byte(twoLines), uint16(1), uint16(0), uint8(1))
	f.Add([]byte(twoLines+"no line\n\n\r\n"+later+"{"), uint16(64), uint16(100), uint8(2))
	f.Add(newGenerator(1, 5, true).log(3000), uint16(200), uint16(150), uint8(3))
	f.Add(gzipped(f, []byte(twoLines)), uint16(3), uint16(0), uint8(4))
	f.Add(zstded(f, []byte(twoLines))[:40], uint16(30), uint16(10), uint8(2))
	f.Add([]byte("\x00\xff\n\xfe"), uint16(2), uint16(2), uint8(2))
	f.Fuzz(func(t *testing.T, log []byte, chunk, limit uint16, workers uint8) {
		if bytes.HasPrefix(log, []byte("BZh")) || bytes.HasPrefix(log, []byte("\xfd7zXZ")) {
			t.Skip("the sequential reader knows no such compression")
		}
		want := slowly(t, "log", log, int(limit))
		got := readAll(t, t.Context(), text("log", log), bulk.Options{
			Workers: int(workers%4) + 1, ChunkBytes: int(chunk) + 1, MaxLineBytes: int(limit),
		})
		if len(got.errs) != len(want.errs) {
			t.Fatalf("errors %v, want %v", got.errs, want.errs)
		}
		got.errs, want.errs = nil, nil // They are worded otherwise.
		same(t, got, want)
	})
}
