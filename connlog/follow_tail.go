package connlog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/nxadm/tail"
	"github.com/nxadm/tail/watch"
	"golang.org/x/sys/unix"
)

// edge waits for what is written to the path's file and yields it. It returns
// whenever something is to be looked at with other means than the tail: the
// path has another file, the tail has ended, skipped or sleeps, the file was
// truncated, or more has gathered than a tail is good for. Then nothing that
// was not yielded counts as read.
func (f *follower) edge(src *source) {
	if src.partial() > maxTailBytes {
		f.sleep(pollInterval) // a line that long is not for the tail's memory
		return
	}
	t, err := startTail(src.file, src.offset)
	if err != nil {
		f.o.Logger.Debug("connection log is polled", "path", f.path, "error", err)
		f.sleep(pollInterval)
		return
	}
	defer t.stop()
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	var buf []byte
	var checked time.Time
	seen := int64(-1) // the offset at the last tick
	for {
		select {
		case <-f.ctx.Done():
			return
		case line, ok := <-t.Lines:
			if !ok || line.Err != nil || line.SeekInfo.Offset != src.offset+int64(len(line.Text))+1 {
				return
			}
			if line.Time.Sub(checked) > checkInterval {
				if checked = line.Time; src.changed() != "" {
					return
				}
			}
			if len(line.Text) > f.o.MaxLineBytes {
				return
			}
			buf = append(buf[:0], line.Text...)
			if !src.holds(buf) {
				return
			}
			if !f.deliver(src, buf, line.SeekInfo.Offset) {
				return
			}
		case <-tick.C:
			if src.changed() != "" || f.moved(src) || src.outgrown(src.offset == seen) {
				return
			}
			seen = src.offset
		}
	}
}

// maxTailBytes is how much may wait to be read before plain reading takes over:
// it is many times as fast, and bounds its memory.
const maxTailBytes = 256 << 10

// outgrown reports whether too much waits for the tail, or, when idle says that
// it gave nothing since the last time, any whole line.
func (src *source) outgrown(idle bool) bool {
	info, err := src.file.Stat()
	if err != nil {
		return true
	}
	waiting := info.Size() - src.offset
	if waiting > maxTailBytes || !idle || waiting <= 0 {
		return waiting > maxTailBytes
	}
	b := make([]byte, waiting)
	n, _ := src.file.ReadAt(b, src.offset) // what is not there is no line
	return bytes.IndexByte(b[:n], '\n') >= 0
}

// liveTail is the tail library on an open file. It is given the descriptor's
// name under /proc and not the path: so it cannot take another file for this
// one, and its stat of the file cannot fail, upon which it would end the
// process.
type liveTail struct {
	*tail.Tail
	fd   int // a descriptor of its own
	name string
}

var errNoDescriptor = errors.New("connlog: no /proc to name a descriptor")

func startTail(file *os.File, offset int64) (_ *liveTail, err error) {
	fd, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = unix.Close(fd) // the error says more
		}
	}()
	name := fmt.Sprintf("/proc/self/fd/%d", fd)
	own, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(name); err != nil || !os.SameFile(own, info) {
		return nil, errNoDescriptor
	}
	// The library ends the process when it gets no inotify instance.
	probe, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	if err != nil {
		return nil, err
	}
	_ = unix.Close(probe)
	// The library's tracker must run before stop asks it for anything. It
	// starts with the first request, and to forget a name that it never knew
	// is one that changes nothing.
	_ = watch.RemoveWatch("/proc/self/fd/none")

	t, err := tail.TailFile(name, tail.Config{
		Location:      &tail.SeekInfo{Offset: offset, Whence: io.SeekStart},
		MustExist:     true,
		Follow:        true,
		CompleteLines: true,
		Logger:        tail.DiscardingLogger,
	})
	if err != nil {
		return nil, err
	}
	return &liveTail{t, fd, name}, nil
}

// stop ends the tail and waits until the library has forgotten the name: its
// watcher ends in its own time, and would take the watch of the next file with
// the same descriptor away. If that should take too long the descriptor stays
// open, so that no other file gets its number.
func (t *liveTail) stop() {
	_ = t.Stop() // the tail's own error is no news: edge has returned
	deadline := time.Now().Add(time.Second)
	for watch.Events(t.name) != nil {
		if time.Now().After(deadline) {
			return
		}
		time.Sleep(50 * time.Microsecond)
	}
	_ = unix.Close(t.fd) // it was only read
}
