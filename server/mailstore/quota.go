package mailstore

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// ErrQuota means that the user has as much mail as one may have. It is not
// ErrFull: the disk has room, and others' mail can be delivered.
var ErrQuota = errors.New("mailstore: over quota")

// Quota is how much mail one user may have, in all folders together. 0 is no
// limit.
type Quota struct {
	Bytes    int64 // on the disk
	Messages int
}

const (
	// usageLifetime is how long a count of the mail is trusted while all
	// changes since seem to be known.
	usageLifetime = 5 * time.Minute
	// countShare bounds the part of the time that is spent on counting.
	countShare = 20
)

// SetQuota sets the quota of all users. It may be called at any time.
func (s *Store) SetQuota(q Quota) { s.quota.Store(&q) }

// Room returns ErrQuota if the user has no room for a message of size bytes.
func (s *Store) Room(user string, size int64) error {
	if q := s.quota.Load(); q == nil || *q == (Quota{}) {
		return nil
	}
	a, err := s.account(user)
	if err != nil {
		return err
	}
	defer s.done(a)
	return a.usage.room(a, size)
}

// usage is how much mail a user has: counted from the names of the files, and
// then kept up to date by what this process does. What others do shows in the
// times of the folders, and leads to a new count.
type usage struct {
	mu       sync.Mutex
	known    bool
	bytes    int64
	messages int
	// reserved is what is about to appear.
	reservedBytes    int64
	reservedMessages int

	root    time.Time            // when a folder came or went last
	folders map[string]time.Time // new and cur of each folder
	counted time.Time
	took    time.Duration
}

// room returns ErrQuota if there is none for a message of size bytes.
func (u *usage) room(a *account, size int64) error {
	q := a.store.quota.Load()
	if q == nil || *q == (Quota{}) {
		return nil
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.roomLocked(a, *q, size)
}

func (u *usage) roomLocked(a *account, q Quota, size int64) error {
	if err := u.refreshLocked(a); err != nil {
		return err
	}
	if q.Bytes > 0 && u.bytes+u.reservedBytes+size > q.Bytes ||
		q.Messages > 0 && u.messages+u.reservedMessages+1 > q.Messages {
		return ErrQuota
	}
	return nil
}

// reserve takes room for a message, until it arrives or release.
func (u *usage) reserve(a *account, size int64) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if q := a.store.quota.Load(); q != nil && *q != (Quota{}) {
		if err := u.roomLocked(a, *q, size); err != nil {
			return err
		}
	}
	u.reservedBytes += size
	u.reservedMessages++
	return nil
}

func (u *usage) release(size int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.releaseLocked(size)
}

func (u *usage) releaseLocked(size int64) {
	u.reservedBytes -= size
	u.reservedMessages--
}

// forget makes the next question lead to a new count.
func (u *usage) forget() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.known = false
}

// change does what changes the folders, and takes their new times for ours. A
// change by somebody else at the same moment goes unseen until usageLifetime
// is over.
func (u *usage) change(bytes int64, messages int, do func() error, folders ...string) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.changeLocked(bytes, messages, do, folders...)
}

// arrive is change for a message that room is reserved for, and releases that
// at the same moment if it succeeds: no message counts twice.
func (u *usage) arrive(size int64, do func() error, folders ...string) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	err := u.changeLocked(size, 1, do, folders...)
	if err == nil {
		u.releaseLocked(size)
	}
	return err
}

func (u *usage) changeLocked(bytes int64, messages int, do func() error, folders ...string) error {
	if !u.known {
		return do()
	}
	ours := make([]bool, len(folders))
	for i, dir := range folders {
		t, err := changed(dir)
		ours[i] = err == nil && t.Equal(u.folders[dir])
	}
	if err := do(); err != nil {
		return err
	}
	u.bytes += bytes
	u.messages += messages
	for i, dir := range folders {
		if t, err := changed(dir); err == nil && ours[i] {
			u.folders[dir] = t
		}
	}
	return nil
}

// refreshLocked counts again if somebody else has changed something.
func (u *usage) refreshLocked(a *account) error {
	since := time.Since(u.counted)
	if u.known && (since < usageLifetime && u.freshLocked(a) || since < countShare*u.took) {
		return nil
	}
	return u.countLocked(a)
}

func (u *usage) freshLocked(a *account) bool {
	if t, err := changed(a.dir); err != nil || !t.Equal(u.root) {
		return false
	}
	for dir, t := range u.folders {
		if now, err := changed(dir); err != nil || !now.Equal(t) {
			return false
		}
	}
	return true
}

func (u *usage) countLocked(a *account) error {
	start := time.Now()
	root, err := changed(a.dir)
	if err != nil {
		return deliveryError("count mail", err)
	}
	names, err := a.folders()
	if err != nil {
		return err
	}
	u.known, u.root, u.folders = false, root, make(map[string]time.Time, 2*len(names))
	u.bytes, u.messages = 0, 0
	for _, name := range names {
		dir, err := folderDir(name)
		if err != nil {
			return err
		}
		for _, sub := range []string{"new", "cur"} {
			if err := u.countDirLocked(filepath.Join(a.dir, dir, sub)); err != nil && !os.IsNotExist(err) {
				return deliveryError("count mail", err)
			}
		}
	}
	u.known, u.counted, u.took = true, time.Now(), time.Since(start)
	return nil
}

func (u *usage) countDirLocked(dir string) error {
	t, err := changed(dir)
	if err != nil {
		return err
	}
	files, err := fileNames(dir)
	if err != nil {
		return err
	}
	u.folders[dir] = t
	for _, file := range files {
		if name, _, ok := parseName(file); ok {
			u.bytes += diskSize(filepath.Join(dir, file), name)
			u.messages++
		}
	}
	return nil
}

// diskSize returns the size of a message: what its name says, or what its file
// has.
func diskSize(path, name string) int64 {
	if size, ok := nameSize(name, 'S'); ok {
		return size
	}
	info, err := os.Stat(path)
	if err != nil {
		return 0 // It is gone.
	}
	return info.Size()
}
