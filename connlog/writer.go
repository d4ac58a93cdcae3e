package connlog

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// What can go wrong with a Writer as a whole.
var (
	ErrInUse  = errors.New("connlog: another process writes this log")
	ErrClosed = errors.New("connlog: writer is closed")
	ErrLost   = errors.New("connlog: lines could not be written")
)

// WriterOptions are the settings of a Writer. The zero value is ready.
type WriterOptions struct {
	MaxBytes int64         // rotate a file of this size; 0: 100 MiB, negative: never
	MaxAge   time.Duration // rotate a file of this age; 0: 24 h, negative: never
	Keep     int           // rotated files to keep; 0: 30, negative: all
	KeepAge  time.Duration // age at which rotated files go; 0: none
	// Plain leaves rotated files uncompressed.
	Plain bool
	// MaxPending bounds the bytes that wait for the disk, and so the lines
	// that a stall of the disk can hold back before they are dropped. Twice
	// as much memory may be in use. 0: 4 MiB.
	MaxPending   int
	CloseTimeout time.Duration // how long Close waits for the disk; 0: 5 s
	Mode         fs.FileMode   // of new files; 0: 0640
	Logger       *slog.Logger  // nil: nothing is said

	disk disk // nil: the real one
}

func (o WriterOptions) withDefaults() WriterOptions {
	setDefault(&o.MaxBytes, 100<<20)
	setDefault(&o.MaxAge, 24*time.Hour)
	setDefault(&o.Keep, 30)
	setDefault(&o.MaxPending, 4<<20)
	setDefault(&o.CloseTimeout, 5*time.Second)
	setDefault(&o.Mode, 0o640)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.disk == nil {
		o.disk = osDisk{}
	}
	return o
}

func setDefault[T comparable](to *T, value T) {
	var zero T
	if *to == zero {
		*to = value
	}
}

// WriterStats counts what a Writer did since it was opened.
type WriterStats struct {
	Lines     uint64 // written to the file
	Bytes     uint64
	Lost      uint64 // lines that were dropped, as the log's lost lines say
	Errors    uint64 // of the disk
	Rotations uint64
	Pending   int // bytes that wait for the disk now
	Open      int // connections that are open now, by the events that passed
}

// Writer writes a connection log. Its methods may be called at the same time.
//
// Events are encoded at once, in the order of the calls, and wait in a bounded
// buffer for the one goroutine that writes to the disk: all that has gathered
// while it wrote goes out in its next write. When the buffer is full, lines
// are dropped, counted, and the count is written as soon as there is room.
type Writer struct {
	path string
	o    WriterOptions
	boot string

	wake    chan struct{} // holds one: there is something to write
	closing chan struct{}
	done    chan struct{} // the flusher has ended
	sweep   *sweeper

	mu      sync.Mutex // guards what follows, never held during I/O
	queue   queue
	seq     uint64
	last    time.Time // of the last line
	dropped uint64    // lines since the queue was full
	open    ledger    // who is open, for the head of the next file
	body    int64     // bytes of the current file after its head
	began   time.Time // of the current file
	closed  bool
	stats   WriterStats

	// The flusher's own.
	out       output
	reopening bool // a cut that reopens the path is on its way
	abandoned bool // closed while the disk fails
}

// OpenWriter opens or creates the log at path and begins a boot. A last line
// that a crash left torn is ended first.
func OpenWriter(path string, o WriterOptions) (*Writer, error) {
	o = o.withDefaults()
	w := &Writer{
		path:    path,
		o:       o,
		boot:    strings.ToLower(rand.Text()[:16]),
		wake:    make(chan struct{}, 1),
		closing: make(chan struct{}),
		done:    make(chan struct{}),
	}
	w.out = output{path: path, disk: o.disk, mode: o.Mode}
	began, err := w.out.open()
	if err != nil {
		return nil, fmt.Errorf("open connection log: %w", err)
	}
	w.body = w.out.size
	if w.began = began; began.IsZero() {
		w.began = time.Now()
	}
	w.sweep = startSweeper(path, o)
	go w.run()
	return w, nil
}

// Boot returns the random id that is on all lines of this Writer.
func (w *Writer) Boot() string { return w.boot }

