package connlog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"log/slog"
	"os"
	"slices"
	"time"
)

// What Follow yields as errors, beside *LongLineError and those of the file
// system. None of them ends it.
var (
	// ErrPositionLost says that FollowOptions.From is in no file that is
	// there. Following begins with the oldest one.
	ErrPositionLost = errors.New("connlog: the file of the saved position is gone")
)

// LossError says that lines may be missing: what happened to which file, and
// up to which offset it had been read.
type LossError struct {
	Path   string
	Offset int64
	What   string
}

func (e *LossError) Error() string {
	return fmt.Sprintf("connlog: %s: %s; it was read up to offset %d", e.Path, e.What, e.Offset)
}

// TornError says that a file which is finished ends in a part of a line.
type TornError struct {
	Path   string
	Offset int64 // where that part begins
	Bytes  int64
}

func (e *TornError) Error() string {
	return fmt.Sprintf("connlog: %s: the last %d bytes, from offset %d, are no whole line", e.Path, e.Bytes, e.Offset)
}

// Line is a line of the log and where it ends. Text has no newline and is
// valid until the next line. Live is set once all that was there at the
// beginning has been read.
type Line struct {
	Text []byte
	Pos  Position
	Live bool
}

// FollowOptions say where Follow begins. The zero value: with the oldest file.
type FollowOptions struct {
	// From is the position after which to begin, as an earlier Line gave it.
	From Position
	// Since, if From is zero, is the time from which on nothing may be
	// missed. Following begins with the newest file whose first line is not
	// younger, and because each file stands alone nothing older is needed.
	Since time.Time
	// OnLive is called once, when all that was there has been read.
	OnLive func()
	// MaxLineBytes bounds a line; 0: DefaultMaxLineBytes. A longer one is
	// skipped and yielded as a *LongLineError.
	MaxLineBytes int
	// Grace is how long a file that was rotated away must be quiet before it
	// counts as finished; 0: 100 ms. Files whose lines are numbered by a
	// Writer need none of it.
	Grace time.Duration
	// Logger says what goes on, but for what is yielded; nil: nothing.
	Logger *slog.Logger
}

// Times between two looks.
const (
	watchInterval = 20 * time.Millisecond // whether the tail is awake and the path the same
	pollInterval  = 10 * time.Millisecond // where there can be no tail
	checkInterval = time.Millisecond      // of a file's first line, while lines come
)

// Follow returns the lines of the log at path, one after the other, for ever:
// those of the rotated files beside it, oldest first, then those of the path's
// file, then what is written to it, then the next file. No line is missed and
// none comes twice, as far as files are rotated by renaming or by unlinking,
// however soon and often; truncation in place can lose lines, which yields a
// *LossError.
//
// A file or folder that is not there is waited for. An error is about one place
// and comes with a zero Line; following goes on when the loop does. It ends
// when ctx does, or the loop. The sequence can be used once.
//
// Rotated files are those that a Writer leaves (connections-<time>.log, .zst,
// .gz) and those of the common rotation tools (connections.log.1,
// connections.log-20261123, .gz).
//
// Two followers of one file in one process are correct, but the slower ones
// may see a line as late as 40 ms after it was written.
func Follow(ctx context.Context, path string, o FollowOptions) iter.Seq2[Line, error] {
	setDefault(&o.MaxLineBytes, DefaultMaxLineBytes)
	setDefault(&o.Grace, 100*time.Millisecond)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return func(yield func(Line, error) bool) {
		f := &follower{ctx: ctx, path: path, o: o, yield: yield, family: family{path: path}}
		f.run()
	}
}

// follower is one run of Follow.
type follower struct {
	ctx    context.Context
	path   string
	o      FollowOptions
	yield  func(Line, error) bool
	family family

	stopped bool         // the loop has ended
	live    bool         // OnLive has been called
	told    string       // the error that goes on, yielded once
	ahead   []generation // what is to be read next, as it was last listed
	newest  time.Time    // first line of the newest file that was begun
}

func (f *follower) run() {
	gen, offset, ok := f.first()
	for !f.ended() {
		if !ok {
			f.goLive()
			if !f.sleep(watchInterval) {
				return
			}
			gens, _ := f.list()
			gen, ok = f.newer(gens, identity{})
			offset = 0
			continue
		}
		src, err := f.open(gen)
		if errors.Is(err, errVanished) {
			gen, offset, ok = f.again(gen, offset)
			continue
		}
		if err != nil {
			f.complain(err)
			if !f.sleep(watchInterval) {
				return
			}
			continue
		}
		f.told = ""
		src.offset = offset
		gen, ok = f.read(src)
		src.close()
		offset = 0
	}
}

