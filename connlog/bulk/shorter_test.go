package bulk_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"overstay/connlog/bulk"
)

// TestFileThatIsEmptied says of a file that was emptied while it was read that
// its end is missing, and of one that grew nothing.
func TestFileThatIsEmptied(t *testing.T) {
	text := bytes.Repeat([]byte(at(1)), 100_000)
	for name, c := range map[string]struct {
		size int64
		want error
	}{"emptied": {0, bulk.ErrShorter}, "grown": {int64(len(text)) + int64(len(at(1))), nil}} {
		path := filepath.Join(t.TempDir(), "conn.log")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		r := bulk.NewReader([]bulk.Input{{Name: path}}, bulk.Options{Workers: 1, ChunkBytes: 4 << 10})
		var got error
		for i, err := range r.Batches(t.Context()) {
			if i != nil && got == nil && r.Files()[0].Lines < 1000 {
				if err := os.Truncate(path, c.size); err != nil {
					t.Fatal(err)
				}
			}
			if file, ok := errors.AsType[*bulk.FileError](err); ok {
				got = file.Err
			}
		}
		if !errors.Is(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
