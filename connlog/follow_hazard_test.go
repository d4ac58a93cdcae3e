package connlog

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestFollowMissingFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "conn.log")
	f := startFollowing(t, path, FollowOptions{})
	f.isLive() // there is nothing to catch up with
	appendTo(t, path, "1\n")
	f.want("1")
	appendTo(t, path, "2\n")
	f.want("1", "2")
	f.wantNoError()
}

func TestFollowMissingFolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log", "conn.log")
	f := startFollowing(t, path, FollowOptions{})
	f.isLive()
	must(t, os.Mkdir(filepath.Dir(path), 0o700))
	appendTo(t, path, "1\n")
	f.want("1")
	// The folder goes and comes back.
	must(t, os.RemoveAll(filepath.Dir(path)))
	must(t, os.Mkdir(filepath.Dir(path), 0o700))
	appendTo(t, path, "2\n")
	f.want("1", "2")
	f.wantNoError()
}

func TestFollowPartialLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "conn.log")
	appendTo(t, path, "1\nha")
	f := startFollowing(t, path, FollowOptions{})
	f.isLive()
	f.want("1")
	for _, piece := range []string{"lf", " a", " line", "\n3", "\n"} {
		appendTo(t, path, piece)
		time.Sleep(2 * time.Millisecond) // so that the pieces are read apart
	}
	f.want("1", "half a line", "3")
	f.wantNoError()
}

func TestFollowTornTail(t *testing.T) {
	path := filepath.Join(t.TempDir(), "conn.log")
	appendTo(t, path, "1\ntorn")
	f := startFollowing(t, path, FollowOptions{})
	f.want("1")
	must(t, os.Rename(path, path+".1"))
	appendTo(t, path, "2\n")
	torn, ok := errors.AsType[*TornError](f.wantError(0))
	if !ok || torn.Offset != 2 || torn.Bytes != 4 {
		t.Errorf("error %v", f.wantError(0))
	}
	f.want("1", "2")
}

func TestFollowLongLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "conn.log")
	appendTo(t, path, "1\n"+strings.Repeat("x", 1001)+"\n2\n")
	f := startFollowing(t, path, FollowOptions{MaxLineBytes: 1000})
	f.want("1", "2")
	f.isLive()
	appendTo(t, path, strings.Repeat("y", 1000)+"\n"+strings.Repeat("z", 5000)+"\n3\n")
	f.want("1", "2", strings.Repeat("y", 1000), "3")
	for i, bytes := range []int64{1001, 5000} {
		if long, ok := errors.AsType[*LongLineError](f.wantError(i)); !ok || long.Bytes != bytes {
			t.Errorf("error %v", f.wantError(i))
		}
	}
}

// TestFollowEndlessLine grows a line without end; its bytes must not stay in
// memory.
func TestFollowEndlessLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "conn.log")
	appendTo(t, path, "1\n")
	f := startFollowing(t, path, FollowOptions{})
	f.want("1")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	chunk := strings.Repeat("x", 4<<20)
	const chunks = 16
	for range chunks {
		appendTo(t, path, chunk)
	}
	appendTo(t, path, "\n2\n")
	f.want("1", "2")
	runtime.GC()
	runtime.ReadMemStats(&after)
	if kept := int64(after.HeapInuse) - int64(before.HeapInuse); kept > 32<<20 {
		t.Errorf("%d MiB are kept", kept>>20)
	}
	if long, ok := errors.AsType[*LongLineError](f.wantError(0)); !ok || long.Bytes != chunks*int64(len(chunk)) {
		t.Errorf("error %v", f.wantError(0))
	}
}

func TestFollowTruncation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "conn.log")
	appendTo(t, path, "one\ntwo\nthree\n")
	f := startFollowing(t, path, FollowOptions{})
	f.isLive()
	f.want("one", "two", "three")
	must(t, os.Truncate(path, 0))
	appendTo(t, path, "four\n")
	f.want("one", "two", "three", "four")
	if loss, ok := errors.AsType[*LossError](f.wantError(0)); !ok || loss.Offset != 14 {
		t.Errorf("error %v", f.wantError(0))
	}
	appendTo(t, path, "five\n")
	f.want("one", "two", "three", "four", "five")
}

// TestFollowTruncationToAPart leaves the first line, so that only the size
// tells. What is left comes again: nobody can know it for the same.
func TestFollowTruncationToAPart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "conn.log")
	appendTo(t, path, "one\ntwo\nthree\n")
	f := startFollowing(t, path, FollowOptions{})
	f.isLive()
	f.want("one", "two", "three")
	must(t, os.Truncate(path, 4))
	appendTo(t, path, "four\n")
	f.want("one", "two", "three", "one", "four")
	if _, ok := errors.AsType[*LossError](f.wantError(0)); !ok {
		t.Errorf("error %v", f.wantError(0))
	}
}

