package mailstore

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// copyOf is a message in the model: its text is its identity, and a copy has
// the same.
type copyOf struct {
	text  string
	flags Flags
	new   bool
	uid   uint32 // 0 until somebody has looked
}

// modelFolder is a folder as it must be.
type modelFolder struct {
	validity, last uint32 // 0 until somebody has looked
	messages       []copyOf
}

// machine does the same to two stores of one folder, as two processes have
// them, and to a model.
type machine struct {
	t       *rapid.T
	stores  [2]*Store
	folders map[string]*modelFolder
	seen    map[uint32]bool // validities
	texts   int
}

// hastyDisk does not wait for the disk: nobody crashes here.
type hastyDisk struct{ realDisk }

type hastyFile struct{ file }

func (hastyFile) Sync() error { return nil }

func (d hastyDisk) Create(path string) (file, error) {
	f, err := d.realDisk.Create(path)
	return hastyFile{f}, err
}

func (d hastyDisk) Append(path string, size int64) (file, error) {
	f, err := d.realDisk.Append(path, size)
	return hastyFile{f}, err
}

func (hastyDisk) SyncDir(string) error { return nil }

func hastyStore(root string) *Store {
	s := NewStore(root)
	s.disk = hastyDisk{}
	return s
}

// TestMailboxMachine compares mailboxes with a plain model.
func TestMailboxMachine(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		root, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatal(err)
		}
		m := &machine{
			t: rt, stores: [2]*Store{hastyStore(root), hastyStore(root)},
			folders: map[string]*modelFolder{Inbox: {}}, seen: make(map[uint32]bool),
		}
		rt.Repeat(map[string]func(*rapid.T){
			"":        func(*rapid.T) { m.check() },
			"deliver": func(*rapid.T) { m.deliver() },
			"append":  func(*rapid.T) { m.append() },
			"flags":   func(*rapid.T) { m.flags() },
			"foreign": func(*rapid.T) { m.foreign() },
			"take":    func(*rapid.T) { m.take() },
			"remove":  func(*rapid.T) { m.remove() },
			"move":    func(*rapid.T) { m.transfer(true) },
			"copy":    func(*rapid.T) { m.transfer(false) },
			"create":  func(*rapid.T) { m.create() },
			"delete":  func(*rapid.T) { m.delete() },
			"rename":  func(*rapid.T) { m.rename() },
			"restart": func(*rapid.T) { m.stores[m.one()] = hastyStore(root) },
		})
	})
}

func (m *machine) one() int      { return rapid.IntRange(0, 1).Draw(m.t, "process") }
func (m *machine) store() *Store { return m.stores[m.one()] }

func (m *machine) folder() (string, *modelFolder) {
	names := make([]string, 0, len(m.folders))
	for name := range m.folders {
		names = append(names, name)
	}
	slices.Sort(names)
	name := rapid.SampledFrom(names).Draw(m.t, "folder")
	return name, m.folders[name]
}

func (m *machine) name() string {
	return rapid.SampledFrom([]string{"A", "B", "A/C", "A/C/D", "Ü"}).Draw(m.t, "name")
}

func (m *machine) text() string {
	m.texts++
	return fmt.Sprintf("message %d\nline\n", m.texts)
}

func (m *machine) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

// with opens a folder, looks, and brings the model's UIDs up to date.
func (m *machine) with(s *Store, name string, do func(*Mailbox)) {
	m.t.Helper()
	b, err := s.OpenFolder("anna", name)
	m.must(err)
	defer b.Close()
	l, err := b.Look()
	m.must(err)
	m.compare(name, b, l)
	do(b)
}

// check looks at everything through one of the stores.
func (m *machine) check() {
	s := m.store()
	names, err := s.Folders("anna")
	m.must(err)
	if len(names) != len(m.folders) {
		m.t.Fatalf("folders %q, want %d", names, len(m.folders))
	}
	for _, name := range names {
		m.with(s, name, func(*Mailbox) {})
	}
}

