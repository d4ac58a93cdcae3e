package connlog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

// output is the file that a Writer writes to. Only the flusher uses it.
type output struct {
	path string
	disk disk
	mode fs.FileMode

	file     logFile
	size     int64 // up to the end of the last whole line
	torn     bool  // a part of a line follows it and could not be cut off
	checked  time.Time
	since    int // lines written since then
	closeErr error
}

// open opens the path's file to append to it and returns the time of its first
// line, if it has one.
func (o *output) open() (began time.Time, err error) {
	f, err := o.disk.OpenFile(o.path, os.O_RDWR|os.O_APPEND|os.O_CREATE, o.mode)
	if err != nil {
		return began, err
	}
	info, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return began, err
	}
	size := info.Size()
	torn := false
	if size > 0 {
		var end [1]byte
		if _, err := f.ReadAt(end[:], size-1); err != nil {
			_ = f.Close()
			return began, err
		}
		torn = end[0] != '\n' // a crash: end the line rather than lose its bytes
		began = beginning(f)
	}
	o.use(f, size)
	o.torn = torn
	return began, nil
}

func (o *output) use(f logFile, size int64) {
	if o.file != nil {
		_ = o.file.Close() // all of it has been written, or counted as lost
	}
	o.file, o.size, o.torn = f, size, false
	o.checked, o.since = time.Now(), 0
}

// beginning returns the time of the first line of r, or zero.
func beginning(r io.ReaderAt) time.Time {
	head := make([]byte, maxFirstLineBytes)
	n, err := r.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return time.Time{}
	}
	line, _, _ := bytes.Cut(head[:n], []byte{'\n'})
	return timeOf(line)
}

// write writes whole lines and returns how many bytes of them are in the file
// now. After an error no part of a line is left behind, or torn is set.
func (o *output) write(b []byte) (int, error) {
	if o.torn {
		if _, err := o.file.Write([]byte{'\n'}); err != nil {
			return 0, err
		}
		o.size++ // at least; the part of a line before it is not known
		o.torn = false
	}
	n, err := o.file.Write(b)
	if n == len(b) && err == nil {
		o.size += int64(n)
		return n, nil
	}
	if err == nil {
		err = io.ErrShortWrite
	}
	whole := bytes.LastIndexByte(b[:n], '\n') + 1
	o.size += int64(whole)
	if whole < n {
		o.torn = o.cutBack(n-whole) != nil
	}
	return whole, err
}

// cutBack removes the last n bytes of the file.
func (o *output) cutBack(n int) error {
	info, err := o.file.Stat()
	if err != nil {
		return err
	}
	return o.file.Truncate(info.Size() - int64(n))
}

// rotate gives the file its rotated name and begins another at the path. On an
// error the old file stays in use, under its own name if that can be had back.
func (o *output) rotate(stamp time.Time) error {
	name, err := o.freeName(stamp)
	if err != nil {
		return err
	}
	if err := o.disk.Rename(o.path, name); err != nil {
		return fmt.Errorf("rotate: %w", err)
	}
	f, err := o.disk.OpenFile(o.path, os.O_RDWR|os.O_APPEND|os.O_CREATE|os.O_EXCL, o.mode)
	if errors.Is(err, fs.ErrExist) { // somebody was faster: add to theirs
		_, err := o.open()
		return err
	}
	if err != nil {
		if _, missing := o.disk.Stat(o.path); errors.Is(missing, fs.ErrNotExist) {
			err = errors.Join(err, o.disk.Rename(name, o.path))
		}
		return fmt.Errorf("rotate: %w", err)
	}
	o.use(f, 0)
	return nil
}

// freeName returns a name for a rotated file that nothing has yet.
func (o *output) freeName(stamp time.Time) (string, error) {
	for range 1000 {
		name := rotatedName(o.path, stamp)
		taken := false
		for _, suffix := range []string{"", ".zst", ".gz"} {
			if _, err := o.disk.Stat(name + suffix); err == nil {
				taken = true
			} else if !errors.Is(err, fs.ErrNotExist) {
				return "", fmt.Errorf("rotate: %w", err)
			}
		}
		if !taken {
			return name, nil
		}
		stamp = stamp.Add(time.Microsecond)
	}
	return "", fmt.Errorf("rotate: no free name for %s", o.path)
}

// What became of the path since the file was opened.
type whereabouts uint8

const (
	inPlace whereabouts = iota
	movedAway
	removed
	truncated
)

// check compares the path with the file, at most once a second unless forced.
func (o *output) check(force bool) whereabouts {
	if !force && time.Since(o.checked) < time.Second {
		return inPlace
	}
	own, err := o.file.Stat()
	if err != nil {
		return inPlace // nothing better is known
	}
	if unlinked(own) {
		return removed
	}
	at, err := o.disk.Stat(o.path)
	if err == nil && identityOf(at) != identityOf(own) || errors.Is(err, fs.ErrNotExist) {
		o.checked = time.Now()
		return movedAway
	}
	o.checked, o.since = time.Now(), 0
	if own.Size() < o.size { // appending goes on at the new end
		o.size = own.Size()
		return truncated
	}
	return inPlace
}
