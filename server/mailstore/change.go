package mailstore

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Pair is a message that was copied or moved: its UID here, and there.
type Pair struct{ From, To uint32 }

// Transfer is what a copy or a move has done.
type Transfer struct {
	Validity uint32 // of the folder that the messages went to
	Pairs    []Pair
}

// TakeNew moves the messages in the new folder to cur, and returns their UIDs:
// they are recent for who took them, and for nobody else.
func (m *Mailbox) TakeNew() ([]uint32, error) {
	return m.each(nil, func(msg *Message) (bool, error) {
		if !msg.New {
			return false, nil
		}
		return true, m.rename(msg, msg.Flags)
	})
}

// ChangeFlags sets and clears flags of messages. Messages that are gone are
// left out of what it returns.
func (m *Mailbox) ChangeFlags(uids []uint32, set, clear Flags) (changed []uint32, err error) {
	if len(uids) == 0 {
		return nil, nil
	}
	return m.each(uids, func(msg *Message) (bool, error) { return true, m.rename(msg, msg.Flags&^clear|set) })
}

// rename gives the file of a message its name in cur, if it has another.
func (m *Mailbox) rename(msg *Message, flags Flags) error {
	if flags == msg.Flags && !msg.New {
		return nil
	}
	from, file := filepath.Join(m.folder.dir, msg.path()), fileName(msg.Name, flags)
	to := filepath.Join(m.folder.dir, "cur", file)
	err := m.account.usage.change(0, 0, func() error { return m.account.store.disk.Rename(from, to) },
		filepath.Dir(from), filepath.Dir(to))
	if err == nil {
		msg.Flags, msg.New, msg.file = flags, false, file
	}
	return err
}

// Remove removes messages for good. Those that are gone already are no error,
// but left out of what it returns.
func (m *Mailbox) Remove(uids []uint32) (removed []uint32, err error) {
	if len(uids) == 0 {
		return nil, nil
	}
	return m.each(uids, func(msg *Message) (bool, error) {
		path := filepath.Join(m.folder.dir, msg.path())
		err := m.account.usage.change(-diskSize(path, msg.Name), -1, func() error { return m.account.store.disk.Remove(path) },
			filepath.Dir(path))
		if err == nil {
			msg.UID = 0 // It is not in the listing any more.
		}
		return true, err
	})
}

// each calls do, under the lock, with copies of messages (nil: all) that it
// may change as it changes the files. It returns those that do has done, and
// puts the copies into the listing, so that the folder need not be read again.
func (m *Mailbox) each(uids []uint32, do func(*Message) (bool, error)) (done []uint32, err error) {
	err = m.account.locked(func() error {
		l, err := m.lookLocked(nil)
		if err != nil {
			return err
		}
		messages, foreign := slices.Clone(l.Messages), false
		for i := range places(l, uids) {
			uid := messages[i].UID
			mine, err := do(&messages[i])
			if errors.Is(err, fs.ErrNotExist) {
				foreign = true // Somebody else was here.
				if mine, err = m.again(uid, do); errors.Is(err, ErrGone) {
					continue
				}
			}
			if err != nil {
				_, again := m.scanLocked(nil)
				return errors.Join(messageError(err), again)
			}
			if mine {
				done = append(done, uid)
			}
		}
		if foreign {
			_, err := m.scanLocked(nil)
			return err
		}
		return m.noteLocked(l, messages)
	})
	return done, err
}

// again tries once more with a message whose file has got another name.
func (m *Mailbox) again(uid uint32, do func(*Message) (bool, error)) (bool, error) {
	l, err := m.scanLocked(nil)
	if err != nil {
		return false, err
	}
	i, ok := l.Find(uid)
	if !ok {
		return false, ErrGone
	}
	msg := l.Messages[i]
	mine, err := do(&msg)
	if errors.Is(err, fs.ErrNotExist) {
		return false, ErrGone
	}
	return mine, err
}