func (f *follower) ended() bool { return f.stopped || f.ctx.Err() != nil }

// sleep returns false when there is no more to do.
func (f *follower) sleep(d time.Duration) bool {
	if f.ended() {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-f.ctx.Done():
		return false
	}
}

// report yields an error.
func (f *follower) report(err error) {
	if !f.ended() && !f.yield(Line{}, err) {
		f.stopped = true
	}
}

// complain reports an error that will come again until it is mended.
func (f *follower) complain(err error) {
	if err == nil || f.told == err.Error() {
		return
	}
	f.told = err.Error()
	f.report(err)
}

// deliver yields a line of src that ends at offset.
func (f *follower) deliver(src *source, text []byte, offset int64) bool {
	src.offset = offset
	if src.print == (Fingerprint{}) {
		f.begun(src)
	}
	if !f.yield(Line{Text: text, Pos: src.position(), Live: f.live}, nil) {
		f.stopped = true
	}
	return !f.ended()
}

// begun takes note of the first line of src.
func (f *follower) begun(src *source) {
	src.print, src.first = src.look()
	if src.first.time.After(f.newest) {
		f.newest = src.first.time
	}
}

func (f *follower) goLive() {
	if f.live || f.ended() {
		return
	}
	f.live = true
	f.o.Logger.Debug("connection log is followed live", "path", f.path)
	if f.o.OnLive != nil {
		f.o.OnLive()
	}
}

// first returns where to begin. ok is false while there is no file.
func (f *follower) first() (gen generation, offset int64, ok bool) {
	if from := f.o.From; !from.IsZero() { // mostly it is in the path's file
		gen, ok, err := f.family.look(f.path)
		if err == nil && ok && gen.id == (identity{from.Device, from.Inode}) && gen.print == from.Fingerprint {
			return gen, from.Offset, true
		}
	}
	gens, ok := f.list()
	for !ok && f.sleep(watchInterval) {
		gens, ok = f.list()
	}
	if f.ended() {
		return gen, 0, false
	}
	if from := f.o.From; !from.IsZero() {
		if gen, ok = find(gens, identity{from.Device, from.Inode}, from.Fingerprint); ok {
			f.ahead = gens[slices.IndexFunc(gens, gen.same):]
			return gen, from.Offset, true
		}
		f.report(fmt.Errorf("%w: %s", ErrPositionLost, from))
	} else if !f.o.Since.IsZero() {
		gens = since(gens, f.o.Since)
	}
	if len(gens) == 0 {
		return gen, 0, false
	}
	f.ahead = gens
	return gens[0], 0, true
}

// list returns the files of the log, oldest first. ok is false if that cannot
// be known now.
func (f *follower) list() (gens []generation, ok bool) {
	gens, err := f.family.stable()
	f.complain(errors.Join(err, f.family.problem))
	return gens, err == nil
}

// errVanished says that a file has another name by now, or none.
var errVanished = errors.New("connlog: file has vanished")

func (f *follower) open(gen generation) (*source, error) {
	file, err := os.Open(gen.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errVanished
	}
	if err != nil {
		return nil, err
	}
	src := &source{file: file, path: gen.path, id: gen.id, print: gen.print, first: gen.first, compressed: gen.compressed}
	info, err := file.Stat()
	if err != nil || identityOf(info) != gen.id {
		src.close()
		return nil, errVanished
	}
	if gen.first.time.After(f.newest) {
		f.newest = gen.first.time
	}
	if len(f.ahead) > 0 && f.ahead[0].same(gen) {
		f.ahead = f.ahead[1:]
	} else {
		f.ahead = nil
	}
	return src, nil
}

// again looks for a file that has vanished from where it was.
func (f *follower) again(gen generation, offset int64) (generation, int64, bool) {
	f.ahead = nil
	gens, ok := f.list()
	if !ok {
		f.sleep(watchInterval)
		return gen, offset, true // and vanished still, or again
	}
	if found, ok := find(gens, gen.id, gen.print); ok {
		return found, offset, true
	}
	if gen.print != (Fingerprint{}) {
		f.report(&LossError{gen.path, offset, "the file was removed before it was read"})
	}
	if gen.first.time.After(f.newest) {
		f.newest = gen.first.time
	}
	gen, ok = f.newer(gens, gen.id)
	return gen, 0, ok
}
