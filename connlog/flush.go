package connlog

import (
	"bytes"
	"fmt"
	"time"
)

// Pauses between attempts to write to a disk that fails.
const (
	minPause = 10 * time.Millisecond
	maxPause = 500 * time.Millisecond
)

// run is the flusher: it writes what gathers until the Writer is closed.
func (w *Writer) run() {
	defer close(w.done)
	var batch queue
	for w.next(&batch) {
		w.flush(&batch)
	}
	err := w.out.file.Sync()
	if cerr := w.out.file.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		err = fmt.Errorf("close connection log: %w", err)
	}
	if w.out.closeErr == nil {
		w.out.closeErr = err
	}
}

// next waits for lines and takes all there are in exchange for the drained
// batch. It returns false when the Writer is closed and nothing is left.
func (w *Writer) next(batch *queue) bool {
	batch.reset()
	for {
		w.mu.Lock()
		if !w.queue.empty() {
			*batch, w.queue = w.queue, *batch
			w.resumeLocked(0)
			w.mu.Unlock()
			return true
		}
		closed := w.closed
		w.mu.Unlock()
		if closed {
			return false
		}
		select {
		case <-w.wake:
		case <-w.closing:
		}
	}
}

// resumeLocked tells of dropped lines, more of them now, and gives readers a
// true picture again. The line's own count is the gap in seq.
func (w *Writer) resumeLocked(more uint64) {
	w.dropped += more
	w.stats.Lost += more
	if w.dropped == 0 {
		return
	}
	w.appendLocked(&Event{Kind: Lost, Count: w.dropped})
	w.dropped = 0
	w.headLocked()
}

// flush writes a batch, changing files where it has cuts.
func (w *Writer) flush(batch *queue) {
	w.checkPath(false)
	from := 0
	for _, c := range batch.cuts {
		w.put(batch.buf[from:c.at])
		from = c.at
		err := w.change(c)
		if c.done != nil {
			c.done <- err
		}
	}
	w.put(batch.buf[from:])
}

// checkPath looks whether somebody has renamed or removed the file.
func (w *Writer) checkPath(force bool) {
	switch w.out.check(force) {
	case inPlace:
		return
	case movedAway:
		if w.reopening {
			return
		}
		w.reopening = true
		// What waits still goes to the old file, under its new name.
		w.mu.Lock()
		w.queue.cut(cut{kind: cutReopen})
		w.body, w.began = 0, time.Now()
		w.headLocked()
		w.mu.Unlock()
	case truncated:
		w.o.Logger.Warn("connection log was truncated", "path", w.path)
		w.mu.Lock()
		w.body = 0
		w.headLocked()
		w.mu.Unlock()
	case removed:
		gone := w.out.since
		w.o.Logger.Warn("connection log was removed", "path", w.path, "lines", gone)
		if _, err := w.out.open(); err != nil {
			w.failed(err)
			return
		}
		w.mu.Lock()
		w.body, w.began = 0, time.Now()
		w.resumeLocked(uint64(gone))
		w.mu.Unlock()
	}
	w.signal()
}

func (w *Writer) change(c cut) error {
	var err error
	if c.kind == cutReopen {
		w.reopening = false
		_, err = w.out.open()
	} else {
		err = w.out.rotate(c.stamp)
	}
	if err != nil {
		// The old file goes on; the next attempt comes with the next cut.
		w.failed(err)
		return err
	}
	w.mu.Lock()
	w.stats.Rotations++
	w.mu.Unlock()
	w.sweep.wake()
	return nil
}

// put writes whole lines, trying again while the disk fails. When the Writer
// is closed meanwhile it gives up after a time.
func (w *Writer) put(b []byte) {
	pause := minPause
	var giveUp <-chan time.Time
	closing := w.closing
	for failing := false; len(b) > 0; {
		if w.abandoned {
			w.abandon(b, nil)
			return
		}
		n, err := w.out.write(b)
		w.wrote(b[:n])
		b = b[n:]
		if err == nil {
			if failing {
				w.o.Logger.Info("connection log is written again", "path", w.path)
			}
			continue
		}
		if !failing {
			failing = true
			w.o.Logger.Error("connection log cannot be written", "path", w.path, "error", err)
		}
		w.failed(nil)
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-closing:
			closing, giveUp = nil, time.After(w.o.CloseTimeout)
			pause = minPause
		case <-giveUp:
			timer.Stop()
			w.abandon(b, err)
			return
		}
		timer.Stop()
		pause = min(2*pause, maxPause)
		w.checkPath(true)
	}
}

func (w *Writer) wrote(b []byte) {
	lines := bytes.Count(b, []byte{'\n'})
	w.out.since += lines
	w.mu.Lock()
	w.stats.Lines += uint64(lines)
	w.stats.Bytes += uint64(len(b))
	w.mu.Unlock()
}

// failed counts an error of the disk and, unless it is told already, tells it.
func (w *Writer) failed(err error) {
	w.mu.Lock()
	w.stats.Errors++
	w.mu.Unlock()
	if err != nil {
		w.o.Logger.Error("connection log", "path", w.path, "error", err)
	}
}

// abandon ends a Writer that is closed while the disk fails.
func (w *Writer) abandon(b []byte, err error) {
	lines := bytes.Count(b, []byte{'\n'})
	w.mu.Lock()
	lines += w.queue.lines
	w.queue = queue{}
	w.stats.Lost += uint64(lines)
	w.mu.Unlock()
	if !w.abandoned {
		w.abandoned = true
		w.out.closeErr = fmt.Errorf("close connection log: %w: %w", ErrLost, err)
	}
}
