package mailstore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// Errors of locks.
var (
	// ErrInUse means that somebody else has locked the user's mail.
	ErrInUse = errors.New("mailstore: in use by another session")
	// ErrStuck means that another process does not give its lock back.
	ErrStuck = errors.New("mailstore: another process holds the mailbox")
)

const (
	lockFile     = "overstay.lock"         // held while the Maildir is changed
	sessionFile  = "overstay.session.lock" // held for a session that wants to be alone
	lockWait     = 10 * time.Second
	lockPoll     = 5 * time.Millisecond
	maxAccounts  = 1000 // in memory while nobody uses them
	tmpLifetime  = 36 * time.Hour
	privateFiles = 0o600
)

// account is what this process knows of a user's Maildir.
type account struct {
	store *Store
	user  string
	dir   string
	usage usage

	changing chan struct{} // held while the Maildir is changed

	// The store's mutex guards these.
	refs int
	open map[string]*folder // those that mailboxes are open of
}

// account returns a user's account, and makes the Maildir if there is none.
// The caller ends it with done.
func (s *Store) account(user string) (*account, error) {
	if !ValidName(user) {
		return nil, fmt.Errorf("%w: %q", ErrName, user)
	}
	if err := s.makeMaildir(s.Path(user)); err != nil {
		return nil, deliveryError("make the Maildir", err)
	}
	s.mu.Lock()
	a, known := s.accounts[user]
	if !known {
		s.makeRoomLocked()
		a = &account{
			store: s, user: user, dir: s.Path(user),
			changing: make(chan struct{}, 1), open: make(map[string]*folder),
		}
		s.accounts[user] = a
	}
	a.refs++
	s.mu.Unlock()
	if !known {
		sweep(filepath.Join(a.dir, "tmp"), time.Now())
	}
	return a, nil
}

// known returns a user's account if it is in memory: its Maildir was there, and
// may be gone by now. The caller ends it with done.
func (s *Store) known(user string) (*account, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.accounts[user]
	if ok {
		a.refs++
	}
	return a, ok
}

// makeRoomLocked forgets accounts that nobody uses when there are many.
func (s *Store) makeRoomLocked() {
	if len(s.accounts) < maxAccounts {
		return
	}
	for user, a := range s.accounts {
		if a.refs == 0 {
			delete(s.accounts, user)
		}
	}
}

func (s *Store) done(a *account) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a.refs--
}

// withLock calls do while nobody else changes the user's Maildir.
func (s *Store) withLock(user string, do func(*account) error) error {
	a, err := s.account(user)
	if err != nil {
		return err
	}
	defer s.done(a)
	return a.locked(func() error { return do(a) })
}

// locked calls do while nobody else, here or in another process, changes the
// Maildir. Deliveries do not ask.
func (a *account) locked(do func() error) error {
	timeout := time.NewTimer(lockWait)
	defer timeout.Stop()
	select {
	case a.changing <- struct{}{}:
	case <-timeout.C:
		return ErrStuck
	}
	defer func() { <-a.changing }()
	for end := time.Now().Add(lockWait); ; time.Sleep(lockPoll) {
		release, err := flock(filepath.Join(a.dir, lockFile))
		if err == nil {
			defer release()
			return do()
		}
		if !errors.Is(err, ErrInUse) {
			return err
		}
		if time.Now().After(end) {
			return ErrStuck
		}
	}
}

// Lock keeps the user's mail for one session, as POP3 wants it: until it is
// released, or the process ends, others get ErrInUse from Lock. Nothing else
// asks for it.
func (s *Store) Lock(user string) (release func(), err error) {
	a, err := s.account(user)
	if err != nil {
		return nil, err
	}
	unlock, err := flock(filepath.Join(a.dir, sessionFile))
	if err != nil {
		s.done(a)
		return nil, err
	}
	var once sync.Once
	return func() {
		once.Do(func() {
			unlock()
			s.done(a)
		})
	}, nil
}

// flock locks a file, which stays where it is: to remove it would let two hold
// the lock, one of the old file and one of the new.
func flock(path string) (release func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, privateFiles)
	if err != nil {
		return nil, deliveryError("lock", err)
	}
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	switch {
	case err == nil:
		return func() { _ = f.Close() }, nil // The lock goes with it.
	case errors.Is(err, syscall.EWOULDBLOCK):
		err = ErrInUse
	default:
		err = fmt.Errorf("mailstore: lock: %w", err)
	}
	return nil, errors.Join(err, f.Close())
}

// sweep removes what has been in a tmp folder for too long: its delivery is
// dead (Maildir's rule).
func sweep(tmp string, now time.Time) {
	entries, err := os.ReadDir(tmp)
	if err != nil {
		return // Whoever needs the folder will see.
	}
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && now.Sub(info.ModTime()) > tmpLifetime {
			_ = os.RemoveAll(filepath.Join(tmp, e.Name())) // The next one tries again.
		}
	}
}
