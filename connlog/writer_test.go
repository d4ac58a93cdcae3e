package connlog

import (
	"bytes"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
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
	// The pool has been given more threads since.
	w.Write(&Event{Kind: Beat, Services: []Service{{Service: "smtp", Pool: "mail", Threads: 12}, {Service: "imap", Pool: "mail", Threads: 12}}})
	// A clock that is ahead: only the Writer keeps the files apart then.
	w.Write(&Event{Kind: Close, Conn: 4, Time: time.Now().Add(time.Minute)})
	must(t, w.Rotate())
	must(t, w.Rotate()) // there is nothing in the new file but its head
	w.Write(&Event{Kind: Stop})
	must(t, w.Close())

	files := rotatedFiles(t, path)
	if len(files) != 1 {
		t.Fatalf("rotated files %q", files)
	}
	events := readAll(t, path)
	older := readAll(t, files[0])
	checkOrder(t, append(older, events...))
	if !events[0].Time.After(older[len(older)-1].Time) {
		t.Errorf("the file begins at %v, when the one before ends", events[0].Time)
	}
	if got := kinds(events); !slices.Equal(got, []Kind{Start, Open, Open, Open, Stop}) {
		t.Fatalf("events %v", got)
	}
	start := events[0]
	if !start.Continued || start.Schema != SchemaVersion || start.Host != "mx" || len(start.Services) != 3 || start.Services[0].Service != "smtp" || start.Services[0].Threads != 12 {
		t.Errorf("start %+v", start)
	}
	for i, want := range []Event{
		{Service: "smtp", Conn: 1, Busy: 1, Fails: 2, Threads: 12},
		{Service: "www", Conn: 2, Busy: 1, Threads: 5},
		{Service: "imap", Conn: 3, Busy: 2, Proven: true, Threads: 12},
	} {
		got := events[i+1]
		if got.Service != want.Service || got.Conn != want.Conn || got.Busy != want.Busy || got.Fails != want.Fails ||
			got.Proven != want.Proven || got.ClientIP != ip || got.ClientPort != 4000 || got.Threads != want.Threads ||
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
	t.Parallel() // it waits for seconds
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
