package mailstore

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func open(t testing.TB, s *Store, user, folder string) *Mailbox {
	t.Helper()
	m, err := s.OpenFolder(user, folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

func list(t testing.TB, m *Mailbox) *Listing {
	t.Helper()
	l, err := m.Look()
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func text(t testing.TB, m *Mailbox, uid uint32) string {
	t.Helper()
	r, err := m.OpenMessage(uid)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err = errors.Join(err, r.Close()); err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func uids(l *Listing) (u []uint32) {
	for i := range l.Messages {
		u = append(u, l.Messages[i].UID)
	}
	return u
}

func TestMailbox(t *testing.T) {
	s := NewStore(t.TempDir())
	for _, text := range []string{"one\n", "two\nlines\n", "three"} {
		if err := deliver(s, text, "anna"); err != nil {
			t.Fatal(err)
		}
	}
	m := open(t, s, "anna", Inbox)
	l := list(t, m)
	if !slices.Equal(uids(l), []uint32{1, 2, 3}) || l.Next != 4 || l.Validity == 0 {
		t.Fatalf("%+v", l)
	}
	if msg := l.Messages[1]; msg.Size != 12 || !msg.New || msg.Flags != 0 || time.Since(msg.Received()) > time.Minute {
		t.Errorf("%+v", msg)
	}
	if got := text(t, m, 2); got != "two\r\nlines\r\n" {
		t.Errorf("%q", got)
	}
	if taken, err := m.TakeNew(); err != nil || !slices.Equal(taken, []uint32{1, 2, 3}) {
		t.Errorf("%v, %v", taken, err)
	}
	if taken, err := m.TakeNew(); err != nil || len(taken) != 0 {
		t.Errorf("taken twice: %v, %v", taken, err)
	}
	if changed, err := m.ChangeFlags([]uint32{1, 3, 9}, Seen|Trashed, 0); err != nil || !slices.Equal(changed, []uint32{1, 3}) {
		t.Errorf("%v, %v", changed, err)
	}
	if removed, err := m.Remove([]uint32{1}); err != nil || !slices.Equal(removed, []uint32{1}) {
		t.Errorf("%v, %v", removed, err)
	}
	if _, err := m.OpenMessage(1); !errors.Is(err, ErrGone) {
		t.Errorf("removed: %v", err)
	}
	validity, uid, err := m.Append(Flagged, time.Unix(1e9, 0), strings.NewReader("four\r\n"))
	if err != nil || validity != l.Validity || uid != 4 {
		t.Fatalf("%d, %d, %v", validity, uid, err)
	}
	if err := s.CreateFolder("anna", "Work/2026"); err != nil {
		t.Fatal(err)
	}
	if tr, err := m.Move([]uint32{2}, "Work/2026"); err != nil || !slices.Equal(tr.Pairs, []Pair{{2, 1}}) || tr.Validity == l.Validity {
		t.Errorf("%+v, %v", tr, err)
	}
	if tr, err := m.Copy([]uint32{4, 3}, "Work/2026"); err != nil || len(tr.Pairs) != 2 {
		t.Errorf("%+v, %v", tr, err)
	}
	// Another process sees the same.
	other := NewStore(s.root)
	l = list(t, open(t, other, "anna", Inbox))
	if !slices.Equal(uids(l), []uint32{3, 4}) || l.Next != 5 {
		t.Errorf("%+v", l)
	}
	if msg := l.Messages[1]; msg.Flags != Flagged || msg.Received().Unix() != 1e9 || msg.Size != 6 {
		t.Errorf("%+v", msg)
	}
	work := list(t, open(t, other, "anna", "Work/2026"))
	if len(work.Messages) != 3 || work.Messages[0].Size != 12 {
		t.Errorf("%+v", work)
	}
	if got, err := s.Folders("anna"); err != nil || !slices.Equal(got, []string{Inbox, "Work", "Work/2026"}) {
		t.Errorf("%q, %v", got, err)
	}
	if entries, err := os.ReadDir(filepath.Join(s.Path("anna"), "tmp")); err != nil || len(entries) != 0 {
		t.Errorf("left in tmp: %v, %v", entries, err)
	}
}

func TestLock(t *testing.T) {
	s := NewStore(t.TempDir())
	release, err := s.Lock("anna")
	if err != nil {
		t.Fatal(err)
	}
	for _, other := range []*Store{s, NewStore(s.root)} {
		if _, err := other.Lock("anna"); !errors.Is(err, ErrInUse) {
			t.Errorf("locked twice: %v", err)
		}
	}
	if _, err := s.Lock("ben"); err != nil {
		t.Error(err)
	}
	release()
	release()
	again, err := s.Lock("anna")
	if err != nil {
		t.Fatal(err)
	}
	again()
}

// A message must be safe before it has a UID, and the UID before anybody hears
// of it.
func TestOrderOfAppending(t *testing.T) {
	s := NewStore(t.TempDir())
	m := open(t, s, "anna", Inbox)
	list(t, m)
	d := &failingDisk{}
	s.disk = d
	if _, uid, err := m.Append(Seen, time.Time{}, strings.NewReader("x")); err != nil || uid != 1 {
		t.Fatal(uid, err)
	}
	if got := strings.Join(d.calls, ", "); got != "create, write, sync, rename, syncdir cur, append overstay.uids, write, sync" {
		t.Errorf("steps: %s", got)
	}
	// Without its UID the message is stored all the same, and once.
	s.disk = &failingDisk{at: "append overstay.uids", err: errCrash}
	if _, uid, err := m.Append(Seen, time.Time{}, strings.NewReader("y")); err != nil || uid != 0 {
		t.Errorf("%d, %v", uid, err)
	}
	s.disk = realDisk{}
	if l := list(t, m); !slices.Equal(uids(l), []uint32{1, 2}) {
		t.Errorf("%+v", l)
	}
	// A client that goes away in the middle leaves nothing.
	if _, _, err := m.Append(0, time.Time{}, io.MultiReader(strings.NewReader("z"), brokenReader{})); !errors.Is(err, errCrash) {
		t.Error(err)
	}
	if l := list(t, m); len(l.Messages) != 2 || len(leftovers(t, s)) != 0 {
		t.Errorf("%+v, %q", l, leftovers(t, s))
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errCrash }

// What somebody has been given does not change under him.
func TestListingsStay(t *testing.T) {
	s := NewStore(t.TempDir())
	for range 2 {
		if err := deliver(s, "x", "anna"); err != nil {
			t.Fatal(err)
		}
	}
	m := open(t, s, "anna", Inbox)
	l := list(t, m)
	before := slices.Clone(l.Messages)
	if _, err := m.ChangeFlags([]uint32{1}, Seen, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Remove([]uint32{2}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(l.Messages, before) {
		t.Errorf("%+v, before %+v", l.Messages, before)
	}
}

// Another program renames a file just before we do, or has it twice.
func TestForeignChanges(t *testing.T) {
	s := NewStore(t.TempDir())
	for range 3 {
		if err := deliver(s, "x", "anna"); err != nil {
			t.Fatal(err)
		}
	}
	m := open(t, s, "anna", Inbox)
	dir := s.Path("anna")
	names := list(t, m).Messages
	move := func(i int, to string) {
		t.Helper()
		if err := os.Rename(filepath.Join(dir, "new", names[i].Name), filepath.Join(dir, to)); err != nil {
			t.Fatal(err)
		}
	}
	move(0, filepath.Join("cur", names[0].Name+":2,F"))
	move(1, "elsewhere")
	if changed, err := m.ChangeFlags([]uint32{1, 2, 3}, Seen, 0); err != nil || !slices.Equal(changed, []uint32{1, 3}) {
		t.Errorf("%v, %v", changed, err)
	}
	if l := list(t, m); !slices.Equal(uids(l), []uint32{1, 3}) || l.Messages[0].Flags != Seen|Flagged || l.Messages[1].Flags != Seen {
		t.Errorf("%+v", l)
	}
	writeFile(t, filepath.Join(dir, "new", names[0].Name), "x")
	for _, s := range []*Store{s, NewStore(s.root)} {
		if l := list(t, open(t, s, "anna", Inbox)); !slices.Equal(uids(l), []uint32{1, 3}) || l.Messages[0].New {
			t.Errorf("%+v", l)
		}
	}
	writeFile(t, filepath.Join(dir, "new", "1.fresh"), "x")
	writeFile(t, filepath.Join(dir, "cur", "1.fresh:2,"), "x")
	if l := list(t, m); !slices.Equal(uids(l), []uint32{1, 3, 4}) {
		t.Errorf("%+v", l)
	}
}