// TestFollowPartTakenBack takes a part of a line back, as a writer does whose
// disk is full. The library takes that for truncation and begins again.
func TestFollowPartTakenBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "conn.log")
	appendTo(t, path, "1\n2\n")
	f := startFollowing(t, path, FollowOptions{})
	f.isLive()
	want := []string{"1", "2"}
	f.want(want...)
	size := int64(4)
	for i := range 20 {
		appendTo(t, path, "torn")
		time.Sleep(3 * time.Millisecond) // so that the library sees the part
		must(t, os.Truncate(path, size))
		if i%2 == 0 { // and the shorter file, or else only the line as long
			time.Sleep(3 * time.Millisecond)
		}
		appendTo(t, path, "next\n")
		size += 5
		want = append(want, "next")
		f.want(want...)
	}
	f.wantNoError()
}

// TestFollowTruncationRefilled truncates a file and fills it past the place
// that was read before the follower can see it shorter.
func TestFollowTruncationRefilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "conn.log")
	appendTo(t, path, "one\ntwo\n")
	f := startFollowing(t, path, FollowOptions{})
	f.isLive()
	f.want("one", "two")
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
	must(t, err)
	_, err = file.WriteString("six\nten\nelf\n") // with a line's end where the old one had it
	must(t, err)
	must(t, file.Close())
	f.want("one", "two", "six", "ten", "elf")
	if _, ok := errors.AsType[*LossError](f.wantError(0)); !ok {
		t.Errorf("error %v", f.wantError(0))
	}
}

// TestFollowLostWakeUp writes at the moment when the library has seen the end
// and does not watch yet. By itself it would sleep on in one of sixty cases.
func TestFollowLostWakeUp(t *testing.T) {
	rounds := 200
	if testing.Short() {
		rounds = 40
	}
	rng := seeded(t)
	dir := t.TempDir()
	for i := range rounds {
		path := filepath.Join(dir, "conn"+string(rune('a'+i%26))+".log")
		_ = os.Remove(path) // of an earlier round, if there was one
		appendTo(t, path, "1\n")
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		n := 0
		for line, err := range Follow(ctx, path, FollowOptions{}) {
			if err != nil {
				t.Fatal(err)
			}
			if n++; n == 2 {
				if string(line.Text) != "2" {
					t.Fatalf("line %q", line.Text)
				}
				break
			}
			delay := time.Duration(rng.IntN(300)) * time.Microsecond
			time.AfterFunc(delay, func() { appendTo(t, path, "2\n") })
		}
		cancel()
		if n != 2 {
			t.Fatalf("round %d: asleep", i)
		}
	}
}

// TestFollowSwappedFile saves a position and puts another file at the path,
// with the same inode: it must not be read from the middle.
func TestFollowSwappedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "conn.log")
	appendTo(t, path, "one\ntwo\n")
	f := startFollowing(t, path, FollowOptions{})
	f.want("one", "two")
	saved := f.pos[0]
	must(t, os.Truncate(path, 0))
	appendTo(t, path, "first\nsecond\n")
	g := startFollowing(t, path, FollowOptions{From: saved})
	g.want("first", "second")
	if err := g.wantError(0); !errors.Is(err, ErrPositionLost) {
		t.Errorf("error %v", err)
	}
}

// TestFollowResumes goes on from every position of a log whose files have been
// renamed and compressed since.
func TestFollowResumes(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "conn.log")
	appendTo(t, path, "1\n2\n")
	f := startFollowing(t, path, FollowOptions{})
	f.want("1", "2")
	must(t, os.Rename(path, rotatedName(path, time.Unix(1795000000, 0))))
	appendTo(t, path, "3\n4\n")
	f.want("1", "2", "3", "4")
	must(t, os.Rename(path, rotatedName(path, time.Unix(1795000001, 0))))
	appendTo(t, path, "5\n")
	f.want("1", "2", "3", "4", "5")
	must(t, compress(t.Context(), rotatedName(path, time.Unix(1795000000, 0))))
	must(t, compress(t.Context(), rotatedName(path, time.Unix(1795000001, 0))))
	all := []string{"1", "2", "3", "4", "5"}
	for i, pos := range f.pos {
		g := startFollowing(t, path, FollowOptions{From: pos})
		g.isLive()
		g.want(all[i+1:]...)
		g.wantNoError()
	}
	f.wantNoError()
}

