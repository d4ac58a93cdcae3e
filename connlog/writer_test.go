package connlog

import (
	"bytes"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

func openWriter(t *testing.T, path string, o WriterOptions) *Writer {
	t.Helper()
	w, err := OpenWriter(path, o)
	must(t, err)
	t.Cleanup(func() { _ = w.Close() }) // the test has looked at the first Close
	return w
}

// readAll returns the events of a file; all its lines must be good.
func readAll(t *testing.T, path string) (events []Event) {
	t.Helper()
	r, err := OpenReader(path)
	must(t, err)
	defer r.Close() //nolint:errcheck // it was only read
	for e, err := range r.Events() {
		must(t, err)
		c := *e
		c.Services = slices.Clone(e.Services)
		events = append(events, c)
	}
	return events
}

// rotatedFiles returns the rotated files, oldest first.
func rotatedFiles(t *testing.T, path string) []string {
	t.Helper()
	base, _ := splitName(path)
	names, err := filepath.Glob(base + "-*")
	must(t, err)
	slices.Sort(names)
	return names
}

// checkOrder fails unless seq goes up by one and time never goes back.
func checkOrder(t *testing.T, events []Event) {
	t.Helper()
	for i := 1; i < len(events); i++ {
		a, b := events[i-1], events[i]
		if a.Boot == b.Boot && (b.Seq != a.Seq+1 || b.Time.Before(a.Time)) {
			t.Errorf("line %d: %s %d %v after %s %d %v", i, b.Kind, b.Seq, b.Time, a.Kind, a.Seq, a.Time)
		}
	}
}

func kinds(events []Event) (kinds []Kind) {
	for _, e := range events {
		kinds = append(kinds, e.Kind)
	}
	return kinds
}

func TestWriterManyAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "conn.log")
	w := openWriter(t, path, WriterOptions{})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 500 {
				w.Write(&Event{Kind: Fail, Conn: uint64(g*500 + i + 1), What: FailLogin})
			}
		})
	}
	wg.Wait()
	must(t, w.Close())
	events := readAll(t, path)
	checkOrder(t, events)
	seen := make(map[uint64]bool)
	for _, e := range events {
		seen[e.Conn] = true
	}
	if len(events) != 4000 || len(seen) != 4000 || events[0].Boot != w.Boot() {
		t.Errorf("%d lines of %d connections", len(events), len(seen))
	}
	if s := w.Stats(); s.Lines != 4000 || s.Lost != 0 || s.Pending != 0 {
		t.Errorf("stats %+v", s)
	}
}

// TestWriterTimes gives times in the past; the log must not go back.
func TestWriterTimes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "conn.log")
	w := openWriter(t, path, WriterOptions{MaxAge: -1})
	at := time.Date(2026, 11, 23, 12, 0, 0, 123456789, time.FixedZone("", 3600))
	w.Write(&Event{Kind: Beat, Time: at})
	w.Write(&Event{Kind: Beat, Time: at.Add(-time.Hour)})
	w.Write(&Event{Kind: Beat, Time: at.Add(time.Hour)})
	must(t, w.Close())
	events := readAll(t, path)
	checkOrder(t, events)
	if !events[0].Time.Equal(at.Truncate(time.Microsecond)) || !events[1].Time.Equal(events[0].Time) {
		t.Errorf("times %v, %v", events[0].Time, events[1].Time)
	}
}

