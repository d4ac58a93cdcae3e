package mailstore

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func uidPath(s *Store) string { return filepath.Join(s.Path("anna"), uidFile) }

func TestUIDListIsTorn(t *testing.T) {
	s := NewStore(t.TempDir())
	for range 3 {
		if err := deliver(s, "x", "anna"); err != nil {
			t.Fatal(err)
		}
	}
	first := list(t, open(t, s, "anna", Inbox))
	whole, err := os.ReadFile(uidPath(s))
	if err != nil {
		t.Fatal(err)
	}
	for cut := len(whole) - 1; cut > bytes.IndexByte(whole, '\n'); cut-- {
		if err := os.WriteFile(uidPath(s), whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		l := list(t, open(t, NewStore(s.root), "anna", Inbox))
		if l.Validity != first.Validity || !slices.Equal(uids(l), []uint32{1, 2, 3}) {
			t.Fatalf("cut at %d: %+v", cut, l)
		}
	}
	for _, damage := range []string{"", "nonsense\n", uidMagic + "5 1\n3 x y\n", uidMagic + "5 1\n2 1 a\n1 1 b\n"} {
		if err := os.WriteFile(uidPath(s), []byte(damage), 0o600); err != nil {
			t.Fatal(err)
		}
		l := list(t, open(t, NewStore(s.root), "anna", Inbox))
		if l.Validity <= first.Validity || len(l.Messages) != 3 {
			t.Errorf("%q: %+v, first %+v", damage, l, first)
		}
		first = l
	}
}

// A list does not grow for ever, and being written anew it forgets no UID.
func TestUIDListIsCompacted(t *testing.T) {
	s := NewStore(t.TempDir())
	m := open(t, s, "anna", Inbox)
	cur := filepath.Join(s.Path("anna"), "cur")
	for round := range 3 {
		for i := range minDead / 2 {
			writeFile(t, filepath.Join(cur, fmt.Sprintf("%d.M%dR%d.h,S=1,W=1:2,", 1000000000, i+1, round)), "x")
		}
		l := list(t, m)
		if _, err := m.Remove(uids(l)); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(uidPath(s))
	if err != nil || info.Size() > 30<<10 {
		t.Errorf("%v, %v", info, err)
	}
	l := list(t, open(t, NewStore(s.root), "anna", Inbox))
	if l.Next != 3*minDead/2+1 || len(l.Messages) != 0 {
		t.Errorf("%+v", l)
	}
	if err := deliver(s, "x", "anna"); err != nil {
		t.Fatal(err)
	}
	if l := list(t, m); !slices.Equal(uids(l), []uint32{3*minDead/2 + 1}) {
		t.Errorf("%+v", l)
	}
}

func TestUIDsRunOut(t *testing.T) {
	s := NewStore(t.TempDir())
	m := open(t, s, "anna", Inbox)
	first := list(t, m).Validity
	writeFile(t, uidPath(s), fmt.Sprintf("%s%d %d\n", uidMagic, first, ^uint32(0)-1))
	for range 3 {
		if err := deliver(s, "x", "anna"); err != nil {
			t.Fatal(err)
		}
	}
	l := list(t, open(t, NewStore(s.root), "anna", Inbox))
	if l.Validity <= first || !slices.Equal(uids(l), []uint32{1, 2, 3}) {
		t.Errorf("%+v", l)
	}
}

// Messages from other software have no sizes in their names.
func TestForeignMail(t *testing.T) {
	s := NewStore(t.TempDir())
	m := open(t, s, "anna", Inbox)
	dir := s.Path("anna")
	writeFile(t, filepath.Join(dir, "new", "1700000000.1_2.host"), "a\nb\r\nc\n")
	writeFile(t, filepath.Join(dir, "cur", "weird:2,SaRX"), "a\n")
	writeFile(t, filepath.Join(dir, "cur", ".hidden"), "a\n")
	writeFile(t, filepath.Join(dir, "cur", "two\nlines:2,"), "a\n")
	l := list(t, m)
	if len(l.Messages) != 2 {
		t.Fatalf("%+v", l)
	}
	for _, msg := range l.Messages {
		if got := text(t, m, msg.UID); int64(len(got)) != msg.Size || strings.Contains(strings.ReplaceAll(got, "\r\n", ""), "\n") {
			t.Errorf("%+v: %q", msg, got)
		}
	}
	i := slices.IndexFunc(l.Messages, func(m Message) bool { return m.Name == "weird" })
	if i < 0 || l.Messages[i].Flags != Seen|Replied {
		t.Errorf("%+v", l)
	}
	if i := 1 - i; l.Messages[i].Received().Unix() != 1700000000 {
		t.Errorf("received %v", l.Messages[i].Received())
	}
}

func TestFolderNames(t *testing.T) {
	for name, dir := range map[string]string{"INBOX": "", "A": ".A", "Work/2026": ".Work.2026", "Größe/ä b": ".Größe.ä b"} {
		if got, err := folderDir(name); err != nil || got != dir {
			t.Errorf("%q: %q, %v", name, got, err)
		}
		if back, ok := folderName(dir); dir != "" && (!ok || back != name) {
			t.Errorf("%q: %q", dir, back)
		}
	}
	for _, name := range []string{"", "/", "a/", "/a", "a//b", ".", "..", "a.b", "../x", "a/..", "a\x00", "a\n", "a*", "\xff", "inbox", "Inbox/a", "INBOX/a", "a\u2028b", strings.Repeat("a", 201)} {
		if dir, err := folderDir(name); !errors.Is(err, ErrFolderName) {
			t.Errorf("%q: %q, %v", name, dir, err)
		}
	}
	s := NewStore(t.TempDir())
	if _, err := s.OpenFolder("anna", "none"); !errors.Is(err, ErrNoFolder) {
		t.Error(err)
	}
	if err := s.DeleteFolder("anna", Inbox); !errors.Is(err, ErrFolderName) {
		t.Error(err)
	}
	if _, err := s.Open("../x"); !errors.Is(err, ErrName) {
		t.Error(err)
	}
}

func TestTooManyFolders(t *testing.T) {
	s := NewStore(t.TempDir())
	open(t, s, "anna", Inbox)
	for i := range maxFolders - 1 {
		if err := os.Mkdir(filepath.Join(s.Path("anna"), fmt.Sprintf(".f%d", i)), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.CreateFolder("anna", "one"); !errors.Is(err, ErrFolders) {
		t.Error(err)
	}
}

func TestSubscriptions(t *testing.T) {
	s := NewStore(t.TempDir())
	for _, name := range []string{"b", "a", Inbox, "a"} {
		if err := s.Subscribe("anna", name, true); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Subscribe("anna", "b", false); err != nil {
		t.Fatal(err)
	}
	if err := s.Subscribe("anna", "x\ny", true); !errors.Is(err, ErrFolderName) {
		t.Error(err)
	}
	if got, err := NewStore(s.root).Subscriptions("anna"); err != nil || !slices.Equal(got, []string{Inbox, "a"}) {
		t.Errorf("%q, %v", got, err)
	}
}

func TestSweep(t *testing.T) {
	s := NewStore(t.TempDir())
	tmp := filepath.Join(s.Path("anna"), "tmp")
	open(t, s, "anna", Inbox)
	old, young := filepath.Join(tmp, "old"), filepath.Join(tmp, "young")
	for path, age := range map[string]time.Duration{old: 37 * time.Hour, young: 35 * time.Hour} {
		writeFile(t, path, "x")
		if err := os.Chtimes(path, time.Now(), time.Now().Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	open(t, NewStore(s.root), "anna", Inbox)
	if _, err := os.Stat(old); err == nil {
		t.Error("the old one is still there")
	}
	if _, err := os.Stat(young); err != nil {
		t.Error(err)
	}
}

// waitFor reads from a channel.
func waitFor(t *testing.T, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(10 * time.Second):
		t.Fatal("nothing was told")
	}
}

func TestWatch(t *testing.T) {
	s := NewStore(t.TempDir())
	m, again := open(t, s, "anna", Inbox), open(t, s, "anna", Inbox)
	a, stopA := m.Watch()
	b, stopB := again.Watch()
	waitFor(t, a) // What was before.
	waitFor(t, b)
	other := NewStore(s.root) // Another process.
	if err := deliver(other, "x", "anna"); err != nil {
		t.Fatal(err)
	}
	waitFor(t, a)
	waitFor(t, b)
	if l := list(t, m); len(l.Messages) != 1 {
		t.Errorf("%+v", l)
	}
	stopA()
	stopA()
	stopB()
	c, stop := m.Watch() // The loop begins anew.
	waitFor(t, c)
	stop()
}

func FuzzUIDList(f *testing.F) {
	f.Add([]byte(uidMagic + "5 1\n1 10 a,S=9,W=10\n2 10 b\n-a\n"))
	f.Add([]byte(uidMagic + "4294967295 4294967295\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		l := &uidList{byName: make(map[string]*uidEntry)}
		if err := l.parse(text); err != nil {
			return
		}
		if l.validity == 0 || l.next == 0 || l.size > int64(len(text)) {
			t.Errorf("%+v", l)
		}
		seen := map[uint32]bool{}
		for name, e := range l.byName {
			if e.uid == 0 || e.uid >= l.next || seen[e.uid] || e.name != name {
				t.Errorf("%+v", e)
			}
			seen[e.uid] = true
		}
	})
}

func FuzzName(f *testing.F) {
	f.Add("1700000000.M1P2Q3.host,S=5,W=6:2,FS")
	f.Add(",S=:2,")
	f.Fuzz(func(t *testing.T, file string) {
		name, flags, ok := parseName(file)
		if !ok {
			return
		}
		if n, _, again := parseName(fileName(name, flags)); !again || n != name {
			t.Errorf("%q became %q", name, n)
		}
		msg := Message{Name: name}
		if y := msg.Received().UTC().Year(); y < 1970 || y > 9999 {
			t.Errorf("year %d", y)
		}
		if n, ok := nameSize(name, 'S'); ok && n < 0 {
			t.Errorf("size %d", n)
		}
	})
}

func FuzzFolderName(f *testing.F) {
	f.Add("Work/2026")
	f.Add("../x")
	f.Fuzz(func(t *testing.T, name string) {
		dir, err := folderDir(name)
		if err != nil || dir == "" {
			return
		}
		if filepath.Base(dir) != dir || dir == "." || dir == ".." || dir[0] != '.' {
			t.Errorf("%q is %q", name, dir)
		}
		if back, ok := folderName(dir); !ok || back != name {
			t.Errorf("%q became %q", name, back)
		}
	})
}

func FuzzWire(f *testing.F) {
	f.Add([]byte("a\nb\r\nc\rd\r\r\n\n"), 3)
	f.Fuzz(func(t *testing.T, text []byte, piece int) {
		piece = max(1, piece%16)
		var c wireCounter
		for rest := text; len(rest) > 0; {
			n := min(piece, len(rest))
			c.add(rest[:n])
			rest = rest[n:]
		}
		var want []byte
		for i, b := range text {
			if b == '\n' && (i == 0 || text[i-1] != '\r') {
				want = append(want, '\r')
			}
			want = append(want, b)
		}
		var got []byte
		r := newWireReader(nopCloser{bytes.NewReader(text)})
		buf := make([]byte, piece)
		for {
			n, err := r.Read(buf)
			got = append(got, buf[:n]...)
			if err != nil {
				break
			}
		}
		if !bytes.Equal(got, want) || c.size != int64(len(want)) {
			t.Errorf("%q: %q, size %d, want %q", text, got, c.size, want)
		}
	})
}

type nopCloser struct{ *bytes.Reader }

func (nopCloser) Close() error { return nil }