func TestFollowSince(t *testing.T) {
	path := filepath.Join(t.TempDir(), "conn.log")
	begin := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	var texts []string
	for i := range 6 { // a line a minute, two in a file
		e := Event{Time: begin.Add(time.Duration(i) * time.Minute), Kind: Beat, Boot: "b", Seq: uint64(i) + 1}
		texts = append(texts, string(Append(nil, &e)))
		appendTo(t, path, texts[i]+"\n")
		if i == 1 || i == 3 {
			must(t, os.Rename(path, path+"."+string(rune('2'-i/2))))
		}
	}
	for i, want := range []int{0, 0, 2, 2, 4, 4} {
		f := startFollowing(t, path, FollowOptions{Since: begin.Add(time.Duration(i) * time.Minute)})
		f.isLive()
		f.want(texts[want:]...)
	}
	f := startFollowing(t, path, FollowOptions{Since: begin.Add(-time.Hour)})
	f.want(texts...)
	f.isLive()
	appendTo(t, path, "live\n")
	f.want(append(texts, "live")...)
	if slices.Index(f.live, true) != len(texts) {
		t.Errorf("live %v", f.live)
	}
}

// TestFollowStatErrors gives errors other than "not there", upon which the
// tail library would end the process.
func TestFollowStatErrors(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "conn.log")
	must(t, os.Symlink(path, path)) // a loop
	f := startFollowing(t, path, FollowOptions{})
	if err := f.wantError(0); !errors.Is(err, syscall.ELOOP) {
		t.Errorf("error %v", err)
	}
	must(t, os.Remove(path))
	appendTo(t, path, "1\n")
	f.want("1")

	must(t, os.Rename(path, path+".1"))
	must(t, os.Symlink(path, path))
	if err := f.wantError(1); !errors.Is(err, syscall.ELOOP) {
		t.Errorf("error %v", err)
	}
	appendTo(t, path+".1", "2\n")
	f.want("1", "2")
	must(t, os.Remove(path))
	appendTo(t, path, "3\n")
	f.want("1", "2", "3")

	folder := filepath.Join(dir, "folder.log")
	must(t, os.Mkdir(folder, 0o700))
	g := startFollowing(t, folder, FollowOptions{})
	if err := g.wantError(0); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("error %v", err)
	}
}

// TestFollowPermissionDenied takes the right to read from its own thread. The
// loop body runs on the follower's, so it can give it back.
func TestFollowPermissionDenied(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("it changes the thread's user, which only root may")
	}
	dir := t.TempDir()
	must(t, os.Chmod(filepath.Dir(dir), 0o755))
	must(t, os.Chmod(dir, 0o755))
	path := filepath.Join(dir, "conn.log")
	appendTo(t, path, "1\n")
	runtime.LockOSThread() // and never unlocked: the thread ends with the test
	must(t, unix.Setfsuid(65534))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	denied := false
	for line, err := range Follow(ctx, path, FollowOptions{}) {
		if errors.Is(err, os.ErrPermission) && !denied {
			denied = true
			must(t, unix.Setfsuid(0))
			continue
		}
		if err != nil || string(line.Text) != "1" {
			t.Errorf("line %q, error %v", line.Text, err)
		}
		break
	}
	must(t, unix.Setfsuid(0))
	if !denied || ctx.Err() != nil {
		t.Errorf("denied %v, %v", denied, ctx.Err())
	}
}

// TestFollowTwice follows one file twice at a time; the library alone would
// give each about half of the lines.
func TestFollowTwice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "conn.log")
	f := startFollowing(t, path, FollowOptions{})
	g := startFollowing(t, path, FollowOptions{})
	var want []string
	for i := range 50 {
		want = append(want, strings.Repeat("x", i))
		appendTo(t, path, want[i]+"\n")
		f.want(want...)
	}
	g.want(want...)
	f.wantNoError()
	g.wantNoError()
}

// TestFollowEndsWithContext ends while nothing happens, and before it began.
func TestFollowEndsWithContext(t *testing.T) {
	path := filepath.Join(t.TempDir(), "conn.log")
	appendTo(t, path, "1\n")
	ctx, cancel := context.WithCancel(t.Context())
	for _, err := range Follow(ctx, path, FollowOptions{OnLive: cancel}) {
		must(t, err)
	}
	for line, err := range Follow(ctx, path, FollowOptions{}) {
		t.Errorf("line %q, error %v", line.Text, err)
	}
}