// compare fails unless a folder holds what the model does. Messages that have
// no UID in the model take it from the listing, and it must be a new one.
func (m *machine) compare(name string, b *Mailbox, l *Listing) {
	m.t.Helper()
	f := m.folders[name]
	if f == nil || len(l.Messages) != len(f.messages) {
		m.t.Fatalf("%s: %d messages, model %+v", name, len(l.Messages), f)
	}
	if f.validity == 0 {
		if m.seen[l.Validity] {
			m.t.Fatalf("%s: validity %d was another folder's", name, l.Validity)
		}
		f.validity, m.seen[l.Validity] = l.Validity, true
	}
	if l.Validity != f.validity {
		m.t.Fatalf("%s: validity %d was %d", name, l.Validity, f.validity)
	}
	before, last := uint32(0), f.last
	for i := range l.Messages {
		msg := &l.Messages[i]
		text := m.read(b, msg)
		at := slices.IndexFunc(f.messages, func(c copyOf) bool { return c.uid == msg.UID && c.text == text })
		if at < 0 {
			at = slices.IndexFunc(f.messages, func(c copyOf) bool { return c.uid == 0 && c.text == text })
			if at < 0 || msg.UID <= last {
				m.t.Fatalf("%s: unexpected %+v %q, last UID %d, model %+v", name, msg, text, last, f.messages)
			}
			f.messages[at].uid = msg.UID
		}
		if c := f.messages[at]; c.flags != msg.Flags || c.new != msg.New || msg.UID <= before {
			m.t.Fatalf("%s: %+v, model %+v", name, msg, c)
		}
		before = msg.UID
		f.last = max(f.last, msg.UID)
	}
	if l.Next <= f.last {
		m.t.Fatalf("%s: next %d, last %d", name, l.Next, f.last)
	}
}

func (m *machine) read(b *Mailbox, msg *Message) string {
	m.t.Helper()
	r, err := b.OpenMessage(msg.UID)
	m.must(err)
	text, err := io.ReadAll(r)
	m.must(errors.Join(err, r.Close()))
	if int64(len(text)) != msg.Size {
		m.t.Fatalf("%d octets, size %d", len(text), msg.Size)
	}
	return strings.ReplaceAll(string(text), "\r\n", "\n")
}

func (m *machine) deliver() {
	text := m.text()
	m.must(deliver(m.store(), text, "anna"))
	f := m.folders[Inbox]
	f.messages = append(f.messages, copyOf{text: text, new: true})
}

func (m *machine) append() {
	name, f := m.folder()
	text, flags := m.text(), Flags(rapid.IntRange(0, int(AllFlags)).Draw(m.t, "flags"))
	m.with(m.store(), name, func(b *Mailbox) {
		validity, uid, err := b.Append(flags, time.Unix(rapid.Int64Range(0, 2e9).Draw(m.t, "date"), 0), strings.NewReader(strings.ReplaceAll(text, "\n", "\r\n")))
		m.must(err)
		if validity != f.validity || uid <= f.last {
			m.t.Fatalf("appended as %d %d after %d", validity, uid, f.last)
		}
		f.messages, f.last = append(f.messages, copyOf{text: text, flags: flags, uid: uid}), uid
	})
}

// some draws messages of a folder that was looked at.
func (m *machine) some(f *modelFolder) (places []int, uids []uint32) {
	for i := range f.messages {
		if rapid.Bool().Draw(m.t, "this") {
			places = append(places, i)
		}
	}
	slices.SortFunc(places, func(a, b int) int { return int(f.messages[a].uid) - int(f.messages[b].uid) })
	for _, i := range places {
		uids = append(uids, f.messages[i].uid)
	}
	return places, uids
}

func (m *machine) flags() {
	name, f := m.folder()
	m.with(m.store(), name, func(b *Mailbox) {
		places, uids := m.some(f)
		set := Flags(rapid.IntRange(0, int(AllFlags)).Draw(m.t, "set"))
		clear := Flags(rapid.IntRange(0, int(AllFlags)).Draw(m.t, "clear"))
		changed, err := b.ChangeFlags(append(slices.Clone(uids), 1e6), set, clear)
		m.must(err)
		if !slices.Equal(changed, uids) {
			m.t.Fatalf("changed %v of %v", changed, uids)
		}
		for _, i := range places {
			c := &f.messages[i]
			c.flags, c.new = c.flags&^clear|set, false
		}
	})
}

