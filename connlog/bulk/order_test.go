package bulk_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"overstay/connlog"
	"overstay/connlog/bulk"
)

func at(second int) string {
	return fmt.Sprintf(`{"time":"2026-11-23T14:%02d:%02dZ","event":"beat"}`+"\n", second/60, second%60)
}

// TestRotatedInOrder reads a rotated set, packed in all ways, in every order of
// arguments.
func TestRotatedInOrder(t *testing.T) {
	dir := t.TempDir()
	paths := []string{
		filepath.Join(dir, "conn.log.10.gz"), filepath.Join(dir, "conn.log.9.gz"), // of one second
		filepath.Join(dir, "conn.log.2.zst"), filepath.Join(dir, "conn.log.1"), filepath.Join(dir, "conn.log"),
	}
	modified := time.Now().Add(-time.Hour)
	for i, stored := range [][]byte{
		gzipped(t, []byte("no line\n"+at(1)+at(2))), gzipped(t, []byte(at(1)+at(3))),
		zstded(t, []byte(at(4))), []byte(at(5) + at(9)), []byte(at(9)),
	} {
		if err := os.WriteFile(paths[i], stored, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(paths[i], modified, modified); err != nil {
			t.Fatal(err)
		}
	}
	const seed = 4
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 20 {
		given := slices.Clone(paths)
		rng.Shuffle(len(given), func(i, j int) { given[i], given[j] = given[j], given[i] })
		got := readAll(t, t.Context(), bulk.Files(given...), bulk.Options{ChunkBytes: 64})
		var read []string
		for _, f := range got.files {
			read = append(read, f.Name)
		}
		if !slices.Equal(read, paths) {
			t.Fatalf("seed %d: given %v, read %v", seed, given, read)
		}
		if len(got.events) != 8 || len(got.malformed) != 1 || got.places[0] != paths[0]+":2" {
			t.Errorf("%d events, first at %s; malformed %v", len(got.events), got.places[0], got.malformed)
		}
	}
}

// TestWrittenFirst has files that begin at one time in the order in which they
// were written.
func TestWrittenFirst(t *testing.T) {
	dir := t.TempDir()
	first, second := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	for path, ago := range map[string]time.Duration{first: time.Hour, second: time.Minute} {
		if err := os.WriteFile(path, []byte(at(1)), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Time{}, time.Now().Add(-ago)); err != nil {
			t.Fatal(err)
		}
	}
	got := readAll(t, t.Context(), bulk.Files(second, first), bulk.Options{})
	if got.files[0].Name != first {
		t.Errorf("%s was read first", got.files[0].Name)
	}
}

// TestStreamsInOrder puts inputs that can be read only once in order as well.
func TestStreamsInOrder(t *testing.T) {
	long := strings.Repeat(at(7), 3000) // more than a head
	got := readAll(t, t.Context(), []bulk.Input{
		{Name: "third", From: strings.NewReader(long)},
		{Name: "first", From: bytes.NewReader(zstded(t, []byte(at(1))))},
		{Name: "second", From: strings.NewReader(at(3))},
	}, bulk.Options{})
	if len(got.events) != 3002 || got.places[0] != "first:1" || got.places[1] != "second:1" || got.places[3001] != "third:3000" {
		t.Errorf("%d events, %v", len(got.events), got.places[:3])
	}
	if !slices.IsSortedFunc(got.events, func(a, b connlog.Event) int { return a.Time.Compare(b.Time) }) {
		t.Error("not in the order of time")
	}
}

func TestProgress(t *testing.T) {
	dir := t.TempDir()
	var paths []string
	size := int64(0)
	for i := range 3 {
		stored := gzipped(t, newGenerator(uint64(i), 20, true).log(100_000))
		paths = append(paths, filepath.Join(dir, fmt.Sprint(i)))
		if err := os.WriteFile(paths[i], stored, 0o600); err != nil {
			t.Fatal(err)
		}
		size += int64(len(stored))
	}
	r := bulk.NewReader(bulk.Files(paths...), bulk.Options{ChunkBytes: 10_000})
	last := int64(0)
	for _, err := range r.Batches(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		done, total := r.Progress()
		if done < last || done > size || total != size {
			t.Fatalf("%d of %d after %d, want %d", done, total, last, size)
		}
		last = done
	}
	if done, _ := r.Progress(); done != size {
		t.Errorf("%d of %d at the end", done, size)
	}
}
