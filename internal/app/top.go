package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"

	"overstay/connlog"
	"overstay/connlog/bulk"
	"overstay/connlog/formats"
	"overstay/detector"
)

// TopOptions says what Top shows and when.
type TopOptions struct {
	// Once shows the ranking at the log's present end, and returns.
	Once bool
	// Interval between two showings; a second if zero.
	Interval time.Duration
	// Show is called with a detector that nothing else uses meanwhile. Its
	// clock stands at the log's last line.
	Show   func(*detector.Detector)
	Logger *slog.Logger
}

// Top ranks the sources in the log at path as it grows, until ctx ends, with
// the sizes of the configuration and no policies.
func (c *Config) Top(ctx context.Context, path string, o TopOptions) error {
	// A log that is not there yet could be waited for, but a person who asks
	// for a ranking has rather mistyped its name.
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("connection log: %w", err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("connection log: %w", &fs.PathError{Op: "read", Path: path, Err: errNotAFile})
	}
	if head, err := bulk.Head(ctx, path); err == nil { // Whoever reads the log comes upon an error again.
		if f, ok := formats.Detect(head); ok && f.Name != bulk.Native {
			return &ForeignLogError{Path: path, Format: f.Name}
		}
	}
	options := c.detectorOptions()
	options.Policies = nil
	ranking, err := detector.New(options)
	if err != nil {
		return err
	}
	var mu sync.Mutex // guards ranking
	show := func() {
		mu.Lock()
		defer mu.Unlock()
		o.Show(ranking)
	}

	ctx, stop := context.WithCancel(ctx)
	var shower sync.WaitGroup
	defer shower.Wait()
	defer stop()
	live := make(chan struct{})
	if !o.Once {
		shower.Go(func() { showEvery(ctx, live, max(o.Interval, 100*time.Millisecond), show) })
	}
	err = observe(ctx, path, observation{
		since:  time.Now().Add(-time.Duration(c.Detector.ReadBack)),
		logger: o.Logger,
		event: func(e *connlog.Event, _ bool) {
			mu.Lock()
			defer mu.Unlock()
			ranking.Observe(e)
		},
		live: func() {
			if o.Once {
				stop()
				return
			}
			close(live)
		},
	})
	if o.Once && err == nil {
		show()
	}
	return err
}

// ForeignLogError is a log of another server where a connection log is needed.
type ForeignLogError struct{ Path, Format string }

func (e *ForeignLogError) Error() string {
	return fmt.Sprintf("%s is no connection log of overstay's, but one of format %s", e.Path, e.Format)
}

var errNotAFile = errors.New("not a file")

// showEvery shows from the moment that live is closed, until ctx ends.
func showEvery(ctx context.Context, live <-chan struct{}, interval time.Duration, show func()) {
	select {
	case <-live:
	case <-ctx.Done():
		return
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		show()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
