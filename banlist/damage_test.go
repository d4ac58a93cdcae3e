package banlist

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// closedFile makes a list of n bans and closes it.
func closedFile(t *testing.T, n int) string {
	path := filepath.Join(t.TempDir(), "bans.db")
	l, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var ds []Ban
	for i := range n {
		ds = append(ds, ban(fmt.Sprint("d", i), fmt.Sprintf("192.0.2.%d/32", i)))
	}
	if _, err := l.Decide(t.Context(), ds); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// try opens a file that may be damaged and uses it; whatever is in it, that
// ends with an error that names the file, or works.
func try(t *testing.T, path string) error {
	t.Helper()
	l, err := Open(t.Context(), path, Options{})
	if err == nil {
		_, err = l.Bans(t.Context(), Filter{})
		_, err2 := l.Decide(t.Context(), []Ban{ban("new", "203.0.113.1/32")})
		_, err3 := l.History(t.Context(), HistoryFilter{})
		err = errors.Join(err, err2, err3)
		_ = l.Close() // It has failed already, or it has not.
	}
	if err != nil && !strings.Contains(err.Error(), path) {
		t.Errorf("an error without the name of the file: %v", err)
	}
	return err
}

func TestDamagedFile(t *testing.T) {
	good, err := os.ReadFile(closedFile(t, 200))
	if err != nil {
		t.Fatal(err)
	}
	put := func(data []byte) string {
		path := filepath.Join(t.TempDir(), "bans.db")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	head := bytes.Clone(good)
	copy(head, "not a database  ")
	other := bytes.Clone(good)
	copy(other[68:], "xxxx") // The application id.
	newer := bytes.Clone(good)
	newer[63] = schemaVersion + 1 // The user version.
	for name, c := range map[string]struct {
		data []byte
		want error
	}{
		"header":     {head, ErrDamaged},
		"text":       {[]byte(strings.Repeat("192.0.2.1 # a list\n", 500)), ErrDamaged},
		"truncated":  {good[:len(good)/2], ErrDamaged},
		"other":      {other, ErrDamaged},
		"newer":      {newer, ErrNewer},
		"whole":      {good, nil},
		"empty file": {nil, nil},
	} {
		if err := try(t, put(c.data)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	rounds := 40
	if testing.Short() || raced {
		rounds = 10
	}
	for range rounds {
		bad := bytes.Clone(good)
		for range 1 + rnd.IntN(40) {
			bad[rnd.IntN(len(bad))] ^= byte(1 + rnd.IntN(255))
		}
		err := try(t, put(bad))
		var fe *FileError
		if err != nil && !errors.As(err, &fe) {
			t.Errorf("%v", err)
		}
	}
}

func TestUnusablePlaces(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]error{
		filepath.Join(file, "bans.db"): syscall.ENOTDIR, // A file as the folder.
		dir:                            ErrDamaged,      // A folder as the file.
	} {
		if err := try(t, path); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", path, err, want)
		}
	}
}

// logged collects log lines.
type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logged) count(s string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.buf.String(), s)
}

// The file is moved away under an open list and comes back: memory stays,
// changes are refused, one line is logged, and then all is well again.
func TestFileGoesAndComesBack(t *testing.T) {
	var log logged
	path := filepath.Join(t.TempDir(), "bans.db")
	l := open(t, path, Options{Poll: 5 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	decide(t, l, []Ban{ban("a", "192.0.2.1/32")}, Banned)
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	_, err := l.Decide(t.Context(), []Ban{ban("b", "192.0.2.2/32")})
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Fatal(err)
	}
	eventually(t, "the failure is noticed", func() bool { return l.Failing() != nil })
	blocked(t, l, "smtp", "192.0.2.1", "!192.0.2.2")
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the file is back", func() bool { return l.Failing() == nil })
	decide(t, l, []Ban{ban("b", "192.0.2.2/32")}, Banned)
	blocked(t, l, "smtp", "192.0.2.1", "192.0.2.2")
	if n := log.count("level=ERROR"); n != 1 {
		t.Errorf("%d errors logged", n)
	}
}

// Another file is put in the place of the open one, as a restored backup is:
// the list goes over to it.
func TestFileIsReplaced(t *testing.T) {
	other := closedFile(t, 3)
	path := filepath.Join(t.TempDir(), "bans.db")
	l := open(t, path, Options{Poll: 5 * time.Millisecond})
	decide(t, l, []Ban{ban("old", "198.51.100.1/32")}, Banned)
	watched := l.Watch(t.Context())
	for _, name := range []string{path + "-wal", path + "-shm"} {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Rename(other, path); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the other file is shown", func() bool { return l.Blocked(addr("192.0.2.2"), "smtp") })
	blocked(t, l, "smtp", "!198.51.100.1")
	states(t, l, "d0 active", "d1 active", "d2 active")
	decide(t, l, []Ban{ban("new", "192.0.2.9/32")}, Banned)
	for c := range watched {
		if !c.Resync {
			t.Error("the watcher was not told")
		}
		break
	}
}

// The disk is full: an error that says so, memory as before; with room again,
// all goes on.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("a small disk needs root: %v", err)
	}
	defer func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	}()
	path := filepath.Join(dir, "bans.db")
	l, err := Open(t.Context(), path, Options{Poll: 5 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}()
	decide(t, l, []Ban{ban("first", "192.0.2.1/32")}, Banned)
	ballast := filepath.Join(dir, "ballast")
	_ = os.WriteFile(ballast, make([]byte, 2<<20), 0o600) // It is to fail half way.
	full := 0
	for i := range 200 {
		before := l.Size()
		big := ban(fmt.Sprint("f", i), fmt.Sprintf("198.51.100.%d/32", i))
		big.Evidence = []byte(`"` + strings.Repeat("x", 8000) + `"`)
		_, err := l.Decide(t.Context(), []Ban{big})
		if err == nil {
			continue
		}
		if !errors.Is(err, ErrNoSpace) || !strings.Contains(err.Error(), path) {
			t.Fatalf("%v", err)
		}
		if l.Size() != before {
			t.Error("memory changed")
		}
		if full++; full == 3 {
			break
		}
	}
	if full == 0 {
		t.Fatal("the disk did not fill")
	}
	blocked(t, l, "smtp", "192.0.2.1")
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	decide(t, l, []Ban{ban("last", "203.0.113.1/32")}, Banned)
	blocked(t, l, "smtp", "192.0.2.1", "203.0.113.1")
}

// A file on a full disk that is not there yet.
func TestDiskFullAtOpen(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("a small disk needs root: %v", err)
	}
	defer func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	}()
	_ = os.WriteFile(filepath.Join(dir, "ballast"), make([]byte, 1<<20), 0o600) // It is to fail half way.
	if err := try(t, filepath.Join(dir, "bans.db")); err == nil {
		t.Error("it opened")
	}
}

func TestClosed(t *testing.T) {
	l, err := Open(context.Background(), filepath.Join(t.TempDir(), "bans.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	decide(t, l, []Ban{ban("a", "192.0.2.1/32")}, Banned)
	for range 2 {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := l.Decide(t.Context(), nil); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	blocked(t, l, "smtp", "192.0.2.1")
	for range l.Watch(t.Context()) {
		t.Error("a change after the end")
	}
	if b, ok := l.Match(addr("192.0.2.1"), ""); !ok || b.Prefix != pfx("192.0.2.1/32") {
		t.Error(b, ok)
	}
}
