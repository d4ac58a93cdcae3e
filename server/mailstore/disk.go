package mailstore

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// disk is how the file system is changed. Tests make it fail.
type disk interface {
	Mkdir(path string) error
	Create(path string) (file, error)
	// Append opens a file for writing behind its first size octets, and cuts
	// off the rest.
	Append(path string, size int64) (file, error)
	Rename(from, to string) error
	Link(from, to string) error
	Remove(path string) error
	SyncDir(path string) error
}

type file interface {
	io.WriteCloser
	Sync() error
}

// realDisk keeps everything to its owner.
type realDisk struct{}

func (realDisk) Mkdir(path string) error { return os.Mkdir(path, 0o700) }

func (realDisk) Create(path string) (file, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err // Not f, which would be a nil pointer in an interface.
	}
	return f, nil
}

func (realDisk) Append(path string, size int64) (file, error) {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	err = f.Truncate(size)
	if err == nil {
		_, err = f.Seek(size, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (realDisk) Link(from, to string) error { return os.Link(from, to) }

func (realDisk) Rename(from, to string) error { return os.Rename(from, to) }

func (realDisk) Remove(path string) error { return os.Remove(path) }

// SyncDir makes the names in a folder last.
func (realDisk) SyncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	err = d.Sync()
	return errors.Join(err, d.Close())
}

// makeMaildir makes the folders of a Maildir that do not exist, and makes them
// last: a message is not safe in a folder that is not.
func (s *Store) makeMaildir(dir string) error {
	for _, sub := range []string{"tmp", "new", "cur"} {
		if err := s.makeFolder(filepath.Join(dir, sub)); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) makeFolder(path string) error {
	err := s.disk.Mkdir(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err = s.makeFolder(filepath.Dir(path)); err == nil {
			err = s.disk.Mkdir(path)
		}
	}
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil
	case err != nil:
		return err
	}
	return s.disk.SyncDir(filepath.Dir(path))
}

// isFull tells whether an error means that more room would help.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// hostPart returns this host's name as it may stand in a file name.
func hostPart() string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		return "localhost"
	}
	return strings.NewReplacer("/", `\057`, ":", `\072`, ",", `\054`).Replace(host)
}
