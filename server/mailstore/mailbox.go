package mailstore

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"
)

// ErrGone means that a message is not there any more.
var ErrGone = errors.New("mailstore: message is gone")

// settleTime is how old a folder's time must be to be trusted: file systems
// stamp what happens within a few milliseconds with the same time.
const settleTime = 100 * time.Millisecond

// scanShare bounds the part of the time that is spent on reading a folder only
// because something may have changed.
const scanShare = 10

// Mailbox is an open folder of a user. Its methods may be called at the same
// time, and by several mailboxes of one folder, also in several processes.
// Close must be called.
type Mailbox struct {
	account *account
	folder  *folder
	closed  atomic.Bool
}

// Listing is what a mailbox held at one moment. It is shared, and must not be
// changed.
type Listing struct {
	Validity uint32    // another number means: other UIDs
	Next     uint32    // no message has had this UID or a greater one
	Messages []Message // in the order of their UIDs
}

// Find returns the message with a UID, and its place in Messages.
func (l *Listing) Find(uid uint32) (int, bool) {
	return slices.BinarySearchFunc(l.Messages, uid, func(m Message, uid uint32) int {
		return int(int64(m.UID) - int64(uid))
	})
}

// folder is what this process knows of a folder that mailboxes are open of.
type folder struct {
	name string
	dir  string
	refs int // guarded by the store's mutex

	// What only the holder of the account's lock may touch.
	uids uidList
	scan int64

	last atomic.Pointer[look]
}

// look is what was found in a folder.
type look struct {
	Listing
	stamps  stamps
	settled bool // a change since would show in the stamps

	scanned time.Time // when the folder was read last
	took    time.Duration
}

// fresh tells whether there is no need to read the folder again. A change by
// somebody else that does not show in the stamps is found a little later.
func (l *look) fresh(dir string) bool {
	if !l.settled && time.Since(l.scanned) > max(settleTime, scanShare*l.took) {
		return false
	}
	now, err := stampsOf(dir)
	return err == nil && now == l.stamps
}

// stamps are the times of the folders with messages.
type stamps struct{ new, cur time.Time }

func stampsOf(dir string) (s stamps, err error) {
	if s.new, err = changed(filepath.Join(dir, "new")); err == nil {
		s.cur, err = changed(filepath.Join(dir, "cur"))
	}
	return s, err
}

func changed(path string) (time.Time, error) {
	info, err := os.Stat(path)
	if err != nil {
		return time.Time{}, err
	}
	return info.ModTime(), nil
}

// Open opens a user's inbox.
func (s *Store) Open(user string) (*Mailbox, error) { return s.OpenFolder(user, Inbox) }

// OpenFolder opens a folder of a user.
func (s *Store) OpenFolder(user, name string) (*Mailbox, error) {
	dir, err := folderDir(name)
	if err != nil {
		return nil, err
	}
	a, err := s.account(user)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(a.dir, dir)
	if !a.exists(dir) {
		s.done(a)
		return nil, fmt.Errorf("%w: %s", ErrNoFolder, name)
	}
	// Somebody else may have made it, or not to the end.
	if err := s.makeMaildir(path); err != nil {
		s.done(a)
		return nil, folderError("open", name, err)
	}
	s.mu.Lock()
	f, known := a.open[path]
	if !known {
		f = &folder{name: name, dir: path}
		a.open[path] = f
	}
	f.refs++
	s.mu.Unlock()
	if !known {
		sweep(filepath.Join(path, "tmp"), time.Now())
	}
	return &Mailbox{account: a, folder: f}, nil
}

// Close closes the mailbox.
func (m *Mailbox) Close() {
	if m.closed.Swap(true) {
		return
	}
	s := m.account.store
	s.mu.Lock()
	if m.folder.refs--; m.folder.refs == 0 && m.account.open[m.folder.dir] == m.folder {
		delete(m.account.open, m.folder.dir)
	}
	s.mu.Unlock()
	s.done(m.account)
}

// Folder returns the folder's name.
func (m *Mailbox) Folder() string { return m.folder.name }

// Look returns what the mailbox holds. It is cheap if nothing has changed.
func (m *Mailbox) Look() (*Listing, error) {
	if l := m.folder.last.Load(); l != nil && l.fresh(m.folder.dir) {
		return &l.Listing, nil
	}
	var listing *Listing
	err := m.account.locked(func() (err error) {
		listing, err = m.lookLocked(nil)
		return err
	})
	return listing, err
}

// lookLocked looks while the account is locked. Messages named in order get
// their UIDs in that order.
func (m *Mailbox) lookLocked(order []string) (*Listing, error) {
	if l := m.folder.last.Load(); l != nil && l.fresh(m.folder.dir) {
		return &l.Listing, nil
	}
	return m.scanLocked(order)
}

func (m *Mailbox) scanLocked(order []string) (*Listing, error) {
	l, err := m.account.scan(m.folder, order)
	if err != nil {
		return nil, folderError("read", m.folder.name, err)
	}
	m.folder.last.Store(l)
	return &l.Listing, nil
}

// OpenMessage opens a message, to be read as it goes over the wire: as many
// octets as its Size says.
func (m *Mailbox) OpenMessage(uid uint32) (io.ReadCloser, error) {
	var f *os.File
	err := m.withMessage(uid, func(msg *Message) (err error) {
		f, err = os.Open(filepath.Join(m.folder.dir, msg.path()))
		return err
	})
	if err != nil {
		return nil, err
	}
	return newWireReader(f), nil
}

// withMessage calls do with a message, once more if somebody has meanwhile
// given its file another name.
func (m *Mailbox) withMessage(uid uint32, do func(*Message) error) error {
	if l := m.folder.last.Load(); l != nil {
		if i, ok := l.Find(uid); ok {
			if err := do(&l.Messages[i]); !errors.Is(err, fs.ErrNotExist) {
				return messageError(err)
			}
		}
	}
	return m.account.locked(func() error {
		l, err := m.scanLocked(nil)
		if err != nil {
			return err
		}
		i, ok := l.Find(uid)
		if !ok {
			return ErrGone
		}
		return messageError(do(&l.Messages[i]))
	})
}

func messageError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return ErrGone
	}
	return deliveryError("message", err)
}
