package app

import (
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// isPipe reports whether a path is that of a stream, as a shell makes one of
// what a command prints.
func isPipe(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode()&(os.ModeNamedPipe|os.ModeSocket) != 0
}

// namedPipe is the end of a pipe that is read. Opening it waits for nobody, so
// that a read can be ended that waits for somebody to write.
type namedPipe struct {
	file  *os.File
	begun sync.Once
}

func openPipe(path string) (*namedPipe, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	return &namedPipe{file: f}, nil
}

// Read waits for somebody to write: until there was one, a read would find the
// end.
func (p *namedPipe) Read(b []byte) (int, error) {
	var err error
	p.begun.Do(func() { err = p.awaitWriter() })
	if err != nil {
		return 0, err
	}
	return p.file.Read(b)
}

// SetReadDeadline ends a read that waits, for a writer or for what it writes.
func (p *namedPipe) SetReadDeadline(t time.Time) error { return p.file.SetReadDeadline(t) }

func (p *namedPipe) Close() error { return p.file.Close() }

func (p *namedPipe) awaitWriter() error {
	raw, err := p.file.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Read(func(fd uintptr) bool {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		return err != nil || n > 0 // The read says what is wrong.
	})
}
