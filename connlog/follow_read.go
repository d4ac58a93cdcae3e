package connlog

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"
)

// source is a file that is being read.
type source struct {
	file       *os.File
	path       string
	id         identity
	print      Fingerprint
	first      lineHead
	compressed bool
	offset     int64 // after the last line that was yielded
	scan       *lineScanner
	reread     []byte // room for holds
}

func (src *source) close() { _ = src.file.Close() } // it was only read

// partial returns how many bytes of an unfinished line were read.
func (src *source) partial() int64 {
	if src.scan == nil {
		return 0
	}
	return src.scan.partial()
}

func (src *source) position() Position {
	return Position{src.id.device, src.id.inode, src.print, src.offset}
}

// look reads the first line as it is now.
func (src *source) look() (Fingerprint, lineHead) {
	head := src.head()
	return fingerprintOf(head), firstHead(head)
}

func (src *source) head() []byte {
	head := make([]byte, maxFirstLineBytes)
	n, _ := src.file.ReadAt(head, 0) // an error shows as a short head
	return head[:n]
}

// lastHead returns the head of the last line that was yielded, from the file.
func (src *source) lastHead() lineHead {
	const most = 64 << 10
	if src.offset == 0 {
		return lineHead{}
	}
	from := max(0, src.offset-most)
	b := make([]byte, src.offset-1-from)
	if _, err := src.file.ReadAt(b, from); err != nil {
		return lineHead{}
	}
	return headOf(b[bytes.LastIndexByte(b, '\n')+1:])
}

// read yields a file to its end and returns the one after it.
func (f *follower) read(src *source) (next generation, ok bool) {
	if src.compressed {
		f.readCompressed(src)
		for !f.ended() {
			if next, ok = f.after(src); ok {
				return next, true
			}
			f.goLive()
			f.sleep(watchInterval)
		}
		return next, false
	}
	for !f.ended() {
		if f.catchUp(src); f.ended() {
			break
		}
		if f.moved(src) {
			if next, ok = f.drain(src); ok {
				return next, true
			}
			continue
		}
		if f.goLive(); !f.ended() {
			f.edge(src)
		}
	}
	return next, false
}

// catchUp yields all lines that are there, without the tail.
func (f *follower) catchUp(src *source) {
	f.verify(src)
	s := src.scan
	if s == nil || s.offset != src.offset {
		s = newLineScanner(nil, src.offset, f.o.MaxLineBytes)
		s.r = contextReader{f.ctx, io.NewSectionReader(src.file, src.offset, 1<<62)}
		src.scan = s
	}
	pieced := s.partial() > 0
	for !f.ended() {
		text, err := s.next()
		if err == nil {
			if pieced && !src.holds(text) {
				src.scan = nil
				return // and begin again at the last line's end
			}
			pieced = false
			f.deliver(src, text, s.offset)
			continue
		}
		if _, long := errors.AsType[*LongLineError](err); !long {
			if !errors.Is(err, io.EOF) && f.ctx.Err() == nil {
				f.complain(err)
				src.scan = nil // begin again at the last line's end
				f.sleep(watchInterval)
			}
			return
		}
		src.offset = s.offset
		f.report(err)
	}
}

// verify notices that the file is not the one that was read so far: cut off
// before the offset, or another first line.
func (f *follower) verify(src *source) {
	what := src.changed()
	if what == "" {
		return
	}
	f.report(&LossError{src.path, src.offset, what})
	src.offset, src.scan = 0, nil
	f.begun(src)
}

func (src *source) changed() (what string) {
	info, err := src.file.Stat()
	if err != nil {
		return ""
	}
	if info.Size() < src.offset {
		return "the file was truncated"
	}
	if src.offset == 0 {
		return ""
	}
	if fingerprintOf(src.head()) != src.print {
		return "the file was truncated and written anew"
	}
	var end [1]byte
	if _, err := src.file.ReadAt(end[:], src.offset-1); err == nil && end[0] != '\n' {
		return "the file was truncated and written anew"
	}
	if info.Size() < src.offset+src.partial() {
		src.scan = nil // only a part of a line was taken back
	}
	return ""
}