// places yields the places of messages (nil: of all) in a listing.
func places(l *Listing, uids []uint32) iter.Seq[int] {
	return func(yield func(int) bool) {
		if uids == nil {
			for i := range l.Messages {
				if !yield(i) {
					return
				}
			}
			return
		}
		for _, uid := range uids {
			if i, ok := l.Find(uid); ok && !yield(i) {
				return
			}
		}
	}
}

// noteLocked takes up what we have done to the messages ourselves.
func (m *Mailbox) noteLocked(before *Listing, messages []Message) error {
	var names []string
	for i := range messages {
		if messages[i].UID == 0 {
			names = append(names, messages[i].Name)
		}
	}
	if err := m.account.dropUIDs(m.folder, names); err != nil {
		return err
	}
	stamps, err := stampsOf(m.folder.dir)
	if err != nil {
		return folderError("read", m.folder.name, err)
	}
	last := m.folder.last.Load()
	messages = slices.DeleteFunc(messages, func(m Message) bool { return m.UID == 0 })
	m.folder.last.Store(&look{
		Listing: Listing{Validity: before.Validity, Next: before.Next, Messages: messages},
		stamps:  stamps, scanned: last.scanned, took: last.took,
	})
	return nil
}

// Move moves messages to another folder. Each is at every moment in exactly
// one of them.
func (m *Mailbox) Move(uids []uint32, folder string) (*Transfer, error) {
	return m.transfer(uids, folder, func(msg *Message, to *folderEnd) (string, error) {
		from := filepath.Join(m.folder.dir, msg.path())
		target := filepath.Join(to.dir, "cur", fileName(msg.Name, msg.Flags))
		return msg.Name, m.account.usage.change(0, 0, func() error { return m.account.store.disk.Rename(from, target) },
			filepath.Dir(from), filepath.Dir(target))
	})
}

// Copy copies messages to another folder, all or none. The text is on the disk
// once: messages do not change.
func (m *Mailbox) Copy(uids []uint32, folder string) (*Transfer, error) {
	var made []string
	a := m.account
	t, err := m.transfer(uids, folder, func(msg *Message, to *folderEnd) (string, error) {
		from := filepath.Join(m.folder.dir, msg.path())
		size := diskSize(from, msg.Name)
		if err := a.usage.reserve(a, size); err != nil {
			return "", err
		}
		name := a.store.nameLike(msg, size)
		target := filepath.Join(to.dir, "cur", fileName(name, msg.Flags))
		err := a.usage.arrive(size, func() error { return a.store.disk.Link(from, target) }, filepath.Dir(target))
		if err != nil {
			a.usage.release(size)
			return name, err
		}
		made = append(made, target)
		return name, nil
	})
	if err != nil {
		for _, path := range made {
			_ = a.store.disk.Remove(path) // More cannot be done.
		}
		a.usage.forget()
	}
	return t, err
}

// nameLike returns a new name with the time and the sizes of a message.
func (s *Store) nameLike(msg *Message, size int64) string {
	_, rest, _ := strings.Cut(s.uniqueName(), ".")
	return sizedName(fmt.Sprintf("%d.%s", msg.Received().Unix(), rest), size, msg.Size)
}

// folderEnd is where messages go.
type folderEnd struct{ dir string }

