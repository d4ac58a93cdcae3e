package app

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"time"

	"overstay/connlog"
)

// observation is what one reader of the connection log wants of it.
type observation struct {
	since  time.Time // where to begin: nothing after it is missed
	logger *slog.Logger
	event  func(e *connlog.Event, live bool) // e is valid until it returns
	live   func()                            // called once, when the log's present end is reached
	skip   func()                            // called for each line that is no event, if set
}

// observe follows the log at path until ctx ends. A line that is no event is
// counted and said; it ends nothing.
func observe(ctx context.Context, path string, o observation) error {
	if o.logger == nil {
		o.logger = slog.New(slog.DiscardHandler)
	}
	var parser connlog.Parser
	var event connlog.Event
	var malformed uint64
	var newer bool // a later version wrote what comes
	var last error
	for line, err := range connlog.Follow(ctx, path, connlog.FollowOptions{
		Since:  o.since,
		OnLive: o.live,
		Logger: o.logger,
	}) {
		if last = err; err != nil {
			o.logger.Warn("connection log", "path", path, "error", err)
			continue
		}
		if err := parser.Parse(line.Text, &event); err != nil {
			malformed++
			if o.skip != nil {
				o.skip()
			}
			// The first ones, then each power of two: a log full of garbage
			// must not make another.
			if malformed < 4 || malformed&(malformed-1) == 0 {
				o.logger.Warn("malformed line skipped", "path", path, "end", line.Pos.Offset, "malformed", malformed, "error", err)
			}
			continue
		}
		if event.Kind == connlog.Start {
			if newer = event.Schema > connlog.SchemaVersion; newer {
				o.logger.Error("connection log of a newer version: not read", "path", path, "boot", event.Boot,
					"schema", event.Schema, "known", connlog.SchemaVersion)
			}
		}
		if newer {
			continue
		}
		o.event(&event, line.Live)
	}
	if ctx.Err() != nil || errors.Is(last, fs.ErrNotExist) {
		return nil
	}
	return last
}
