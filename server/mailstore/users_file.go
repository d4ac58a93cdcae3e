package mailstore

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	// usersLockWait is how long a change waits for the one before it.
	usersLockWait = 10 * time.Second
	usersLockPoll = 10 * time.Millisecond
	// usersTries is how often a change is made anew because an editor that
	// knows of no lock was faster.
	usersTries = 5
)

// readUsers reads a user file and returns its text if all of it can be
// understood.
func readUsers(path string, f io.Reader) (string, error) {
	text, err := io.ReadAll(io.LimitReader(f, maxUsersBytes+1))
	if err == nil && len(text) > maxUsersBytes {
		err = fmt.Errorf("larger than %d bytes", maxUsersBytes)
	}
	if err != nil {
		return "", fmt.Errorf("mailstore: user file: %w", err)
	}
	if _, err := parseUsers(path, bytes.NewReader(text)); err != nil {
		return "", err
	}
	return string(text), nil
}

// editUsers changes the text of the file: as a whole or not at all, and one
// change after the other. A file that a symbolic link leads to is changed
// where it is.
func editUsers(ctx context.Context, path string, edit func(string) (string, error)) error {
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return danglingUsers(path, err)
	}
	for range usersTries {
		f, err := lockUsers(ctx, target)
		if err != nil {
			return err
		}
		done, err := editLocked(f, target, edit)
		err = errors.Join(err, f.Close()) // The lock goes with it.
		if done || err != nil {
			return err
		}
	}
	return ErrUsersBusy
}

// danglingUsers tells a link that leads nowhere from a file that is not there:
// only that may be made.
func danglingUsers(path string, err error) error {
	if info, e := os.Lstat(path); e == nil && info.Mode()&fs.ModeSymlink != 0 {
		return fmt.Errorf("mailstore: user file: %s is a symbolic link that leads to no file", path)
	}
	return fmt.Errorf("mailstore: user file: %w", err)
}

// lockUsers opens the file and locks it. Because each change replaces the file,
// a lock may turn out to be that of an old one; then it is taken again.
func lockUsers(ctx context.Context, path string) (*os.File, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, usersLockWait, ErrUsersBusy)
	defer cancel()
	for {
		f, err := os.OpenFile(path, os.O_RDWR|syscall.O_NONBLOCK, 0) // A pipe must not block.
		if err != nil {
			return nil, fmt.Errorf("mailstore: user file: %w", err)
		}
		locked, err := lockIfCurrent(f, path)
		if locked {
			return f, nil
		}
		if err := errors.Join(err, f.Close()); err != nil {
			return nil, err
		}
		select {
		case <-time.After(usersLockPoll):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// lockIfCurrent locks f if nobody else has, and if it is still the one at path.
func lockIfCurrent(f *os.File, path string) (bool, error) {
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		return false, fmt.Errorf("mailstore: user file: %s is not a regular file", path)
	}
	if err == nil {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	}
	switch {
	case errors.Is(err, syscall.EWOULDBLOCK), errors.Is(err, syscall.EINTR):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("mailstore: lock the user file: %w", err)
	}
	now, err := os.Stat(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("mailstore: user file: %w", err)
	}
	return err == nil && os.SameFile(info, now), nil
}

// editLocked changes a file that is locked. It returns false if somebody who
// asks for no lock has changed it meanwhile.
func editLocked(f *os.File, path string, edit func(string) (string, error)) (done bool, err error) {
	before, err := f.Stat()
	if err != nil {
		return false, fmt.Errorf("mailstore: user file: %w", err)
	}
	text, err := readUsers(path, f)
	if err != nil {
		return false, err
	}
	if text, err = edit(text); err != nil {
		return false, err
	}
	temp, err := writeUsers(path, text, before)
	if err != nil {
		return false, err
	}
	now, err := os.Stat(path)
	if err == nil && (!os.SameFile(before, now) || now.Size() != before.Size() || !now.ModTime().Equal(before.ModTime())) {
		return false, os.Remove(temp)
	}
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		return false, errors.Join(fmt.Errorf("mailstore: user file: %w", err), os.Remove(temp))
	}
	return true, realDisk{}.SyncDir(filepath.Dir(path))
}

// createUsers makes a new file, or returns fs.ErrExist.
func createUsers(path string, edit func(string) (string, error)) error {
	text, err := edit("")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("mailstore: user file: %w", err)
	}
	temp, err := writeUsers(path, text, nil)
	if err != nil {
		return err
	}
	err = os.Link(temp, path) // Unlike a rename, it replaces nothing.
	if err = errors.Join(err, os.Remove(temp)); err != nil {
		return fmt.Errorf("mailstore: user file: %w", err)
	}
	return realDisk{}.SyncDir(filepath.Dir(path))
}

// writeUsers writes a file beside path that can take its place, and returns
// its name.
func writeUsers(path, text string, old fs.FileInfo) (temp string, err error) {
	if _, err := parseUsers(path, strings.NewReader(text)); err != nil {
		return "", err // Whatever was done to it, it would be useless.
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp") // Made with mode 0600.
	if err != nil {
		return "", fmt.Errorf("mailstore: user file: %w", err)
	}
	_, err = f.WriteString(text)
	err = errors.Join(cmp.Or(err, likeBefore(f, old)), f.Sync(), f.Close())
	if err != nil {
		return "", errors.Join(fmt.Errorf("mailstore: user file: %w", err), os.Remove(f.Name()))
	}
	return f.Name(), nil
}

// likeBefore gives a file to whom the old one belongs, and lets that group read
// it which could before: the server may run as another user than the one who
// edits. Nobody else may read it. A new file goes to the owner of its folder,
// if that can be done.
func likeBefore(f *os.File, old fs.FileInfo) error {
	isNew := old == nil
	if isNew {
		folder, err := os.Stat(filepath.Dir(f.Name()))
		if err != nil {
			return err
		}
		old = folder
	}
	owner, ok := old.Sys().(*syscall.Stat_t)
	if ok && (int(owner.Uid) != os.Geteuid() || int(owner.Gid) != os.Getegid()) {
		if err := f.Chown(int(owner.Uid), int(owner.Gid)); err != nil && !isNew {
			return fmt.Errorf("keep its owner: %w", err)
		}
	}
	if isNew {
		return nil
	}
	return f.Chmod(old.Mode().Perm() & 0o640)
}
