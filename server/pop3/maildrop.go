package pop3

import (
	"errors"
	"fmt"
	"io"

	"overstay/server/mailstore"
)

// Errors of a store.
var (
	// ErrInUse means that another session has the mailbox.
	ErrInUse = errors.New("pop3: mailbox in use")
	// ErrGone means that a message has gone since the login.
	ErrGone = errors.New("pop3: message is gone")
)

// Store holds the mailboxes; [Maildirs] satisfies it.
type Store interface {
	// Open takes a user's mailbox for one session alone, or returns ErrInUse.
	Open(user string) (Maildrop, error)
}

// Maildrop is a mailbox as one session sees it: the messages that were there
// when it was opened, oldest first. It is not for concurrent use.
type Maildrop interface {
	// Len returns how many messages there are. The others are told by their
	// index, from 0.
	Len() int
	// ID returns a message's name for UIDL: 1 to 70 characters from ! to ~,
	// never given to another message of the same user.
	ID(i int) string
	// Size returns how many octets a message is sent as, without what is added
	// for transparency, and without the end of a last line that has none.
	Size(i int) int64
	// Read opens a message, or returns ErrGone.
	Read(i int) (io.ReadCloser, error)
	// Remove takes messages away. One that is gone already is no error.
	Remove(indices []int) error
	// Close gives the mailbox back.
	Close()
}

// Maildirs is a [Store] of the inboxes of Maildirs.
type Maildirs struct{ *mailstore.Store }

// Open takes a user's inbox. It is taken from other sessions like this one,
// not from those who deliver, and not from IMAP.
func (m Maildirs) Open(user string) (Maildrop, error) {
	release, err := m.Lock(user)
	if errors.Is(err, mailstore.ErrInUse) {
		return nil, ErrInUse
	}
	if err != nil {
		return nil, err
	}
	inbox, err := m.Store.Open(user)
	if err != nil {
		release()
		return nil, err
	}
	d := &maildirDrop{inbox: inbox, release: release}
	if d.listing, err = inbox.Look(); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

type maildirDrop struct {
	inbox   *mailstore.Mailbox
	listing *mailstore.Listing
	release func()
}

func (d *maildirDrop) Len() int { return len(d.listing.Messages) }

func (d *maildirDrop) ID(i int) string {
	return fmt.Sprintf("%d.%d", d.listing.Validity, d.listing.Messages[i].UID)
}

func (d *maildirDrop) Size(i int) int64 { return d.listing.Messages[i].Size }

func (d *maildirDrop) Read(i int) (io.ReadCloser, error) {
	r, err := d.inbox.OpenMessage(d.listing.Messages[i].UID)
	if errors.Is(err, mailstore.ErrGone) {
		return nil, ErrGone
	}
	return r, err
}

func (d *maildirDrop) Remove(indices []int) error {
	uids := make([]uint32, len(indices))
	for n, i := range indices {
		uids[n] = d.listing.Messages[i].UID
	}
	_, err := d.inbox.Remove(uids)
	return err
}

func (d *maildirDrop) Close() {
	d.inbox.Close()
	d.release()
}
