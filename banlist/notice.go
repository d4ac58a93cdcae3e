package banlist

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A notice is a datagram that says "look at the file", nothing else. Each
// process that shows the list has a socket in the folder <file>.notify; who
// commits a change writes to all of them. A socket that nobody reads any more
// refuses, and is removed by whoever notices. The folder is as private as the
// file, so strangers can neither listen nor wake.
const (
	noticeFolder = ".notify"
	socketSuffix = ".sock"
	// maxSocketPath is what fits into a socket address of any system.
	maxSocketPath = 100
)

// notice is the ear of one list.
type notice struct {
	name string // of the socket, in the folder
	path string // of the socket
	conn *net.UnixConn
	done sync.WaitGroup
}

// listen opens an ear beside the file. heard is called for each notice.
func listen(file string, heard func()) (*notice, error) {
	dir := file + noticeFolder
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	n := &notice{name: fmt.Sprintf("%d-%s%s", os.Getpid(), strings.ToLower(rand.Text()[:8]), socketSuffix)}
	n.path = filepath.Join(dir, n.name)
	err := within(dir, func(short string) (err error) {
		n.conn, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(short, n.name), Net: "unixgram"})
		return err
	})
	if err != nil {
		return nil, err
	}
	n.done.Go(func() { n.read(heard) })
	// A process that only reads, and crashes again and again, would leave a
	// socket each time.
	_ = tell(file, n) // It is tried again at the next change.
	return n, nil
}

// read calls heard for each datagram until the socket is closed.
func (n *notice) read(heard func()) {
	var buf [16]byte
	for {
		_, err := n.conn.Read(buf[:])
		if errors.Is(err, net.ErrClosed) {
			return
		}
		heard()
		if err != nil {
			time.Sleep(10 * time.Millisecond) // Not to spin on whatever it is.
		}
	}
}

// close ends the ear. A nil notice has none.
func (n *notice) close() {
	if n == nil {
		return
	}
	_ = n.conn.Close() // A datagram socket has nothing to flush.
	n.done.Wait()
	_ = os.Remove(n.path) // If it stays, the next one to write removes it.
}

// tell writes a notice to every ear beside the file, but for one's own. It
// never waits: an ear that is full has notices to read.
func tell(file string, own *notice) error {
	dir := file + noticeFolder
	names, err := sockets(dir)
	if own != nil {
		names = slices.DeleteFunc(names, func(name string) bool { return name == own.name })
	}
	if err != nil || len(names) == 0 {
		return err
	}
	return within(dir, func(short string) error {
		fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_DGRAM, 0)
		if err != nil {
			return err
		}
		defer func() { _ = syscall.Close(fd) }() // Nothing is pending in it.
		syscall.CloseOnExec(fd)
		if err := syscall.SetNonblock(fd, true); err != nil {
			return err
		}
		for _, name := range names {
			err := syscall.Sendto(fd, []byte{'\n'}, 0, &syscall.SockaddrUnix{Name: filepath.Join(short, name)})
			if errors.Is(err, syscall.ECONNREFUSED) {
				_ = os.Remove(filepath.Join(dir, name)) // Its process is gone.
			}
		}
		return nil
	})
}

// sockets lists the ears in the folder.
func sockets(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	var names []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), socketSuffix) && e.Type()&os.ModeSocket != 0 {
			names = append(names, e.Name())
		}
	}
	return names, err
}

// within calls fn with a name of the folder that is short enough for a socket
// address. Linux has one for every open folder.
func within(dir string, fn func(short string) error) error {
	if len(dir)+32 <= maxSocketPath {
		return fn(dir)
	}
	if runtime.GOOS != "linux" {
		return fmt.Errorf("the path of %s is too long for a socket", dir)
	}
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = fn(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
	return errors.Join(err, f.Close())
}