// foreign is another program that marks a message as read.
func (m *machine) foreign() {
	name, f := m.folder()
	m.with(m.store(), name, func(b *Mailbox) {
		l, err := b.Look()
		m.must(err)
		if len(l.Messages) == 0 {
			return
		}
		msg := rapid.SampledFrom(l.Messages).Draw(m.t, "message")
		m.must(os.Rename(filepath.Join(b.folder.dir, msg.path()), filepath.Join(b.folder.dir, "cur", msg.Name+":2,S")))
		for i := range f.messages {
			if f.messages[i].uid == msg.UID {
				f.messages[i].flags, f.messages[i].new = Seen, false
			}
		}
		// With what it knows, the mailbox finds the message all the same.
		_, err = b.OpenMessage(msg.UID)
		m.must(err)
	})
}

func (m *machine) take() {
	name, f := m.folder()
	m.with(m.store(), name, func(b *Mailbox) {
		taken, err := b.TakeNew()
		m.must(err)
		for i := range f.messages {
			if c := &f.messages[i]; c.new {
				if c.new = false; !slices.Contains(taken, c.uid) {
					m.t.Fatalf("%d was not taken: %v", c.uid, taken)
				}
			}
		}
	})
}

func (m *machine) remove() {
	name, f := m.folder()
	m.with(m.store(), name, func(b *Mailbox) {
		_, uids := m.some(f)
		removed, err := b.Remove(append(slices.Clone(uids), 1e6))
		m.must(err)
		if !slices.Equal(removed, uids) {
			m.t.Fatalf("removed %v of %v", removed, uids)
		}
		f.messages = slices.DeleteFunc(f.messages, func(c copyOf) bool { return slices.Contains(uids, c.uid) })
	})
}

func (m *machine) transfer(move bool) {
	name, f := m.folder()
	toName, to := m.folder()
	if move && f == to {
		return
	}
	m.with(m.store(), name, func(b *Mailbox) {
		m.with(m.store(), toName, func(*Mailbox) {})
		places, uids := m.some(f)
		do := b.Copy
		if move {
			do = b.Move
		}
		tr, err := do(append(slices.Clone(uids), 1e6), toName)
		m.must(err)
		if len(tr.Pairs) != len(uids) || tr.Validity != to.validity {
			m.t.Fatalf("%+v of %v", tr, uids)
		}
		for i, p := range tr.Pairs {
			if p.From != uids[i] || p.To <= to.last {
				m.t.Fatalf("%+v of %v, last %d", tr, uids, to.last)
			}
			c := f.messages[places[i]]
			c.uid, c.new, to.last = p.To, false, p.To
			to.messages = append(to.messages, c)
		}
		if move {
			f.messages = slices.DeleteFunc(f.messages, func(c copyOf) bool { return slices.Contains(uids, c.uid) })
		}
	})
}

func (m *machine) create() {
	name := m.name()
	err := m.store().CreateFolder("anna", name)
	if m.folders[name] != nil {
		if !errors.Is(err, ErrFolderExists) {
			m.t.Fatal(err)
		}
		return
	}
	m.must(err)
	m.parents(name)
	m.folders[name] = &modelFolder{}
}

func (m *machine) parents(name string) {
	for i := range len(name) {
		if name[i] == '/' && m.folders[name[:i]] == nil {
			m.folders[name[:i]] = &modelFolder{}
		}
	}
}

func (m *machine) delete() {
	name := m.name()
	err := m.store().DeleteFolder("anna", name)
	if m.folders[name] == nil {
		if !errors.Is(err, ErrNoFolder) {
			m.t.Fatal(err)
		}
		return
	}
	m.must(err)
	delete(m.folders, name)
}

func (m *machine) rename() {
	from, to := m.name(), m.name()
	err := m.store().RenameFolder("anna", from, to)
	moves, clash := map[string]string{}, false
	for name := range m.folders {
		if rest, ok := strings.CutPrefix(name+"/", from+"/"); ok {
			moves[name] = strings.TrimSuffix(to+"/"+rest, "/")
			clash = clash || m.folders[moves[name]] != nil
		}
	}
	if m.folders[from] == nil || clash || from == to || strings.HasPrefix(to, from+"/") {
		if err == nil {
			m.t.Fatalf("renamed %s to %s", from, to)
		}
		return
	}
	m.must(err)
	m.parents(to)
	renamed := map[string]*modelFolder{}
	for old, name := range moves {
		renamed[name] = m.folders[old]
		delete(m.folders, old)
	}
	for name, f := range renamed {
		m.folders[name] = f
	}
}