// TestWriterFilesStandAlone rotates with connections open and reads the new
// file only.
func TestWriterFilesStandAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "conn.log")
	w := openWriter(t, path, WriterOptions{Plain: true})
	begin := time.Now().Add(-time.Minute).UTC().Truncate(time.Microsecond)
	services := []Service{{Service: "smtp", Pool: "mail", Threads: 9}, {Service: "imap", Pool: "mail", Threads: 9}, {Service: "www", Threads: 5}}
	w.Write(&Event{Kind: Start, Time: begin, Version: "1", Host: "mx", Services: services})
	services[0].Service = "changed by the caller"
	ip := netip.MustParseAddr("2001:db8::9")
	for i, service := range []string{"smtp", "www", "imap", "smtp"} {
		w.Write(&Event{Kind: Open, Time: begin, Service: service, Conn: uint64(i + 1), ClientIP: ip, ClientPort: 4000, Threads: 9})
	}
	w.Write(&Event{Kind: Proven, Conn: 3, By: ByLogin})
	w.Write(&Event{Kind: Fail, Conn: 1, What: FailLogin})
	w.Write(&Event{Kind: Fail, Conn: 1, What: FailLogin})
	w.Write(&Event{Kind: Close, Conn: 4})
	must(t, w.Rotate())
	must(t, w.Rotate()) // there is nothing in the new file but its head
	w.Write(&Event{Kind: Stop})
	must(t, w.Close())

	files := rotatedFiles(t, path)
	if len(files) != 1 {
		t.Fatalf("rotated files %q", files)
	}
	events := readAll(t, path)
	checkOrder(t, append(readAll(t, files[0]), events...))
	if got := kinds(events); !slices.Equal(got, []Kind{Start, Open, Open, Open, Stop}) {
		t.Fatalf("events %v", got)
	}
	start := events[0]
	if !start.Continued || start.Schema != SchemaVersion || start.Host != "mx" || len(start.Services) != 3 || start.Services[0].Service != "smtp" {
		t.Errorf("start %+v", start)
	}
	for i, want := range []Event{
		{Service: "smtp", Conn: 1, Busy: 1, Fails: 2},
		{Service: "www", Conn: 2, Busy: 1},
		{Service: "imap", Conn: 3, Busy: 2, Proven: true},
	} {
		got := events[i+1]
		if got.Service != want.Service || got.Conn != want.Conn || got.Busy != want.Busy || got.Fails != want.Fails ||
			got.Proven != want.Proven || got.ClientIP != ip || got.ClientPort != 4000 || got.Threads != 9 ||
			!got.Time.Add(-got.Held).Equal(begin) {
			t.Errorf("carried %+v", got)
		}
	}
}

func TestWriterRotatesBySizeAndKeeps(t *testing.T) {
	path := filepath.Join(t.TempDir(), "conn.log")
	w := openWriter(t, path, WriterOptions{MaxBytes: 1000, Keep: 3, Plain: true})
	for range 200 {
		w.Write(&Event{Kind: Beat})
	}
	eventually(t, func() bool { return w.Stats().Pending == 0 && len(rotatedFiles(t, path)) == 3 })
	must(t, w.Close())
	var events []Event
	for _, name := range append(rotatedFiles(t, path), path) {
		info, err := os.Stat(name)
		must(t, err)
		if info.Size() > 1500 {
			t.Errorf("%s has %d bytes", name, info.Size())
		}
		events = append(events, readAll(t, name)...)
	}
	checkOrder(t, events)
	if len(events) < 20 {
		t.Errorf("%d lines", len(events))
	}
}

func TestWriterRotatesByAge(t *testing.T) {
	path := filepath.Join(t.TempDir(), "conn.log")
	old := Event{Kind: Beat, Time: time.Now().Add(-2 * time.Hour), Boot: "old", Seq: 1}
	appendTo(t, path, string(Append(nil, &old))+"\n")
	w := openWriter(t, path, WriterOptions{MaxAge: time.Hour, Plain: true})
	w.Write(&Event{Kind: Start})
	w.Write(&Event{Kind: Beat})
	must(t, w.Close())
	events := readAll(t, path)
	if len(rotatedFiles(t, path)) != 1 || !slices.Equal(kinds(events), []Kind{Start, Beat}) || events[0].Continued {
		t.Errorf("rotated %q, events %+v", rotatedFiles(t, path), events)
	}
}

