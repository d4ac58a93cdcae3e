package mailstore

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

var errCrash = errors.New("crash")

// crashingDisk dies at the nth step, and does nothing afterwards.
type crashingDisk struct {
	hastyDisk
	left int
	dead bool
}

func (d *crashingDisk) step() error {
	if d.left--; d.left < 0 {
		d.dead = true
		return errCrash
	}
	return nil
}

func (d *crashingDisk) Mkdir(path string) error {
	if err := d.step(); err != nil {
		return err
	}
	return d.hastyDisk.Mkdir(path)
}

func (d *crashingDisk) Create(path string) (file, error) {
	if err := d.step(); err != nil {
		return nil, err
	}
	f, err := d.hastyDisk.Create(path)
	return &crashingFile{f, d}, err
}

func (d *crashingDisk) Append(path string, size int64) (file, error) {
	if err := d.step(); err != nil {
		return nil, err
	}
	f, err := d.hastyDisk.Append(path, size)
	return &crashingFile{f, d}, err
}

func (d *crashingDisk) Link(from, to string) error {
	if err := d.step(); err != nil {
		return err
	}
	return d.hastyDisk.Link(from, to)
}

func (d *crashingDisk) Rename(from, to string) error {
	if err := d.step(); err != nil {
		return err
	}
	return d.hastyDisk.Rename(from, to)
}

func (d *crashingDisk) Remove(path string) error {
	if err := d.step(); err != nil {
		return err
	}
	return d.hastyDisk.Remove(path)
}

func (d *crashingDisk) SyncDir(path string) error {
	if err := d.step(); err != nil {
		return err
	}
	return d.hastyDisk.SyncDir(path)
}

type crashingFile struct {
	file
	disk *crashingDisk
}

// Write is torn when the disk dies in it.
func (f *crashingFile) Write(b []byte) (int, error) {
	if err := f.disk.step(); err != nil {
		n, _ := f.file.Write(b[:len(b)/2])
		return n, err
	}
	return f.file.Write(b)
}

func (f *crashingFile) Sync() error {
	if err := f.disk.step(); err != nil {
		return err
	}
	return f.file.Sync()
}

// At whatever step a process dies: the next one finds each message that there
// was exactly once, with the UID that it had.
func TestCrashes(t *testing.T) {
	for name, do := range map[string]func(m *Mailbox) error{
		"append": func(m *Mailbox) error {
			_, _, err := m.Append(Seen, time.Now(), strings.NewReader("four"))
			return err
		},
		"deliver": func(m *Mailbox) error { return deliver(m.account.store, "four", "anna") },
		"flags": func(m *Mailbox) error {
			_, err := m.ChangeFlags([]uint32{1, 2}, Seen, 0)
			return err
		},
		"take": func(m *Mailbox) error {
			_, err := m.TakeNew()
			return err
		},
		"move": func(m *Mailbox) error {
			_, err := m.Move([]uint32{1, 3}, "B")
			return err
		},
		"copy": func(m *Mailbox) error {
			_, err := m.Copy([]uint32{1, 3}, "B")
			return err
		},
		"rename folder": func(m *Mailbox) error { return m.account.store.RenameFolder("anna", "B", "C") },
		"rename inbox":  func(m *Mailbox) error { return m.account.store.RenameFolder("anna", Inbox, "C") },
		"delete folder": func(m *Mailbox) error { return m.account.store.DeleteFolder("anna", "B") },
		"subscribe":     func(m *Mailbox) error { return m.account.store.Subscribe("anna", "B", true) },
	} {
		t.Run(name, func(t *testing.T) {
			for steps := 0; ; steps++ {
				if steps > 200 {
					t.Fatal("it never ends")
				}
				if !crashAt(t, name, steps, do) {
					return
				}
			}
		})
	}
}

// crashAt does it once, and tells whether the disk died.
func crashAt(t *testing.T, name string, steps int, do func(*Mailbox) error) bool {
	t.Helper()
	s := hastyStore(t.TempDir())
	for _, text := range []string{"one", "two", "three"} {
		if err := deliver(s, text, "anna"); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.CreateFolder("anna", "B"); err != nil {
		t.Fatal(err)
	}
	list(t, open(t, s, "anna", "B"))
	m := open(t, s, "anna", Inbox)
	before := map[string]uint32{}
	for _, msg := range list(t, m).Messages {
		before[text(t, m, msg.UID)] = msg.UID
	}
	d := &crashingDisk{left: steps}
	s.disk = d
	err := do(m)

	next := hastyStore(s.root)
	names, listErr := next.Folders("anna")
	if listErr != nil {
		t.Fatal(listErr)
	}
	found := map[string][]string{}
	for _, folder := range names {
		b := open(t, next, "anna", folder)
		for _, msg := range list(t, b).Messages {
			body := text(t, b, msg.UID)
			found[body] = append(found[body], folder)
			if folder == Inbox && before[body] != 0 && before[body] != msg.UID {
				t.Errorf("step %d: %q had UID %d, has %d", steps, body, before[body], msg.UID)
			}
		}
	}
	for body := range before {
		in := found[body]
		if name == "copy" {
			in = slices.DeleteFunc(slices.Clone(in), func(f string) bool { return f != Inbox })
		}
		if len(in) != 1 {
			t.Errorf("step %d: %q is in %q", steps, body, found[body])
		}
	}
	if n := len(found["four"]); err == nil && n != 1 && (name == "append" || name == "deliver") || n > 1 {
		t.Errorf("step %d: the new message is there %d times, error %v", steps, n, err)
	}
	if n := len(found["one"]); name == "copy" && err == nil && n != 2 {
		t.Errorf("step %d: copied, and there %d times", steps, n)
	}
	if !d.dead && err != nil {
		t.Errorf("step %d: %v", steps, err)
	}
	return d.dead
}
