package connlog

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// seeded returns random numbers whose seed is in the test's output.
func seeded(t testing.TB) *rand.Rand {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// numbered is a log of lines that carry a number in conn.
type numbered struct {
	t    *testing.T
	path string
	file *os.File
	n    uint64
	turn int
	read atomic.Uint64 // the number of the last line that was followed
}

func newNumbered(t *testing.T) *numbered {
	l := &numbered{t: t, path: filepath.Join(t.TempDir(), "conn.log")}
	t.Cleanup(func() {
		if l.file != nil {
			_ = l.file.Close()
		}
	})
	return l
}

// start makes the log's file and its first line.
func (l *numbered) start() *numbered {
	l.create(l.path)
	l.write(1)
	return l
}

func (l *numbered) create(path string) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		l.t.Error(err)
		return
	}
	if l.file != nil {
		_ = l.file.Close()
	}
	l.file = f
}

func (l *numbered) line() []byte {
	l.n++
	e := Event{Time: time.Now().UTC(), Kind: Open, Service: "smtp", Conn: l.n}
	return append(Append(nil, &e), '\n')
}

func (l *numbered) write(lines int) {
	var b []byte
	for range lines {
		b = append(b, l.line()...)
	}
	l.bytes(b)
}

func (l *numbered) bytes(b []byte) {
	if _, err := l.file.Write(b); err != nil {
		l.t.Error(err)
	}
}

// aside returns a name that a rotated file can have.
func (l *numbered) aside() string {
	l.turn++
	return fmt.Sprintf("%s.%d", l.path, l.turn)
}

func (l *numbered) rename() {
	if err := os.Rename(l.path, l.aside()); err != nil {
		l.t.Error(err)
	}
}

// settled waits until all lines written so far have been followed.
func (l *numbered) settled() {
	eventually(l.t, func() bool { return l.read.Load() == l.n })
}

func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Error("it did not happen within 20 s")
			return
		}
	}
}

// follow follows the log until it has read line last, and checks that no line
// is missing and none comes twice. One in restarts times (0: never) it stops after
// a line and goes on from the position that it has kept as text.
func (l *numbered) follow(ctx context.Context, last uint64, rng *rand.Rand, restarts int) {
	saved := []byte{}
	for l.read.Load() < last && ctx.Err() == nil {
		var from Position
		if err := from.UnmarshalText(saved); err != nil {
			l.t.Error(err)
			return
		}
		if !l.followOnce(ctx, last, FollowOptions{From: from, Grace: 5 * time.Millisecond}, &saved, rng, restarts) {
			return
		}
	}
}

func (l *numbered) followOnce(ctx context.Context, last uint64, o FollowOptions, saved *[]byte, rng *rand.Rand, restarts int) bool {
	var p Parser
	var e Event
	for line, err := range Follow(ctx, l.path, o) {
		if err != nil {
			l.t.Errorf("after line %d: %v", l.read.Load(), err)
			continue
		}
		if err := p.Parse(line.Text, &e); err != nil {
			l.t.Errorf("after line %d: %v: %q", l.read.Load(), err, line.Text)
			return false
		}
		if e.Kind == Open && e.Held == 0 {
			if want := l.read.Load() + 1; e.Conn != want {
				l.t.Errorf("line %d came, want %d; from %s now %s", e.Conn, want, o.From, line.Pos)
				return false
			}
			l.read.Store(e.Conn)
		}
		*saved, _ = line.Pos.MarshalText()
		if l.read.Load() >= last || restarts > 0 && rng.IntN(restarts) == 0 {
			return true
		}
	}
	if ctx.Err() != nil {
		l.t.Errorf("stuck after line %d of %d", l.read.Load(), last)
	}
	return false
}

// TestFollowLosesNothing rotates a log in each way that keeps the lines, many
// times and as fast as it goes, while a follower reads and restarts.
func TestFollowLosesNothing(t *testing.T) {
	t.Parallel()
	rotations := 400
	if testing.Short() {
		rotations = 40
	}
	for name, rotate := range map[string]func(l *numbered, rng *rand.Rand){
		"rename": func(l *numbered, _ *rand.Rand) {
			l.rename()
			l.create(l.path)
		},
		"rename, old file kept": func(l *numbered, rng *rand.Rand) {
			l.rename()
			l.write(rng.IntN(3))
			old := l.file
			l.file = nil
			l.create(l.path)
			fresh := l.file
			l.file = old
			for range rng.IntN(4) {
				time.Sleep(time.Duration(rng.IntN(2000)) * time.Microsecond)
				l.write(1)
			}
			l.file = fresh
			_ = old.Close()
		},
		"unlink and create": func(l *numbered, rng *rand.Rand) {
			l.settled() // what is unlinked before it was opened is gone
			l.write(rng.IntN(2))
			if err := os.Remove(l.path); err != nil {
				l.t.Error(err)
			}
			l.write(rng.IntN(2))
			l.create(l.path)
		},
		"symbolic link": func(l *numbered, _ *rand.Rand) {
			if l.turn == 0 { // the first file is none
				l.rename()
			}
			target := l.aside()
			l.create(target)
			if err := os.Symlink(target, l.path+".new"); err != nil {
				l.t.Error(err)
			}
			if err := os.Rename(l.path+".new", l.path); err != nil {
				l.t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rng := seeded(t)
			l := newNumbered(t).start()
			ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
			defer cancel()
			// The last number is not known before, so it is taken from a plan.
			const perFile = 25
			last := uint64(rotations * perFile)
			done := make(chan struct{})
			readerRNG := rand.New(rand.NewPCG(rng.Uint64(), 1))
			restarts := 200
			if name == "unlink and create" { // while nobody has the file open?
				restarts = 0
			}
			go func() {
				defer close(done)
				l.follow(ctx, last, readerRNG, restarts)
			}()
			for i := 1; i <= rotations; i++ {
				for l.n < uint64(i*perFile) && l.n < last {
					l.write(min(1+rng.IntN(8), int(last-l.n)))
					if rng.IntN(8) == 0 {
						time.Sleep(time.Duration(rng.IntN(1000)) * time.Microsecond)
					}
				}
				if i < rotations && l.n < last-10 {
					rotate(l, rng)
				}
			}
			<-done
			if l.read.Load() != last {
				t.Errorf("followed to line %d of %d", l.read.Load(), last)
			}
		})
	}
}

// TestFollowWriterLosesNothing does the same with a Writer, which compresses
// its rotated files meanwhile.
func TestFollowWriterLosesNothing(t *testing.T) {
	t.Parallel()
	rotations := uint64(400)
	if testing.Short() {
		rotations = 40
	}
	rng := seeded(t)
	l := newNumbered(t)
	w, err := OpenWriter(l.path, WriterOptions{MaxBytes: 2500, Keep: -1})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	last := rotations * 25
	done := make(chan struct{})
	readerRNG := rand.New(rand.NewPCG(rng.Uint64(), 1))
	go func() {
		defer close(done)
		l.follow(ctx, last, readerRNG, 1500)
	}()
	for n := uint64(1); n <= last; n++ {
		w.Write(&Event{Kind: Open, Service: "smtp", Conn: n})
		w.Write(&Event{Kind: Close, Service: "smtp", Conn: n})
		if rng.IntN(20) == 0 {
			time.Sleep(time.Duration(rng.IntN(2000)) * time.Microsecond)
		}
	}
	<-done
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	s := w.Stats()
	if s.Rotations < rotations/2 || s.Lost > 0 {
		t.Errorf("stats %+v", s)
	}
}
