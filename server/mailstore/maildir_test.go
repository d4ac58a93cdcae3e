package mailstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// mail returns the messages in a user's new folder.
func mail(t testing.TB, s *Store, user string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(s.Path(user), "new"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	var texts []string
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(s.Path(user), "new", e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(text))
	}
	return texts
}

// leftovers returns what stands in tmp folders.
func leftovers(t testing.TB, s *Store) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(s.root, "*", "tmp", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func deliver(s *Store, text string, users ...string) error {
	d, err := s.Begin(users)
	if err != nil {
		return err
	}
	defer d.Abort()
	if _, err := d.Write([]byte(text)); err != nil {
		return err
	}
	return d.Commit()
}

func TestDelivery(t *testing.T) {
	s := NewStore(filepath.Join(t.TempDir(), "deep", "mail"))
	for i := range 3 {
		if err := deliver(s, fmt.Sprint("message ", i), "anna", "ben"); err != nil {
			t.Fatal(err)
		}
	}
	for _, user := range []string{"anna", "ben"} {
		if got := strings.Join(mail(t, s, user), ","); got != "message 0,message 1,message 2" {
			t.Errorf("%s has %q", user, got)
		}
		for _, sub := range []string{"", "tmp", "new", "cur"} {
			info, err := os.Stat(filepath.Join(s.Path(user), sub))
			if err != nil || info.Mode().Perm() != 0o700 {
				t.Errorf("%s/%s: %v, %v", user, sub, info, err)
			}
		}
	}
	entries, err := os.ReadDir(filepath.Join(s.Path("anna"), "new"))
	if err != nil {
		t.Fatal(err)
	}
	if name := entries[0].Name(); !strings.HasSuffix(name, ",S=9,W=9") || strings.Contains(name, ":") {
		t.Errorf("name %q", name)
	}
	if got := leftovers(t, s); len(got) != 0 {
		t.Errorf("left over: %q", got)
	}
}

func TestAbort(t *testing.T) {
	s := NewStore(t.TempDir())
	d, err := s.Begin([]string{"anna"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	d.Abort()
	d.Abort()
	if err := d.Commit(); err == nil {
		t.Error("Commit after Abort")
	}
	if len(mail(t, s, "anna")) != 0 || len(leftovers(t, s)) != 0 {
		t.Error("something is left")
	}
}

func TestNamesStayInside(t *testing.T) {
	s := NewStore(t.TempDir())
	for _, name := range []string{"", ".", "..", "../x", "a/b", "/etc", "A", "a\x00", ".a", "a.", strings.Repeat("a", 65)} {
		if err := deliver(s, "x", name); !errors.Is(err, ErrName) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if err := deliver(s, "x"); !errors.Is(err, ErrNobody) {
		t.Errorf("nobody: %v", err)
	}
}

// failingDisk fails at the nth of the calls that are counted.
type failingDisk struct {
	realDisk
	at    string
	after int
	err   error
	calls []string
}

func (d *failingDisk) step(call string) error {
	d.calls = append(d.calls, call)
	if call != d.at {
		return nil
	}
	if d.after--; d.after >= 0 {
		return nil
	}
	return d.err
}

func (d *failingDisk) Create(path string) (file, error) {
	if err := d.step("create"); err != nil {
		return nil, err
	}
	f, err := d.realDisk.Create(path)
	return &failingFile{f, d}, err
}

func (d *failingDisk) Append(path string, size int64) (file, error) {
	if err := d.step("append " + filepath.Base(path)); err != nil {
		return nil, err
	}
	f, err := d.realDisk.Append(path, size)
	return &failingFile{f, d}, err
}

func (d *failingDisk) Mkdir(path string) error {
	return errors.Join(d.step("mkdir"), d.realDisk.Mkdir(path))
}

func (d *failingDisk) Rename(from, to string) error {
	if err := d.step("rename"); err != nil {
		return err
	}
	return d.realDisk.Rename(from, to)
}

func (d *failingDisk) SyncDir(path string) error {
	return errors.Join(d.realDisk.SyncDir(path), d.step("syncdir "+filepath.Base(path)))
}

type failingFile struct {
	file
	disk *failingDisk
}

func (f *failingFile) Write(b []byte) (int, error) {
	if err := f.disk.step("write"); err != nil {
		return 0, err
	}
	return f.file.Write(b)
}

func (f *failingFile) Sync() error { return errors.Join(f.file.Sync(), f.disk.step("sync")) }

// At whatever step the disk fails: the error says so, nobody has the message,
// and nothing is left behind.
func TestDiskFailures(t *testing.T) {
	for _, step := range []string{"create", "write", "sync", "rename", "syncdir new"} {
		for after := range 2 {
			for cause, full := range map[error]bool{syscall.ENOSPC: true, syscall.EDQUOT: true, syscall.EIO: false} {
				s := NewStore(t.TempDir())
				s.disk = &failingDisk{at: step, after: after, err: cause}
				err := deliver(s, "x", "anna", "ben")
				if !errors.Is(err, cause) || errors.Is(err, ErrFull) != full {
					t.Errorf("%s %d: %v", step, after, err)
				}
				if len(mail(t, s, "anna"))+len(mail(t, s, "ben"))+len(leftovers(t, s)) != 0 {
					t.Errorf("%s %d: something is left", step, after)
				}
			}
		}
	}
	s := NewStore(filepath.Join(t.TempDir(), "mail"))
	s.disk = &failingDisk{at: "mkdir", err: syscall.ENOSPC}
	if err := deliver(s, "x", "anna"); !errors.Is(err, ErrFull) {
		t.Errorf("mkdir: %v", err)
	}
}

// A message must be synced before it gets its name, and the name after.
func TestOrderOfSteps(t *testing.T) {
	s := NewStore(t.TempDir())
	if err := deliver(s, "x", "anna"); err != nil { // Makes the folders.
		t.Fatal(err)
	}
	d := &failingDisk{}
	s.disk = d
	if err := deliver(s, "x", "anna"); err != nil {
		t.Fatal(err)
	}
	var steps []string
	for _, c := range d.calls {
		if c != "mkdir" {
			steps = append(steps, c)
		}
	}
	if got := strings.Join(steps, ", "); got != "create, write, sync, rename, syncdir new" {
		t.Errorf("steps: %s", got)
	}
}

func TestConcurrentDeliveries(t *testing.T) {
	s := NewStore(t.TempDir())
	var senders sync.WaitGroup
	for i := range 8 {
		senders.Go(func() {
			for j := range 10 {
				if err := deliver(s, fmt.Sprint(i, j), "anna"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	senders.Wait()
	if n := len(mail(t, s, "anna")); n != 80 {
		t.Errorf("%d messages of 80", n)
	}
}

// The real thing: a file system of 256 KB.
func TestFullDisk(t *testing.T) {
	root := t.TempDir()
	if err := syscall.Mount("tmpfs", root, "tmpfs", 0, "size=256k"); err != nil {
		t.Skipf("no tmpfs: %v", err)
	}
	defer func() {
		if err := syscall.Unmount(root, 0); err != nil {
			t.Error(err)
		}
	}()
	s := NewStore(root)
	text, stored := strings.Repeat("x", 50<<10), 0
	var err error
	for ; err == nil && stored < 100; stored++ {
		err = deliver(s, text, "anna")
	}
	stored--
	if !errors.Is(err, ErrFull) {
		t.Fatalf("after %d messages: %v", stored, err)
	}
	if got := mail(t, s, "anna"); len(got) != stored || len(leftovers(t, s)) != 0 {
		t.Errorf("%d messages of %d, left over %q", len(got), stored, leftovers(t, s))
	}
}

func BenchmarkDeliver(b *testing.B) {
	s := NewStore(b.TempDir())
	text := strings.Repeat("x", 4<<10)
	b.ReportAllocs()
	for b.Loop() {
		if err := deliver(s, text, "anna"); err != nil {
			b.Fatal(err)
		}
	}
}

// A Maildir that somebody took away, or a part of it, is there again when mail
// comes, also for a store that has seen it before.
func TestDeliveryIntoAMaildirThatIsGone(t *testing.T) {
	for _, gone := range []string{".", "tmp", "new"} {
		for _, quota := range []Quota{{}, {Messages: 10}} {
			s := NewStore(t.TempDir())
			s.SetQuota(quota)
			for range 2 {
				before := len(mail(t, s, "anna"))
				d, err := s.Begin([]string{"anna"})
				if err != nil {
					t.Fatalf("without %s: %v", gone, err)
				}
				if _, err := d.Write([]byte("Subject: x\n\ny\n")); err != nil {
					t.Fatal(err)
				}
				if err := d.Commit(); err != nil {
					t.Fatalf("without %s: %v", gone, err)
				}
				if after := len(mail(t, s, "anna")); after != before+1 {
					t.Errorf("without %s: %d messages, then %d", gone, before, after)
				}
				if err := os.RemoveAll(filepath.Join(s.Path("anna"), gone)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}
