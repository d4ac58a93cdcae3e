package mailstore

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// Errors of a delivery.
var (
	// ErrFull means that there is no room for the message now.
	ErrFull = errors.New("mailstore: no space left")
	// ErrName means that a user's name is not valid.
	ErrName = errors.New("mailstore: not a valid user name")
	// ErrNobody means that a message has no recipient.
	ErrNobody = errors.New("mailstore: no recipient")
)

// Store is a folder with one Maildir for each user. Its methods may be called
// at the same time, also by several processes.
type Store struct {
	root string
	host string
	disk disk
	last atomic.Uint64
	// quota may change while the store is in use.
	quota atomic.Pointer[Quota]

	mu       sync.Mutex
	accounts map[string]*account
	watching watching
}

// NewStore returns the store in the folder root, which need not exist yet.
func NewStore(root string) *Store {
	return &Store{root: root, host: hostPart(), disk: realDisk{}, accounts: make(map[string]*account)}
}

// Path returns the Maildir of a user.
func (s *Store) Path(user string) string { return filepath.Join(s.root, user) }

// Delivery is a message on its way. It is not for concurrent use. Exactly one
// of Commit and Abort ends it; Abort may be called after Commit, and does
// nothing then.
type Delivery struct {
	store  *Store
	copies []*messageCopy
	size   int64
	wire   wireCounter
	ended  bool

	flags   Flags
	flagged bool // it goes to cur with flags, and not to new
}

// messageCopy is one user's copy of a message.
type messageCopy struct {
	account  *account
	borrowed bool   // somebody else holds the account
	dir      string // the Maildir
	name     string
	file     file // in tmp, nil once it is closed
	reserved bool // its size is, in the user's quota
	appeared bool // and is in tmp no more
}

// Begin starts the delivery of one message to users, none of them named twice.
// It fails with ErrQuota if one of them has no room for any message.
func (s *Store) Begin(users []string) (*Delivery, error) {
	if len(users) == 0 {
		return nil, ErrNobody
	}
	name := s.uniqueName()
	d := &Delivery{store: s}
	for _, user := range users {
		if err := d.addFor(user, name); err != nil {
			d.Abort()
			return nil, err
		}
	}
	return d, nil
}

// addFor adds a user's copy. The Maildir of an account that is in memory is
// nearly always there: it is made again only if that turns out to be wrong.
func (d *Delivery) addFor(user, name string) error {
	a, known := d.store.known(user)
	if !known {
		var err error
		if a, err = d.store.account(user); err != nil {
			return err
		}
	}
	c := &messageCopy{account: a, dir: a.dir, name: name}
	d.copies = append(d.copies, c)
	err := d.begin(c)
	if known && errors.Is(err, fs.ErrNotExist) {
		if err := d.store.makeMaildir(a.dir); err != nil {
			return deliveryError("make the Maildir", err)
		}
		err = d.begin(c)
	}
	return err
}

// begin makes the file of a copy.
func (d *Delivery) begin(c *messageCopy) error {
	if err := c.account.usage.room(c.account, 1); err != nil {
		return err
	}
	f, err := d.store.disk.Create(c.tmp())
	if err != nil {
		return deliveryError("write", err)
	}
	c.file = f
	return nil
}

// Write adds to the message. It implements io.Writer.
func (d *Delivery) Write(b []byte) (int, error) {
	for _, c := range d.copies {
		if _, err := c.file.Write(b); err != nil {
			return 0, deliveryError("write", err)
		}
	}
	d.size += int64(len(b))
	d.wire.add(b)
	return len(b), nil
}

// Commit makes the message appear, for all users or, on an error, if it can
// be helped for none. When it returns nil the message is safe on the disk.
func (d *Delivery) Commit() error {
	if d.ended {
		return os.ErrClosed
	}
	defer d.Abort() // Takes away what is still in tmp.
	for _, c := range d.copies {
		if err := c.account.usage.reserve(c.account, d.size); err != nil {
			return err
		}
		c.reserved = true
	}
	for _, c := range d.copies {
		if err := c.sync(); err != nil {
			return deliveryError("sync", err)
		}
	}
	for i, c := range d.copies {
		if err := d.appear(c); err != nil {
			d.takeBack(i)
			return deliveryError("rename", err)
		}
	}
	for _, c := range d.copies {
		if err := d.store.disk.SyncDir(filepath.Dir(d.final(c))); err != nil {
			d.takeBack(len(d.copies))
			return deliveryError("sync", err)
		}
	}
	return nil
}

// appear gives a copy its name.
func (d *Delivery) appear(c *messageCopy) error {
	to := d.final(c)
	if err := c.account.usage.arrive(d.size, func() error { return d.rename(c, to) }, filepath.Dir(to)); err != nil {
		return err
	}
	c.appeared, c.reserved = true, false
	return nil
}

// rename does it, if need be in a Maildir of which a part is missing. A folder
// that is gone is not made again.
func (d *Delivery) rename(c *messageCopy, to string) error {
	err := d.store.disk.Rename(c.tmp(), to)
	if errors.Is(err, fs.ErrNotExist) && !c.borrowed && d.store.makeMaildir(c.dir) == nil {
		err = d.store.disk.Rename(c.tmp(), to)
	}
	return err
}

// takeBack removes the first n copies from the new folders: the client will be
// told to try again, and nobody should get the message twice.
func (d *Delivery) takeBack(n int) {
	for _, c := range d.copies[:n] {
		_ = d.store.disk.Remove(d.final(c)) // More cannot be done.
		c.account.usage.forget()
	}
}

// Abort drops the message.
func (d *Delivery) Abort() {
	d.ended = true
	for _, c := range d.copies {
		if c.file != nil {
			_ = c.file.Close() // It goes away.
		}
		if !c.appeared {
			_ = d.store.disk.Remove(c.tmp()) // What stays in tmp is not mail.
		}
		if c.reserved {
			c.account.usage.release(d.size)
		}
		if !c.borrowed {
			d.store.done(c.account)
		}
	}
	d.copies = nil
}

func (c *messageCopy) tmp() string { return filepath.Join(c.dir, "tmp", c.name) }

// final returns where a copy ends up.
func (d *Delivery) final(c *messageCopy) string {
	name := d.finalName(c)
	if d.flagged {
		return filepath.Join(c.dir, "cur", fileName(name, d.flags))
	}
	return filepath.Join(c.dir, "new", name)
}

func (d *Delivery) finalName(c *messageCopy) string { return sizedName(c.name, d.size, d.wire.size) }

// sync makes the file last, and closes it.
func (c *messageCopy) sync() error {
	err := errors.Join(c.file.Sync(), c.file.Close())
	c.file = nil
	return err
}

// uniqueName returns a name that no other message has: the time, the process,
// a number within it, and, because numbers of processes come again, a random
// part.
func (s *Store) uniqueName() string {
	now := time.Now()
	return fmt.Sprintf("%d.M%dP%dQ%dR%s.%s", now.Unix(), now.Nanosecond()/1000,
		os.Getpid(), s.last.Add(1), rand.Text()[:8], s.host)
}

func deliveryError(doing string, err error) error {
	if isFull(err) {
		return fmt.Errorf("%w: %s: %w", ErrFull, doing, err)
	}
	return fmt.Errorf("mailstore: %s: %w", doing, err)
}
