package connlog

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
)

// A sweeper compresses the rotated files of a log and removes the old ones, in
// a goroutine of its own. What a crash left undone it finishes at its start.
type sweeper struct {
	path    string
	keep    int
	keepAge time.Duration
	plain   bool
	logger  *slog.Logger

	again  chan struct{} // holds one
	cancel context.CancelFunc
	done   chan struct{}
}

func startSweeper(path string, o WriterOptions) *sweeper {
	ctx, cancel := context.WithCancel(context.Background())
	s := &sweeper{
		path: path, keep: o.Keep, keepAge: o.KeepAge, plain: o.Plain, logger: o.Logger,
		again: make(chan struct{}, 1), cancel: cancel, done: make(chan struct{}),
	}
	go s.run(ctx)
	return s
}

// wake tells that there is another rotated file.
func (s *sweeper) wake() {
	select {
	case s.again <- struct{}{}:
	default:
	}
}

// wait waits for the sweeper to end after cancel. A file half compressed stays
// as it was and is compressed after the next start.
func (s *sweeper) wait(ctx context.Context) {
	select {
	case <-s.done:
	case <-ctx.Done():
	}
}

// sweepInterval is how often ages are looked at when nothing is rotated.
const sweepInterval = time.Hour

func (s *sweeper) run(ctx context.Context) {
	defer close(s.done)
	tick := time.NewTicker(sweepInterval)
	defer tick.Stop()
	for {
		if err := s.sweep(ctx); err != nil && ctx.Err() == nil {
			s.logger.Error("rotated connection logs", "path", s.path, "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-s.again:
		case <-tick.C:
		}
	}
}

// rotated is a rotated file.
type rotated struct {
	name       string
	stamp      time.Time
	compressed bool
}

func (s *sweeper) sweep(ctx context.Context) error {
	dir := filepath.Dir(s.path)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var files []rotated
	var errs []error
	for _, entry := range entries {
		name := entry.Name()
		if unfinished, ok := strings.CutSuffix(name, temporarySuffix); ok {
			if _, _, ours := rotatedAt(s.path, unfinished); ours {
				errs = append(errs, remove(filepath.Join(dir, name)))
			}
			continue
		}
		if stamp, compressed, ok := rotatedAt(s.path, name); ok && entry.Type().IsRegular() {
			files = append(files, rotated{filepath.Join(dir, name), stamp, compressed})
		}
	}
	slices.SortFunc(files, func(a, b rotated) int { return b.stamp.Compare(a.stamp) })
	for i, f := range files {
		if s.keep >= 0 && i >= s.keep || s.keepAge > 0 && time.Since(f.stamp) > s.keepAge {
			errs = append(errs, remove(f.name))
		} else if !f.compressed && !s.plain {
			errs = append(errs, compress(ctx, f.name))
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return errors.Join(errs...)
}

func remove(name string) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

const temporarySuffix = ".tmp"

// compress puts name.zst in the place of name. At every moment one of the two
// is there and whole.
func compress(ctx context.Context, name string) (err error) {
	in, err := os.Open(name)
	if err != nil {
		return err
	}
	defer in.Close() //nolint:errcheck // it was only read
	info, err := in.Stat()
	if err != nil {
		return err
	}
	temporary := name + ".zst" + temporarySuffix
	out, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, info.Mode().Perm())
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = out.Close() // the error before it says more
			_ = os.Remove(temporary)
		}
	}()
	enc, err := zstd.NewWriter(out, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(windowFor(info.Size())))
	if err != nil {
		return err
	}
	if _, err = io.Copy(enc, contextReader{ctx, in}); err != nil {
		_ = enc.Close()
		return err
	}
	if err = enc.Close(); err != nil {
		return err
	}
	if err = out.Sync(); err != nil {
		return err
	}
	if err = out.Close(); err != nil {
		return err
	}
	// Readers of logs without times put files in order by this.
	if err = os.Chtimes(temporary, info.ModTime(), info.ModTime()); err != nil {
		return err
	}
	if err = os.Rename(temporary, name+".zst"); err != nil {
		return err
	}
	if err = syncFolder(filepath.Dir(name)); err != nil {
		return err
	}
	return remove(name)
}

// windowFor is a window that holds all of a small file: the encoder takes twice
// as much memory as its window has, up front.
func windowFor(size int64) int {
	window := zstd.MinWindowSize
	for int64(window) < size && window < maxWriteWindow {
		window *= 2
	}
	return window
}

const maxWriteWindow = 8 << 20

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if cerr := d.Close(); err == nil {
		err = cerr
	}
	return err
}

// contextReader ends with ctx.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (r contextReader) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(b)
}
