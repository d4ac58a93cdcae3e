package connlog

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// faultyDisk is the real disk, of which writes and more can fail.
type faultyDisk struct {
	osDisk
	write  atomic.Pointer[func(b []byte) (n int, err error)] // how much is written, nil: all
	create atomic.Pointer[error]
	trunc  atomic.Bool // truncation fails
}

func (d *faultyDisk) OpenFile(name string, flag int, mode fs.FileMode) (logFile, error) {
	if err := d.create.Load(); err != nil && flag&os.O_EXCL != 0 {
		return nil, *err
	}
	f, err := d.osDisk.OpenFile(name, flag, mode)
	if err != nil {
		return nil, err
	}
	return faultyFile{f, d}, nil
}

type faultyFile struct {
	logFile
	d *faultyDisk
}

func (f faultyFile) Write(b []byte) (int, error) {
	fault := f.d.write.Load()
	if fault == nil {
		return f.logFile.Write(b)
	}
	n, err := (*fault)(b)
	if wrote, werr := f.logFile.Write(b[:n]); werr != nil {
		return wrote, werr
	}
	return n, err
}

func (f faultyFile) Truncate(size int64) error {
	if f.d.trunc.Load() {
		return syscall.EIO
	}
	return f.logFile.Truncate(size)
}

// TestWriterFullDisk fills the disk in the middle of a line, lets the buffer
// run over, and makes room again.
func TestWriterFullDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "conn.log")
	d := new(faultyDisk)
	w := openWriter(t, path, WriterOptions{MaxPending: 4000, disk: d})
	w.Write(&Event{Kind: Start})
	w.Write(&Event{Kind: Open, Service: "smtp", Conn: 1})
	w.Write(&Event{Kind: Open, Service: "smtp", Conn: 2})
	eventually(t, func() bool { return w.Stats().Lines == 3 })
	full := func(b []byte) (int, error) { return len(b) / 3, syscall.ENOSPC }
	d.write.Store(&full)
	w.Write(&Event{Kind: Open, Service: "smtp", Conn: 3})
	eventually(t, func() bool { return w.Stats().Errors > 1 })
	w.Write(&Event{Kind: Close, Conn: 1})
	for w.Stats().Lost < 50 {
		w.Write(&Event{Kind: Fail, Conn: 2})
	}
	w.Write(&Event{Kind: Close, Conn: 2}) // is dropped, and must be known all the same
	data, err := os.ReadFile(path)
	must(t, err)
	if len(data) == 0 || data[len(data)-1] != '\n' {
		t.Errorf("a torn line is left: %q", data)
	}
	d.write.Store(nil)
	eventually(t, func() bool { return w.Stats().Pending == 0 && w.Stats().Errors > 0 && hasKind(path, Lost) })
	w.Write(&Event{Kind: Stop})
	must(t, w.Close())

	events := readAll(t, path)
	at := slices.IndexFunc(events, func(e Event) bool { return e.Kind == Lost })
	lost := events[at]
	if gap := lost.Seq - events[at-1].Seq - 1; gap != lost.Count || lost.Count != w.Stats().Lost {
		t.Errorf("lost line %+v after seq %d; stats %+v", lost, events[at-1].Seq, w.Stats())
	}
	if !events[at+1].Continued || events[at+2].Conn != 3 || events[at+2].Held == 0 || events[at+3].Kind != Stop {
		t.Errorf("after the loss: %+v", events[at+1:])
	}
	checkOrder(t, events[:at])
	checkOrder(t, events[at:])
}

func hasKind(path string, k Kind) bool {
	data, err := os.ReadFile(path)
	return err == nil && bytes.Contains(data, []byte(`"event":"`+k.String()+`"`))
}

// TestWriterTornAndNoTruncate cannot take a part of a line back: it must not
// be glued to the next line.
func TestWriterTornAndNoTruncate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "conn.log")
	d := new(faultyDisk)
	d.trunc.Store(true)
	w := openWriter(t, path, WriterOptions{disk: d})
	var once atomic.Bool
	full := func(b []byte) (int, error) {
		if once.Swap(true) {
			return len(b), nil
		}
		return len(b) / 2, syscall.ENOSPC
	}
	d.write.Store(&full)
	w.Write(&Event{Kind: Start})
	must(t, w.Close())
	r, err := OpenReader(path)
	must(t, err)
	defer r.Close() //nolint:errcheck // it was only read
	starts := 0
	for e, err := range r.Events() {
		if err == nil && e.Kind == Start {
			starts++
		}
	}
	if lines, malformed := r.Count(); starts != 1 || lines != 2 || malformed != 1 {
		t.Errorf("%d starts, %d lines, %d malformed", starts, lines, malformed)
	}
}

// TestWriterCannotRotate lets the creation of the next file fail: the old one
// must go on under its name.
func TestWriterCannotRotate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "conn.log")
	d := new(faultyDisk)
	w := openWriter(t, path, WriterOptions{disk: d, Plain: true})
	w.Write(&Event{Kind: Start})
	var noSpace error = syscall.ENOSPC
	d.create.Store(&noSpace)
	if err := w.Rotate(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("error %v", err)
	}
	w.Write(&Event{Kind: Beat})
	d.create.Store(nil)
	must(t, w.Rotate())
	w.Write(&Event{Kind: Stop})
	must(t, w.Close())
	files := rotatedFiles(t, path)
	if len(files) != 1 {
		t.Fatalf("rotated files %q", files)
	}
	events := append(readAll(t, files[0]), readAll(t, path)...)
	checkOrder(t, events)
	if len(events) != 5 {
		t.Errorf("events %v", kinds(events))
	}
}

// TestWriterCloseIsBounded closes while the disk fails for good.
func TestWriterCloseIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "conn.log")
	d := new(faultyDisk)
	w := openWriter(t, path, WriterOptions{disk: d, CloseTimeout: 20 * time.Millisecond})
	full := func([]byte) (int, error) { return 0, syscall.ENOSPC }
	d.write.Store(&full)
	for range 10 {
		w.Write(&Event{Kind: Beat})
	}
	if err := w.Close(); !errors.Is(err, ErrLost) || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("error %v", err)
	}
	if s := w.Stats(); s.Lost != 10 {
		t.Errorf("stats %+v", s)
	}
}

// TestWriterFullTmpfs fills a real file system.
func TestWriterFullTmpfs(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("a tmpfs of its own needs root: %v", err)
	}
	defer func() { must(t, syscall.Unmount(dir, syscall.MNT_DETACH)) }()
	path := filepath.Join(dir, "conn.log")
	w := openWriter(t, path, WriterOptions{MaxPending: 4000, Plain: true})
	ballast := filepath.Join(dir, "ballast")
	must(t, os.WriteFile(ballast, make([]byte, 32<<10), 0o600))
	w.Write(&Event{Kind: Start})
	w.Write(&Event{Kind: Open, Service: "smtp", Conn: 1})
	for w.Stats().Lost == 0 {
		w.Write(&Event{Kind: Fail, Service: "smtp", Conn: 1, What: FailCommand})
	}
	must(t, os.Remove(ballast))
	eventually(t, func() bool { return hasKind(path, Lost) })
	must(t, w.Close())
	events := readAll(t, path)
	at := slices.IndexFunc(events, func(e Event) bool { return e.Kind == Lost })
	if !events[at+1].Continued || events[at+2].Conn != 1 {
		t.Errorf("after the loss: %+v", events[at+1:])
	}
	if total := events[len(events)-1].Seq; total != uint64(len(events))+w.Stats().Lost {
		t.Errorf("last seq %d, %d lines, %d lost", total, len(events), w.Stats().Lost)
	}
}
