package pop3

import (
	"errors"
	"io"
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

// Maildrop is a mailbox as one session sees it. It is not for concurrent use.
type Maildrop interface {
	// Messages returns what was there when it was opened, oldest first.
	Messages() []Message
	// Read opens the message with an index of Messages, or returns ErrGone.
	Read(i int) (io.ReadCloser, error)
	// Remove takes messages away. One that is gone already is no error.
	Remove(indices []int) error
	// Close gives the mailbox back.
	Close() error
}

// Message is one message of a maildrop.
type Message struct {
	// ID is its name for UIDL: 1 to 70 characters from ! to ~, never given to
	// another message of the same user.
	ID string
	// Size is how many octets it is sent as, with CRLF at the end of each line
	// and without what RETR adds for transparency.
	Size int64
}
