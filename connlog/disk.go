package connlog

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// disk is what a Writer needs of a file system, so that tests can let it fail.
type disk interface {
	OpenFile(name string, flag int, mode fs.FileMode) (logFile, error)
	Rename(from, to string) error
	Stat(name string) (fs.FileInfo, error)
}

type logFile interface {
	io.Writer
	io.ReaderAt
	io.Closer
	Stat() (fs.FileInfo, error)
	Sync() error
	Truncate(size int64) error
}

type osDisk struct{}

// OpenFile also locks the file: two writers would interleave their files.
func (osDisk) OpenFile(name string, flag int, mode fs.FileMode) (logFile, error) {
	f, err := os.OpenFile(name, flag, mode)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		_ = f.Close()
		return nil, &fs.PathError{Op: "open", Path: name, Err: errors.New("not a regular file")}
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = ErrInUse
		}
		return nil, &fs.PathError{Op: "lock", Path: name, Err: err}
	}
	return f, nil
}

func (osDisk) Rename(from, to string) error          { return os.Rename(from, to) }
func (osDisk) Stat(name string) (fs.FileInfo, error) { return os.Stat(name) }

// identity names a file apart from its path. Inodes are used again, so it
// holds only as long as the file exists.
type identity struct {
	device, inode uint64
}

func identityOf(info fs.FileInfo) identity {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return identity{s.Dev, s.Ino}
	}
	return identity{}
}

// unlinked reports whether a file that is open has no name any more.
func unlinked(info fs.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && s.Nlink == 0
}