// holds reports whether text is the line that the file has after the last one
// yielded. A line that was read in pieces need not be: the writer may have
// taken the first piece back and written another line in its place, as long.
func (src *source) holds(text []byte) bool {
	src.reread = slices.Grow(src.reread[:0], len(text)+1)[:len(text)+1]
	n, _ := src.file.ReadAt(src.reread, src.offset) // an error shows as other bytes
	return n == len(src.reread) && src.reread[n-1] == '\n' && bytes.Equal(src.reread[:n-1], text)
}

// moved reports whether the path means another file than src, or none.
func (f *follower) moved(src *source) bool {
	info, err := os.Stat(f.path)
	if err == nil {
		f.told = ""
		return identityOf(info) != src.id
	}
	if errors.Is(err, fs.ErrNotExist) {
		return true
	}
	f.complain(err)
	return false
}

// drain yields what is still written to a file that is not the path's any more
// and returns the one after it, once that has a line and this one is finished.
// There is none if the file gets its path back.
func (f *follower) drain(src *source) (next generation, ok bool) {
	pause := time.Millisecond
	for {
		if f.catchUp(src); f.ended() {
			return next, false
		}
		if next, ok = f.after(src); ok && next.print != (Fingerprint{}) {
			if src.lastHead().before(next.first) || f.quiet(src) {
				break
			}
		} else if info, err := os.Stat(f.path); err == nil && identityOf(info) == src.id {
			return next, false
		} else {
			f.goLive()
		}
		if !f.sleep(pause) {
			return next, false
		}
		pause = min(2*pause, watchInterval)
	}
	if f.catchUp(src); src.partial() > 0 && !f.ended() {
		f.report(&TornError{src.path, src.offset, src.partial()})
	}
	return next, true
}

// quiet reports whether nothing was written to the file for the grace.
func (f *follower) quiet(src *source) bool {
	info, err := src.file.Stat()
	return err != nil || time.Since(info.ModTime()) >= f.o.Grace
}

// after returns the file that follows src. It lists the folder only if it must:
// nothing comes between two files that are listed, and a line that is numbered
// as the next one is the next one.
func (f *follower) after(src *source) (next generation, ok bool) {
	if len(f.ahead) > 0 && f.ahead[0].print != (Fingerprint{}) {
		return f.ahead[0], true
	}
	if next, ok, err := f.family.look(f.path); err == nil && ok && src.lastHead().before(next.first) {
		return next, true
	}
	f.ahead = nil
	gens, _ := f.list()
	for i, g := range gens {
		if g.print == src.print && (g.id == src.id || src.print != Fingerprint{}) {
			f.ahead = gens[i+1:]
			if len(f.ahead) > 0 {
				return f.ahead[0], true
			}
			return next, false
		}
	}
	// It has no name that tells its place, or no name at all.
	return f.newer(gens, src.id)
}

// newer returns the first file that is younger than all that were begun. The
// path's own is so in any case, unless it is the one with this identity.
func (f *follower) newer(gens []generation, than identity) (next generation, ok bool) {
	for _, g := range gens {
		if g.first.time.After(f.newest) || g.path == f.path && g.id != than {
			return g, true
		}
	}
	return next, false
}

// readCompressed yields a compressed file from src.offset to its end.
func (f *follower) readCompressed(src *source) {
	in, done, err := decompress(src.file)
	if err != nil {
		f.report(err)
		return
	}
	defer done()
	if n, err := io.CopyN(io.Discard, in, src.offset); err != nil {
		f.report(&LossError{src.path, n, "the file is shorter than it was, or damaged"})
		return
	}
	s := newLineScanner(contextReader{f.ctx, in}, src.offset, f.o.MaxLineBytes)
	for !f.ended() {
		text, err := s.next()
		if err == nil {
			f.deliver(src, text, s.offset)
			continue
		}
		if _, long := errors.AsType[*LongLineError](err); long {
			src.offset = s.offset
			f.report(err)
			continue
		}
		if !errors.Is(err, io.EOF) {
			f.report(err)
		} else if s.partial() > 0 {
			f.report(&TornError{src.path, src.offset, s.partial()})
		}
		return
	}
}