// transfer calls do for each message, then finds out which UIDs they have got.
func (m *Mailbox) transfer(uids []uint32, folder string, do func(*Message, *folderEnd) (string, error)) (*Transfer, error) {
	to, err := m.account.store.OpenFolder(m.account.user, folder)
	if err != nil {
		return nil, err
	}
	defer to.Close()
	names := make([]string, 0, len(uids))
	from := make([]uint32, 0, len(uids))
	t := &Transfer{}
	err = m.account.locked(func() error {
		l, err := m.scanLocked(nil)
		if err != nil {
			return err
		}
		end := &folderEnd{dir: to.folder.dir}
		for _, uid := range uids {
			i, ok := l.Find(uid)
			if !ok {
				continue
			}
			name, err := do(&l.Messages[i], end)
			if errors.Is(err, fs.ErrNotExist) && to.there() {
				continue
			}
			if err != nil {
				_, again := m.scanLocked(nil)
				return errors.Join(transferError(err), again)
			}
			names, from = append(names, name), append(from, uid)
		}
		if len(names) > 0 {
			if err := m.account.syncBoth(to.folder.dir, m.folder.dir); err != nil {
				return err
			}
		}
		if t, err = to.pairs(from, names); err != nil {
			return err
		}
		_, err = m.scanLocked(nil)
		return err
	})
	return t, err
}

// there tells whether the folder still exists.
func (m *Mailbox) there() bool {
	_, err := stampsOf(m.folder.dir)
	return err == nil
}

func transferError(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNoFolder
	}
	return messageError(err)
}

// syncBoth makes names last, first there and then here: a message that was
// moved must not be nowhere after a crash.
func (a *account) syncBoth(to, from string) error {
	for _, dir := range []string{filepath.Join(to, "cur"), filepath.Join(from, "cur"), filepath.Join(from, "new")} {
		if err := a.store.disk.SyncDir(dir); err != nil {
			return deliveryError("sync", err)
		}
	}
	return nil
}

// pairs gives UIDs to the messages in this folder, in their order.
func (m *Mailbox) pairs(from []uint32, names []string) (*Transfer, error) {
	l, err := m.scanLocked(names)
	if err != nil {
		return nil, err
	}
	t := &Transfer{Validity: l.Validity}
	for i, name := range names {
		if e := m.folder.uids.byName[name]; e != nil {
			t.Pairs = append(t.Pairs, Pair{From: from[i], To: e.uid})
		}
	}
	return t, nil
}

// Append stores a message that came over the wire. A zero time is now. The UID
// is 0 if the message is stored, but which one it has got is not known.
func (m *Mailbox) Append(flags Flags, received time.Time, r io.Reader) (validity, uid uint32, err error) {
	d := &Delivery{store: m.account.store}
	defer d.Abort()
	d.flags, d.flagged = flags, true
	c := &messageCopy{account: m.account, borrowed: true, dir: m.folder.dir, name: receivedName(m.account.store, received)}
	d.copies = append(d.copies, c)
	if err := d.begin(c); err != nil {
		return 0, 0, err
	}
	text := &hostWriter{w: bufio.NewWriterSize(d, 32<<10)}
	source := &failingReader{r: r}
	_, err = io.Copy(text, source)
	if source.err != nil {
		return 0, 0, source.err // The client's, not ours.
	}
	if err = errors.Join(err, text.flush()); err != nil {
		return 0, 0, err
	}
	name := d.finalName(c)
	if err := d.Commit(); err != nil {
		return 0, 0, err
	}
	// It is there: from now on an error would make the client store it twice.
	_ = m.account.locked(func() error {
		l, err := m.scanLocked([]string{name})
		if err != nil {
			return err
		}
		if e := m.folder.uids.byName[name]; e != nil {
			validity, uid = l.Validity, e.uid
		}
		return nil
	})
	return validity, uid, nil
}

// receivedName returns a unique name for a message of that time.
func receivedName(s *Store, received time.Time) string {
	name := s.uniqueName()
	if received.IsZero() || received.Unix() < 0 || received.Unix() > maxSeconds {
		return name
	}
	_, rest, _ := strings.Cut(name, ".")
	return fmt.Sprintf("%d.%s", received.Unix(), rest)
}

// failingReader remembers an error, to tell it from those of writing.
type failingReader struct {
	r   io.Reader
	err error // other than the end
}

func (f *failingReader) Read(b []byte) (int, error) {
	n, err := f.r.Read(b)
	if err != nil && err != io.EOF {
		f.err = err
	}
	return n, err
}