// Stats returns the counts up to now.
func (w *Writer) Stats() WriterStats {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.stats
	s.Pending, s.Open = len(w.queue.buf), w.open.len()
	return s
}

// maxTextBytes bounds what a client can make the log carry in one field.
const maxTextBytes = 512

// Write appends e to the log. It stamps Boot and Seq, and Time when that is
// zero; a time before that of the last line is moved to it, so that the log
// never goes back. A User longer than 512 bytes is cut. Write never waits for
// the disk, only reads e, and does nothing after Close.
func (w *Writer) Write(e *Event) {
	now := e.Time
	if now.IsZero() {
		now = time.Now()
	}
	w.mu.Lock()
	w.writeLocked(e, now.UTC().Truncate(time.Microsecond))
	w.mu.Unlock()
	w.signal()
}

func (w *Writer) writeLocked(e *Event, now time.Time) {
	if w.closed {
		w.stats.Lost++
		return
	}
	now = w.stampLocked(now)
	if w.dueLocked(now) {
		w.rotateLocked(now, e, nil)
	}
	ev := *e
	ev.Time, ev.Boot = w.last, w.boot
	ev.User = clip(ev.User, maxTextBytes)
	w.seq++
	ev.Seq = w.seq
	w.open.observe(&ev)
	if w.dropped > 0 || len(w.queue.buf) >= w.o.MaxPending {
		w.dropped++
		w.stats.Lost++
		return
	}
	w.body += int64(w.queue.add(&ev))
}

// stampLocked moves the log's time on to now, never back.
func (w *Writer) stampLocked(now time.Time) time.Time {
	if now.After(w.last) {
		w.last = now
	}
	return w.last
}

// appendLocked writes a line of the Writer's own.
func (w *Writer) appendLocked(e *Event) int {
	w.seq++
	e.Time, e.Boot, e.Seq = w.last, w.boot, w.seq
	return w.queue.add(e)
}

func (w *Writer) dueLocked(now time.Time) bool {
	if w.dropped > 0 || w.body == 0 {
		return false
	}
	return w.o.MaxBytes > 0 && w.body >= w.o.MaxBytes ||
		w.o.MaxAge > 0 && now.Sub(w.began) >= w.o.MaxAge
}

// rotateLocked lets the next line be the first of a new file, and writes that
// file's head unless next is a head itself. The flusher does the rest.
func (w *Writer) rotateLocked(now time.Time, next *Event, done chan<- error) {
	// Later than every line of the old file, so that the files have an order.
	w.last = w.last.Add(time.Microsecond)
	w.queue.cut(cut{kind: cutRotate, stamp: w.last, done: done})
	w.body, w.began = 0, now
	if next == nil || next.Kind != Start {
		w.headLocked()
	}
}

// headLocked writes what makes a file stand alone.
func (w *Writer) headLocked() {
	w.open.head(w.last, func(e *Event) { w.appendLocked(e) })
}

// Rotate begins a new file now and waits until that is done. A log without
// lines is left as it is.
func (w *Writer) Rotate() error {
	done := make(chan error, 1)
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return ErrClosed
	}
	if w.body == 0 {
		w.mu.Unlock()
		return nil
	}
	w.rotateLocked(w.stampLocked(time.Now().UTC().Truncate(time.Microsecond)), nil, done)
	w.mu.Unlock()
	w.signal()
	select {
	case err := <-done:
		return err
	case <-w.done:
		return ErrClosed
	}
}

func (w *Writer) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Close writes what waits, for at most CloseTimeout, and closes the file. The
// error is ErrLost if lines remained that could not be written. A second
// Close does nothing.
func (w *Writer) Close() error {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return nil
	}
	w.closed = true
	w.mu.Unlock()
	w.sweep.cancel()
	close(w.closing)

	ctx, cancel := context.WithTimeout(context.Background(), w.o.CloseTimeout+time.Second)
	defer cancel()
	w.sweep.wait(ctx)
	select {
	case <-w.done: // it gives up by itself, unless the disk hangs
		return w.out.closeErr
	case <-ctx.Done():
		return fmt.Errorf("close connection log: the disk hangs: %w", ErrLost)
	}
}

// clip cuts s to at most n bytes, between two characters.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