func TestWriterCompresses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "conn.log")
	leftover := rotatedName(path, time.Now().Add(-time.Hour)) + ".zst" + temporarySuffix
	appendTo(t, leftover, "half")
	foreign := filepath.Join(filepath.Dir(path), "conn-notes.log")
	appendTo(t, foreign, "not ours\n")
	w := openWriter(t, path, WriterOptions{MaxBytes: 2000, Keep: -1})
	for range 100 {
		w.Write(&Event{Kind: Beat})
	}
	eventually(t, func() bool {
		for _, name := range rotatedFiles(t, path) {
			if name != foreign && filepath.Ext(name) != ".zst" {
				return false
			}
		}
		return w.Stats().Pending == 0
	})
	must(t, w.Close())
	var events []Event
	for _, name := range append(rotatedFiles(t, path), path) {
		if name != foreign {
			events = append(events, readAll(t, name)...)
		}
	}
	checkOrder(t, events)
	if _, err := os.Stat(foreign); err != nil || events[0].Seq != 1 {
		t.Errorf("%v, first seq %d", err, events[0].Seq)
	}
}

func TestWriterEndsTornLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "conn.log")
	appendTo(t, path, `{"time":"2026-11-23T14:2`)
	w := openWriter(t, path, WriterOptions{})
	w.Write(&Event{Kind: Start})
	must(t, w.Close())
	r, err := OpenReader(path)
	must(t, err)
	defer r.Close() //nolint:errcheck // it was only read
	var good, malformed int
	for e, err := range r.Events() {
		if err != nil {
			malformed++
		} else if e.Kind == Start {
			good++
		}
	}
	if good != 1 || malformed != 1 {
		t.Errorf("%d good, %d malformed", good, malformed)
	}
}

func TestWriterIsAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "conn.log")
	w := openWriter(t, path, WriterOptions{})
	if _, err := OpenWriter(path, WriterOptions{}); !errors.Is(err, ErrInUse) {
		t.Errorf("error %v", err)
	}
	must(t, w.Close())
	must(t, w.Close())
	w.Write(&Event{Kind: Stop}) // does nothing
	if err := w.Rotate(); !errors.Is(err, ErrClosed) {
		t.Errorf("error %v", err)
	}
	must(t, openWriter(t, path, WriterOptions{}).Close())
}

func TestWriterCutsLongUsers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "conn.log")
	w := openWriter(t, path, WriterOptions{})
	w.Write(&Event{Kind: Fail, User: "x" + string(bytes.Repeat([]byte("é"), 1000))})
	must(t, w.Close())
	if user := readAll(t, path)[0].User; user != "x"+string(bytes.Repeat([]byte("é"), 255)) {
		t.Errorf("%d bytes %q", len(user), user)
	}
}

// TestWriterExternalRotation renames and removes the file under the Writer.
func TestWriterExternalRotation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "conn.log")
	w := openWriter(t, path, WriterOptions{Plain: true})
	w.Write(&Event{Kind: Start})
	w.Write(&Event{Kind: Open, Service: "smtp", Conn: 1})
	eventually(t, func() bool { return w.Stats().Lines == 2 })
	appears := func() {
		t.Helper()
		eventually(t, func() bool {
			w.Write(&Event{Kind: Beat})
			_, err := os.Stat(path)
			return err == nil
		})
	}
	must(t, os.Rename(path, path+".1"))
	appears()
	eventually(t, func() bool { return w.Stats().Pending == 0 })
	events := append(readAll(t, path+".1"), readAll(t, path)...)
	checkOrder(t, events)
	if own := readAll(t, path); !own[0].Continued || own[1].Conn != 1 || own[1].Held == 0 {
		t.Errorf("head %+v", own[:2])
	}

	must(t, os.Remove(path))
	appears()
	must(t, w.Close())
	own := readAll(t, path)
	at := slices.IndexFunc(own, func(e Event) bool { return e.Kind == Lost })
	if at < 0 || own[at].Count == 0 || !own[at+1].Continued || own[at+2].Conn != 1 {
		t.Errorf("events %+v", own)
	}
}

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
